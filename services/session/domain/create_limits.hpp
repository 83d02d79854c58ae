// CreateLimits: how fast sessions may be made, over all and by one client address, on this replica. Each limit is a
// bucket that holds the allowance of its period (a second over all, a minute for an address) and fills evenly.
// A client address is an IPv4 address or the /64 network of an IPv6 one, since that is what one client is given.
// Bounded: at most `max_addresses` are known; when they are all busy the others share one bucket.
// Threading: thread-compatible.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "sesior/base/clock.hpp"

namespace sesior::session {

class CreateLimits {
 public:
  struct Options {
    std::int64_t per_second = 10'000;
    std::optional<std::int64_t> per_address_per_minute;  // unset: addresses are not counted
    std::size_t max_addresses = 100'000;
  };
  enum class Limit { kService, kAddress };
  struct Refusal {
    Limit limit;
    std::chrono::milliseconds retry_after;
  };

  // `clock` must outlive it.
  CreateLimits(Options options, const Clock& clock) : options_(options), clock_(clock) {}

  // Counts one creation, or says which limit it is over; then nothing is counted. `address`: empty or not an address:
  // only the limit over all counts.
  std::optional<Refusal> Take(std::string_view address);

  std::size_t known_addresses() const { return addresses_.size(); }

 private:
  using Time = std::chrono::steady_clock::time_point;
  // A bucket is the time at which it would be full again (generic cell rate): never before now.
  struct Bucket {
    Time full_at;
  };
  Bucket& BucketOf(const std::string& network, Time now);

  const Options options_;
  const Clock& clock_;
  Bucket all_;
  Bucket others_;
  Time last_pruned_;
  absl::flat_hash_map<std::string, Bucket> addresses_;
};

// What one client's address is known by: the bytes of an IPv4 address or of an IPv6 network; empty for anything else.
std::string ClientNetwork(std::string_view address);

}  // namespace sesior::session
