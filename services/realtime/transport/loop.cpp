#include "services/realtime/transport/loop.hpp"

#include <algorithm>
#include <asio/executor_work_guard.hpp>
#include <asio/post.hpp>
#include <iterator>
#include <utility>

namespace sesior::realtime {
namespace {

constexpr std::size_t kManyConnections = 32;
// Between two writes to many: as long as the first took, twice, within these bounds.
constexpr std::chrono::milliseconds kLeastPause{3};
constexpr std::chrono::milliseconds kMostPause{10};

class DelayedTask final : public hub::Loop::Timer, private realtime::Timer {
 public:
  DelayedTask(TimerQueue& queue, Time deadline, Task task) : realtime::Timer(queue), task_(std::move(task)) {
    ArmAt(deadline);
  }

 private:
  void OnDeadline(Time) override {
    Task task = std::move(task_);  // it may destroy this timer
    std::move(task)();
  }

  Task task_;
};

}  // namespace

Loop::~Loop() { Stop(); }

void Loop::Start() {
  thread_ = std::thread([this] {
    auto work = asio::make_work_guard(io_);
    io_.run();
  });
}

void Loop::Stop() {
  if (!thread_.joinable()) return;
  io_.stop();
  thread_.join();
}

void Loop::Post(Task task) {
  asio::post(io_, [task = std::move(task)]() mutable { std::move(task)(); });
}

std::unique_ptr<hub::Loop::Timer> Loop::After(std::chrono::milliseconds delay, Task task) {
  return std::make_unique<DelayedTask>(timers_, Now() + delay, std::move(task));
}

void Loop::FlushLater(std::shared_ptr<Flushable> target) {
  // Everything that is ready to run now stands before this task in the queue of the io_context.
  if (dirty_.empty()) asio::post(io_, [this] { EndTurn(); });
  dirty_.push_back(std::move(target));
}

void Loop::EndTurn() {
  if (dirty_.size() < kManyConnections) return FlushAll(dirty_);
  if (held_.empty()) {
    held_ = std::move(dirty_);
  } else {
    std::move(dirty_.begin(), dirty_.end(), std::back_inserter(held_));
  }
  dirty_.clear();
  if (Now() >= bulk_not_before_) return FlushAll(held_);
  bulk_.expires_at(bulk_not_before_);
  bulk_.async_wait([this](std::error_code error) {
    if (!error) FlushAll(held_);
  });
}

void Loop::FlushAll(Dirty& dirty) {
  Dirty now = std::exchange(dirty, {});
  const bool many = now.size() >= kManyConnections;
  const Time begin = many ? Now() : Time();
  for (const std::shared_ptr<Flushable>& target : now) target->Flush();
  if (many) {
    const Time end = Now();
    bulk_not_before_ = end + std::clamp<Time::duration>(2 * (end - begin), kLeastPause, kMostPause);
  }
  now.clear();
  if (dirty.empty()) dirty = std::move(now);  // keeps the storage for the next turn
}

void Loop::UpdateWake() {
  const Time next = timers_.next();
  if (next >= wake_at_) return;
  wake_at_ = next;
  wake_.expires_at(next);  // cancels the wait before
  wake_.async_wait([this](std::error_code error) {
    if (error) return;
    wake_at_ = kNever;
    timers_.Run(Now());
    UpdateWake();
  });
}

}  // namespace sesior::realtime
