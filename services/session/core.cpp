#include "services/session/core.hpp"

#include <pthread.h>

#include <utility>

#include "absl/time/time.h"
#include "sesior/telemetry/log.hpp"

namespace sesior::session {

namespace {

using telemetry::Level;
using telemetry::Log;

// How long a start waits for Redis before it goes on without.
constexpr absl::Duration kStartWait = absl::Seconds(5);

redis::ConnectionOptions Named(redis::ConnectionOptions options, const char* name) {
  options.name = name;
  return options;
}

ChangeFeed* Either(ChangeFeed* one, ChangeFeed* other) { return one != nullptr ? one : other; }

std::string Text(const absl::Status& status) { return std::string(status.message()); }

}  // namespace

Core::Core(const Config& config, Metrics& metrics)
    : lease_sweep_(config.lease_sweep),
      metrics_(metrics),
      scripts_(config.history),
      client_(io_, {.connection = Named(config.redis, "sesior-session"), .max_pending = 100'000}, scripts_,
              {.on_up =
                   [this](const redis::ServerInfo&) {
                     Log(Level::kInfo, "redis_connected");
                     Judge();
                   },
               .on_down = [this](const absl::Status& why, bool fatal) { OnClientDown(why, fatal); }}),
      subscriber_(io_, {.connection = Named(config.redis, "sesior-session-subscriber")}, client_,
                  [this](bool ready, const absl::Status& why) {
                    static telemetry::RateLimit rate(10);
                    if (!ready) {
                      metrics_.redis_lost.Increment();
                      if (rate.Allow()) Log(Level::kWarn, "redis_subscription_lost", {{"why", Text(why)}});
                    }
                    Judge();
                  }),
      tracking_feed_(config.change_feed == ChangeFeedKind::kTracking
                         ? std::make_unique<redis::TrackingFeed>(
                               io_,
                               redis::TrackingFeed::Options{.connection = Named(config.redis, "sesior-session-feed"),
                                                            .key_prefix = config.store.key_prefix},
                               scripts_, [this](bool tracks, const absl::Status& why) { OnTracking(tracks, why); })
                         : nullptr),
      hint_feed_(tracking_feed_ == nullptr ? std::make_unique<HintFeed>(subscriber_) : nullptr),
      store_(client_, config.store, SystemClock()),
      presence_(client_, config.store, SystemClock()),
      recovery_(client_, config.store),
      expiry_(client_, config.store, SystemClock()),
      expiry_sweeper_(expiry_, executor_, config.expiry_sweep,
                      [this](const ExpirySweep& swept) {
                        metrics_.expired.Increment(swept.ended);
                        metrics_.expiry_late.Observe(std::chrono::duration<double>(swept.late).count());
                      }),
      sessions_(store_, executor_, SystemClock(), config.sessions, Either(tracking_feed_.get(), hint_feed_.get())),
      secret_reload_(config.secret_reload) {
  if (config.secret_file.empty()) return;
  Follow(config.secret_file, config.sessions.secrets, 1,
         [this](const SecretFile::Secrets& secrets) { sessions_.SetSecrets(secrets); });
}

Core::~Core() { Stop(); }

void Core::Follow(const std::string& path, const SecretFile::Secrets& current, std::size_t least_bytes,
                  std::function<void(const SecretFile::Secrets&)> apply) {
  secret_files_.emplace_back(path, current, metrics_.secrets_loaded, metrics_.secrets_refused, std::move(apply),
                             least_bytes);
}

void Core::FollowTokens(const Config& config, Callers& callers, const std::function<void()>& on_change) {
  for (const RoleTokens* known : {&config.edge_tokens, &config.backend_tokens, &config.admin_tokens}) {
    callers.SetTokens(known->role, known->tokens);
    if (known->file.empty()) continue;
    Follow(known->file, known->tokens, Callers::kLeastTokenBytes,
           [&callers, on_change, role = known->role](const SecretFile::Secrets& tokens) {
             callers.SetTokens(role, tokens);
             on_change();
           });
  }
}

absl::Status Core::Start() {
  executor_.Post([this] {
    client_.Start();
    subscriber_.Start();
    if (tracking_feed_ != nullptr) tracking_feed_->Start();
    Sweep();
    expiry_sweeper_.Start();
    if (!secret_files_.empty()) LookAtSecrets();
  });
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "core");
    io_.run();
  });
  const auto decided = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return serving() || !fatal_.ok(); };
  absl::MutexLock lock(&mutex_);
  if (!mutex_.AwaitWithTimeout(absl::Condition(&decided), kStartWait)) {
    Log(Level::kWarn, "started_without_redis");
  }
  return fatal_;
}

void Core::Stop() {
  if (!thread_.joinable()) return;
  io_.stop();
  thread_.join();
}

void Core::OnClientDown(const absl::Status& why, bool fatal) {
  static telemetry::RateLimit rate(10);
  metrics_.redis_lost.Increment();
  if (fatal) {
    Log(Level::kError, "redis_unusable", {{"why", Text(why)}});
    absl::MutexLock lock(&mutex_);
    fatal_ = why;
  } else if (rate.Allow()) {
    Log(Level::kWarn, "redis_lost", {{"why", Text(why)}});
  }
  Judge();
}

void Core::OnTracking(bool tracks, const absl::Status& why) {
  static telemetry::RateLimit rate(10);
  metrics_.tracks.Set(tracks ? 1 : 0);
  if (tracks) return Log(Level::kInfo, "tracking_changes");
  metrics_.feed_lost.Increment();
  if (rate.Allow()) Log(Level::kWarn, "not_tracking_changes", {{"why", Text(why)}});
}

void Core::CountReads() {
  const LiveSessions::Counts& now = sessions_.read_counts();
  metrics_.read_hits.Increment(static_cast<double>(now.hits - counted_reads_.hits));
  metrics_.read_misses.Increment(static_cast<double>(now.misses - counted_reads_.misses));
  metrics_.read_flushes.Increment(static_cast<double>(now.flushes - counted_reads_.flushes));
  counted_reads_ = now;
}

void Core::Judge() {
  const bool now = client_.ready() && subscriber_.ready();
  if (now == serving()) return;
  if (now) serving_since_ = std::chrono::steady_clock::now();
  metrics_.redis_up.Set(now ? 1 : 0);
  Log(now ? Level::kInfo : Level::kWarn, now ? "serving" : "not_serving");
  {
    absl::MutexLock lock(&mutex_);  // wakes Start
    serving_.store(now, std::memory_order_relaxed);
  }
  if (on_serving_) on_serving_(now);
}

void Core::LookAtSecrets() {
  for (SecretFile& file : secret_files_) file.Look();
  executor_.After(secret_reload_, [this] { LookAtSecrets(); });
}

void Core::CountRules() {
  const SessionCounts& now = sessions_.counts();
  const auto add = [&](std::uint64_t SessionCounts::*count, telemetry::Counter& metric) {
    const std::uint64_t more = now.*count - std::exchange(counted_.*count, now.*count);
    if (more > 0) metric.Increment(static_cast<double>(more));
    return more;
  };
  const std::uint64_t revived = add(&SessionCounts::revived, metrics_.revived);
  const std::uint64_t mended = add(&SessionCounts::overwrites_mended, metrics_.overwrites_mended);
  const std::uint64_t reported = add(&SessionCounts::overwrites_reported, metrics_.overwrites_reported);
  if (revived + mended + reported > 0) {
    Log(Level::kWarn, "stale_foreign_writes", {{"revived", revived}, {"mended", mended}, {"reported", reported}});
  }
  const std::uint64_t refused = add(&SessionCounts::creates_over_rate, metrics_.creates_refused_service) +
                                add(&SessionCounts::creates_over_address_rate, metrics_.creates_refused_address);
  if (refused > 0) Log(Level::kWarn, "creates_refused", {{"count", refused}});
}

void Core::Sweep() {
  CountRules();
  metrics_.redis_pending.Set(client_.pending());
  CountReads();
  const auto again = [this](std::chrono::milliseconds pause) { executor_.After(pause, [this] { Sweep(); }); };
  if (!serving()) return again(lease_sweep_);
  const auto well_for =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - serving_since_);
  presence_.Sweep(well_for, [this, again](absl::StatusOr<SweepResult> result) {
    if (result.ok() && result->removed > 0) {
      metrics_.swept.Increment(result->removed);
      Log(Level::kInfo, "presence_swept", {{"entries", result->removed}});
    }
    again(result.ok() && result->more ? std::chrono::milliseconds(1) : lease_sweep_);
  });
}

}  // namespace sesior::session
