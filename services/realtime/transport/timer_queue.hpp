// TimerQueue: all deadlines of one thread in one heap, so that a connection pays a few words for its timer and the
// kernel one timer a thread.
// Ownership: a Timer leaves the queue when it is destroyed; the queue outlives its timers.
// Threading: confined to its loop's thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <vector>

namespace sesior::realtime {

using Time = std::chrono::steady_clock::time_point;
inline constexpr Time kNever = Time::max();

class TimerQueue;

// Timer: something with at most one deadline.
class Timer {
 public:
  explicit Timer(TimerQueue& queue) : queue_(queue) {}
  virtual ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // Replaces the deadline; kNever: none.
  void ArmAt(Time deadline);
  Time deadline() const { return deadline_; }

 protected:
  // The deadline has passed, and is kNever again. May arm anew, and may destroy the timer.
  virtual void OnDeadline(Time now) = 0;

 private:
  friend class TimerQueue;
  TimerQueue& queue_;
  Time deadline_ = kNever;
  std::size_t index_ = 0;  // in the heap, while there is a deadline
};

class TimerQueue {
 public:
  // `on_earlier` is called when the earliest deadline has become an earlier one.
  explicit TimerQueue(std::function<void()> on_earlier) : on_earlier_(std::move(on_earlier)) {}

  // Runs what is due at `now`.
  void Run(Time now);
  // kNever: nothing to wait for.
  Time next() const { return heap_.empty() ? kNever : heap_.front()->deadline_; }

 private:
  friend class Timer;
  void Insert(Timer& timer);
  void Remove(Timer& timer);
  void Up(std::size_t index);
  void Down(std::size_t index);
  void Place(std::size_t index, Timer* timer);

  std::function<void()> on_earlier_;
  std::vector<Timer*> heap_;  // binary, earliest first
};

}  // namespace sesior::realtime
