#include "services/realtime/transport/timer_queue.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <random>
#include <vector>

namespace sesior::realtime {
namespace {

using std::chrono::milliseconds;

Time At(int ms) { return Time(milliseconds(ms)); }

class TestTimer final : public Timer {
 public:
  TestTimer(TimerQueue& queue, std::function<void()> on_deadline)
      : Timer(queue), on_deadline_(std::move(on_deadline)) {}

 private:
  void OnDeadline(Time) override { on_deadline_(); }
  std::function<void()> on_deadline_;
};

TEST(TimerQueue, RunsWhatIsDueInOrder) {
  TimerQueue queue([] {});
  std::vector<int> ran;
  TestTimer late(queue, [&] { ran.push_back(3); });
  TestTimer early(queue, [&] { ran.push_back(1); });
  TestTimer middle(queue, [&] { ran.push_back(2); });
  late.ArmAt(At(30));
  early.ArmAt(At(10));
  middle.ArmAt(At(20));
  queue.Run(At(20));
  EXPECT_EQ(ran, (std::vector{1, 2}));
  EXPECT_EQ(queue.next(), At(30));
  EXPECT_EQ(early.deadline(), kNever);
}

TEST(TimerQueue, TellsWhenTheEarliestBecomesEarlier) {
  int told = 0;
  TimerQueue queue([&] { ++told; });
  TestTimer one(queue, [] {});
  TestTimer two(queue, [] {});
  one.ArmAt(At(10));
  two.ArmAt(At(20));
  EXPECT_EQ(told, 1);
  two.ArmAt(At(5));
  EXPECT_EQ(told, 2);
  two.ArmAt(kNever);
  EXPECT_EQ(queue.next(), At(10));
}

TEST(TimerQueue, LetsATimerArmItselfAgainAndDestroyOthers) {
  TimerQueue queue([] {});
  int runs = 0;
  auto doomed = std::make_unique<TestTimer>(queue, [] { FAIL(); });
  TestTimer* self = nullptr;
  TestTimer timer(queue, [&] {
    doomed.reset();
    if (++runs < 3) self->ArmAt(At(10 + runs));
  });
  self = &timer;
  doomed->ArmAt(At(11));
  timer.ArmAt(At(10));
  queue.Run(At(20));
  EXPECT_EQ(runs, 3);
  EXPECT_EQ(queue.next(), kNever);
}

TEST(TimerQueue, KeepsItsOrderUnderManyChanges) {
  TimerQueue queue([] {});
  std::mt19937 random(1);
  std::vector<std::unique_ptr<TestTimer>> timers;
  Time now = At(0);
  Time last = At(0);
  for (int i = 0; i < 200; ++i) timers.push_back(std::make_unique<TestTimer>(queue, [] {}));
  for (int step = 0; step < 20'000; ++step) {
    timers[random() % timers.size()]->ArmAt(random() % 8 == 0 ? kNever : now + milliseconds(random() % 100));
    Time earliest = kNever;
    if (step % 50 == 0) {
      for (const auto& timer : timers) earliest = std::min(earliest, timer->deadline());
      ASSERT_EQ(queue.next(), earliest);
      now += milliseconds(5);
      queue.Run(now);
      ASSERT_GT(queue.next(), now);
      ASSERT_GE(now, last);
      last = now;
    }
  }
}

}  // namespace
}  // namespace sesior::realtime
