#include "services/realtime/connection/handshake_gate.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace sesior::realtime {
namespace {

using std::chrono::milliseconds;

// Far from the clock's zero, as a real one is.
constexpr std::chrono::steady_clock::time_point kBegin{std::chrono::hours(1)};

int Admitted(HandshakeGate& gate, std::chrono::steady_clock::time_point now, int tries) {
  int admitted = 0;
  for (int i = 0; i < tries; ++i) admitted += gate.Admit(now);
  return admitted;
}

TEST(HandshakeGate, TakesASecondsWorthAtOnceAndThenAsManyAsTimeAllows) {
  HandshakeGate gate(100);
  EXPECT_EQ(Admitted(gate, kBegin, 1'000), 100);
  EXPECT_EQ(Admitted(gate, kBegin + milliseconds(9), 10), 0);
  EXPECT_EQ(Admitted(gate, kBegin + milliseconds(10), 10), 1);
  EXPECT_EQ(Admitted(gate, kBegin + milliseconds(510), 1'000), 50);
  EXPECT_EQ(Admitted(gate, kBegin + std::chrono::hours(1), 1'000), 100);
}

TEST(HandshakeGate, HoldsTheLimitOverSeveralThreads) {
  HandshakeGate gate(1'000);
  std::atomic<int> admitted = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back([&] { admitted += Admitted(gate, kBegin, 1'000); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(admitted, 1'000);
}

}  // namespace
}  // namespace sesior::realtime
