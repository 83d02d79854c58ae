// Executor: the one thread on which all rules and everything about Redis run ("core"). It exists as an interface so
// that the rules know no event loop. Threading: Post is thread-safe; After is called on the executor's own thread only.
#pragma once

#include <chrono>

#include "sesior/base/done.hpp"

namespace sesior::session {

class Executor {
 public:
  virtual ~Executor() = default;
  // Runs `task` on the core thread, in the order of the calls, never inside Post.
  virtual void Post(Task task) = 0;
  // Runs `task` once, not before `delay` has passed. Dropped without running when the executor stops first.
  virtual void After(std::chrono::milliseconds delay, Task task) = 0;
};

}  // namespace sesior::session
