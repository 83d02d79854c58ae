// Loop: the event loop of one thread, as hub, bus and app see it. The transport has it on Asio; tests have a fake one
// with a clock of its own.
#pragma once

#include <chrono>
#include <memory>

#include "sesior/base/done.hpp"

namespace sesior::realtime::hub {

using SteadyTime = std::chrono::steady_clock::time_point;

class Loop {
 public:
  virtual ~Loop() = default;

  // Runs `task` on the loop's thread, after what was posted before it. Thread-safe. Never runs it inside the call.
  // Tasks that are posted while the loop stops are destroyed without having run.
  virtual void Post(Task task) = 0;

  // A timer that has been set; destroying it takes it back.
  class Timer {
   public:
    virtual ~Timer() = default;
  };
  // Runs `task` on the loop's thread in `delay`. On the loop's thread only, as is destroying the timer.
  [[nodiscard]] virtual std::unique_ptr<Timer> After(std::chrono::milliseconds delay, Task task) = 0;

  virtual SteadyTime now() const = 0;
};

}  // namespace sesior::realtime::hub
