// Core: the thread on which everything but gRPC happens: Redis, the rules, the sweep of expired leases.
// Ownership: owns that thread, the connections and the stores; what others hold of it must go before Stop returns.
// Threading: Start and Stop on the main thread; executor() is thread-safe to Post to, all else is confined to it.
#pragma once

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "services/session/config.hpp"
#include "services/session/domain/expiry_sweeper.hpp"
#include "services/session/domain/session_service.hpp"
#include "services/session/metrics.hpp"
#include "services/session/redis/asio_executor.hpp"
#include "services/session/redis/client.hpp"
#include "services/session/redis/redis_expiry_store.hpp"
#include "services/session/redis/redis_presence_store.hpp"
#include "services/session/redis/redis_recovery_store.hpp"
#include "services/session/redis/redis_session_store.hpp"
#include "services/session/redis/subscriber.hpp"
#include "services/session/redis/tracking_feed.hpp"
#include "services/session/secret_file.hpp"
#include "sesior/runtime/run.hpp"

namespace sesior::session {

class Core final : public runtime::Part {
 public:
  Core(const Config& config, Metrics& metrics);
  ~Core() override;

  // Waits a moment for Redis, then starts without it: calls fail with kUnavailable until it is there. Fails at once
  // when this Redis will never do (a cluster).
  absl::Status Start() override;
  void Stop() override;

  // True while Redis answers and its messages arrive. Thread-safe.
  bool serving() const { return serving_.load(std::memory_order_relaxed); }
  // Called on the core thread at every change of serving(). Set before Start.
  void OnServing(std::function<void(bool)> on_serving) { on_serving_ = std::move(on_serving); }

  // Gives `callers` their tokens, now and whenever a file of them changes; then calls `on_change` on the core thread.
  // Before Start.
  void FollowTokens(const Config& config, Callers& callers, const std::function<void()>& on_change);

  Executor& executor() { return executor_; }
  SessionService& sessions() { return sessions_; }
  SessionStore& store() { return store_; }
  PresenceStore& presence() { return presence_; }
  RecoveryStore& recovery() { return recovery_; }
  EventBus& bus() { return subscriber_; }

 private:
  void Follow(const std::string& path, const SecretFile::Secrets& current, std::size_t least_bytes,
              std::function<void(const SecretFile::Secrets&)> apply);
  void OnClientDown(const absl::Status& why, bool fatal);
  void OnTracking(bool tracks, const absl::Status& why);
  void Judge();
  void Sweep();
  void CountRules();
  void LookAtSecrets();
  void CountReads();

  const std::chrono::milliseconds lease_sweep_;
  Metrics& metrics_;
  asio::io_context io_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
  redis::AsioExecutor executor_{io_};
  redis::ScriptSet scripts_;
  redis::Client client_;
  redis::Subscriber subscriber_;
  std::unique_ptr<redis::TrackingFeed> tracking_feed_;  // one of the two
  std::unique_ptr<HintFeed> hint_feed_;
  redis::RedisSessionStore store_;
  redis::RedisPresenceStore presence_;
  redis::RedisRecoveryStore recovery_;
  redis::RedisExpiryStore expiry_;
  ExpirySweeper expiry_sweeper_;
  SessionService sessions_;
  SessionCounts counted_;  // of sessions_, as far as the metrics have it
  std::vector<SecretFile> secret_files_;
  const std::chrono::milliseconds secret_reload_;
  LiveSessions::Counts counted_reads_;
  std::function<void(bool)> on_serving_;
  std::atomic<bool> serving_{false};
  std::chrono::steady_clock::time_point serving_since_;
  absl::Mutex mutex_;
  absl::Status fatal_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace sesior::session
