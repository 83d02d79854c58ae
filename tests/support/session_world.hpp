// SessionWorld: a SessionService with its store, for the suite that every store must pass (session_rules_suite.cpp).
// Each test program links one MakeSessionWorld: in memory (unit) or on a Redis of its own (integration).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "services/session/domain/session_service.hpp"

namespace sesior::testing {

class SessionWorld {
 public:
  virtual ~SessionWorld() = default;
  virtual session::SessionService& service() = 0;
  // A second replica with the same settings on the same store.
  virtual session::SessionService& other_service() = 0;
  virtual session::SessionStore& store() = 0;
  // Lets time and messages pass until `condition`; fails the test after some seconds.
  virtual void RunUntil(const std::function<bool()>& condition) = 0;
  // What Express or redis-cli would do, behind the service's back.
  virtual void ForeignSet(const std::string& sid, const std::string& record, std::int64_t ttl_ms) = 0;
  virtual std::optional<std::string> ForeignGet(const std::string& sid) = 0;
  virtual std::int64_t ForeignTtl(const std::string& sid) = 0;  // ms; -1 none, -2 no key
  // Payloads broadcast so far.
  virtual std::vector<std::string> Published() = 0;

  // Waits for one asynchronous call: Await<SessionResult>([&](auto done) { service.Get(..., std::move(done)); }).
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

inline session::SessionOptions TestSessionOptions() {
  session::SessionOptions options;
  options.secrets = {"keyboard cat"};
  return options;
}
std::unique_ptr<SessionWorld> MakeSessionWorld(session::SessionOptions options);

}  // namespace sesior::testing
