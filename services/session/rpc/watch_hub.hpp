// WatchHub: who watches which session. Told that a session may have changed, by whomever (see LiveSessions), it looks
// at the session once, however many watch it, and tells all of them; a burst of changes becomes one look. It also looks
// when the time of a session is up, by a timer of its own, and at all sessions when changes may have gone by: at most
// 512 at a time. Where others' changes are not told (ChangeFeed::tracks), it looks every `recheck`. Ends: by a step of
// ours, with its reason; by time (EXPIRED); deleted by somebody else before its time: LOGOUT. Who adds
//       a watch in that very moment is refused: a watch is noted first, then the session is looked at.
// Ownership: a sink must stay valid until DropSink; parts of the domain outlive the hub; one hub to a SessionService.
// Threading: confined to the core executor.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "services/session/domain/executor.hpp"
#include "services/session/domain/session_service.hpp"
#include "sesior/session/v1/session.pb.h"

namespace sesior::session::rpc {

class WatchHub final : private LiveSessions::Follower {
 public:
  // Where a stream's events go. Called on the core executor; must not block. Keeps the newest event per watch only.
  class Sink {
   public:
    virtual ~Sink() = default;
    virtual void Push(session::v1::WatchSessionsResponse::Event event) = 0;
  };

  WatchHub(SessionService& sessions, Executor& core, const Clock& clock,
           std::chrono::milliseconds recheck = std::chrono::seconds(10));
  ~WatchHub() override;

  // A watch id that the sink uses already is taken over by the new watch.
  void Add(std::shared_ptr<Sink> sink, std::uint64_t watch_id, session::v1::SessionRef ref,
           std::uint64_t known_revision);
  void Remove(const Sink* sink, std::uint64_t watch_id);
  void DropSink(const Sink* sink);

  // How many watches of the sink are live.
  std::size_t WatchesOf(const Sink* sink) const;
  std::size_t watched_sessions() const { return sessions_watched_.size(); }

 private:
  struct Watch {
    std::shared_ptr<Sink> sink;
    std::uint64_t watch_id = 0;
    std::uint64_t revision = 0;  // told last
    bool answered = false;       // the first answer has been given
  };
  struct Watched {
    std::vector<Watch> watches;
    bool waiting = false;     // to be looked at
    bool again = false;       // changed while it was looked at
    std::uint64_t look = 0;   // the one under way; 0: none
    std::uint64_t timer = 0;  // that will look at it at `timer_due`; 0: none
    std::chrono::steady_clock::time_point timer_due;
    bool seen = false;
    std::optional<std::int64_t> end_ms;  // when it ends by time, as last seen, wall clock; unset: it does not
    int failures = 0;
  };

  void OnChange(const SessionId& id) override;
  void OnEnd(const SessionId& id, int reason) override;
  void OnDoubt() override;

  void Wake(const std::string& id, Watched& watched);
  void Look();
  void OnLook(const SessionId& id, std::uint64_t look, absl::StatusOr<Observation> result);
  void Tell(Watched& watched, SessionView view);
  void LookWhenOver(const SessionId& id, Watched& watched, std::optional<std::chrono::milliseconds> ttl);

  SessionService& sessions_;
  Executor& core_;
  const Clock& clock_;
  const std::chrono::milliseconds recheck_;
  absl::flat_hash_map<std::string, Watched> sessions_watched_;
  absl::flat_hash_map<const Sink*, absl::flat_hash_map<std::uint64_t, std::string>> sinks_;  // watch id -> session
  std::deque<std::string> waiting_;
  bool look_posted_ = false;
  int looking_ = 0;
  std::uint64_t last_look_ = 0;
  std::uint64_t last_timer_ = 0;
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace sesior::session::rpc
