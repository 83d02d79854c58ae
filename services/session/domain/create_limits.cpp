#include "services/session/domain/create_limits.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace sesior::session {

namespace {

using std::chrono::nanoseconds;

constexpr nanoseconds kSecond = std::chrono::seconds(1);
constexpr nanoseconds kMinute = std::chrono::minutes(1);

// How long to wait for room in a bucket that holds `period` and loses `cost` per creation; zero: there is room.
nanoseconds Wait(std::chrono::steady_clock::time_point full_at, std::chrono::steady_clock::time_point now,
                 nanoseconds cost, nanoseconds period) {
  const nanoseconds after = std::max(full_at, now) + cost - now;
  return std::max(nanoseconds(0), after - std::max(period, cost));
}

}  // namespace

std::string ClientNetwork(std::string_view address) {
  const std::string text(address);
  std::array<unsigned char, 16> bytes{};
  if (inet_pton(AF_INET, text.c_str(), bytes.data()) == 1) {
    return std::string(reinterpret_cast<const char*>(bytes.data()), 4);
  }
  if (inet_pton(AF_INET6, text.c_str(), bytes.data()) != 1) return {};
  constexpr std::array<unsigned char, 12> kMappedV4 = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
  if (std::equal(kMappedV4.begin(), kMappedV4.end(), bytes.begin())) {
    return std::string(reinterpret_cast<const char*>(bytes.data()) + 12, 4);
  }
  return std::string(reinterpret_cast<const char*>(bytes.data()), 8);
}

CreateLimits::Bucket& CreateLimits::BucketOf(const std::string& network, Time now) {
  const auto found = addresses_.find(network);
  if (found != addresses_.end()) return found->second;
  if (addresses_.size() >= options_.max_addresses) {
    if (now - last_pruned_ < kSecond) return others_;  // looking at all of them takes its time
    last_pruned_ = now;
    absl::erase_if(addresses_, [now](const auto& known) { return known.second.full_at <= now; });
    if (addresses_.size() >= options_.max_addresses) return others_;
  }
  return addresses_[network];
}

std::optional<CreateLimits::Refusal> CreateLimits::Take(std::string_view address) {
  const Time now = clock_.Steady();
  const auto refuse = [](Limit limit, nanoseconds wait) {
    return Refusal{limit, std::chrono::ceil<std::chrono::milliseconds>(wait)};
  };
  const nanoseconds service_cost = kSecond / options_.per_second;
  const nanoseconds service_wait = Wait(all_.full_at, now, service_cost, kSecond);
  if (service_wait > nanoseconds(0)) return refuse(Limit::kService, service_wait);
  if (options_.per_address_per_minute) {
    if (const std::string network = ClientNetwork(address); !network.empty()) {
      Bucket& bucket = BucketOf(network, now);
      const nanoseconds cost = kMinute / *options_.per_address_per_minute;
      const nanoseconds wait = Wait(bucket.full_at, now, cost, kMinute);
      if (wait > nanoseconds(0)) return refuse(Limit::kAddress, wait);
      bucket.full_at = std::max(bucket.full_at, now) + cost;
    }
  }
  all_.full_at = std::max(all_.full_at, now) + service_cost;
  return std::nullopt;
}

}  // namespace sesior::session
