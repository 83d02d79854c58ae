#include "services/realtime/transport/timer_queue.hpp"

namespace sesior::realtime {

Timer::~Timer() { ArmAt(kNever); }

void Timer::ArmAt(Time deadline) {
  if (deadline == deadline_) return;
  if (deadline_ != kNever) queue_.Remove(*this);
  deadline_ = deadline;
  if (deadline_ != kNever) queue_.Insert(*this);
}

void TimerQueue::Run(Time now) {
  while (!heap_.empty() && heap_.front()->deadline_ <= now) {
    Timer& timer = *heap_.front();
    Remove(timer);
    timer.deadline_ = kNever;
    timer.OnDeadline(now);
  }
}

void TimerQueue::Insert(Timer& timer) {
  heap_.push_back(&timer);
  Up(heap_.size() - 1);
  if (heap_.front() == &timer) on_earlier_();
}

void TimerQueue::Remove(Timer& timer) {
  const std::size_t index = timer.index_;
  Timer* const last = heap_.back();
  heap_.pop_back();
  if (last == &timer) return;
  Place(index, last);
  Up(index);
  Down(last->index_);
}

void TimerQueue::Up(std::size_t index) {
  Timer* const timer = heap_[index];
  while (index > 0) {
    const std::size_t parent = (index - 1) / 2;
    if (heap_[parent]->deadline_ <= timer->deadline_) break;
    Place(index, heap_[parent]);
    index = parent;
  }
  Place(index, timer);
}

void TimerQueue::Down(std::size_t index) {
  Timer* const timer = heap_[index];
  for (;;) {
    std::size_t child = 2 * index + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && heap_[child + 1]->deadline_ < heap_[child]->deadline_) ++child;
    if (timer->deadline_ <= heap_[child]->deadline_) break;
    Place(index, heap_[child]);
    index = child;
  }
  Place(index, timer);
}

void TimerQueue::Place(std::size_t index, Timer* timer) {
  heap_[index] = timer;
  timer->index_ = index;
}

}  // namespace sesior::realtime
