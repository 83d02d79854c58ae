// FakeSessionClient: a session service that does what the test says. Calls wait in a queue each until the test answers
// them; the newest thing that happened is at the back.
//   fake.resolve_cookie.Take().Answer(response);
// Threading: thread-compatible; done callbacks and handlers run in the test's own calls.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sesior/base/check.hpp"
#include "sesior/session_client/session_client.hpp"

namespace sesior::testing {

template <typename Request, typename Response>
struct FakeCall {
  Request request;
  session_client::CallOptions options;
  Done<Response> done;

  void Answer(absl::StatusOr<Response> response) { std::move(done)(std::move(response)); }
  void Fail(absl::Status status) { Answer(std::move(status)); }
};

template <typename Request, typename Response>
class FakeCalls {
 public:
  using Call = FakeCall<Request, Response>;
  bool empty() const { return open_.empty(); }
  std::size_t size() const { return open_.size(); }
  // The oldest open call; there must be one.
  Call Take() {
    SESIOR_CHECK(!open_.empty());
    Call call = std::move(open_.front());
    open_.pop_front();
    return call;
  }
  void Add(Request request, session_client::CallOptions options, Done<Response> done) {
    open_.push_back({std::move(request), std::move(options), std::move(done)});
  }

 private:
  std::deque<Call> open_;
};

// One watch; it stays in the list after its end.
struct FakeWatch {
  session::v1::SessionRef session;
  std::chrono::milliseconds first_timeout;
  session_client::OnWatchEvent on_event;
  bool ended = false;  // its Registration was destroyed

  void Tell(absl::StatusOr<session_client::WatchEvent> event) {
    if (!ended) on_event(std::move(event));
  }
};

struct FakeSubscription {
  std::string replica_id;
  std::string namespace_name;
  session_client::SubscriptionHandler* handler = nullptr;
  bool ended = false;
};

class FakeSessionClient final : public session_client::SessionClient {
 public:
  template <typename T>
  using Shared = std::vector<std::shared_ptr<T>>;

  FakeCalls<session::v1::ResolveCookieRequest, session::v1::ResolveCookieResponse> resolve_cookie;
  FakeCalls<session::v1::CreateSessionRequest, session::v1::CreateSessionResponse> create_session;
  FakeCalls<session::v1::GetSessionRequest, session::v1::GetSessionResponse> get_session;
  FakeCalls<session::v1::UpdateSessionRequest, session::v1::UpdateSessionResponse> update_session;
  FakeCalls<session::v1::TouchSessionRequest, session::v1::TouchSessionResponse> touch_session;
  FakeCalls<session::v1::RegenerateSessionRequest, session::v1::RegenerateSessionResponse> regenerate_session;
  FakeCalls<session::v1::DestroySessionRequest, session::v1::DestroySessionResponse> destroy_session;
  FakeCalls<session::v1::ListSessionsRequest, session::v1::ListSessionsResponse> list_sessions;
  FakeCalls<session::v1::DestroyUserSessionsRequest, session::v1::DestroyUserSessionsResponse> destroy_user_sessions;
  FakeCalls<broadcast::v1::PublishRequest, broadcast::v1::PublishResponse> publish;
  FakeCalls<presence::v1::KeepLeaseRequest, presence::v1::KeepLeaseResponse> keep_lease;
  FakeCalls<presence::v1::ReleaseLeaseRequest, presence::v1::ReleaseLeaseResponse> release_lease;
  FakeCalls<presence::v1::EnterRequest, presence::v1::EnterResponse> enter;
  FakeCalls<presence::v1::LeaveRequest, presence::v1::LeaveResponse> leave;
  FakeCalls<presence::v1::ListOnlineRequest, presence::v1::ListOnlineResponse> list_online;
  FakeCalls<presence::v1::SaveRecoveryRequest, presence::v1::SaveRecoveryResponse> save_recovery;
  FakeCalls<presence::v1::TakeRecoveryRequest, presence::v1::TakeRecoveryResponse> take_recovery;
  Shared<FakeWatch> watches;
  Shared<FakeSubscription> subscriptions;
  bool is_connected = true;

  // No call is open; watches and subscriptions aside.
  bool idle() const {
    return resolve_cookie.empty() && create_session.empty() && get_session.empty() && update_session.empty() &&
           touch_session.empty() && regenerate_session.empty() && destroy_session.empty() && list_sessions.empty() &&
           destroy_user_sessions.empty() && publish.empty() && keep_lease.empty() && release_lease.empty() &&
           enter.empty() && leave.empty() && list_online.empty() && save_recovery.empty() && take_recovery.empty();
  }

  void ResolveCookie(session::v1::ResolveCookieRequest request, session_client::CallOptions options,
                     Done<session::v1::ResolveCookieResponse> done) override {
    resolve_cookie.Add(std::move(request), std::move(options), std::move(done));
  }
  void CreateSession(session::v1::CreateSessionRequest request, session_client::CallOptions options,
                     Done<session::v1::CreateSessionResponse> done) override {
    create_session.Add(std::move(request), std::move(options), std::move(done));
  }
  void GetSession(session::v1::GetSessionRequest request, session_client::CallOptions options,
                  Done<session::v1::GetSessionResponse> done) override {
    get_session.Add(std::move(request), std::move(options), std::move(done));
  }
  void UpdateSession(session::v1::UpdateSessionRequest request, session_client::CallOptions options,
                     Done<session::v1::UpdateSessionResponse> done) override {
    update_session.Add(std::move(request), std::move(options), std::move(done));
  }
  void TouchSession(session::v1::TouchSessionRequest request, session_client::CallOptions options,
                    Done<session::v1::TouchSessionResponse> done) override {
    touch_session.Add(std::move(request), std::move(options), std::move(done));
  }
  void RegenerateSession(session::v1::RegenerateSessionRequest request, session_client::CallOptions options,
                         Done<session::v1::RegenerateSessionResponse> done) override {
    regenerate_session.Add(std::move(request), std::move(options), std::move(done));
  }
  void DestroySession(session::v1::DestroySessionRequest request, session_client::CallOptions options,
                      Done<session::v1::DestroySessionResponse> done) override {
    destroy_session.Add(std::move(request), std::move(options), std::move(done));
  }
  void ListSessions(session::v1::ListSessionsRequest request, session_client::CallOptions options,
                    Done<session::v1::ListSessionsResponse> done) override {
    list_sessions.Add(std::move(request), std::move(options), std::move(done));
  }
  void DestroyUserSessions(session::v1::DestroyUserSessionsRequest request, session_client::CallOptions options,
                           Done<session::v1::DestroyUserSessionsResponse> done) override {
    destroy_user_sessions.Add(std::move(request), std::move(options), std::move(done));
  }
  void Publish(broadcast::v1::PublishRequest request, session_client::CallOptions options,
               Done<broadcast::v1::PublishResponse> done) override {
    publish.Add(std::move(request), std::move(options), std::move(done));
  }
  void KeepLease(presence::v1::KeepLeaseRequest request, session_client::CallOptions options,
                 Done<presence::v1::KeepLeaseResponse> done) override {
    keep_lease.Add(std::move(request), std::move(options), std::move(done));
  }
  void ReleaseLease(presence::v1::ReleaseLeaseRequest request, session_client::CallOptions options,
                    Done<presence::v1::ReleaseLeaseResponse> done) override {
    release_lease.Add(std::move(request), std::move(options), std::move(done));
  }
  void Enter(presence::v1::EnterRequest request, session_client::CallOptions options,
             Done<presence::v1::EnterResponse> done) override {
    enter.Add(std::move(request), std::move(options), std::move(done));
  }
  void Leave(presence::v1::LeaveRequest request, session_client::CallOptions options,
             Done<presence::v1::LeaveResponse> done) override {
    leave.Add(std::move(request), std::move(options), std::move(done));
  }
  void ListOnline(presence::v1::ListOnlineRequest request, session_client::CallOptions options,
                  Done<presence::v1::ListOnlineResponse> done) override {
    list_online.Add(std::move(request), std::move(options), std::move(done));
  }
  void SaveRecovery(presence::v1::SaveRecoveryRequest request, session_client::CallOptions options,
                    Done<presence::v1::SaveRecoveryResponse> done) override {
    save_recovery.Add(std::move(request), std::move(options), std::move(done));
  }
  void TakeRecovery(presence::v1::TakeRecoveryRequest request, session_client::CallOptions options,
                    Done<presence::v1::TakeRecoveryResponse> done) override {
    take_recovery.Add(std::move(request), std::move(options), std::move(done));
  }
  std::unique_ptr<session_client::Registration> Watch(session::v1::SessionRef session,
                                                      std::chrono::milliseconds first_timeout,
                                                      session_client::OnWatchEvent on_event) override {
    watches.push_back(std::make_shared<FakeWatch>());
    watches.back()->session = std::move(session);
    watches.back()->first_timeout = first_timeout;
    watches.back()->on_event = std::move(on_event);
    return std::make_unique<Ends<FakeWatch>>(watches.back());
  }
  std::unique_ptr<session_client::Registration> Subscribe(std::string replica_id, std::string namespace_name,
                                                          session_client::SubscriptionHandler& handler) override {
    subscriptions.push_back(std::make_shared<FakeSubscription>());
    subscriptions.back()->replica_id = std::move(replica_id);
    subscriptions.back()->namespace_name = std::move(namespace_name);
    subscriptions.back()->handler = &handler;
    return std::make_unique<Ends<FakeSubscription>>(subscriptions.back());
  }
  bool connected() const override { return is_connected; }

 private:
  template <typename T>
  class Ends final : public session_client::Registration {
   public:
    explicit Ends(std::shared_ptr<T> what) : what_(std::move(what)) {}
    ~Ends() override { what_->ended = true; }

   private:
    std::shared_ptr<T> what_;
  };
};

}  // namespace sesior::testing
