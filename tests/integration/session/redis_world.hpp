// Everything that the service has towards Redis, on an io_context that the test itself runs.
#pragma once

#include <asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "services/session/redis/asio_executor.hpp"
#include "services/session/redis/client.hpp"
#include "services/session/redis/redis_expiry_store.hpp"
#include "services/session/redis/redis_presence_store.hpp"
#include "services/session/redis/redis_recovery_store.hpp"
#include "services/session/redis/redis_session_store.hpp"
#include "services/session/redis/subscriber.hpp"
#include "services/session/redis/tracking_feed.hpp"
#include "tests/support/recovery_world.hpp"
#include "tests/support/redis_server.hpp"
#include "tests/support/session_world.hpp"

namespace sesior::testing {

struct RedisConnections {
  explicit RedisConnections(const RedisServer& server, session::redis::StoreOptions options = {},
                            const std::string& password = "",  // empty: none
                            const session::redis::HistoryLimits& history = {});
  void RunUntil(const std::function<bool()>& condition, std::chrono::seconds limit = std::chrono::seconds(10));
  void AwaitReady();
  session::redis::TrackingFeed::Options FeedOptions() const;
  template <typename T, typename Start>
  absl::StatusOr<T> Await(Start start) {
    std::optional<absl::StatusOr<T>> result;
    start(sesior::Done<T>([&result](absl::StatusOr<T> value) { result.emplace(std::move(value)); }));
    RunUntil([&result] { return result.has_value(); });
    if (!result) return absl::DeadlineExceededError("the call never ended");
    return *std::move(result);
  }

  session::redis::ConnectionOptions connection;
  asio::io_context io;
  session::redis::AsioExecutor executor;
  session::redis::ScriptSet scripts;
  absl::Status last_error;
  bool fatal = false;
  session::redis::Client client;
  session::redis::Subscriber subscriber;
  session::redis::RedisSessionStore store;
  session::redis::RedisPresenceStore presence;
  session::redis::RedisRecoveryStore recovery;
  session::redis::RedisExpiryStore expiry;
};

// One for all tests of the program; flushed by each.
RedisServer& SharedRedis();

}  // namespace sesior::testing
