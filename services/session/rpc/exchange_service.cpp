#include "services/session/rpc/exchange_service.hpp"

#include <chrono>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "services/session/rpc/denials.hpp"
#include "services/session/rpc/roles.hpp"
#include "services/session/rpc/server_stream.hpp"
#include "sesior/base/error.hpp"
#include "sesior/grpc_status/grpc_status.hpp"

namespace sesior::session::rpc {

using internal::v1::Call;
using internal::v1::ExchangeRequest;
using internal::v1::ExchangeResponse;
using internal::v1::Reply;
using std::chrono::steady_clock;

namespace {

constexpr std::size_t kMaxOpenCalls = 1024;
constexpr std::size_t kMaxQueuedBytes = std::size_t{4} << 20;
// With refusals, which a client that reads cannot let grow so far.
constexpr int kMaxWaitingReplies = 4 * static_cast<int>(kMaxOpenCalls);
// A message ends with the reply that passes this: well below the 4 MiB that a gRPC client takes by default.
constexpr std::size_t kMaxMessageBytes = std::size_t{1} << 20;

}  // namespace

// One stream. Reads admit calls and hand them to the core, a batch at a time; the core puts replies; writes take them.
// A call is open from its arrival until its reply is taken for writing.
class ExchangeService::Stream final : public std::enable_shared_from_this<Stream> {
 public:
  Stream(ExchangeService& service, Caller caller) : service_(service), caller_(std::move(caller)) {}

  grpc::ServerBidiReactor<ExchangeRequest, ExchangeResponse>* Start(grpc::CallbackServerContext* context) {
    service_.metrics_.exchange_streams.Increment();
    auto self = shared_from_this();
    return stream_->Start(context, {.on_read = [self](ExchangeRequest& request) { self->OnRead(request); },
                                    .on_half_close = [self] { self->OnHalfClose(); },
                                    .fill = [self](ExchangeResponse& response) { return self->Fill(response); },
                                    .on_done = [self] { self->service_.metrics_.exchange_streams.Decrement(); }});
  }

  void GoAway() {
    {
      absl::MutexLock lock(&mutex_);
      waiting_.set_go_away(true);
    }
    stream_->Kick();
  }

  const Caller& caller() const { return caller_; }
  void EndUnknown() { stream_->Finish(NoLongerKnown(service_.metrics_)); }

 private:
  enum class State { kOpen, kCancelled };

  // Moved out of the stream's message, which the next read fills.
  struct Batch {
    ExchangeRequest request;
    std::size_t bytes = 0;
    steady_clock::time_point arrived = steady_clock::now();
  };

  void OnRead(ExchangeRequest& request) {
    auto batch = std::make_shared<Batch>();
    batch->request = std::move(request);
    service_.metrics_.calls_stream.Increment(batch->request.calls_size());
    if (!Admit(*batch)) {
      return stream_->Finish(
          grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "the id of a call must be unique among the open ones"));
    }
    if (HasFlood()) return stream_->Abort();
    if (batch->request.calls_size() == 0) return;
    service_.core_.Post([self = shared_from_this(), batch] {
      for (Call& call : *batch->request.mutable_calls()) self->Execute(call, batch->arrived);
      absl::MutexLock lock(&self->mutex_);
      self->queued_bytes_ -= batch->bytes;
    });
  }

  // Opens what the limits allow, answers the rest at once and takes it out of the batch. False: an id is used twice.
  bool Admit(Batch& batch) {
    google::protobuf::RepeatedPtrField<Call>& calls = *batch.request.mutable_calls();
    bool refused = false;
    {
      absl::MutexLock lock(&mutex_);
      for (const std::uint64_t id : batch.request.cancel()) {
        if (const auto found = open_.find(id); found != open_.end()) found->second = State::kCancelled;
      }
      int kept = 0;
      for (int i = 0; i < calls.size(); ++i) {
        const std::size_t bytes = calls[i].ByteSizeLong();
        const bool is_full = open_.size() + static_cast<std::size_t>(waiting_.replies_size()) >= kMaxOpenCalls ||
                             queued_bytes_ + bytes > kMaxQueuedBytes;
        if (is_full) {
          refused = true;
          service_.metrics_.refused.Increment();
          Put(calls[i].id(), OverLimit());
          continue;
        }
        if (!open_.emplace(calls[i].id(), State::kOpen).second) return false;
        queued_bytes_ += bytes;
        batch.bytes += bytes;
        calls.SwapElements(kept++, i);
      }
      calls.DeleteSubrange(kept, calls.size() - kept);
    }
    if (refused) stream_->Kick();
    return true;
  }

  static absl::Status OverLimit() {
    return Error(absl::StatusCode::kResourceExhausted, "too many open calls (limit 1024, 4 MiB waiting)",
                 {.reason = "TOO_MANY_CALLS", .field = {}, .retry_after = std::chrono::milliseconds(100)});
  }

  bool HasFlood() {
    absl::MutexLock lock(&mutex_);
    return waiting_.replies_size() > kMaxWaitingReplies;
  }

  void Execute(Call& call, steady_clock::time_point arrived) {
    const std::uint64_t id = call.id();
    if (DropIfCancelled(id)) return;
    if (steady_clock::now() > arrived + std::chrono::milliseconds(call.timeout_ms())) {
      service_.metrics_.expired.Increment();
      return Answer(id, absl::DeadlineExceededError("the call waited past its deadline"));
    }
    switch (call.op_case()) {
      case Call::kCreateSession:
        return Run(id, *call.mutable_create_session(), &Reply::mutable_create_session);
      case Call::kGetSession:
        return Run(id, *call.mutable_get_session(), &Reply::mutable_get_session);
      case Call::kUpdateSession:
        return Run(id, *call.mutable_update_session(), &Reply::mutable_update_session);
      case Call::kTouchSession:
        return Run(id, *call.mutable_touch_session(), &Reply::mutable_touch_session);
      case Call::kRegenerateSession:
        return Run(id, *call.mutable_regenerate_session(), &Reply::mutable_regenerate_session);
      case Call::kDestroySession:
        return Run(id, *call.mutable_destroy_session(), &Reply::mutable_destroy_session);
      case Call::kResolveCookie:
        return Run(id, *call.mutable_resolve_cookie(), &Reply::mutable_resolve_cookie);
      case Call::kPublish:
        return Run(id, *call.mutable_publish(), &Reply::mutable_publish);
      case Call::kKeepLease:
        return Run(id, *call.mutable_keep_lease(), &Reply::mutable_keep_lease);
      case Call::kEnter:
        return Run(id, *call.mutable_enter(), &Reply::mutable_enter);
      case Call::kLeave:
        return Run(id, *call.mutable_leave(), &Reply::mutable_leave);
      case Call::kSaveRecovery:
        return Run(id, *call.mutable_save_recovery(), &Reply::mutable_save_recovery);
      case Call::kTakeRecovery:
        return Run(id, *call.mutable_take_recovery(), &Reply::mutable_take_recovery);
      case Call::OP_NOT_SET:
        break;
    }
    Answer(id, absl::UnimplementedError("this operation is not known to the stream"));
  }

  bool DropIfCancelled(std::uint64_t id) {
    bool is_last = false;
    {
      absl::MutexLock lock(&mutex_);
      const auto found = open_.find(id);
      if (found->second == State::kOpen) return false;
      open_.erase(found);
      is_last = half_closed_ && open_.empty();
    }
    if (is_last) stream_->FinishWhenEmpty();
    return true;
  }

  template <typename Request, typename Response>
  void Run(std::uint64_t id, Request& request, Response* (Reply::*result)()) {
    if (const absl::Status allowed = caller_.Allow(LeastRole(request)); !allowed.ok()) {
      CountDenial(allowed, service_.metrics_);
      return Answer(id, allowed);
    }
    service_.operations_.Run(std::move(request),
                             [self = shared_from_this(), id, result](absl::StatusOr<Response> response) {
                               if (!response.ok()) return self->Answer(id, response.status());
                               Reply reply;
                               reply.set_id(id);
                               *(reply.*result)() = *std::move(response);
                               self->Answer(std::move(reply));
                             });
  }

  void Answer(std::uint64_t id, const absl::Status& status) {
    service_.metrics_.errors.Increment();
    Reply reply;
    reply.set_id(id);
    *reply.mutable_status() = grpc_status::ToProto(status);
    Answer(std::move(reply));
  }

  void Answer(Reply reply) {
    bool is_last = false;
    {
      absl::MutexLock lock(&mutex_);
      const auto found = open_.find(reply.id());
      if (found->second == State::kOpen) *waiting_.add_replies() = std::move(reply);
      open_.erase(found);
      is_last = half_closed_ && open_.empty();
    }
    is_last ? stream_->FinishWhenEmpty() : stream_->KickAfterTurn(service_.core_);
  }

  // A reply to a call that was never open.
  void Put(std::uint64_t id, const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    Reply& reply = *waiting_.add_replies();
    reply.set_id(id);
    *reply.mutable_status() = grpc_status::ToProto(status);
  }

  void OnHalfClose() {
    {
      absl::MutexLock lock(&mutex_);
      half_closed_ = true;
      if (!open_.empty()) return;
    }
    stream_->FinishWhenEmpty();
  }

  bool Fill(ExchangeResponse& response) {
    absl::MutexLock lock(&mutex_);
    std::size_t bytes = 0;
    int taken = 0;
    while (taken < waiting_.replies_size() && bytes < kMaxMessageBytes)
      bytes += waiting_.replies(taken++).ByteSizeLong();
    if (taken == waiting_.replies_size()) {
      response.Swap(&waiting_);
    } else {
      response.mutable_replies()->Reserve(taken);
      for (int i = 0; i < taken; ++i) response.add_replies()->Swap(waiting_.mutable_replies(i));
      waiting_.mutable_replies()->DeleteSubrange(0, taken);
    }
    return response.replies_size() > 0 || response.go_away();
  }

  ExchangeService& service_;
  const Caller caller_;
  const std::shared_ptr<ServerStream<ExchangeRequest, ExchangeResponse>> stream_ =
      std::make_shared<ServerStream<ExchangeRequest, ExchangeResponse>>();
  absl::Mutex mutex_;
  absl::flat_hash_map<std::uint64_t, State> open_ ABSL_GUARDED_BY(mutex_);  // no reply is there yet
  std::size_t queued_bytes_ ABSL_GUARDED_BY(mutex_) = 0;                    // of batches that the core has not reached
  bool half_closed_ ABSL_GUARDED_BY(mutex_) = false;
  ExchangeResponse waiting_ ABSL_GUARDED_BY(mutex_);
};

ExchangeService::ExchangeService(Operations& operations, Executor& core, RpcMetrics& metrics, const Callers* callers)
    : operations_(operations), core_(core), metrics_(metrics), callers_(callers) {}

ExchangeService::~ExchangeService() = default;

grpc::ServerBidiReactor<ExchangeRequest, ExchangeResponse>* ExchangeService::Exchange(
    grpc::CallbackServerContext* context) {
  Caller caller(callers_, *context);
  if (const absl::Status allowed = caller.Allow(LeastRole(ExchangeRequest())); !allowed.ok()) {
    return new RefusedStream<ExchangeRequest, ExchangeResponse>(Denied(allowed, metrics_));
  }
  auto stream = std::make_shared<Stream>(*this, std::move(caller));
  streams_.Remember(stream);
  return stream->Start(context);
}

void ExchangeService::GoAway() { streams_.GoAway(); }
void ExchangeService::RecheckCallers() { streams_.RecheckCallers(core_); }

}  // namespace sesior::session::rpc
