#include "tests/support/in_memory_recovery_store.hpp"

#include <utility>

#include "services/session/domain/errors.hpp"

namespace sesior::testing {

using session::RecoveryRecord;
using session::RecoveryState;
using session::TakenRecovery;
using session::TakenSocket;

InMemoryRecoveryStore::Kept* InMemoryRecoveryStore::Find(const std::string& private_id) {
  const auto found = kept_.find(private_id);
  if (found == kept_.end()) return nullptr;
  if (found->second.expires_ms < 0 || found->second.expires_ms > clock_.WallMillis()) return &found->second;
  kept_.erase(found);
  return nullptr;
}

void InMemoryRecoveryStore::Save(std::vector<RecoveryRecord> records, Done<std::vector<std::string>> done) {
  std::vector<std::string> taken;
  for (RecoveryRecord& record : records) {
    const std::string id = record.private_id;
    const Kept* known = Find(id);
    if (known != nullptr && (known->record.owner != record.owner || known->record.generation > record.generation)) {
      taken.push_back(id);
    } else if (record.state == RecoveryState::kEnded) {
      kept_.erase(id);
    } else {
      const bool by_lease = record.state == RecoveryState::kOpen && leases_.contains(record.owner);
      const std::int64_t taken_ms = known == nullptr ? 0 : known->taken_ms;
      kept_[id] = {std::move(record), taken_ms, by_lease ? -1 : clock_.WallMillis() + kWindowMs};
    }
  }
  executor_.Post([taken = std::move(taken), done = std::move(done)]() mutable { std::move(done)(std::move(taken)); });
}

void InMemoryRecoveryStore::Take(session::TakeRecovery take, Done<TakenRecovery> done) {
  absl::StatusOr<TakenRecovery> answer = session::RecoveryNotFound();
  Kept* kept = Find(take.private_id);
  const std::int64_t now = clock_.WallMillis();
  if (kept != nullptr && kept->record.name_space == take.name_space && kept->record.session_id == take.session_id &&
      (kept->record.state != RecoveryState::kOpen || kept->taken_ms + recent_.count() <= now)) {
    RecoveryRecord& record = kept->record;
    const std::string former = std::exchange(record.owner, take.new_owner);
    const bool was_open = std::exchange(record.state, RecoveryState::kOpen) == RecoveryState::kOpen;
    ++record.generation;
    kept->taken_ms = now;
    kept->expires_ms = now + kWindowMs;
    if (was_open && former != record.owner && leases_.contains(former)) {
      leases_[former].push_back({record.private_id, record.socket_id, record.name_space, record.generation});
    }
    answer = TakenRecovery{record, former};
  }
  executor_.Post(
      [answer = std::move(answer), done = std::move(done)]() mutable { std::move(done)(std::move(answer)); });
}

std::vector<TakenSocket> InMemoryRecoveryStore::KeepLease(const std::string& replica) {
  return std::exchange(leases_[replica], {});
}

void InMemoryRecoveryStore::EndLease(const std::string& replica) {
  leases_.erase(replica);
  for (auto& [id, kept] : kept_) {
    if (kept.record.owner == replica && kept.expires_ms < 0) kept.expires_ms = clock_.WallMillis() + kWindowMs;
  }
}

std::int64_t InMemoryRecoveryStore::TtlOf(const std::string& private_id) const {
  const auto found = kept_.find(private_id);
  if (found == kept_.end()) return -2;
  return found->second.expires_ms < 0 ? -1 : found->second.expires_ms - clock_.WallMillis();
}

}  // namespace sesior::testing
