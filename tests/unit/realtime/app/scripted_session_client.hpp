// ScriptedSessionClient: keeps every call until the test answers it.
//   client.enters.Take().Answer(EnterResponse{});
#pragma once

#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sesior/base/check.hpp"
#include "sesior/session_client/session_client.hpp"

namespace sesior::realtime {

template <typename Request, typename Response>
struct ScriptedCall {
  Request request;
  Done<Response> done;

  void Answer(Response response = {}) { std::move(done)(std::move(response)); }
  void Fail(absl::StatusCode code, std::string_view message = "scripted") {
    std::move(done)(absl::Status(code, absl::string_view(message.data(), message.size())));
  }
};

template <typename Request, typename Response>
class ScriptedCalls {
 public:
  void Add(Request request, Done<Response> done) { calls_.push_back({std::move(request), std::move(done)}); }
  ScriptedCall<Request, Response> Take() {
    SESIOR_CHECK(!calls_.empty());
    auto call = std::move(calls_.front());
    calls_.pop_front();
    return call;
  }
  std::size_t size() const { return calls_.size(); }
  bool empty() const { return calls_.empty(); }

 private:
  std::deque<ScriptedCall<Request, Response>> calls_;
};

class ScriptedSessionClient final : public session_client::SessionClient {
 public:
  template <typename Request, typename Response>
  using Calls = ScriptedCalls<Request, Response>;
  using Options = session_client::CallOptions;

  void ResolveCookie(session::v1::ResolveCookieRequest, Options, Done<session::v1::ResolveCookieResponse>) override {
    SESIOR_CHECK(false);
  }
  void CreateSession(session::v1::CreateSessionRequest, Options, Done<session::v1::CreateSessionResponse>) override {
    SESIOR_CHECK(false);
  }
  void GetSession(session::v1::GetSessionRequest request, Options,
                  Done<session::v1::GetSessionResponse> done) override {
    gets.Add(std::move(request), std::move(done));
  }
  void UpdateSession(session::v1::UpdateSessionRequest request, Options,
                     Done<session::v1::UpdateSessionResponse> done) override {
    updates.Add(std::move(request), std::move(done));
  }
  void TouchSession(session::v1::TouchSessionRequest, Options, Done<session::v1::TouchSessionResponse>) override {
    SESIOR_CHECK(false);
  }
  void RegenerateSession(session::v1::RegenerateSessionRequest, Options,
                         Done<session::v1::RegenerateSessionResponse>) override {
    SESIOR_CHECK(false);
  }
  void DestroySession(session::v1::DestroySessionRequest, Options, Done<session::v1::DestroySessionResponse>) override {
    SESIOR_CHECK(false);
  }
  void ListSessions(session::v1::ListSessionsRequest, Options, Done<session::v1::ListSessionsResponse>) override {
    SESIOR_CHECK(false);
  }
  void DestroyUserSessions(session::v1::DestroyUserSessionsRequest, Options,
                           Done<session::v1::DestroyUserSessionsResponse>) override {
    SESIOR_CHECK(false);
  }
  void Publish(broadcast::v1::PublishRequest request, Options, Done<broadcast::v1::PublishResponse> done) override {
    publishes.Add(std::move(request), std::move(done));
  }
  void KeepLease(presence::v1::KeepLeaseRequest request, Options, Done<presence::v1::KeepLeaseResponse> done) override {
    leases.Add(std::move(request), std::move(done));
  }
  void ReleaseLease(presence::v1::ReleaseLeaseRequest request, Options,
                    Done<presence::v1::ReleaseLeaseResponse> done) override {
    releases.Add(std::move(request), std::move(done));
  }
  void Enter(presence::v1::EnterRequest request, Options, Done<presence::v1::EnterResponse> done) override {
    enters.Add(std::move(request), std::move(done));
  }
  void Leave(presence::v1::LeaveRequest request, Options, Done<presence::v1::LeaveResponse> done) override {
    leaves.Add(std::move(request), std::move(done));
  }
  void ListOnline(presence::v1::ListOnlineRequest request, Options,
                  Done<presence::v1::ListOnlineResponse> done) override {
    lists.Add(std::move(request), std::move(done));
  }
  void SaveRecovery(presence::v1::SaveRecoveryRequest request, Options,
                    Done<presence::v1::SaveRecoveryResponse> done) override {
    saves.Add(std::move(request), std::move(done));
  }
  void TakeRecovery(presence::v1::TakeRecoveryRequest request, Options,
                    Done<presence::v1::TakeRecoveryResponse> done) override {
    takes.Add(std::move(request), std::move(done));
  }
  std::unique_ptr<session_client::Registration> Watch(session::v1::SessionRef, std::chrono::milliseconds,
                                                      session_client::OnWatchEvent on_event) override {
    watches.push_back(std::move(on_event));
    return std::make_unique<session_client::Registration>();
  }
  std::unique_ptr<session_client::Registration> Subscribe(std::string, std::string nsp,
                                                          session_client::SubscriptionHandler& handler) override {
    subscriptions[nsp] = &handler;
    return std::make_unique<Subscribed>(*this, nsp);
  }
  bool connected() const override { return true; }

  std::vector<session_client::OnWatchEvent> watches;  // in the order they were asked for
  Calls<session::v1::GetSessionRequest, session::v1::GetSessionResponse> gets;
  Calls<session::v1::UpdateSessionRequest, session::v1::UpdateSessionResponse> updates;
  Calls<broadcast::v1::PublishRequest, broadcast::v1::PublishResponse> publishes;
  Calls<presence::v1::KeepLeaseRequest, presence::v1::KeepLeaseResponse> leases;
  Calls<presence::v1::ReleaseLeaseRequest, presence::v1::ReleaseLeaseResponse> releases;
  Calls<presence::v1::EnterRequest, presence::v1::EnterResponse> enters;
  Calls<presence::v1::LeaveRequest, presence::v1::LeaveResponse> leaves;
  Calls<presence::v1::ListOnlineRequest, presence::v1::ListOnlineResponse> lists;
  Calls<presence::v1::SaveRecoveryRequest, presence::v1::SaveRecoveryResponse> saves;
  Calls<presence::v1::TakeRecoveryRequest, presence::v1::TakeRecoveryResponse> takes;
  std::map<std::string, session_client::SubscriptionHandler*> subscriptions;

 private:
  struct Subscribed final : session_client::Registration {
    Subscribed(ScriptedSessionClient& its_client, std::string its_nsp) : client(its_client), nsp(std::move(its_nsp)) {}
    ~Subscribed() override { client.subscriptions.erase(nsp); }
    ScriptedSessionClient& client;
    std::string nsp;
  };
};

inline session_client::SessionPtr MakeSession(std::string id, std::string data_json, std::uint64_t revision = 1) {
  auto session = std::make_shared<session::v1::Session>();
  session->set_session_id(std::move(id));
  session->set_data_json(std::move(data_json));
  session->set_revision(revision);
  return session;
}

}  // namespace sesior::realtime
