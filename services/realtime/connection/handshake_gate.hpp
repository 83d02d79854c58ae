// HandshakeGate: how many new clients the process takes in a second. When thousands come back at once, those beyond it
// are told to wait, so that those within it are served in good time.
// A second's worth may come in one burst; after that they are spaced out.
// Threading: thread-safe, without a lock; time is the caller's.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>

namespace sesior::realtime {

class HandshakeGate {
 public:
  // `per_second`: 1 to 1,000,000.
  explicit HandshakeGate(std::int64_t per_second) : step_(kSecond / per_second) {}

  bool Admit(std::chrono::steady_clock::time_point now) {
    const std::int64_t time = std::chrono::nanoseconds(now.time_since_epoch()).count();
    std::int64_t free_at = free_at_.load(std::memory_order_relaxed);
    while (true) {
      const std::int64_t next = std::max(free_at, time) + step_;
      if (next > time + kSecond) return false;
      if (free_at_.compare_exchange_weak(free_at, next, std::memory_order_relaxed)) return true;
    }
  }

 private:
  static constexpr std::int64_t kSecond = 1'000'000'000;

  const std::int64_t step_;                // nanoseconds of the second that one takes
  std::atomic<std::int64_t> free_at_ = 0;  // when all that was admitted has had its share
};

}  // namespace sesior::realtime
