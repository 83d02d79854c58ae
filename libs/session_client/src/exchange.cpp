#include "exchange.hpp"

#include <algorithm>
#include <utility>

#include "sesior/grpc_status/grpc_status.hpp"

namespace sesior::session_client {

using internal::v1::ExchangeRequest;
using internal::v1::ExchangeResponse;
using internal::v1::Reply;

void Exchange::Start(internal::v1::ExchangeService::Stub& stub, Access& access, InFlight::Token in_flight) {
  auto self = shared_from_this();
  stream_ = std::make_shared<Stream>(Stream::Callbacks{
      .in_flight = std::move(in_flight),
      .on_open = [self] { self->callbacks_.on_open(self); },
      .on_read = [self](ExchangeResponse& response) { self->OnRead(response); },
      .fill = [self](ExchangeRequest& request) { return self->Fill(request); },
      .on_done = [self](const grpc::Status& status) { self->OnDone(status); },
  });
  stream_->Start(Stream::Unreachable::kWait, [&stub, &access](auto* context, auto* reactor) {
    access.Authorize(*context);
    stub.async()->Exchange(context, reactor);
  });
}

Exchange::SendResult Exchange::Send(OpenCallPtr call) {
  {
    absl::MutexLock lock(&mutex_);
    if (closed_) return SendResult::kLost;
    const std::size_t bytes = call->call.ByteSizeLong();
    if (open_.size() >= kMaxOpenCalls || waiting_bytes_ + bytes > kMaxWaitingBytes) return SendResult::kFull;
    waiting_bytes_ += bytes;
    call->call.set_id(next_id_++);
    open_.emplace(call->call.id(), call);
    waiting_.push_back(std::move(call));
  }
  stream_->Kick();
  return SendResult::kSent;
}

void Exchange::Finish() {
  {
    absl::MutexLock lock(&mutex_);
    closed_ = true;
  }
  stream_->Finish();
}

bool Exchange::Fill(ExchangeRequest& request) {
  std::vector<OpenCallPtr> batch;
  {
    absl::MutexLock lock(&mutex_);
    batch.swap(waiting_);
    waiting_bytes_ = 0;
    for (const std::uint64_t id : cancelled_) request.add_cancel(id);
    cancelled_.clear();
    // What has expired while it waited is not sent at all.
    std::erase_if(batch, [this](const OpenCallPtr& call)
                             ABSL_NO_THREAD_SAFETY_ANALYSIS { return !open_.contains(call->call.id()); });
  }
  const auto now = std::chrono::steady_clock::now();
  for (const OpenCallPtr& call : batch) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(call->deadline - now).count();
    call->call.set_timeout_ms(static_cast<std::uint32_t>(std::clamp<std::int64_t>(left, 1, 3'600'000)));
    *request.add_calls() = call->call;
  }
  return request.calls_size() > 0 || request.cancel_size() > 0;
}

void Exchange::OnRead(ExchangeResponse& response) {
  std::vector<std::pair<OpenCallPtr, Reply*>> finished;
  finished.reserve(static_cast<std::size_t>(response.replies_size()));
  bool go_away = false;
  {
    absl::MutexLock lock(&mutex_);
    for (Reply& reply : *response.mutable_replies()) {
      const auto found = open_.find(reply.id());
      if (found == open_.end()) continue;  // expired meanwhile
      finished.emplace_back(std::move(found->second), &reply);
      open_.erase(found);
    }
    go_away = response.go_away() && !going_away_;
    if (go_away) going_away_ = true;
  }
  if (go_away) callbacks_.on_go_away(shared_from_this());
  for (auto& [call, reply] : finished) {
    if (reply->has_status()) {
      std::move(call->finish)(WithoutOurRefusal(grpc_status::FromProto(reply->status())));
    } else if (static_cast<int>(reply->result_case()) != static_cast<int>(call->call.op_case())) {
      // Operations and their results have the same numbers.
      std::move(call->finish)(absl::InternalError("the session service answered another operation"));
    } else {
      std::move(call->finish)(std::move(*reply));
    }
  }
}

void Exchange::Expire(std::chrono::steady_clock::time_point now) {
  std::vector<OpenCallPtr> expired;
  {
    absl::MutexLock lock(&mutex_);
    for (auto it = open_.begin(); it != open_.end();) {
      const auto current = it++;
      if (current->second->deadline > now) continue;
      cancelled_.push_back(current->first);
      expired.push_back(std::move(current->second));
      open_.erase(current);
    }
  }
  for (const OpenCallPtr& call : expired) {
    std::move(call->finish)(absl::DeadlineExceededError("the session service did not answer in time"));
  }
  if (!expired.empty()) stream_->Kick();
}

bool Exchange::going_away() const {
  absl::MutexLock lock(&mutex_);
  return going_away_;
}

void Exchange::OnDone(const grpc::Status& status) {
  if (!status.ok()) WithoutOurRefusal(grpc_status::FromGrpc(status)).IgnoreError();  // logs it
  std::vector<OpenCallPtr> lost;
  {
    absl::MutexLock lock(&mutex_);
    closed_ = true;
    lost.reserve(open_.size());
    for (auto& [id, call] : open_) lost.push_back(std::move(call));
    open_.clear();
    waiting_.clear();
  }
  // In the order they were sent, so that repeating keeps the order of each session.
  std::sort(lost.begin(), lost.end(),
            [](const OpenCallPtr& a, const OpenCallPtr& b) { return a->call.id() < b->call.id(); });
  callbacks_.on_lost(shared_from_this(), std::move(lost));
}

void Exchange::Cancel() { stream_->Cancel(); }

}  // namespace sesior::session_client
