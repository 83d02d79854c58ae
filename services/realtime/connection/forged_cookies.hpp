// ForgedCookies: Cookie headers that the session service has just called forged, so that a flood of them costs it
// nothing. Kept for `lifetime`, which is how long a secret that is new to the service may go unnoticed here.
//
// Only signatures are judged here: a session that is unknown now may be known in a moment.
// Bounds:    `limit` headers, as 64-bit hashes with a seed of the process; when full, all are forgotten.
// Threading: confined to its loop.
#pragma once

#include <chrono>
#include <cstddef>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/hash/hash.h"

namespace sesior::realtime {

class ForgedCookies {
 public:
  using Time = std::chrono::steady_clock::time_point;

  explicit ForgedCookies(std::chrono::milliseconds lifetime = std::chrono::seconds(5), std::size_t limit = 4'096)
      : lifetime_(lifetime), limit_(limit) {}

  void Remember(std::string_view header, Time now) {
    if (until_.size() >= limit_) until_.clear();
    until_[Key(header)] = now + lifetime_;
  }
  bool Has(std::string_view header, Time now) {
    if (until_.empty()) return false;
    const auto found = until_.find(Key(header));
    if (found == until_.end()) return false;
    if (now < found->second) return true;
    until_.erase(found);
    return false;
  }

 private:
  static std::size_t Key(std::string_view header) { return absl::Hash<std::string_view>{}(header); }

  const std::chrono::milliseconds lifetime_;
  const std::size_t limit_;
  absl::flat_hash_map<std::size_t, Time> until_;
};

}  // namespace sesior::realtime
