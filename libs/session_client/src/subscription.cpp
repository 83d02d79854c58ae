#include "subscription.hpp"

#include <algorithm>
#include <utility>

#include "asio/post.hpp"
#include "sesior/telemetry/log.hpp"

namespace sesior::session_client {

using broadcast::v1::Delivery;
using broadcast::v1::Position;
using broadcast::v1::SubscribeRequest;
using broadcast::v1::SubscribeResponse;

SubscriptionStream::SubscriptionStream(asio::io_context& worker, const InFlight& in_flight, std::uint64_t affinity,
                                       std::string replica_id, std::string namespace_name,
                                       std::function<std::vector<ReplicaPtr>()> replicas, SubscriptionHandler& handler)
    : worker_(worker),
      in_flight_(in_flight),
      affinity_(affinity),
      replica_id_(std::move(replica_id)),
      namespace_(std::move(namespace_name)),
      replicas_(std::move(replicas)),
      handler_(Told{&handler}),
      timer_(worker),
      backoff_({.initial = std::chrono::milliseconds(20), .max = std::chrono::milliseconds(1000)}) {}

void SubscriptionStream::Open() {
  if (closing_ || attempt_) return;
  const ReplicaPtr replica = Choose(replicas_(), affinity_);
  if (!replica) return;  // a change of the replicas comes back to it
  auto attempt = std::make_shared<Attempt>();
  attempt->address = replica->address();
  {
    absl::MutexLock lock(&attempt->mutex);
    attempt->waiting.set_replica_id(replica_id_);
    SubscribeRequest::Add& add = *attempt->waiting.add_add();
    add.set_namespace_(namespace_);
    absl::MutexLock position_lock(&position_mutex_);
    if (!position_.epoch().empty()) *add.mutable_after() = position_;
  }
  auto self = shared_from_this();
  attempt->stream = std::make_shared<Bidi>(Bidi::Callbacks{
      .in_flight = in_flight_.Take(),
      .on_read = [self, attempt](SubscribeResponse& response) { self->OnRead(attempt, response); },
      .fill =
          [attempt](SubscribeRequest& request) {
            absl::MutexLock lock(&attempt->mutex);
            request.Swap(&attempt->waiting);
            return !request.replica_id().empty();
          },
      .on_done =
          [self, attempt](const grpc::Status& status) {
            asio::post(self->worker_, [self, attempt, status] { self->OnDone(attempt, status); });
          },
  });
  attempt_ = attempt;
  attempt->stream->Start(Bidi::Unreachable::kFail, [&](auto* context, auto* reactor) {
    replica->Authorize(*context);
    replica->broadcasts().async()->Subscribe(context, reactor);
  });
  attempt->stream->Kick();
}

bool SubscriptionStream::Advance(SubscribeResponse& response) {
  absl::MutexLock lock(&position_mutex_);
  for (const Position& started : response.started()) {
    // Within an epoch only what was told moves the position: a stream lost before its backlog came misses nothing.
    if (position_.epoch() != started.epoch()) position_ = started;
  }
  auto& deliveries = *response.mutable_deliveries();
  const auto told = std::remove_if(
      deliveries.begin(), deliveries.end(), [this](const Delivery& delivery) ABSL_NO_THREAD_SAFETY_ANALYSIS {
        if (delivery.epoch().empty()) return false;  // for this replica alone: no part of the namespace's order
        if (delivery.epoch() == position_.epoch() && delivery.offset() <= position_.offset()) return true;
        position_.set_namespace_(namespace_);
        position_.set_epoch(delivery.epoch());
        position_.set_offset(delivery.offset());
        return false;
      });
  deliveries.erase(told, deliveries.end());
  // Behind the deliveries: a response may hold some from before the gap, and what comes after it has higher numbers.
  for (const SubscribeResponse::Gap& gap : response.gaps()) {
    if (position_.epoch() == gap.epoch()) position_.set_offset(std::max(position_.offset(), gap.last_offset()));
  }
  return response.started_size() > 0;
}

void SubscriptionStream::OnRead(const std::shared_ptr<Attempt>& attempt, SubscribeResponse& response) {
  const bool started = Advance(response);
  handler_.Call([&](Told& told) {
    if (started && !std::exchange(told.connected, true)) told.handler->OnConnected(true);
    told.handler->OnBroadcasts(response);
  });
  if (started) asio::post(worker_, [self = shared_from_this()] { self->backoff_.Reset(); });
  if (response.go_away()) {
    attempt->going_away = true;
    attempt->stream->Finish();
  }
}

void SubscriptionStream::OnDone(const std::shared_ptr<Attempt>& attempt, const grpc::Status& status) {
  attempt_ = nullptr;
  if (closing_) return;
  // After a GoAway the next stream is opened at once, and the handler hears nothing if it stands.
  if (attempt->going_away) Open();
  if (attempt_) return;
  telemetry::Log(telemetry::Level::kWarn, "subscription_lost",
                 {{"addr", attempt->address}, {"code", static_cast<int>(status.error_code())}});
  TellLost();
  timer_.expires_after(backoff_.Next());
  timer_.async_wait([self = shared_from_this()](std::error_code error) {
    if (!error) self->Open();
  });
}

void SubscriptionStream::TellLost() {
  handler_.Call([](Told& told) {
    if (std::exchange(told.connected, false)) told.handler->OnConnected(false);
  });
}

void SubscriptionStream::Close() {
  closing_ = true;
  timer_.cancel();
  if (attempt_) attempt_->stream->Cancel();
}

}  // namespace sesior::session_client
