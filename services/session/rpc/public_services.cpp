#include "services/session/rpc/public_services.hpp"

#include <atomic>
#include <deque>
#include <map>
#include <utility>

#include "services/session/domain/errors.hpp"
#include "services/session/rpc/denials.hpp"
#include "services/session/rpc/roles.hpp"
#include "services/session/rpc/server_stream.hpp"
#include "sesior/base/error.hpp"
#include "sesior/grpc_status/grpc_status.hpp"

namespace sesior::session::rpc {

using broadcast::v1::SubscribeRequest;
using session::v1::WatchSessionsRequest;
using session::v1::WatchSessionsResponse;

namespace {

constexpr std::size_t kMaxWatches = 200'000;
// A message ends with what passes this: well below the 4 MiB that a gRPC client takes by default.
constexpr std::size_t kMaxMessageBytes = std::size_t{1} << 20;

// Runs a unary call on the core. gRPC keeps request, response and reactor until Finish.
template <typename Request, typename Response>
grpc::ServerUnaryReactor* Unary(const ServiceParts& parts, grpc::CallbackServerContext* context, const Request* request,
                                Response* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  parts.metrics.calls_unary.Increment();
  if (const absl::Status allowed = Caller(parts.callers, *context).Allow(LeastRole(*request)); !allowed.ok()) {
    reactor->Finish(Denied(allowed, parts.metrics));
    return reactor;
  }
  parts.core.Post([&operations = parts.operations, &metrics = parts.metrics, request, response, reactor, context] {
    if (context->IsCancelled()) return reactor->Finish(grpc::Status::CANCELLED);
    operations.Run(*request, [&metrics, response, reactor](absl::StatusOr<Response> result) {
      if (!result.ok()) {
        metrics.errors.Increment();
        return reactor->Finish(grpc_status::ToGrpc(result.status()));
      }
      *response = *std::move(result);
      reactor->Finish(grpc::Status::OK);
    });
  });
  return reactor;
}

grpc::Status TooMany(std::string reason, std::string_view message) {
  return grpc_status::ToGrpc(Error(absl::StatusCode::kResourceExhausted, message,
                                   {.reason = std::move(reason), .field = {}, .retry_after = {}}));
}

}  // namespace

// --- Sessions

class SessionRpcs::WatchStream final : public WatchHub::Sink, public std::enable_shared_from_this<WatchStream> {
 public:
  WatchStream(SessionRpcs& service, Caller caller) : service_(service), caller_(std::move(caller)) {}

  grpc::ServerBidiReactor<WatchSessionsRequest, WatchSessionsResponse>* Start(grpc::CallbackServerContext* context) {
    service_.parts_.metrics.watch_streams.Increment();
    auto self = shared_from_this();
    return stream_->Start(context, {.on_read = [self](WatchSessionsRequest& request) { self->OnRead(request); },
                                    .on_half_close = [self] { self->stream_->FinishWhenEmpty(); },
                                    .fill = [self](WatchSessionsResponse& response) { return self->Fill(response); },
                                    .on_done = [self] { self->OnDone(); }});
  }

  // On the core.
  void Push(WatchSessionsResponse::Event event) override {
    service_.parts_.metrics.watches_pushed.Increment();
    {
      absl::MutexLock lock(&mutex_);
      WatchSessionsResponse::Event& slot = waiting_[event.watch_id()];
      // The newest state only; but the answer to Add stays an answer to Add.
      const session::v1::WatchEventKind before = slot.kind();
      const bool answer_waits = before == session::v1::WATCH_EVENT_KIND_CURRENT;
      const bool change_waits = before == session::v1::WATCH_EVENT_KIND_UPDATED;
      slot = std::move(event);
      if (answer_waits && slot.kind() == session::v1::WATCH_EVENT_KIND_UPDATED) slot.set_kind(before);
      if ((answer_waits || change_waits) && slot.kind() == session::v1::WATCH_EVENT_KIND_TOUCHED) slot.set_kind(before);
      if (answer_waits && slot.kind() == session::v1::WATCH_EVENT_KIND_ENDED) {
        slot.set_kind(session::v1::WATCH_EVENT_KIND_REFUSED);
        slot.set_verdict(session::v1::COOKIE_VERDICT_UNKNOWN);
      }
    }
    stream_->KickAfterTurn(service_.parts_.core);
  }

  void GoAway() {
    {
      absl::MutexLock lock(&mutex_);
      go_away_ = true;
    }
    stream_->Kick();
  }

  const Caller& caller() const { return caller_; }
  void EndUnknown() { stream_->Finish(NoLongerKnown(service_.parts_.metrics)); }

 private:
  void OnRead(WatchSessionsRequest& request) {
    auto batch = std::make_shared<WatchSessionsRequest>(std::move(request));
    service_.parts_.core.Post([self = shared_from_this(), batch] {
      if (self->over_) return;
      for (WatchSessionsRequest::Add& add : *batch->mutable_add()) {
        // Refusals wait for the client without a watch behind them: they count too.
        if (self->service_.hub_.WatchesOf(self.get()) >= kMaxWatches || self->CountWaiting() >= kMaxWatches) {
          return self->stream_->Finish(TooMany("TOO_MANY_WATCHES", "too many watches on one stream (limit 200000)"));
        }
        self->service_.hub_.Add(self, add.watch_id(), std::move(*add.mutable_session()), add.known_revision());
      }
      for (const std::uint64_t id : batch->remove()) {
        self->service_.hub_.Remove(self.get(), id);
        absl::MutexLock lock(&self->mutex_);
        self->waiting_.erase(id);
      }
    });
  }

  std::size_t CountWaiting() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return waiting_.size();
  }

  bool Fill(WatchSessionsResponse& response) {
    absl::MutexLock lock(&mutex_);
    std::size_t bytes = 0;
    while (!waiting_.empty() && bytes < kMaxMessageBytes) {
      const auto first = waiting_.begin();
      bytes += first->second.session().data_json().size() + 256;
      response.add_events()->Swap(&first->second);
      waiting_.erase(first);
    }
    if (go_away_) {
      response.set_go_away(true);
      go_away_ = false;
    }
    return response.events_size() > 0 || response.go_away();
  }

  void OnDone() {
    service_.parts_.metrics.watch_streams.Decrement();
    service_.parts_.core.Post([self = shared_from_this()] {
      self->over_ = true;
      self->service_.hub_.DropSink(self.get());
    });
  }

  SessionRpcs& service_;
  const Caller caller_;
  const std::shared_ptr<ServerStream<WatchSessionsRequest, WatchSessionsResponse>> stream_ =
      std::make_shared<ServerStream<WatchSessionsRequest, WatchSessionsResponse>>();
  // On the core:
  bool over_ = false;
  absl::Mutex mutex_;
  bool go_away_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<std::uint64_t, WatchSessionsResponse::Event> waiting_ ABSL_GUARDED_BY(mutex_);
};

SessionRpcs::SessionRpcs(ServiceParts parts, WatchHub& hub) : parts_(parts), hub_(hub) {}
SessionRpcs::~SessionRpcs() = default;

grpc::ServerBidiReactor<WatchSessionsRequest, WatchSessionsResponse>* SessionRpcs::WatchSessions(Context* context) {
  Caller caller(parts_.callers, *context);
  if (const absl::Status allowed = caller.Allow(LeastRole(WatchSessionsRequest())); !allowed.ok()) {
    return new RefusedStream<WatchSessionsRequest, WatchSessionsResponse>(Denied(allowed, parts_.metrics));
  }
  auto stream = std::make_shared<WatchStream>(*this, std::move(caller));
  streams_.Remember(stream);
  return stream->Start(context);
}

void SessionRpcs::GoAway() { streams_.GoAway(); }
void SessionRpcs::RecheckCallers() { streams_.RecheckCallers(parts_.core); }

// One export: each session is read when the one before has left, so a slow reader holds one at a time. Destroys itself.
class SessionRpcs::Export final : public grpc::ServerWriteReactor<session::v1::ExportUserResponse> {
 public:
  Export(ServiceParts parts, const absl::Status& allowed, const session::v1::ExportUserRequest& request)
      : parts_(parts) {
    parts_.metrics.calls_unary.Increment();
    if (!allowed.ok()) {
      Finish(Denied(allowed, parts_.metrics));
      return;
    }
    parts_.core.Post([this, request] {
      parts_.operations.ExportIds(request, [this](absl::StatusOr<std::vector<SessionId>> ids) {
        if (!ids.ok()) return End(ids.status());
        ids_.assign(ids->begin(), ids->end());
        Next();
      });
    });
  }

 private:
  // On the core.
  void Next() {
    if (gone_.load(std::memory_order_relaxed)) return End(absl::CancelledError("the caller is gone"));
    if (ids_.empty()) return End(absl::OkStatus());
    const SessionId id = std::move(ids_.front());
    ids_.pop_front();
    parts_.operations.ExportOne(id, [this](absl::StatusOr<session::v1::ExportUserResponse> session) {
      if (absl::IsNotFound(session.status())) return Next();  // ended meanwhile
      if (!session.ok()) return End(session.status());
      response_ = *std::move(session);
      StartWrite(&response_);
    });
  }

  void End(const absl::Status& status) {
    if (!status.ok()) parts_.metrics.errors.Increment();
    Finish(status.ok() ? grpc::Status::OK : grpc_status::ToGrpc(status));
  }

  void OnWriteDone(bool ok) override {
    if (!ok) gone_.store(true, std::memory_order_relaxed);
    parts_.core.Post([this] { Next(); });
  }
  void OnCancel() override { gone_.store(true, std::memory_order_relaxed); }
  void OnDone() override { delete this; }

  const ServiceParts parts_;
  std::deque<SessionId> ids_;  // on the core
  session::v1::ExportUserResponse response_;
  std::atomic<bool> gone_ = false;
};

grpc::ServerWriteReactor<session::v1::ExportUserResponse>* SessionRpcs::ExportUser(
    Context* context, const session::v1::ExportUserRequest* request) {
  return new Export(parts_, Caller(parts_.callers, *context).Allow(LeastRole(*request)), *request);
}

// Each adapter is the same line; the names come from the generated base class.
#define SESIOR_UNARY(service, package, name)                                                                           \
  grpc::ServerUnaryReactor* service::name(grpc::CallbackServerContext* context, const package::name##Request* request, \
                                          package::name##Response* response) {                                         \
    return Unary(parts_, context, request, response);                                                                  \
  }

SESIOR_UNARY(SessionRpcs, session::v1, CreateSession)
SESIOR_UNARY(SessionRpcs, session::v1, GetSession)
SESIOR_UNARY(SessionRpcs, session::v1, BatchGetSessions)
SESIOR_UNARY(SessionRpcs, session::v1, UpdateSession)
SESIOR_UNARY(SessionRpcs, session::v1, TouchSession)
SESIOR_UNARY(SessionRpcs, session::v1, RegenerateSession)
SESIOR_UNARY(SessionRpcs, session::v1, DestroySession)
SESIOR_UNARY(SessionRpcs, session::v1, ResolveCookie)
SESIOR_UNARY(SessionRpcs, session::v1, DestroyUserSessions)
SESIOR_UNARY(SessionRpcs, session::v1, ListSessions)
SESIOR_UNARY(SessionRpcs, session::v1, EraseUser)

// --- Broadcasts

class BroadcastRpcs::SubscribeStream final : public BroadcastHub::Sink,
                                             public std::enable_shared_from_this<SubscribeStream> {
 public:
  SubscribeStream(BroadcastRpcs& service, Caller caller) : service_(service), caller_(std::move(caller)) {}

  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Start(grpc::CallbackServerContext* context) {
    service_.parts_.metrics.subscribe_streams.Increment();
    auto self = shared_from_this();
    return stream_->Start(context, {.on_read = [self](grpc::ByteBuffer& buffer) { self->OnRead(buffer); },
                                    .on_half_close = [self] { self->stream_->FinishWhenEmpty(); },
                                    .fill = [self](grpc::ByteBuffer& buffer) { return self->Fill(buffer); },
                                    .on_done = [self] { self->OnDone(); }});
  }

  // On the core.
  void Push(const grpc::Slice& part) override {
    service_.parts_.metrics.deliveries.Increment();
    {
      absl::MutexLock lock(&mutex_);
      if (slow_) return;
      waiting_bytes_ += part.size();
      slow_ = waiting_bytes_ > kMaxWaitingBytes;
      if (!slow_) waiting_.push_back(part);
      if (slow_) {
        waiting_.clear();
        waiting_bytes_ = 0;
      }
    }
    if (!slow()) return stream_->KickAfterTurn(service_.parts_.core);
    service_.parts_.metrics.slow_subscribers.Increment();
    stream_->Finish(TooMany("SLOW_SUBSCRIBER", "the subscriber does not keep up (limit 8 MiB); resume by position"));
  }

  std::size_t WaitingBytes() const override {
    absl::MutexLock lock(&mutex_);
    return waiting_bytes_;
  }

  void GoAway() {
    service_.parts_.core.Post([self = shared_from_this()] {
      broadcast::v1::SubscribeResponse response;
      response.set_go_away(true);
      self->Push(grpc::Slice(response.SerializeAsString()));
    });
  }

  const Caller& caller() const { return caller_; }
  void EndUnknown() { stream_->Finish(NoLongerKnown(service_.parts_.metrics)); }

 private:
  bool slow() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return slow_;
  }

  void OnRead(grpc::ByteBuffer& buffer) {
    auto request = std::make_shared<SubscribeRequest>();
    if (!grpc::SerializationTraits<SubscribeRequest>::Deserialize(&buffer, request.get()).ok()) {
      return stream_->Finish(grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "the message is no SubscribeRequest"));
    }
    service_.parts_.core.Post([self = shared_from_this(), request] {
      if (self->over_) return;
      for (const SubscribeRequest::Add& add : request->add()) {
        if (!add.room().empty()) {
          return self->stream_->Finish(
              grpc::Status(grpc::StatusCode::UNIMPLEMENTED, "rooms come on their namespace's channel"));
        }
        if (!add.namespace_().starts_with('/')) {
          return self->stream_->Finish(grpc_status::ToGrpc(InvalidField("add.namespace", "must begin with /")));
        }
        self->service_.hub_.Add(self, add.namespace_(), add.after());
      }
      for (const SubscribeRequest::Remove& remove : request->remove()) {
        self->service_.hub_.Remove(self.get(), remove.namespace_());
      }
    });
  }

  bool Fill(grpc::ByteBuffer& buffer) {
    std::vector<grpc::Slice> parts;
    {
      absl::MutexLock lock(&mutex_);
      std::size_t bytes = 0;
      while (!waiting_.empty() && bytes < kMaxMessageBytes) {
        bytes += waiting_.front().size();
        parts.push_back(std::move(waiting_.front()));
        waiting_.pop_front();
      }
      waiting_bytes_ -= bytes;
    }
    if (parts.empty()) return false;
    buffer = grpc::ByteBuffer(parts.data(), parts.size());
    return true;
  }

  void OnDone() {
    service_.parts_.metrics.subscribe_streams.Decrement();
    service_.parts_.core.Post([self = shared_from_this()] {
      self->over_ = true;
      self->service_.hub_.DropSink(self.get());
    });
  }

  BroadcastRpcs& service_;
  const Caller caller_;
  const std::shared_ptr<ServerStream<grpc::ByteBuffer, grpc::ByteBuffer>> stream_ =
      std::make_shared<ServerStream<grpc::ByteBuffer, grpc::ByteBuffer>>();
  bool over_ = false;  // on the core
  mutable absl::Mutex mutex_;
  bool slow_ ABSL_GUARDED_BY(mutex_) = false;
  std::size_t waiting_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::deque<grpc::Slice> waiting_ ABSL_GUARDED_BY(mutex_);
};

BroadcastRpcs::BroadcastRpcs(ServiceParts parts, BroadcastHub& hub) : parts_(parts), hub_(hub) {}
BroadcastRpcs::~BroadcastRpcs() = default;

grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* BroadcastRpcs::Subscribe(
    grpc::CallbackServerContext* context) {
  Caller caller(parts_.callers, *context);
  if (const absl::Status allowed = caller.Allow(LeastRole(SubscribeRequest())); !allowed.ok()) {
    return new RefusedStream<grpc::ByteBuffer, grpc::ByteBuffer>(Denied(allowed, parts_.metrics));
  }
  auto stream = std::make_shared<SubscribeStream>(*this, std::move(caller));
  streams_.Remember(stream);
  return stream->Start(context);
}

void BroadcastRpcs::GoAway() { streams_.GoAway(); }
void BroadcastRpcs::RecheckCallers() { streams_.RecheckCallers(parts_.core); }

SESIOR_UNARY(BroadcastRpcs, broadcast::v1, Publish)
SESIOR_UNARY(BroadcastRpcs, broadcast::v1, ReadHistory)
SESIOR_UNARY(BroadcastRpcs, broadcast::v1, GetPositions)
SESIOR_UNARY(BroadcastRpcs, broadcast::v1, Emit)

// --- Presence

SESIOR_UNARY(PresenceRpcs, presence::v1, KeepLease)
SESIOR_UNARY(PresenceRpcs, presence::v1, ReleaseLease)
SESIOR_UNARY(PresenceRpcs, presence::v1, Enter)
SESIOR_UNARY(PresenceRpcs, presence::v1, Leave)
SESIOR_UNARY(PresenceRpcs, presence::v1, ListOnline)
SESIOR_UNARY(PresenceRpcs, presence::v1, CountOnline)
SESIOR_UNARY(PresenceRpcs, presence::v1, SaveRecovery)
SESIOR_UNARY(PresenceRpcs, presence::v1, TakeRecovery)

#undef SESIOR_UNARY

}  // namespace sesior::session::rpc
