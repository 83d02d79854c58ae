// A RecoveryStore in memory, with the leases that its records live by.
// Threading: as RecoveryStore.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "services/session/domain/executor.hpp"
#include "services/session/domain/presence_store.hpp"
#include "services/session/domain/recovery_store.hpp"
#include "sesior/base/clock.hpp"

namespace sesior::testing {

class InMemoryRecoveryStore final : public session::RecoveryStore {
 public:
  InMemoryRecoveryStore(session::Executor& executor, const Clock& clock,
                        std::chrono::milliseconds recent = std::chrono::seconds(10))
      : executor_(executor), clock_(clock), recent_(recent) {}

  void Save(std::vector<session::RecoveryRecord> records, Done<std::vector<std::string>> done) override;
  void Take(session::TakeRecovery take, Done<session::TakenRecovery> done) override;

  std::vector<session::TakenSocket> KeepLease(const std::string& replica);
  void EndLease(const std::string& replica);
  std::int64_t TtlOf(const std::string& private_id) const;  // ms; -1: for as long as the lease; -2: no record

 private:
  static constexpr std::int64_t kWindowMs = 120'000;
  struct Kept {
    session::RecoveryRecord record;
    std::int64_t taken_ms = 0;
    std::int64_t expires_ms = -1;  // -1: with the lease
  };
  Kept* Find(const std::string& private_id);

  session::Executor& executor_;
  const Clock& clock_;
  const std::chrono::milliseconds recent_;
  std::map<std::string, Kept> kept_;
  std::map<std::string, std::vector<session::TakenSocket>> leases_;  // with what they are to be told
};

}  // namespace sesior::testing
