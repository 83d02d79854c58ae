// A clock that moves only when told. Threading: thread-compatible.
#pragma once

#include <chrono>
#include <cstdint>

#include "sesior/base/clock.hpp"

namespace sesior::testing {

class FakeClock final : public Clock {
 public:
  explicit FakeClock(std::int64_t wall_ms = 1'795'405'018'952) : wall_ms_(wall_ms) {}
  std::int64_t WallMillis() const override { return wall_ms_; }
  std::chrono::steady_clock::time_point Steady() const override {
    return std::chrono::steady_clock::time_point(std::chrono::milliseconds(wall_ms_));
  }
  void Advance(std::chrono::milliseconds by) { wall_ms_ += by.count(); }

 private:
  std::int64_t wall_ms_;
};

}  // namespace sesior::testing
