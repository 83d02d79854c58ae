#include "subscription.hpp"

#include "absl/hash/hash.h"
#include "asio/post.hpp"

namespace sesior::session_client {

using broadcast::v1::SubscribeRequest;
using broadcast::v1::SubscribeResponse;

SubscriptionStream::SubscriptionStream(asio::io_context& worker, std::string replica_id, std::string namespace_name,
                                       std::function<std::vector<ReplicaPtr>()> replicas, SubscriptionHandler& handler)
    : worker_(worker),
      replica_id_(std::move(replica_id)),
      namespace_(std::move(namespace_name)),
      replicas_(std::move(replicas)),
      handler_(&handler),
      timer_(worker),
      backoff_({.initial = std::chrono::milliseconds(20), .max = std::chrono::milliseconds(1000)}) {}

void SubscriptionStream::Open() {
  if (closing_ || attempt_) return;
  const ReplicaPtr replica = Choose(replicas_(), absl::Hash<std::string>{}(replica_id_ + namespace_));
  if (!replica) return;
  auto attempt = std::make_shared<Attempt>();
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
      .on_read = [self, attempt](SubscribeResponse& response) { self->OnRead(attempt, response); },
      .fill =
          [attempt](SubscribeRequest& request) {
            absl::MutexLock lock(&attempt->mutex);
            request.Swap(&attempt->waiting);
            return !request.replica_id().empty();
          },
      .on_done = [self, attempt](
                     const grpc::Status&) { asio::post(self->worker_, [self, attempt] { self->OnDone(attempt); }); },
  });
  attempt_ = attempt;
  attempt->stream->Start(
      [&](auto* context, auto* reactor) { replica->broadcasts().async()->Subscribe(context, reactor); });
  attempt->stream->Kick();
}

void SubscriptionStream::OnRead(const std::shared_ptr<Attempt>& attempt, const SubscribeResponse& response) {
  bool started = false;
  {
    absl::MutexLock lock(&position_mutex_);
    for (const broadcast::v1::Position& position : response.started()) {
      position_ = position;
      started = true;
    }
    if (response.deliveries_size() > 0) {
      const broadcast::v1::Delivery& last = response.deliveries(response.deliveries_size() - 1);
      position_.set_namespace_(namespace_);
      position_.set_epoch(last.epoch());
      position_.set_offset(last.offset());
    }
  }
  handler_.Call([&](SubscriptionHandler* handler) {
    if (started) handler->OnConnected(true);
    handler->OnBroadcasts(response);
  });
  if (started) asio::post(worker_, [self = shared_from_this()] { self->backoff_.Reset(); });
  if (response.go_away()) attempt->stream->Finish();
}

void SubscriptionStream::OnDone(const std::shared_ptr<Attempt>& attempt) {
  if (attempt_ != attempt) return;
  attempt_.reset();
  if (closing_) {
    if (closed_) std::exchange(closed_, nullptr)();
    return;
  }
  handler_.Call([](SubscriptionHandler* handler) { handler->OnConnected(false); });
  timer_.expires_after(backoff_.Next());
  timer_.async_wait([self = shared_from_this()](std::error_code error) {
    if (!error) self->Open();
  });
}

void SubscriptionStream::Close(std::function<void()> closed) {
  closing_ = true;
  timer_.cancel();
  if (!attempt_) return closed();
  closed_ = std::move(closed);
  attempt_->stream->Cancel();
}

}  // namespace sesior::session_client
