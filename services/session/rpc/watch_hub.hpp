// WatchHub: who watches which session. Told of changes by the hints that every step of ours publishes, it reads the
// session once per change, however many watch it, and tells all of them; a burst of hints becomes one read. It also
// reads a session when its time is up, and so tells of natural expiry. Changes by others (Express, redis-cli) are seen
// with the next step of ours on that session. Ownership: a sink must stay valid until DropSink; parts of the domain
// outlive the hub. Threading: confined to the core executor.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "services/session/domain/event_bus.hpp"
#include "services/session/domain/executor.hpp"
#include "services/session/domain/session_service.hpp"
#include "sesior/session/v1/session.pb.h"

namespace sesior::session::rpc {

class WatchHub {
 public:
  // Where a stream's events go. Called on the core executor; must not block. Keeps the newest event per watch only.
  class Sink {
   public:
    virtual ~Sink() = default;
    virtual void Push(session::v1::WatchSessionsResponse::Event event) = 0;
  };

  WatchHub(SessionService& sessions, EventBus& bus, Executor& core, const Clock& clock);

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
    bool reading = false;
    bool again = false;          // changed while it was being read
    bool touched = false;        // its TTL moved since it was read
    bool telling_touch = false;  // the read under way was made for that, too
    bool has_timer = false;      // it will be read when the TTL last seen is over
    int failures = 0;
  };

  void OnHint(std::string_view message);
  void Refresh(const SessionId& id);
  void OnRead(const SessionId& id, absl::StatusOr<SessionResult> result);
  void ReadWhenOver(const SessionId& id, std::chrono::milliseconds ttl);
  void End(const SessionId& id, int reason);

  SessionService& sessions_;
  Executor& core_;
  const Clock& clock_;
  absl::flat_hash_map<std::string, Watched> sessions_watched_;
  absl::flat_hash_map<const Sink*, absl::flat_hash_map<std::uint64_t, std::string>> sinks_;  // watch id -> session
  std::unique_ptr<EventBus::Subscription> subscription_;
};

}  // namespace sesior::session::rpc
