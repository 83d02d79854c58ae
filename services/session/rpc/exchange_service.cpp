#include "services/session/rpc/exchange_service.hpp"

#include <atomic>
#include <chrono>
#include <utility>

#include "services/session/rpc/server_stream.hpp"
#include "sesior/base/error.hpp"
#include "sesior/grpc_status/grpc_status.hpp"

namespace sesior::session::rpc {

using internal::v1::Call;
using internal::v1::ExchangeRequest;
using internal::v1::ExchangeResponse;
using internal::v1::Reply;
using std::chrono::steady_clock;

// One stream. Reads hand batches to the core; the core puts replies; writes take them.
class ExchangeService::Stream final : public std::enable_shared_from_this<Stream> {
 public:
  explicit Stream(ExchangeService& service) : service_(service) {}

  grpc::ServerBidiReactor<ExchangeRequest, ExchangeResponse>* Start() {
    service_.metrics_.exchange_streams.Increment();
    auto self = shared_from_this();
    return stream_->Start({.on_read = [self](ExchangeRequest& request) { self->OnRead(request); },
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

 private:
  void OnRead(ExchangeRequest& request) {
    // Moved out: the stream reads the next batch into its own message.
    auto batch = std::make_shared<ExchangeRequest>(std::move(request));
    service_.metrics_.calls_stream.Increment(batch->calls_size());
    service_.core_.Post([self = shared_from_this(), batch, arrived = steady_clock::now()] {
      for (Call& call : *batch->mutable_calls()) self->Execute(call, arrived);
    });
  }

  void Execute(Call& call, steady_clock::time_point arrived) {
    if (steady_clock::now() > arrived + std::chrono::milliseconds(call.timeout_ms())) {
      service_.metrics_.expired.Increment();
      return Answer(call.id(), absl::DeadlineExceededError("the call waited past its deadline"));
    }
    if (open_ >= kMaxOpenCalls) {
      service_.metrics_.refused.Increment();
      return Answer(call.id(),
                    Error(absl::StatusCode::kResourceExhausted, "too many open calls (limit 1024)",
                          {.reason = "TOO_MANY_CALLS", .field = {}, .retry_after = std::chrono::milliseconds(100)}));
    }
    const std::uint64_t id = call.id();
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
      case Call::OP_NOT_SET:
        break;
    }
    Answer(id, absl::UnimplementedError("this operation is not known to the stream"));
  }

  template <typename Request, typename Response>
  void Run(std::uint64_t id, Request& request, Response* (Reply::*result)()) {
    ++open_;
    service_.operations_.Run(std::move(request),
                             [self = shared_from_this(), id, result](absl::StatusOr<Response> response) {
                               --self->open_;
                               if (!response.ok()) return self->Answer(id, response.status());
                               {
                                 absl::MutexLock lock(&self->mutex_);
                                 Reply& reply = *self->waiting_.add_replies();
                                 reply.set_id(id);
                                 *(reply.*result)() = *std::move(response);
                               }
                               self->AfterAnswer();
                             });
  }

  void Answer(std::uint64_t id, const absl::Status& status) {
    service_.metrics_.errors.Increment();
    {
      absl::MutexLock lock(&mutex_);
      Reply& reply = *waiting_.add_replies();
      reply.set_id(id);
      *reply.mutable_status() = grpc_status::ToProto(status);
    }
    AfterAnswer();
  }

  void AfterAnswer() { half_closed_&& open_ == 0 ? stream_->FinishWhenEmpty() : stream_->Kick(); }

  void OnHalfClose() {
    // By way of the core, behind the batches that came before.
    service_.core_.Post([self = shared_from_this()] {
      self->half_closed_ = true;
      if (self->open_ == 0) self->stream_->FinishWhenEmpty();
    });
  }

  bool Fill(ExchangeResponse& response) {
    absl::MutexLock lock(&mutex_);
    response.Swap(&waiting_);
    return response.replies_size() > 0 || response.go_away();
  }

  ExchangeService& service_;
  const std::shared_ptr<ServerStream<ExchangeRequest, ExchangeResponse>> stream_ =
      std::make_shared<ServerStream<ExchangeRequest, ExchangeResponse>>();
  // On the core:
  int open_ = 0;
  bool half_closed_ = false;
  absl::Mutex mutex_;
  ExchangeResponse waiting_ ABSL_GUARDED_BY(mutex_);
};

ExchangeService::ExchangeService(Operations& operations, Executor& core, RpcMetrics& metrics)
    : operations_(operations), core_(core), metrics_(metrics) {}

ExchangeService::~ExchangeService() = default;

grpc::ServerBidiReactor<ExchangeRequest, ExchangeResponse>* ExchangeService::Exchange(
    grpc::CallbackServerContext* /*context*/) {
  auto stream = std::make_shared<Stream>(*this);
  {
    absl::MutexLock lock(&mutex_);
    std::erase_if(streams_, [](const std::weak_ptr<Stream>& known) { return known.expired(); });
    streams_.push_back(stream);
  }
  return stream->Start();
}

void ExchangeService::GoAway() {
  absl::MutexLock lock(&mutex_);
  for (const std::weak_ptr<Stream>& known : streams_) {
    if (const std::shared_ptr<Stream> stream = known.lock()) stream->GoAway();
  }
}

}  // namespace sesior::session::rpc
