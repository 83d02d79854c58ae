// SessionWatches: the sessions behind the clients of one loop, each watched once however many clients it has.
// A thread that stood still (a stopped process, a frozen machine) may find events of its clients before the news of the
// watch: after a standstill of kStandstill or more, a session's events wait until the session service has been asked
// for it once more (SessionHold::MayHandle).
//
// A client opens with its cookie; the answer says what the session is now, and from then on the holder is told when it
// ends. Two clients that bring the same session share one watch from the moment both answers are known.
// Ownership: a SessionHold ends with its destructor; the watch ends with its last hold. SessionWatches outlives them.
// Threading: confined to the loop; answers of the client hop there.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "services/realtime/connection/forged_cookies.hpp"
#include "services/realtime/hub/loop.hpp"
#include "services/realtime/metrics.hpp"
#include "sesior/session_client/session_client.hpp"

namespace sesior::realtime {

using session_client::SessionPtr;

// What came of opening a session, and how it ended.
enum class SessionVerdict {
  kCurrent,      // it is good: SessionHold::session()
  kRefused,      // no valid session behind the cookie
  kForged,       // the same, and as long as the secrets are what they are: the signature is not ours
  kUnavailable,  // the session service could not be asked: try again later
  kEnded,        // after kCurrent: logged out, expired or replaced: SessionHold::end_reason()
  kChanged,      // after kCurrent, perhaps often: SessionHold::session() is newer than previous()
  kConfirmed,    // after MayHandle said no: ask it again
};

// What counts as use of a session and keeps it from idling out. Its absolute limit holds in any case.
enum class TouchOn {
  kPacket,     // what the client sends; answers to pings are none
  kHeartbeat,  // an open connection that answers pings
  kNothing,
};

struct SessionTouch {
  TouchOn on = TouchOn::kPacket;
  // At most so often for a session and a thread; sooner when a third of the time it has left is less.
  std::chrono::milliseconds interval{60'000};
};

class SessionWatches;
struct WatchedSession;

// One client's part in a watch.
class SessionHold {
 public:
  // Called on the loop: once with the first answer, then with what becomes of it. Never inside Open.
  using OnVerdict = std::function<void(SessionVerdict)>;

  explicit SessionHold(OnVerdict on_verdict) : on_verdict_(std::move(on_verdict)) {}
  ~SessionHold();
  SessionHold(const SessionHold&) = delete;
  SessionHold& operator=(const SessionHold&) = delete;

  // The newest state; null before kCurrent.
  const SessionPtr& session() const;
  // What session() was before, inside kChanged.
  const SessionPtr& previous() const;
  session::v1::EndReason end_reason() const;
  // The session was used now. Costs nothing most of the time.
  void Touch();
  // Whether what the client has sent may be handled now. False after a standstill: the session service is being asked,
  // and kConfirmed follows, also when it cannot be asked for kConfirmTimeout; or kEnded.
  bool MayHandle();

 private:
  friend class SessionWatches;
  friend struct WatchedSession;
  OnVerdict on_verdict_;
  std::shared_ptr<WatchedSession> watched_;
};

class SessionWatches {
 public:
  // No stop shorter than kStandstill is noticed; one is, when the loop had run within kTick before it.
  static constexpr std::chrono::milliseconds kStandstill{250};
  static constexpr std::chrono::milliseconds kTick{100};
  static constexpr std::chrono::milliseconds kConfirmTimeout{2'000};
  // When the service says that there is no such session, the watch is about to: if it does not, ask again.
  static constexpr std::chrono::milliseconds kAskAgain{500};

  SessionWatches(session_client::SessionClient& sessions, hub::Loop& loop, std::chrono::milliseconds timeout,
                 LoopTallies& tallies, SessionTouch touch = {})
      : sessions_(sessions), loop_(loop), timeout_(timeout), tallies_(tallies), touch_(touch) {}
  ~SessionWatches();

  std::unique_ptr<SessionHold> Open(std::string cookie_header, SessionHold::OnVerdict on_verdict);

  // Whether a Cookie header can hold a session at all: a cookie of that name, long enough, with a signature.
  // Saves a call for the many that cannot.
  static bool IsPlausible(std::string_view cookie_header, std::string_view cookie_name);

  // Cookies not to be asked for now.
  ForgedCookies& forged() { return forged_; }
  TouchOn touch_on() const { return touch_.on; }
  std::size_t size() const { return by_id_.size(); }

 private:
  friend struct WatchedSession;
  friend class SessionHold;
  void Touch(WatchedSession& watched);
  void OnEvent(const std::shared_ptr<WatchedSession>& watched, absl::StatusOr<session_client::WatchEvent> event);
  void OnCurrent(const std::shared_ptr<WatchedSession>& watched, SessionPtr session);
  static void Tell(const std::shared_ptr<WatchedSession>& watched, SessionVerdict verdict);
  void LookAtClock();
  void Tick();
  void Confirm(const std::shared_ptr<WatchedSession>& watched);
  void OnConfirmed(const std::shared_ptr<WatchedSession>& watched, std::uint64_t asked_after,
                   absl::StatusOr<session::v1::GetSessionResponse> response);

  session_client::SessionClient& sessions_;
  hub::Loop& loop_;
  const std::chrono::milliseconds timeout_;
  LoopTallies& tallies_;
  const SessionTouch touch_;
  ForgedCookies forged_;
  std::size_t watched_ = 0;
  std::uint64_t standstills_ = 0;
  hub::SteadyTime looked_{};                                      // when the loop was last seen to run
  std::unique_ptr<hub::Loop::Timer> tick_;                        // while any session is watched
  absl::flat_hash_map<std::string_view, WatchedSession*> by_id_;  // keys point into the sessions
};

}  // namespace sesior::realtime
