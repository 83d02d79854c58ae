// AddressLimits: how many clients one address may have, and how fast it may open them, over all threads of a process.
// Addresses are counted as http::IpAddress::Household. What a client is refused for is counted by the caller.
//
// Threading: thread-safe; handshakes alone come here, so one lock serves all.
// Memory:    an entry for each address with a client, and for those that left within the last seconds.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "absl/container/flat_hash_map.h"
#include "sesior/http/ip_address.hpp"

namespace sesior::realtime {

struct AddressLimitOptions {
  std::size_t max_clients = 0;            // at a time; 0: any number
  std::size_t handshakes_per_second = 0;  // on average, five times as many at once; 0: any number
};

class AddressLimits {
 public:
  using Time = std::chrono::steady_clock::time_point;
  enum class Verdict : std::uint8_t { kAdmitted, kTooMany, kTooFast };

  explicit AddressLimits(const AddressLimitOptions& options) : options_(options) {}

  bool enabled() const { return options_.max_clients > 0 || options_.handshakes_per_second > 0; }
  // kAdmitted: the client counts until Release. Without limits everybody is admitted, and nothing is kept.
  Verdict Admit(const http::IpAddress& address, Time now);
  void Release(const http::IpAddress& address);
  std::size_t entries() const;

 private:
  struct Entry {
    std::size_t clients = 0;
    double handshakes = 0;  // made lately, less what time has forgiven
    Time counted;
  };
  double Forgiven(const Entry& entry, Time now) const;
  void Sweep(Time now);

  const AddressLimitOptions options_;
  mutable std::mutex mutex_;
  absl::flat_hash_map<http::IpAddress, Entry> entries_;
  std::size_t sweep_at_ = 1'024;
};

}  // namespace sesior::realtime
