#include "tests/support/fake_session_server.hpp"

#include <algorithm>
#include <deque>
#include <set>
#include <utility>

#include "services/session/rpc/server_stream.hpp"
#include "sesior/base/check.hpp"
#include "sesior/broadcast/v1/broadcast.grpc.pb.h"
#include "sesior/internal/v1/exchange.grpc.pb.h"
#include "sesior/presence/v1/presence.grpc.pb.h"
#include "sesior/session/v1/session.grpc.pb.h"

namespace sesior::testing {

namespace {

// A stream that sends what is put, a message each. Everything but the queue belongs to the server's mutex.
template <typename Request, typename Response>
class FakeStream : public std::enable_shared_from_this<FakeStream<Request, Response>> {
 public:
  template <typename OnRead, typename OnHalfClose>
  grpc::ServerBidiReactor<Request, Response>* Start(grpc::CallbackServerContext* context, OnRead on_read,
                                                    OnHalfClose on_half_close) {
    auto self = this->shared_from_this();
    return stream_->Start(context, {.on_read = [self, on_read](Request& request) { on_read(*self, request); },
                                    .on_half_close = [self, on_half_close] { on_half_close(*self); },
                                    .fill = [self](Response& response) { return self->Fill(response); },
                                    .on_done = [self] { self->over_ = true; }});
  }

  void Put(Response response) {
    {
      absl::MutexLock lock(&mutex_);
      waiting_.push_back(std::move(response));
    }
    stream_->Kick();
  }
  void FinishWhenEmpty() { stream_->FinishWhenEmpty(); }
  void Finish(const grpc::Status& status) { stream_->Finish(status); }
  bool over() const { return over_; }

  std::set<std::uint64_t> watched;       // of a watch stream
  std::vector<internal::v1::Call> held;  // of an exchange stream
  bool half_closed = false;

 private:
  bool Fill(Response& response) {
    absl::MutexLock lock(&mutex_);
    if (waiting_.empty()) return false;
    response = std::move(waiting_.front());
    waiting_.pop_front();
    return true;
  }

  const std::shared_ptr<session::rpc::ServerStream<Request, Response>> stream_ =
      std::make_shared<session::rpc::ServerStream<Request, Response>>();
  std::atomic<bool> over_{false};
  absl::Mutex mutex_;
  std::deque<Response> waiting_ ABSL_GUARDED_BY(mutex_);
};

// The empty result of the call's operation: operations and results have the same numbers.
internal::v1::Reply EmptyResult(const internal::v1::Call& call) {
  internal::v1::Reply reply;
  const google::protobuf::FieldDescriptor* field =
      internal::v1::Reply::descriptor()->FindFieldByNumber(static_cast<int>(call.op_case()));
  SESIOR_CHECK(field != nullptr);
  reply.GetReflection()->MutableMessage(&reply, field);
  return reply;
}

}  // namespace

class FakeSessionServer::Services {
 public:
  using ExchangeStream = FakeStream<internal::v1::ExchangeRequest, internal::v1::ExchangeResponse>;
  using WatchStream = FakeStream<session::v1::WatchSessionsRequest, WatchEvents>;
  using SubscribeStream = FakeStream<broadcast::v1::SubscribeRequest, broadcast::v1::SubscribeResponse>;

  explicit Services(FakeSessionServer& server)
      : server_(server), exchange(*this), sessions(*this), broadcasts(*this), presence(*this) {}

  // All of these run under the server's mutex.
  void OnCalls(ExchangeStream& stream, const internal::v1::ExchangeRequest& request) {
    if (request.calls_size() > 0) server_.batches.push_back(request.calls_size());
    for (const std::uint64_t id : request.cancel()) server_.cancelled.push_back(id);
    for (const Call& call : request.calls()) {
      server_.calls.push_back(call);
      Answer(stream, call);
    }
  }
  void Answer(ExchangeStream& stream, const Call& call) {
    std::optional<Reply> reply = server_.answer ? server_.answer(call) : EmptyResult(call);
    if (!reply) return stream.held.push_back(call);
    reply->set_id(call.id());
    internal::v1::ExchangeResponse response;
    *response.add_replies() = *std::move(reply);
    stream.Put(std::move(response));
  }
  void OnWatches(WatchStream& stream, const session::v1::WatchSessionsRequest& request) {
    for (const WatchAdd& add : request.add()) {
      server_.watch_adds.push_back(add);
      stream.watched.insert(add.watch_id());
      WatchEvents::Event first;
      first.set_kind(session::v1::WATCH_EVENT_KIND_CURRENT);
      first.mutable_session()->set_session_id(add.session().has_cookie_header() ? "of:" + add.session().cookie_header()
                                                                                : add.session().session_id());
      first.mutable_session()->set_revision(1);
      std::optional<WatchEvents::Event> told = server_.on_watch ? server_.on_watch(add) : std::optional(first);
      if (!told) continue;
      told->set_watch_id(add.watch_id());
      WatchEvents response;
      *response.add_events() = *std::move(told);
      stream.Put(std::move(response));
    }
    for (const std::uint64_t id : request.remove()) {
      server_.watch_removes.push_back(id);
      stream.watched.erase(id);
    }
  }
  void OnSubscribe(SubscribeStream& stream, const broadcast::v1::SubscribeRequest& request) {
    server_.subscribes.push_back(request);
    broadcast::v1::SubscribeResponse started;
    broadcast::v1::Position& position = *started.add_started();
    position.set_namespace_(request.add(0).namespace_());
    position.set_epoch("e");
    position.set_offset(10);
    auto response = server_.on_subscribe ? server_.on_subscribe(request) : std::optional(started);
    if (response) stream.Put(*std::move(response));
  }

  template <typename Stream>
  static std::size_t Living(const std::vector<std::shared_ptr<Stream>>& streams) {
    return static_cast<std::size_t>(
        std::count_if(streams.begin(), streams.end(), [](const auto& stream) { return !stream->over(); }));
  }
  std::size_t Living() const { return Living(exchanges) + Living(watches) + Living(subscriptions); }

  template <typename Stream>
  static void TellGoAway(const std::vector<std::shared_ptr<Stream>>& streams) {
    for (const auto& stream : streams) {
      decltype(MessageOf(*stream)) response;
      response.set_go_away(true);
      stream->Put(std::move(response));
    }
  }

  std::vector<std::shared_ptr<ExchangeStream>> exchanges;
  std::vector<std::shared_ptr<WatchStream>> watches;
  std::vector<std::shared_ptr<SubscribeStream>> subscriptions;

 private:
  template <typename Request, typename Response>
  static Response MessageOf(const FakeStream<Request, Response>&);

  class ExchangeImpl final : public internal::v1::ExchangeService::CallbackService {
   public:
    explicit ExchangeImpl(Services& all) : all_(all) {}
    grpc::ServerBidiReactor<internal::v1::ExchangeRequest, internal::v1::ExchangeResponse>* Exchange(
        grpc::CallbackServerContext* context) override {
      auto stream = std::make_shared<ExchangeStream>();
      absl::MutexLock lock(&all_.server_.mutex_);
      ++all_.server_.exchange_streams;
      all_.exchanges.push_back(stream);
      return stream->Start(
          context,
          [this](ExchangeStream& self, const internal::v1::ExchangeRequest& request) {
            absl::MutexLock read_lock(&all_.server_.mutex_);
            all_.OnCalls(self, request);
          },
          [this](ExchangeStream& self) {
            absl::MutexLock close_lock(&all_.server_.mutex_);
            self.half_closed = true;
            ++all_.server_.exchange_half_closed;
            if (self.held.empty()) self.FinishWhenEmpty();
          });
    }

   private:
    Services& all_;
  };

  class SessionImpl final : public session::v1::SessionService::CallbackService {
   public:
    explicit SessionImpl(Services& all) : all_(all) {}
    grpc::ServerBidiReactor<session::v1::WatchSessionsRequest, WatchEvents>* WatchSessions(
        grpc::CallbackServerContext* context) override {
      auto stream = std::make_shared<WatchStream>();
      absl::MutexLock lock(&all_.server_.mutex_);
      ++all_.server_.watch_streams;
      all_.watches.push_back(stream);
      return stream->Start(
          context,
          [this](WatchStream& self, const session::v1::WatchSessionsRequest& request) {
            absl::MutexLock read_lock(&all_.server_.mutex_);
            all_.OnWatches(self, request);
          },
          [](WatchStream& self) { self.FinishWhenEmpty(); });
    }
    grpc::ServerUnaryReactor* GetSession(grpc::CallbackServerContext* context,
                                         const session::v1::GetSessionRequest* request,
                                         session::v1::GetSessionResponse* response) override {
      response->mutable_session()->set_session_id(request->session().session_id());
      grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
      reactor->Finish(grpc::Status::OK);
      return reactor;
    }

   private:
    Services& all_;
  };

  class BroadcastImpl final : public broadcast::v1::BroadcastService::CallbackService {
   public:
    explicit BroadcastImpl(Services& all) : all_(all) {}
    grpc::ServerBidiReactor<broadcast::v1::SubscribeRequest, broadcast::v1::SubscribeResponse>* Subscribe(
        grpc::CallbackServerContext* context) override {
      auto stream = std::make_shared<SubscribeStream>();
      absl::MutexLock lock(&all_.server_.mutex_);
      all_.subscriptions.push_back(stream);
      return stream->Start(
          context,
          [this](SubscribeStream& self, const broadcast::v1::SubscribeRequest& request) {
            absl::MutexLock read_lock(&all_.server_.mutex_);
            all_.OnSubscribe(self, request);
          },
          [](SubscribeStream& self) { self.FinishWhenEmpty(); });
    }

   private:
    Services& all_;
  };

  class PresenceImpl final : public presence::v1::PresenceService::CallbackService {
   public:
    explicit PresenceImpl(Services& all) : all_(all) {}
    grpc::ServerUnaryReactor* ListOnline(grpc::CallbackServerContext* context,
                                         const presence::v1::ListOnlineRequest* request,
                                         presence::v1::ListOnlineResponse* response) override {
      auto* reactor = new HeldReactor;
      absl::MutexLock lock(&all_.server_.mutex_);
      all_.server_.list_requests.push_back(*request);
      const auto id = context->client_metadata().find("x-request-id");
      if (id != context->client_metadata().end()) {
        all_.server_.correlation_ids.emplace_back(id->second.data(), id->second.size());
      }
      std::optional<grpc::Status> status = grpc::Status::OK;
      if (all_.server_.on_list) status = all_.server_.on_list(*request, *response);
      if (status) reactor->FinishOnce(*status);
      return reactor;
    }

   private:
    // Answers once, at the latest when the call is cancelled.
    class HeldReactor final : public grpc::ServerUnaryReactor {
     public:
      void FinishOnce(const grpc::Status& status) {
        if (!finished_.exchange(true)) Finish(status);
      }

     private:
      void OnCancel() override { FinishOnce(grpc::Status::CANCELLED); }
      void OnDone() override { delete this; }
      std::atomic<bool> finished_{false};
    };

    Services& all_;
  };

  FakeSessionServer& server_;

 public:
  ExchangeImpl exchange;
  SessionImpl sessions;
  BroadcastImpl broadcasts;
  PresenceImpl presence;
};

FakeSessionServer::FakeSessionServer(int port) : services_(std::make_unique<Services>(*this)) {
  grpc::ServerBuilder builder;
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddListeningPort("127.0.0.1:" + std::to_string(port), grpc::InsecureServerCredentials(), &port_);
  builder.RegisterService(&services_->exchange);
  builder.RegisterService(&services_->sessions);
  builder.RegisterService(&services_->broadcasts);
  builder.RegisterService(&services_->presence);
  server_ = builder.BuildAndStart();
  SESIOR_CHECK(server_ != nullptr);
}

FakeSessionServer::~FakeSessionServer() { Kill(); }

void FakeSessionServer::Kill() {
  if (!server_) return;
  server_->Shutdown(std::chrono::system_clock::now());
  server_->Wait();
  server_.reset();
}

void FakeSessionServer::GoAway() {
  absl::MutexLock lock(&mutex_);
  Services::TellGoAway(services_->exchanges);
  Services::TellGoAway(services_->watches);
  Services::TellGoAway(services_->subscriptions);
}

void FakeSessionServer::ExchangeGoAway() {
  absl::MutexLock lock(&mutex_);
  Services::TellGoAway(services_->exchanges);
}

void FakeSessionServer::WatchGoAway() {
  absl::MutexLock lock(&mutex_);
  Services::TellGoAway(services_->watches);
}

bool FakeSessionServer::FinishDrain(std::chrono::milliseconds patience) {
  const auto begin = std::chrono::steady_clock::now();
  server_->Shutdown(std::chrono::system_clock::now() + patience);
  server_->Wait();
  server_.reset();
  return std::chrono::steady_clock::now() - begin < patience;
}

bool FakeSessionServer::WaitFor(absl::FunctionRef<bool()> condition) {
  absl::MutexLock lock(&mutex_);
  return mutex_.AwaitWithTimeout(absl::Condition(&condition, &absl::FunctionRef<bool()>::operator()),
                                 absl::Seconds(10));
}

void FakeSessionServer::With(absl::FunctionRef<void()> action) {
  absl::MutexLock lock(&mutex_);
  action();
}

void FakeSessionServer::AnswerHeld() {
  absl::MutexLock lock(&mutex_);
  for (const auto& stream : services_->exchanges) {
    for (const Call& call : std::exchange(stream->held, {})) services_->Answer(*stream, call);
    if (stream->half_closed && stream->held.empty()) stream->FinishWhenEmpty();
  }
}

void FakeSessionServer::Push(WatchEvents::Event event) {
  absl::MutexLock lock(&mutex_);
  for (auto stream = services_->watches.rbegin(); stream != services_->watches.rend(); ++stream) {
    if (!(*stream)->watched.contains(event.watch_id())) continue;
    WatchEvents response;
    *response.add_events() = std::move(event);
    return (*stream)->Put(std::move(response));
  }
}

void FakeSessionServer::FailWatches(const grpc::Status& status) {
  absl::MutexLock lock(&mutex_);
  for (const auto& stream : services_->watches) stream->Finish(status);
}

void FakeSessionServer::Deliver(const broadcast::v1::SubscribeResponse& response) {
  absl::MutexLock lock(&mutex_);
  for (const auto& stream : services_->subscriptions) stream->Put(response);
}

}  // namespace sesior::testing
