#include "services/realtime/connection/address_limits.hpp"

#include <algorithm>

namespace sesior::realtime {
namespace {

constexpr double kBurstSeconds = 5;

}  // namespace

double AddressLimits::Forgiven(const Entry& entry, Time now) const {
  const double seconds = std::chrono::duration<double>(now - entry.counted).count();
  return std::max(0.0, entry.handshakes - seconds * static_cast<double>(options_.handshakes_per_second));
}

AddressLimits::Verdict AddressLimits::Admit(const http::IpAddress& address, Time now) {
  if (!enabled()) return Verdict::kAdmitted;
  const std::scoped_lock lock(mutex_);
  if (entries_.size() >= sweep_at_) Sweep(now);
  Entry& entry = entries_.try_emplace(address.Household(), Entry{.counted = now}).first->second;
  entry.handshakes = Forgiven(entry, now);
  entry.counted = now;
  if (options_.handshakes_per_second > 0 &&
      entry.handshakes + 1 > static_cast<double>(options_.handshakes_per_second) * kBurstSeconds) {
    return Verdict::kTooFast;
  }
  if (options_.max_clients > 0 && entry.clients >= options_.max_clients) return Verdict::kTooMany;
  ++entry.clients;
  ++entry.handshakes;
  return Verdict::kAdmitted;
}

void AddressLimits::Release(const http::IpAddress& address) {
  if (!enabled()) return;
  const std::scoped_lock lock(mutex_);
  const auto found = entries_.find(address.Household());
  if (found == entries_.end() || found->second.clients == 0) return;
  --found->second.clients;
  if (found->second.clients == 0 && options_.handshakes_per_second == 0) entries_.erase(found);
}

std::size_t AddressLimits::entries() const {
  const std::scoped_lock lock(mutex_);
  return entries_.size();
}

// Forgets addresses that nothing is held against. Runs when the table has doubled, so that an entry costs its own
// share.
void AddressLimits::Sweep(Time now) {
  absl::erase_if(entries_,
                 [&](const auto& entry) { return entry.second.clients == 0 && Forgiven(entry.second, now) == 0; });
  sweep_at_ = std::max<std::size_t>(1'024, entries_.size() * 2);
}

}  // namespace sesior::realtime
