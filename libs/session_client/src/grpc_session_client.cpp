#include "sesior/session_client/grpc_session_client.hpp"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "affinity.hpp"
#include "asio/executor_work_guard.hpp"
#include "asio/ip/tcp.hpp"
#include "asio/post.hpp"
#include "asio/steady_timer.hpp"
#include "sesior/base/error.hpp"
#include "sesior/base/ids.hpp"
#include "sesior/grpc_status/grpc_status.hpp"
#include "subscription.hpp"
#include "watcher.hpp"

namespace sesior::session_client {

namespace {

using internal::v1::Call;
using internal::v1::Reply;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kExpireInterval(20);
constexpr std::chrono::seconds kResolveInterval(5);
constexpr int kMaxTries = 4;
constexpr const char* kDefaultPort = "50051";

absl::Status ClosingError() { return absl::CancelledError("the client is closing"); }

std::uint64_t Affinity(const session::v1::SessionRef& ref) {
  return StableHash(ref.has_cookie_header() ? ref.cookie_header() : ref.session_id());
}

template <typename Request>
std::uint64_t AffinityOf(const Request& request) {
  if constexpr (std::is_same_v<Request, session::v1::ResolveCookieRequest>) {
    return StableHash(request.cookie_header());
  } else if constexpr (std::is_same_v<Request, session::v1::CreateSessionRequest>) {
    return StableHash(request.request_id());
  } else if constexpr (std::is_same_v<Request, broadcast::v1::PublishRequest>) {
    return StableHash(request.broadcast().namespace_());
  } else if constexpr (std::is_same_v<Request, presence::v1::KeepLeaseRequest> ||
                       std::is_same_v<Request, presence::v1::ReleaseLeaseRequest>) {
    return StableHash(request.replica_id());
  } else if constexpr (std::is_same_v<Request, presence::v1::EnterRequest> ||
                       std::is_same_v<Request, presence::v1::LeaveRequest>) {
    return StableHash(request.session_id());
  } else if constexpr (std::is_same_v<Request, presence::v1::ListOnlineRequest>) {
    return StableHash(request.namespace_());
  } else if constexpr (std::is_same_v<Request, presence::v1::SaveRecoveryRequest>) {
    return StableHash(request.records().empty() ? std::string() : request.records(0).private_id());
  } else if constexpr (std::is_same_v<Request, presence::v1::TakeRecoveryRequest>) {
    return StableHash(request.private_id());
  } else if constexpr (requires { request.caller(); }) {
    return Affinity(request.caller());
  } else {
    return Affinity(request.session());
  }
}

template <typename Request>
void GiveRequestId(Request& request) {
  if constexpr (requires { request.set_request_id(std::string()); }) {
    if (request.request_id().empty()) request.set_request_id(NewRequestId());
  }
}

// One unary rpc on its way.
template <typename Request, typename Response>
struct UnaryCall {
  InFlight::Token in_flight;  // first, so released last
  Request request;
  Response response;
  CallOptions options;
  steady_clock::time_point deadline;
  std::uint64_t affinity = 0;
  int tries = 0;
  ReplicaPtr replica;  // of the last try
  std::unique_ptr<grpc::ClientContext> context;
  Done<Response> done;
};

class GrpcSessionClient final : public SessionClient {
 public:
  explicit GrpcSessionClient(Options options)
      : options_(std::move(options)),
        access_(std::make_shared<Access>(options_.credentials)),
        home_(options_.home.empty() ? std::nullopt : std::optional(StableHash(options_.home))),
        work_(asio::make_work_guard(worker_)),
        expire_timer_(worker_),
        resolve_timer_(worker_),
        resolver_(worker_),
        watcher_(worker_, in_flight_, home_, [this] { return Replicas(); }) {
    thread_ = std::thread([this] { worker_.run(); });
    asio::post(worker_, [this] {
      Resolve();
      Expire();
    });
  }

  ~GrpcSessionClient() override {
    asio::post(worker_, [this, in_flight = in_flight_.Take()] { Close(); });
    in_flight_.Wait();
    // Nobody arms a timer or posts to the worker any more: it ends when what it has is done.
    asio::post(worker_, [this] { work_.reset(); });
    thread_.join();
  }

  void ResolveCookie(session::v1::ResolveCookieRequest request, CallOptions options,
                     Done<session::v1::ResolveCookieResponse> done) override {
    Run(std::move(request), std::move(options), std::move(done), &Call::mutable_resolve_cookie,
        &Reply::mutable_resolve_cookie, &SessionAsync::ResolveCookie);
  }
  void CreateSession(session::v1::CreateSessionRequest request, CallOptions options,
                     Done<session::v1::CreateSessionResponse> done) override {
    Run(std::move(request), std::move(options), std::move(done), &Call::mutable_create_session,
        &Reply::mutable_create_session, &SessionAsync::CreateSession);
  }
  void GetSession(session::v1::GetSessionRequest request, CallOptions options,
                  Done<session::v1::GetSessionResponse> done) override {
    Run(std::move(request), std::move(options), std::move(done), &Call::mutable_get_session,
        &Reply::mutable_get_session, &SessionAsync::GetSession);
  }
  void UpdateSession(session::v1::UpdateSessionRequest request, CallOptions options,
                     Done<session::v1::UpdateSessionResponse> done) override {
    Run(std::move(request), std::move(options), std::move(done), &Call::mutable_update_session,
        &Reply::mutable_update_session, &SessionAsync::UpdateSession);
  }
  void TouchSession(session::v1::TouchSessionRequest request, CallOptions options,
                    Done<session::v1::TouchSessionResponse> done) override {
    Run(std::move(request), std::move(options), std::move(done), &Call::mutable_touch_session,
        &Reply::mutable_touch_session, &SessionAsync::TouchSession);
  }
  void RegenerateSession(session::v1::RegenerateSessionRequest request, CallOptions options,
                         Done<session::v1::RegenerateSessionResponse> done) override {
    Run(std::move(request), std::move(options), std::move(done), &Call::mutable_regenerate_session,
        &Reply::mutable_regenerate_session, &SessionAsync::RegenerateSession);
  }
  void DestroySession(session::v1::DestroySessionRequest request, CallOptions options,
                      Done<session::v1::DestroySessionResponse> done) override {
    Run(std::move(request), std::move(options), std::move(done), &Call::mutable_destroy_session,
        &Reply::mutable_destroy_session, &SessionAsync::DestroySession);
  }
  void ListSessions(session::v1::ListSessionsRequest request, CallOptions options,
                    Done<session::v1::ListSessionsResponse> done) override {
    RunUnary(std::move(request), std::move(options), std::move(done), &SessionAsync::ListSessions);
  }
  void DestroyUserSessions(session::v1::DestroyUserSessionsRequest request, CallOptions options,
                           Done<session::v1::DestroyUserSessionsResponse> done) override {
    RunUnary(std::move(request), std::move(options), std::move(done), &SessionAsync::DestroyUserSessions);
  }
  void Publish(broadcast::v1::PublishRequest request, CallOptions options,
               Done<broadcast::v1::PublishResponse> done) override {
    Run(std::move(request), std::move(options), std::move(done), &Call::mutable_publish, &Reply::mutable_publish,
        &BroadcastAsync::Publish);
  }
  void KeepLease(presence::v1::KeepLeaseRequest request, CallOptions options,
                 Done<presence::v1::KeepLeaseResponse> done) override {
    Run(std::move(request), std::move(options), std::move(done), &Call::mutable_keep_lease, &Reply::mutable_keep_lease,
        &PresenceAsync::KeepLease);
  }
  void Enter(presence::v1::EnterRequest request, CallOptions options, Done<presence::v1::EnterResponse> done) override {
    Run(std::move(request), std::move(options), std::move(done), &Call::mutable_enter, &Reply::mutable_enter,
        &PresenceAsync::Enter);
  }
  void Leave(presence::v1::LeaveRequest request, CallOptions options, Done<presence::v1::LeaveResponse> done) override {
    Run(std::move(request), std::move(options), std::move(done), &Call::mutable_leave, &Reply::mutable_leave,
        &PresenceAsync::Leave);
  }
  void ReleaseLease(presence::v1::ReleaseLeaseRequest request, CallOptions options,
                    Done<presence::v1::ReleaseLeaseResponse> done) override {
    RunUnary(std::move(request), std::move(options), std::move(done), &PresenceAsync::ReleaseLease);
  }
  void ListOnline(presence::v1::ListOnlineRequest request, CallOptions options,
                  Done<presence::v1::ListOnlineResponse> done) override {
    RunUnary(std::move(request), std::move(options), std::move(done), &PresenceAsync::ListOnline);
  }
  void SaveRecovery(presence::v1::SaveRecoveryRequest request, CallOptions options,
                    Done<presence::v1::SaveRecoveryResponse> done) override {
    Run(std::move(request), std::move(options), std::move(done), &Call::mutable_save_recovery,
        &Reply::mutable_save_recovery, &PresenceAsync::SaveRecovery);
  }
  void TakeRecovery(presence::v1::TakeRecoveryRequest request, CallOptions options,
                    Done<presence::v1::TakeRecoveryResponse> done) override {
    Run(std::move(request), std::move(options), std::move(done), &Call::mutable_take_recovery,
        &Reply::mutable_take_recovery, &PresenceAsync::TakeRecovery);
  }

  std::unique_ptr<Registration> Watch(session::v1::SessionRef session, milliseconds first_timeout,
                                      OnWatchEvent on_event) override {
    return watcher_.Watch(std::move(session), first_timeout, std::move(on_event));
  }

  std::unique_ptr<Registration> Subscribe(std::string replica_id, std::string namespace_name,
                                          SubscriptionHandler& handler) override;

  bool connected() const override {
    for (const ReplicaPtr& replica : Replicas()) {
      if (replica->state() != Replica::State::kDown) return true;
    }
    return false;
  }

 private:
  using SessionAsync = class session::v1::SessionService::Stub::async;
  using BroadcastAsync = class broadcast::v1::BroadcastService::Stub::async;
  using PresenceAsync = class presence::v1::PresenceService::Stub::async;
  template <typename Async, typename Request, typename Response>
  using Method = void (Async::*)(grpc::ClientContext*, const Request*, Response*, std::function<void(grpc::Status)>);

  static SessionAsync* AsyncOf(Replica& replica, SessionAsync*) { return replica.sessions().async(); }
  static BroadcastAsync* AsyncOf(Replica& replica, BroadcastAsync*) { return replica.broadcasts().async(); }
  static PresenceAsync* AsyncOf(Replica& replica, PresenceAsync*) { return replica.presence().async(); }

  template <typename Request, typename Response, typename Async>
  void Run(Request request, CallOptions options, Done<Response> done, Request* (Call::*op)(),
           Response* (Reply::*result)(), Method<Async, Request, Response> method) {
    GiveRequestId(request);
    if (options_.transport == Options::Transport::kUnary) {
      return RunUnary(std::move(request), std::move(options), std::move(done), method);
    }
    auto call = std::make_shared<OpenCall>();
    call->deadline = steady_clock::now() + options.timeout;
    call->affinity = PlaceOf(AffinityOf(request));
    call->call.set_correlation_id(std::move(options.correlation_id));
    call->call.set_traceparent(std::move(options.traceparent));
    *(call->call.*op)() = std::move(request);
    call->finish = [done = std::move(done), result](absl::StatusOr<Reply> reply) mutable {
      if (!reply.ok()) return std::move(done)(std::move(reply).status());
      std::move(done)(std::move(*((*reply).*result)()));
    };
    Dispatch(std::move(call));
  }

  // What chooses the replica: the client's home, where it has one.
  std::uint64_t PlaceOf(std::uint64_t affinity) const { return home_.value_or(affinity); }

  // Sends the call to its replica, or to the next best when that is lost.
  void Dispatch(OpenCallPtr call) {
    std::vector<ReplicaPtr> replicas = Replicas();
    if (++call->tries > kMaxTries) replicas.clear();
    while (const ReplicaPtr replica = Choose(replicas, call->affinity)) {
      switch (replica->Send(call)) {
        case Exchange::SendResult::kSent:
          return;
        case Exchange::SendResult::kFull:
          return FinishLater(std::move(call),
                             Error(absl::StatusCode::kResourceExhausted,
                                   "too much waits for the session service (limit 1024 calls or 4 MiB)",
                                   {.reason = "TOO_MANY_CALLS", .field = {}, .retry_after = milliseconds(100)}));
        case Exchange::SendResult::kLost:
          std::erase(replicas, replica);
      }
    }
    FinishLater(std::move(call), closing_ ? ClosingError() : NoReplicaError());
  }

  void FinishLater(OpenCallPtr call, absl::Status status) {
    asio::post(worker_, [call = std::move(call), status = std::move(status)] { std::move(call->finish)(status); });
  }

  void OnLost(std::vector<OpenCallPtr> calls) {
    const auto now = steady_clock::now();
    for (OpenCallPtr& call : calls) {
      if (closing_) {
        std::move(call->finish)(ClosingError());
      } else if (call->deadline <= now) {
        std::move(call->finish)(absl::DeadlineExceededError("the session service did not answer in time"));
      } else {
        Dispatch(std::move(call));
      }
    }
  }

  template <typename Request, typename Response, typename Async>
  void RunUnary(Request request, CallOptions options, Done<Response> done, Method<Async, Request, Response> method) {
    auto call = std::make_shared<UnaryCall<Request, Response>>();
    call->in_flight = in_flight_.Take();
    call->affinity = PlaceOf(AffinityOf(request));
    call->request = std::move(request);
    call->deadline = steady_clock::now() + options.timeout;
    call->options = std::move(options);
    call->done = std::move(done);
    TryUnary(std::move(call), method);
  }

  template <typename Request, typename Response, typename Async>
  void TryUnary(std::shared_ptr<UnaryCall<Request, Response>> call, Method<Async, Request, Response> method) {
    // Elsewhere than before, if there is an elsewhere.
    std::vector<ReplicaPtr> others = Replicas();
    std::erase(others, call->replica);
    call->replica = Choose(others, call->affinity);
    if (!call->replica) call->replica = Choose(Replicas(), call->affinity);
    call->context = std::make_unique<grpc::ClientContext>();
    if (!call->replica || !Register(*call->context)) {
      asio::post(worker_, [this, call] { std::move(call->done)(closing_ ? ClosingError() : NoReplicaError()); });
      return;
    }
    ++call->tries;
    call->replica->Authorize(*call->context);
    call->context->set_deadline(std::chrono::system_clock::now() + (call->deadline - steady_clock::now()));
    if (!call->options.correlation_id.empty()) call->context->AddMetadata("x-request-id", call->options.correlation_id);
    if (!call->options.traceparent.empty()) call->context->AddMetadata("traceparent", call->options.traceparent);
    (AsyncOf(*call->replica, static_cast<Async*>(nullptr))->*method)(
        call->context.get(), &call->request, &call->response, [this, call, method](const grpc::Status& status) {
          Unregister(*call->context);
          if (status.ok()) {
            std::move(call->done)(std::move(call->response));
          } else if (closing_) {
            std::move(call->done)(ClosingError());
          } else if (status.error_code() == grpc::StatusCode::UNAVAILABLE && status.error_details().empty() &&
                     call->tries < kMaxTries && call->deadline > steady_clock::now()) {
            // No details: the transport says so, not the service.
            TryUnary(call, method);
          } else {
            std::move(call->done)(WithoutOurRefusal(grpc_status::FromGrpc(status)));
          }
        });
  }

  // False: the client is closing, and nobody would cancel this call.
  bool Register(grpc::ClientContext& context) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return !closing_ && unary_.insert(&context).second;
  }
  void Unregister(grpc::ClientContext& context) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    unary_.erase(&context);
  }

  std::vector<ReplicaPtr> Replicas() const ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return replicas_;
  }

  // The rest runs on the worker.
  void Resolve();
  void ResolveAgainLater();
  void SetReplicas();
  void OnReplicasChanged();
  void Expire();
  void Close();

  const Options options_;
  const std::shared_ptr<Access> access_;
  const std::optional<std::uint64_t> home_;  // where everything goes; none: by session
  InFlight in_flight_;
  asio::io_context worker_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  asio::steady_timer expire_timer_;
  asio::steady_timer resolve_timer_;
  asio::ip::tcp::resolver resolver_;
  std::map<std::string, std::set<std::string>> resolved_;  // by configured address: host:port with a numeric host
  std::size_t resolving_ = 0;                              // names asked for and not answered
  Watcher watcher_;
  std::vector<std::shared_ptr<SubscriptionStream>> subscriptions_;
  mutable absl::Mutex mutex_;
  std::atomic<bool> closing_{false};                                         // set under the mutex
  absl::flat_hash_set<grpc::ClientContext*> unary_ ABSL_GUARDED_BY(mutex_);  // open calls
  std::vector<ReplicaPtr> replicas_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

// host:port with the brackets that an IPv6 address needs.
std::string ToAddress(const asio::ip::tcp::endpoint& endpoint) {
  const std::string host = endpoint.address().to_string();
  return (endpoint.address().is_v6() ? "[" + host + "]" : host) + ":" + std::to_string(endpoint.port());
}

// Of a configured address, without the brackets.
std::string HostOf(const std::string& address) {
  const std::string host = address.substr(0, address.rfind(':'));
  return host.size() > 2 && host.front() == '[' ? host.substr(1, host.size() - 2) : host;
}

void GrpcSessionClient::Resolve() {
  if (closing_) return;
  resolving_ = options_.addresses.size();
  for (const std::string& address : options_.addresses) {
    const std::size_t colon = address.rfind(':');
    const std::string port = colon == std::string::npos ? kDefaultPort : address.substr(colon + 1);
    resolver_.async_resolve(HostOf(address), port, [this, address](std::error_code error, const auto& results) {
      if (closing_) return;
      // A name server that does not answer takes no replica away.
      if (!error) {
        std::set<std::string>& found = resolved_[address];
        found.clear();
        for (const auto& entry : results) found.insert(ToAddress(entry.endpoint()));
        SetReplicas();
      }
      // Only now: questions must not pile up behind a name server that is slow.
      if (--resolving_ == 0) ResolveAgainLater();
    });
  }
}

void GrpcSessionClient::ResolveAgainLater() {
  resolve_timer_.expires_after(kResolveInterval);
  resolve_timer_.async_wait([this](std::error_code error) {
    if (!error) Resolve();
  });
}

void GrpcSessionClient::SetReplicas() {
  std::map<std::string, std::string> wanted;  // the host each was configured by
  for (const auto& [name, addresses] : resolved_) {
    for (const std::string& address : addresses) wanted.emplace(address, HostOf(name));
  }
  std::vector<ReplicaPtr> opened;
  std::vector<ReplicaPtr> closed;
  {
    absl::MutexLock lock(&mutex_);
    std::vector<ReplicaPtr> kept;
    for (ReplicaPtr& replica : replicas_) {
      (wanted.erase(replica->address()) == 1 ? kept : closed).push_back(std::move(replica));
    }
    for (const auto& [address, host] : wanted) {
      opened.push_back(
          std::make_shared<Replica>(address, host, access_, worker_, in_flight_,
                                    Replica::Callbacks{
                                        .on_lost = [this](std::vector<OpenCallPtr> calls) { OnLost(std::move(calls)); },
                                        .on_change = [this] { asio::post(worker_, [this] { OnReplicasChanged(); }); },
                                    }));
      kept.push_back(opened.back());
    }
    replicas_ = std::move(kept);
  }
  for (const ReplicaPtr& replica : closed) replica->Close();
  for (const ReplicaPtr& replica : opened) replica->Open();
}

void GrpcSessionClient::OnReplicasChanged() {
  if (closing_) return;
  const std::vector<ReplicaPtr> replicas = Replicas();
  const bool any_up = std::any_of(replicas.begin(), replicas.end(),
                                  [](const ReplicaPtr& replica) { return replica->state() == Replica::State::kUp; });
  for (const ReplicaPtr& replica : replicas) {
    if (any_up && replica->state() == Replica::State::kLeaving) replica->LetGo();
  }
  watcher_.OnReplicasChanged();
  for (const auto& subscription : subscriptions_) subscription->Open();
}

void GrpcSessionClient::Expire() {
  if (closing_) return;
  const auto now = steady_clock::now();
  for (const ReplicaPtr& replica : Replicas()) replica->Expire(now);
  expire_timer_.expires_after(kExpireInterval);
  expire_timer_.async_wait([this](std::error_code error) {
    if (!error) Expire();
  });
}

std::unique_ptr<Registration> GrpcSessionClient::Subscribe(std::string replica_id, std::string namespace_name,
                                                           SubscriptionHandler& handler) {
  class SubscriptionRegistration final : public Registration {
   public:
    SubscriptionRegistration(GrpcSessionClient& client, std::shared_ptr<SubscriptionStream> stream)
        : client_(client), stream_(std::move(stream)) {}
    ~SubscriptionRegistration() override {
      stream_->Disable();
      asio::post(client_.worker_, [&client = client_, stream = stream_] {
        stream->Close();
        std::erase(client.subscriptions_, stream);
      });
    }

   private:
    GrpcSessionClient& client_;
    std::shared_ptr<SubscriptionStream> stream_;
  };
  const std::uint64_t affinity = PlaceOf(StableHash(replica_id + namespace_name));
  auto stream = std::make_shared<SubscriptionStream>(
      worker_, in_flight_, affinity, std::move(replica_id), std::move(namespace_name), [this] { return Replicas(); },
      handler);
  asio::post(worker_, [this, stream] {
    subscriptions_.push_back(stream);
    stream->Open();
  });
  return std::make_unique<SubscriptionRegistration>(*this, stream);
}

void GrpcSessionClient::Close() {
  std::vector<ReplicaPtr> replicas;
  {
    absl::MutexLock lock(&mutex_);
    closing_ = true;
    replicas = replicas_;
    for (grpc::ClientContext* context : unary_) context->TryCancel();
  }
  expire_timer_.cancel();
  resolve_timer_.cancel();
  resolver_.cancel();
  watcher_.Close();
  for (const auto& subscription : subscriptions_) subscription->Close();
  for (const ReplicaPtr& replica : replicas) replica->Close();
}

}  // namespace

std::unique_ptr<SessionClient> MakeSessionClient(Options options) {
  return std::make_unique<GrpcSessionClient>(std::move(options));
}

}  // namespace sesior::session_client
