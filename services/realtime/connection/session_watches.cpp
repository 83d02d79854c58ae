#include "services/realtime/connection/session_watches.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "sesior/base/check.hpp"

namespace sesior::realtime {

using session_client::WatchEvent;

namespace {
constexpr std::chrono::milliseconds kLeastTouchInterval{200};
}  // namespace

struct WatchedSession {
  explicit WatchedSession(SessionWatches& all) : watches(all), confirmed(all.standstills_) { ++all.watched_; }
  ~WatchedSession() {
    Forget();
    --watches.watched_;
  }
  void Forget() {
    if (std::exchange(listed, false)) watches.by_id_.erase(id);
  }

  SessionWatches& watches;
  std::string id;       // once known
  bool listed = false;  // in by_id_
  SessionPtr session;
  SessionPtr previous;  // while a change is told
  session::v1::EndReason end_reason = session::v1::END_REASON_UNSPECIFIED;
  std::chrono::steady_clock::time_point touched = std::chrono::steady_clock::now();  // or opened
  std::uint64_t confirmed;  // asked for after so many standstills
  bool asking = false;      // to be confirmed
  bool ended = false;
  std::unique_ptr<hub::Loop::Timer> ask_again;
  std::vector<SessionHold*> holds;
  std::unique_ptr<session_client::Registration> registration;
};

SessionHold::~SessionHold() {
  if (watched_) std::erase(watched_->holds, this);
}

const SessionPtr& SessionHold::session() const {
  static const SessionPtr none;
  return watched_ ? watched_->session : none;
}

const SessionPtr& SessionHold::previous() const {
  static const SessionPtr none;
  return watched_ ? watched_->previous : none;
}

session::v1::EndReason SessionHold::end_reason() const {
  return watched_ ? watched_->end_reason : session::v1::END_REASON_UNSPECIFIED;
}

void SessionHold::Touch() {
  if (watched_ && watched_->session) watched_->watches.Touch(*watched_);
}

bool SessionHold::MayHandle() {
  // Before a session is known, and after its end, nothing of it is handled in any case.
  if (!watched_ || !watched_->session || watched_->ended) return true;
  SessionWatches& watches = watched_->watches;
  watches.LookAtClock();
  if (watched_->confirmed == watches.standstills_) return true;
  if (!watched_->ask_again) watches.Confirm(watched_);
  return false;
}

// -- standstills --

void SessionWatches::LookAtClock() {
  const hub::SteadyTime now = loop_.now();
  if (now - std::exchange(looked_, now) < kStandstill) return;
  ++standstills_;
  tallies_.standstills.Add();
}

// Tells a loop that had nothing to do from one that could do nothing.
void SessionWatches::Tick() {
  LookAtClock();
  if (watched_ == 0) {
    tick_.reset();
    return;
  }
  tick_ = loop_.After(kTick, [this] { Tick(); });
}

void SessionWatches::Confirm(const std::shared_ptr<WatchedSession>& watched) {
  if (std::exchange(watched->asking, true)) return;
  session::v1::GetSessionRequest request;
  request.mutable_session()->set_session_id(watched->id);
  session_client::CallOptions options;
  options.timeout = kConfirmTimeout;
  std::weak_ptr<WatchedSession> weak = watched;
  sessions_.GetSession(std::move(request), options,
                       [&loop = loop_, this, weak, asked_after = standstills_](auto response) {
                         loop.Post([this, weak, asked_after, response = std::move(response)]() mutable {
                           const std::shared_ptr<WatchedSession> alive = weak.lock();
                           if (alive) OnConfirmed(alive, asked_after, std::move(response));
                         });
                       });
}

void SessionWatches::OnConfirmed(const std::shared_ptr<WatchedSession>& watched, std::uint64_t asked_after,
                                 absl::StatusOr<session::v1::GetSessionResponse> response) {
  watched->asking = false;
  if (absl::IsNotFound(response.status())) {
    watched->ask_again = loop_.After(kAskAgain, [this, raw = watched.get()] {
      raw->ask_again.reset();
      if (!raw->holds.empty()) Confirm(raw->holds.front()->watched_);
    });
    return;
  }
  watched->confirmed = asked_after;
  if (response.ok()) {
    OnCurrent(watched, std::make_shared<const session::v1::Session>(std::move(*response->mutable_session())));
  } else {
    tallies_.not_confirmed.Add();  // an outage: it goes on as it would without the standstill
  }
  Tell(watched, SessionVerdict::kConfirmed);
}

void SessionWatches::Touch(WatchedSession& watched) {
  if (!watched.session->has_expire_time()) return;
  const auto now = std::chrono::steady_clock::now();
  if (now - watched.touched < kLeastTouchInterval) return;
  const std::chrono::milliseconds left =
      std::chrono::seconds(watched.session->expire_time().seconds()) +
      std::chrono::milliseconds(watched.session->expire_time().nanos() / 1'000'000) -
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch());
  if (now - watched.touched < std::min(touch_.interval, left / 3)) return;
  watched.touched = now;
  session::v1::TouchSessionRequest request;
  request.mutable_session()->set_session_id(watched.id);
  // The watch tells the new end; a touch that fails is tried again with the next use.
  sessions_.TouchSession(std::move(request), {}, [](const absl::StatusOr<session::v1::TouchSessionResponse>&) {});
}

SessionWatches::~SessionWatches() { SESIOR_CHECK(by_id_.empty()); }

std::unique_ptr<SessionHold> SessionWatches::Open(std::string cookie_header, SessionHold::OnVerdict on_verdict) {
  auto hold = std::make_unique<SessionHold>(std::move(on_verdict));
  if (!tick_) {
    looked_ = loop_.now();
    tick_ = loop_.After(kTick, [this] { Tick(); });
  }
  LookAtClock();
  auto watched = std::make_shared<WatchedSession>(*this);
  hold->watched_ = watched;
  watched->holds.push_back(hold.get());
  session::v1::SessionRef ref;
  ref.set_cookie_header(std::move(cookie_header));
  std::weak_ptr<WatchedSession> weak = watched;
  watched->registration =
      sessions_.Watch(std::move(ref), timeout_, [&loop = loop_, this, weak](absl::StatusOr<WatchEvent> event) {
        loop.Post([this, weak, event = std::move(event)]() mutable {
          if (const std::shared_ptr<WatchedSession> alive = weak.lock()) OnEvent(alive, std::move(event));
        });
      });
  return hold;
}

void SessionWatches::OnEvent(const std::shared_ptr<WatchedSession>& watched, absl::StatusOr<WatchEvent> event) {
  if (!event.ok()) return Tell(watched, SessionVerdict::kUnavailable);
  switch (event->kind) {
    case WatchEvent::Kind::kRefused:
      return Tell(watched, event->verdict == session::v1::COOKIE_VERDICT_FORGED ? SessionVerdict::kForged
                                                                                : SessionVerdict::kRefused);
    case WatchEvent::Kind::kEnded:
      watched->Forget();
      watched->ended = true;
      watched->end_reason = event->reason;
      return Tell(watched, SessionVerdict::kEnded);
    default:
      return OnCurrent(watched, std::move(event->session));
  }
}

void SessionWatches::OnCurrent(const std::shared_ptr<WatchedSession>& watched, SessionPtr session) {
  if (watched->session) {
    // Never a higher revision replaced by a lower one.
    const std::uint64_t before = watched->session->revision();
    if (session->revision() < before) return;
    const bool is_news = session->revision() > before;
    watched->previous = std::exchange(watched->session, std::move(session));
    if (is_news) Tell(watched, SessionVerdict::kChanged);
    watched->previous.reset();
    return;
  }
  watched->id = session->session_id();
  const auto [known, is_new] = by_id_.try_emplace(watched->id, watched.get());
  if (is_new) {
    watched->listed = true;
    watched->session = std::move(session);
    return Tell(watched, SessionVerdict::kCurrent);
  }
  // Another client brought this session before: go on with its watch, and let this one end.
  WatchedSession& first = *known->second;
  if (session->revision() > first.session->revision()) first.session = std::move(session);
  const std::shared_ptr<WatchedSession> shared = first.holds.front()->watched_;
  for (SessionHold* hold : std::exchange(watched->holds, {})) {
    hold->watched_ = shared;
    shared->holds.push_back(hold);
    hold->on_verdict_(SessionVerdict::kCurrent);
  }
}

void SessionWatches::Tell(const std::shared_ptr<WatchedSession>& watched, SessionVerdict verdict) {
  // A holder may let go of its own hold, or of others, inside the call.
  const std::vector<SessionHold*> holds = watched->holds;
  for (SessionHold* hold : holds) {
    if (std::find(watched->holds.begin(), watched->holds.end(), hold) != watched->holds.end()) {
      const SessionHold::OnVerdict tell = hold->on_verdict_;  // outlives the hold
      tell(verdict);
    }
  }
}

bool SessionWatches::IsPlausible(std::string_view cookie_header, std::string_view cookie_name) {
  constexpr std::size_t kLeastBytes = 2 + 1 + 43;  // "s:", a dot, and an HMAC-SHA256 in base64
  std::size_t at = 0;
  while (at < cookie_header.size()) {
    const std::size_t end = std::min(cookie_header.find(';', at), cookie_header.size());
    std::string_view pair = cookie_header.substr(at, end - at);
    at = end + 1;
    while (!pair.empty() && (pair.front() == ' ' || pair.front() == '\t')) pair.remove_prefix(1);
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos) continue;
    std::string_view name = pair.substr(0, equals);
    while (!name.empty() && (name.back() == ' ' || name.back() == '\t')) name.remove_suffix(1);
    if (name == cookie_name && pair.size() - equals > kLeastBytes) return true;
  }
  return false;
}

}  // namespace sesior::realtime
