// An executor that runs its tasks when the test says so, and timers by a FakeClock. Threading: thread-compatible.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <utility>

#include "services/session/domain/executor.hpp"
#include "tests/support/fake_clock.hpp"

namespace sesior::testing {

class ManualExecutor final : public session::Executor {
 public:
  explicit ManualExecutor(FakeClock& clock) : clock_(clock) {}
  void Post(Task task) override { tasks_.push_back(std::move(task)); }
  void After(std::chrono::milliseconds delay, Task task) override {
    timers_.emplace(clock_.WallMillis() + delay.count(), std::move(task));
  }

  // One task, or when there is none, the next timer, for which the clock moves on. False: nothing is left.
  bool RunOne() {
    if (tasks_.empty()) {
      if (timers_.empty()) return false;
      auto next = timers_.begin();
      const std::int64_t due = next->first;
      tasks_.push_back(std::move(next->second));
      timers_.erase(next);
      if (due > clock_.WallMillis()) clock_.Advance(std::chrono::milliseconds(due - clock_.WallMillis()));
    }
    Task task = std::move(tasks_.front());
    tasks_.pop_front();
    std::move(task)();
    return true;
  }
  // All tasks, and those they post; no timer, so no time passes.
  void RunTasks() {
    while (!tasks_.empty()) RunOne();
  }

 private:
  FakeClock& clock_;
  std::deque<Task> tasks_;
  std::multimap<std::int64_t, Task> timers_;
};

}  // namespace sesior::testing
