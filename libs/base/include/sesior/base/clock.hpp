// Clock: the only way to read the time in code that decides by it. Tests use FakeClock (tests/support).
// Threading: thread-safe.
#pragma once

#include <chrono>
#include <cstdint>

namespace sesior {

class Clock {
 public:
  virtual ~Clock() = default;
  // Wall clock, milliseconds since the Unix epoch. May jump. For records, cookies and logs.
  virtual std::int64_t WallMillis() const = 0;
  // Never goes back. For deadlines and intervals.
  virtual std::chrono::steady_clock::time_point Steady() const = 0;
};

// The system's clocks. Lives for ever.
const Clock& SystemClock();

}  // namespace sesior
