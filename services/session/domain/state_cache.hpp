// StateCache: the last known state of sessions that were changed here, so that the next change needs one step at the
// store instead of two. Never trusted: the store compares hash and revision, and a conflict brings the present state.
// Bounded by count and bytes; the least recently used goes first. Threading: thread-compatible.
#pragma once

#include <cstddef>
#include <list>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "services/session/domain/session_store.hpp"

namespace sesior::session {

class StateCache {
 public:
  StateCache(std::size_t max_sessions, std::size_t max_bytes) : max_sessions_(max_sessions), max_bytes_(max_bytes) {}

  // Null when unknown; valid until the next call.
  const StoredSession* Find(const SessionId& id) {
    const auto found = places_.find(id.text());
    if (found == places_.end()) return nullptr;
    states_.splice(states_.begin(), states_, found->second);
    return &found->second->second;
  }

  void Put(const SessionId& id, StoredSession state) {
    Erase(id);
    bytes_ += Size(state);
    states_.emplace_front(id.text(), std::move(state));
    places_[id.text()] = states_.begin();
    while (states_.size() > max_sessions_ || bytes_ > max_bytes_) Erase(SessionId(states_.back().first));
  }

  void Erase(const SessionId& id) {
    const auto found = places_.find(id.text());
    if (found == places_.end()) return;
    bytes_ -= Size(found->second->second);
    states_.erase(found->second);
    places_.erase(found);
  }

  std::size_t size() const { return states_.size(); }

 private:
  static std::size_t Size(const StoredSession& state) { return state.record.size() + 256; }

  const std::size_t max_sessions_;
  const std::size_t max_bytes_;
  std::size_t bytes_ = 0;
  std::list<std::pair<std::string, StoredSession>> states_;  // most recently used first
  absl::flat_hash_map<std::string, std::list<std::pair<std::string, StoredSession>>::iterator> places_;
};

}  // namespace sesior::session
