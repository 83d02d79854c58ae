// SessionQueue: calls on one session run in the order they arrive; a call that changes a session holds it until it is
// done. Bounded: at most `limit` calls wait for one session.
// Threading: thread-compatible. Tasks run inside Run or Done, never deeper.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "sesior/base/done.hpp"
#include "sesior/base/ids.hpp"

namespace sesior::session {

class SessionQueue {
 public:
  explicit SessionQueue(std::size_t limit) : limit_(limit) {}

  // Runs `task` when all before it are done; it holds the session until Done(id). False: too many wait, `task` is not
  // taken.
  bool Run(const SessionId& id, Task task) {
    const auto [place, is_free] = waiting_.try_emplace(id.text());
    if (is_free) {
      std::move(task)();
      return true;
    }
    if (place->second.size() >= limit_) return false;
    place->second.push_back(std::move(task));
    return true;
  }

  void Done(const SessionId& id) {
    const auto found = waiting_.find(id.text());
    if (found == waiting_.end()) return;
    if (found->second.empty()) {
      waiting_.erase(found);
      return;
    }
    Task next = std::move(found->second.front());
    found->second.pop_front();
    std::move(next)();
  }

  bool IsBusy(const SessionId& id) const { return waiting_.contains(id.text()); }

 private:
  const std::size_t limit_;
  absl::flat_hash_map<std::string, std::deque<Task>> waiting_;  // present: held
};

}  // namespace sesior::session
