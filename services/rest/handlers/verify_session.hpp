// GET /verify-session: whether the caller's session is valid and has a name. A session that Express wrote counts; its
// name is claimed when it is seen first, if it is free.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "services/rest/http/exchange.hpp"
#include "sesior/base/clock.hpp"
#include "sesior/session_client/session_client.hpp"

namespace sesior::rest {

// AdoptedNames remembers for which records of foreign writers a claim was tried, so that each costs one call a while.
// Bounded: when full, all are forgotten.
// Threading: thread-safe.
class AdoptedNames {
 public:
  explicit AdoptedNames(const Clock& clock = SystemClock()) : clock_(clock) {}
  // True, once in `kInterval`: the caller tries the claim now.
  bool TakeTurn(const session::v1::Session& session);

  static constexpr std::chrono::seconds kInterval{10};
  static constexpr std::size_t kLimit = 10'000;

 private:
  const Clock& clock_;
  std::mutex mutex_;  // guards tried_
  absl::flat_hash_map<std::uint64_t, std::chrono::steady_clock::time_point> tried_;
};

// `sessions` and `adopted` outlive the exchange.
void VerifySession(session_client::SessionClient& sessions, AdoptedNames& adopted, Exchange exchange);

}  // namespace sesior::rest
