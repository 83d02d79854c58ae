// Backoff: how long to wait before the next try. Exponential with full jitter ("wait a random time up to the cap of
// this try"), so that a thousand clients that lost one server do not come back in step.
// Threading: thread-compatible.
#pragma once

#include <chrono>
#include <cstdint>

namespace sesior {

class Backoff {
 public:
  struct Options {
    std::chrono::milliseconds initial{50};  // cap of the first wait, > 0
    std::chrono::milliseconds max{2000};    // cap of every wait
    std::uint64_t seed = 0;                 // 0: from the system's random source
  };
  explicit Backoff(Options options);

  // The next wait: at least 1 ms, at most the cap, which doubles with each call up to `max`.
  std::chrono::milliseconds Next();
  // After a success: the next wait is short again.
  void Reset() { tries_ = 0; }
  int tries() const { return tries_; }

 private:
  Options options_;
  std::uint64_t state_;
  int tries_ = 0;
};

}  // namespace sesior
