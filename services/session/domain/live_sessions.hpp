// LiveSessions: the last known state of sessions, which of them are known to be current, and who is to be told when one
// changes. What writes start from, what reads are answered from, and what watchers hear all come from here.
//
// A known state is one of three:
//   remembered    good to start a compare-and-set from, for nothing else: the store compares hash and revision
//   confirmable   nothing of ours has changed since; a plain GET with the same hash makes it current
//   current       tracked: the feed tells of the next change, by whomever
// Whatever the feed says against a state demotes it; on any doubt all are demoted.
//
// What a read may be answered with ("stale" is what the store did not hold at any moment between call and answer):
//   kExact  never stale, on whatever replica the change was made and by whomever: a current state is handed out after a
//           fence, which ends when everything that the store had changed before the call has been told here. Reads of
//           one moment share a fence: one small message to Redis, whatever they ask for. So after the answer to a write
//           or a logout on one replica, a read on another sees it.
//   kNear   without asking Redis at all: stale by what a notice needs to arrive. On one replica, a read after the
//   answer
//           to a write sees the write.
//   kOff    every read asks the store.
// In every case: a state is handed out for `max_age` at most since the store was asked for its bytes, never past the
// session's end, and never while the feed is away (then every read asks the store). What is not there is always asked
// for. Reads and writes of one session keep their order: a write that begins sends the reads before it to the store,
// ahead.
//
// Bounded by count and bytes; the least recently used goes first. Told changes do not depend on what is kept.
// Threading: confined to the core executor; `done` runs there, never inside the call.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "services/session/domain/change_feed.hpp"
#include "services/session/domain/executor.hpp"
#include "services/session/domain/session_store.hpp"
#include "sesior/base/clock.hpp"

namespace sesior::session {

class LiveSessions final : private ChangeFeed::Listener {
 public:
  enum class Reads { kOff, kNear, kExact };
  struct Options {
    Reads reads = Reads::kExact;
    std::size_t max_sessions = 20'000;  // 0: nothing is kept, every read asks the store
    std::size_t max_bytes = 64 << 20;
    std::chrono::milliseconds max_age{5000};
  };
  // Told of every session, watched or not. Calls come from the feed's notices: do not block, read later.
  class Follower {
   public:
    virtual ~Follower() = default;
    // Record or TTL may have changed. Once more than needed, at times.
    virtual void OnChange(const SessionId& id) = 0;
    // Ended by a step of ours, or found to have ended; a sesior.session.v1.EndReason.
    virtual void OnEnd(const SessionId& id, int reason) = 0;
    // Changes may have gone by: look at everything.
    virtual void OnDoubt() = 0;
  };
  struct Counts {
    std::uint64_t hits = 0;    // reads answered from here
    std::uint64_t misses = 0;  // reads that asked the store
    std::uint64_t flushes = 0;
  };
  // Why a read is made: for a caller, or for watchers. The latter tracks the session in any case, and is not fenced:
  // watchers are told again when something changes.
  enum class Purpose { kAnswer, kWatch };

  // `feed` null: nothing is ever known to be current. All must outlive it.
  LiveSessions(SessionStore& store, ChangeFeed* feed, Executor& executor, const Clock& clock, Options options);

  void Follow(Follower* follower) { follower_ = follower; }
  // Changes by others are told by the feed; else they are seen by reading alone.
  bool tracks() const { return feed_ != nullptr && feed_->tracks(); }

  // As SessionStore::Read without a request id.
  void Read(SessionId id, Purpose purpose, Done<StoreReply> done);

  // For writes. Begin before the store is asked; Remember what it answered then.
  using Mark = std::uint64_t;
  Mark Begin(const SessionId& id);
  const StoredSession* Recall(const SessionId& id);  // null when unknown; valid until the next call
  void Remember(const SessionId& id, StoredSession state, Mark begun);
  void Touched(const SessionId& id, std::optional<std::chrono::milliseconds> ttl);
  void Forget(const SessionId& id);

  const Counts& counts() const { return counts_; }
  std::size_t size() const { return entries_.size(); }

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct Entry {
    std::string id;
    bool known = false;
    bool confirmable = false;
    bool current = false;
    StoredSession state;  // its ttl as it was at `proved`
    Time proved;          // when the store was asked for the bytes last
    Time end = Time::max();
    std::uint64_t hinted = 0;   // the highest revision that a hint named
    std::uint64_t changes = 0;  // notices so far: a state that was asked for before one is not made current
    Mark mark = 0;              // new with everything that makes states asked for before it worthless
  };
  struct Flow;
  using FlowPtr = std::shared_ptr<Flow>;

  void OnHint(std::string_view message) override;
  void OnChanged(const SessionId& id) override;
  void OnLost() override;
  void OnDoubt() override;

  bool IsConfirmable(const Entry& entry) const {
    return entry.known && entry.confirmable && entry.state.revision >= entry.hinted;
  }
  bool IsOver(const Entry& entry) const;  // by time: only the store ends it
  bool IsUsable(const Entry& entry) const;
  void Hit(FlowPtr flow);
  void Miss(FlowPtr flow);
  void Confirm(FlowPtr flow);
  void OnConfirmed(FlowPtr flow);
  void Ask(FlowPtr flow, bool track);
  void OnAsked(FlowPtr flow);
  void StartTracking(const FlowPtr& flow, std::function<void()> then);
  void Finish(const FlowPtr& flow, const Entry& entry);
  void Open(const FlowPtr& flow);
  void Close(Flow& flow);

  Entry* Find(const SessionId& id);
  Entry& Obtain(const SessionId& id);
  void Keep(Entry& entry, StoredSession state, Time asked, Mark begun);
  void Trim();
  void Flush();

  SessionStore& store_;
  ChangeFeed* const feed_;
  Executor& executor_;
  const Clock& clock_;
  const Options options_;
  Follower* follower_ = nullptr;
  Counts counts_;
  Mark last_mark_ = 0;
  std::size_t bytes_ = 0;
  std::list<Entry> entries_;  // most recently used first
  absl::flat_hash_map<std::string, std::list<Entry>::iterator> places_;
  absl::flat_hash_map<std::string, std::vector<FlowPtr>> open_;  // reads that have not asked the store, and may not
};

}  // namespace sesior::session
