// RecoveryWorld: a RecoveryStore and the leases its records live by, for the suite that every store must pass
// (recovery_suite.cpp): in memory (unit) or on a Redis of its own (integration).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "services/session/domain/presence_store.hpp"
#include "services/session/domain/recovery_store.hpp"

namespace sesior::testing {

class RecoveryWorld {
 public:
  static constexpr std::chrono::milliseconds kWindow{120'000};

  virtual ~RecoveryWorld() = default;
  virtual session::RecoveryStore& store() = 0;
  // What the replica is told when it renews.
  virtual std::vector<session::TakenSocket> KeepLease(const std::string& replica) = 0;
  // Its time is up, and the sweep has been there.
  virtual void EndLease(const std::string& replica) = 0;
  virtual std::int64_t TtlOf(const std::string& private_id) = 0;  // ms; -1: for as long as the lease; -2: no record
  virtual void RunUntil(const std::function<bool()>& condition) = 0;

  template <typename T, typename Start>
  absl::StatusOr<T> Await(Start start) {
    std::optional<absl::StatusOr<T>> result;
    start(sesior::Done<T>([&result](absl::StatusOr<T> value) { result.emplace(std::move(value)); }));
    EXPECT_FALSE(result.has_value()) << "done was called inside the starting call";
    RunUntil([&result] { return result.has_value(); });
    if (!result) return absl::DeadlineExceededError("the call never ended");
    return *std::move(result);
  }
};

// `recent`: how long a record that was taken is not taken again.
std::unique_ptr<RecoveryWorld> MakeRecoveryWorld(std::chrono::milliseconds recent);

}  // namespace sesior::testing
