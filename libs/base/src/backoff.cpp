#include "sesior/base/backoff.hpp"

#include <algorithm>

#include "sesior/base/random.hpp"

namespace sesior {

Backoff::Backoff(Options options) : options_(options), state_(options.seed != 0 ? options.seed : RandomU64() | 1) {}

std::chrono::milliseconds Backoff::Next() {
  const std::int64_t max = std::max<std::int64_t>(1, options_.max.count());
  std::int64_t cap = std::clamp<std::int64_t>(options_.initial.count(), 1, max);
  for (int i = 0; i < tries_ && cap < max; ++i) cap = std::min(max, cap * 2);
  ++tries_;
  // xorshift64*: good enough for jitter, and the same sequence for the same seed.
  state_ ^= state_ >> 12;
  state_ ^= state_ << 25;
  state_ ^= state_ >> 27;
  const std::uint64_t random = state_ * 2685821657736338717ULL;
  return std::chrono::milliseconds(1 + static_cast<std::int64_t>(random % static_cast<std::uint64_t>(cap)));
}

}  // namespace sesior
