// FakeSessions: a session service in the process, on a thread of its own, that knows watches only: which cookies are
// good, what becomes of their sessions.
// Threading: thread-safe.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "services/realtime/transport/loop.hpp"
#include "sesior/base/check.hpp"
#include "sesior/session_client/session_client.hpp"

namespace sesior::realtime {

class FakeSessions final : public session_client::SessionClient {
 public:
  FakeSessions() : loop_(0) { loop_.Start(); }

  // A Cookie header that stands for this session, plausible to the front.
  static std::string CookieOf(const std::string& session_id) {
    return "connect.sid=s%3A" + session_id + "." + std::string(43, 'x');
  }

  void Add(const std::string& session_id) {
    const std::lock_guard lock(mutex_);
    good_.insert(session_id);
  }
  // Its signature is not ours from now on.
  void Forge(const std::string& session_id) {
    const std::lock_guard lock(mutex_);
    forged_.insert(session_id);
  }
  void End(const std::string& session_id, session::v1::EndReason reason = session::v1::END_REASON_LOGOUT) {
    const std::lock_guard lock(mutex_);
    good_.erase(session_id);
    for (auto& [id, watch] : watches_) {
      if (watch->session_id == session_id) Tell(watch, EventOf(Kind::kEnded, nullptr, reason));
    }
  }
  // A newer state of the session, which ends `left` from now.
  void Change(const std::string& session_id, std::uint64_t revision, const std::string& data_json) {
    const std::lock_guard lock(mutex_);
    for (auto& [id, watch] : watches_) {
      if (watch->session_id != session_id) continue;
      Tell(watch, EventOf(Kind::kUpdated, Made(session_id, revision, data_json)));
    }
  }
  void SetTimeLeft(std::chrono::milliseconds left) { left_ms_ = left.count(); }
  int touches() const { return touches_; }
  void SetAvailable(bool available) { available_ = available; }
  int watch_calls() const { return watch_calls_; }
  std::size_t open_watches() const {
    const std::lock_guard lock(mutex_);
    return watches_.size();
  }

  std::unique_ptr<session_client::Registration> Watch(session::v1::SessionRef ref, std::chrono::milliseconds,
                                                      session_client::OnWatchEvent on_event) override {
    ++watch_calls_;
    const std::lock_guard lock(mutex_);
    auto watch = std::make_shared<One>();
    watch->on_event = std::move(on_event);
    const int number = ++last_;
    watches_[number] = watch;
    const std::string& cookie = ref.cookie_header();
    const std::size_t begin = cookie.find("s%3A") + 4;
    watch->session_id = cookie.substr(begin, cookie.find('.', begin) - begin);
    if (!available_) {
      Tell(watch, absl::UnavailableError("away"));
    } else if (!good_.contains(watch->session_id)) {
      session_client::WatchEvent event = EventOf(Kind::kRefused);
      event.verdict = forged_.contains(watch->session_id) ? session::v1::COOKIE_VERDICT_FORGED
                                                          : session::v1::COOKIE_VERDICT_UNKNOWN;
      Tell(watch, std::move(event));
    } else {
      Tell(watch, EventOf(Kind::kCurrent, Made(watch->session_id, 1, "{}")));
    }
    return std::make_unique<Watched>(*this, number);
  }

  using Options = session_client::CallOptions;
#define SESIOR_UNUSED(name, request, response) \
  void name(request, Options, Done<response>) override { SESIOR_CHECK(false); }
  SESIOR_UNUSED(ResolveCookie, session::v1::ResolveCookieRequest, session::v1::ResolveCookieResponse)
  SESIOR_UNUSED(CreateSession, session::v1::CreateSessionRequest, session::v1::CreateSessionResponse)
  SESIOR_UNUSED(UpdateSession, session::v1::UpdateSessionRequest, session::v1::UpdateSessionResponse)
  void TouchSession(session::v1::TouchSessionRequest, Options, Done<session::v1::TouchSessionResponse> done) override {
    ++touches_;
    loop_.Post([done = std::move(done)]() mutable { std::move(done)(session::v1::TouchSessionResponse()); });
  }
  // What a server asks for when its thread stood still, as it may on a busy machine.
  void GetSession(session::v1::GetSessionRequest request, Options,
                  Done<session::v1::GetSessionResponse> done) override {
    absl::StatusOr<session::v1::GetSessionResponse> response = absl::NotFoundError("ended");
    const std::lock_guard lock(mutex_);
    if (!available_) {
      response = absl::UnavailableError("away");
    } else if (good_.contains(request.session().session_id())) {
      response.emplace();
      *response->mutable_session() = *Made(request.session().session_id(), 1, "{}");
    }
    loop_.Post(
        [done = std::move(done), response = std::move(response)]() mutable { std::move(done)(std::move(response)); });
  }
  SESIOR_UNUSED(RegenerateSession, session::v1::RegenerateSessionRequest, session::v1::RegenerateSessionResponse)
  SESIOR_UNUSED(DestroySession, session::v1::DestroySessionRequest, session::v1::DestroySessionResponse)
  SESIOR_UNUSED(ListSessions, session::v1::ListSessionsRequest, session::v1::ListSessionsResponse)
  SESIOR_UNUSED(DestroyUserSessions, session::v1::DestroyUserSessionsRequest, session::v1::DestroyUserSessionsResponse)
  SESIOR_UNUSED(Publish, broadcast::v1::PublishRequest, broadcast::v1::PublishResponse)
  SESIOR_UNUSED(KeepLease, presence::v1::KeepLeaseRequest, presence::v1::KeepLeaseResponse)
  SESIOR_UNUSED(ReleaseLease, presence::v1::ReleaseLeaseRequest, presence::v1::ReleaseLeaseResponse)
  SESIOR_UNUSED(Enter, presence::v1::EnterRequest, presence::v1::EnterResponse)
  SESIOR_UNUSED(Leave, presence::v1::LeaveRequest, presence::v1::LeaveResponse)
  SESIOR_UNUSED(ListOnline, presence::v1::ListOnlineRequest, presence::v1::ListOnlineResponse)
  SESIOR_UNUSED(SaveRecovery, presence::v1::SaveRecoveryRequest, presence::v1::SaveRecoveryResponse)
  SESIOR_UNUSED(TakeRecovery, presence::v1::TakeRecoveryRequest, presence::v1::TakeRecoveryResponse)
#undef SESIOR_UNUSED
  std::unique_ptr<session_client::Registration> Subscribe(std::string, std::string,
                                                          session_client::SubscriptionHandler&) override {
    SESIOR_CHECK(false);
    return nullptr;
  }
  bool connected() const override { return available_; }

 private:
  using Kind = session_client::WatchEvent::Kind;
  static session_client::WatchEvent EventOf(Kind kind, session_client::SessionPtr session = nullptr,
                                            session::v1::EndReason reason = session::v1::END_REASON_UNSPECIFIED) {
    session_client::WatchEvent event;
    event.kind = kind;
    event.reason = reason;
    event.session = std::move(session);
    return event;
  }
  session_client::SessionPtr Made(const std::string& session_id, std::uint64_t revision, const std::string& data_json) {
    auto session = std::make_shared<session::v1::Session>();
    session->set_session_id(session_id);
    session->set_revision(revision);
    session->set_data_json(data_json);
    const auto ends = std::chrono::system_clock::now().time_since_epoch() + std::chrono::milliseconds(left_ms_);
    session->mutable_expire_time()->set_seconds(std::chrono::duration_cast<std::chrono::seconds>(ends).count());
    return session;
  }
  struct One {
    std::string session_id;
    session_client::OnWatchEvent on_event;
    std::mutex running;  // an event is being told; or the watch is over
    bool over = false;
  };
  struct Watched final : session_client::Registration {
    Watched(FakeSessions& its_all, int its_number) : all(its_all), number(its_number) {}
    ~Watched() override {
      std::shared_ptr<One> watch;
      {
        const std::lock_guard lock(all.mutex_);
        watch = all.watches_[number];
        all.watches_.erase(number);
      }
      const std::lock_guard lock(watch->running);
      watch->over = true;
    }
    FakeSessions& all;
    const int number;
  };

  void Tell(const std::shared_ptr<One>& watch, absl::StatusOr<session_client::WatchEvent> event) {
    loop_.Post([watch, event = std::move(event)]() mutable {
      const std::lock_guard lock(watch->running);
      if (!watch->over) watch->on_event(std::move(event));
    });
  }

  mutable std::mutex mutex_;
  std::set<std::string> good_;
  std::set<std::string> forged_;
  std::map<int, std::shared_ptr<One>> watches_;
  int last_ = 0;
  std::atomic<bool> available_ = true;
  std::atomic<int> watch_calls_ = 0;
  std::atomic<std::int64_t> left_ms_ = 86'400'000;
  std::atomic<int> touches_ = 0;
  Loop loop_;
};

}  // namespace sesior::realtime
