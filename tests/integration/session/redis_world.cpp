#include "tests/integration/session/redis_world.hpp"

#include <utility>

namespace sesior::testing {

using session::redis::ServerInfo;

namespace {
session::redis::ConnectionOptions Options(const RedisServer& server, const std::string& password) {
  session::redis::ConnectionOptions options;
  options.address = *session::redis::ParseRedisUrl(server.url());
  options.address.password = password;
  options.stall_timeout = std::chrono::seconds(3);  // a busy machine is no outage
  options.connect_timeout = std::chrono::seconds(3);
  options.backoff = {.initial = std::chrono::milliseconds(5), .max = std::chrono::milliseconds(50)};
  return options;
}
}  // namespace

RedisConnections::RedisConnections(const RedisServer& server, session::redis::StoreOptions options,
                                   const std::string& password, const session::redis::HistoryLimits& history)
    : connection(Options(server, password)),
      executor(io),
      scripts(history),
      client(io, {.connection = Options(server, password), .max_pending = 100'000}, scripts,
             {.on_up = [](const ServerInfo&) {},
              .on_down =
                  [this](const absl::Status& why, bool is_fatal) {
                    last_error = why;
                    fatal = fatal || is_fatal;
                  }}),
      subscriber(io,
                 {.connection = Options(server, password),
                  .heartbeat = std::chrono::milliseconds(100),
                  .silence_limit = std::chrono::seconds(3)},
                 client, [](bool, const absl::Status&) {}),
      store(client, options, SystemClock()),
      presence(client, options, SystemClock()),
      recovery(client, options),
      expiry(client, options, SystemClock()) {
  client.Start();
  subscriber.Start();
}

session::redis::TrackingFeed::Options RedisConnections::FeedOptions() const {
  session::redis::TrackingFeed::Options options;
  options.connection = connection;
  options.heartbeat = std::chrono::milliseconds(50);
  return options;
}

void RedisConnections::RunUntil(const std::function<bool()>& condition, std::chrono::seconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!condition() && std::chrono::steady_clock::now() < deadline) {
    io.restart();
    io.run_one_for(std::chrono::milliseconds(20));
  }
  EXPECT_TRUE(condition());
}

void RedisConnections::AwaitReady() {
  RunUntil([this] { return client.ready() && subscriber.ready(); });
}

RedisServer& SharedRedis() {
  static RedisServer server;
  return server;
}

namespace {

class RedisWorld final : public SessionWorld {
 public:
  explicit RedisWorld(session::SessionOptions options)
      : redis_(SharedRedis()),
        feed_(redis_.io, redis_.FeedOptions(), redis_.scripts, [](bool, const absl::Status&) {}),
        other_feed_(redis_.io, redis_.FeedOptions(), redis_.scripts, [](bool, const absl::Status&) {}),
        service_(redis_.store, redis_.executor, SystemClock(), options, &feed_),
        other_(redis_.store, redis_.executor, SystemClock(), options, &other_feed_) {
    feed_.Start();
    other_feed_.Start();
    SharedRedis().Command({"FLUSHALL"});
    bool listening = false;
    subscription_ = redis_.subscriber.Subscribe(
        session::BroadcastChannel("/"),
        {.on_message =
             [this](std::string_view message) { published_.emplace_back(message.substr(message.find('\n') + 1)); },
         .on_up = [&listening] { listening = true; }});
    redis_.AwaitReady();
    redis_.RunUntil([&] { return listening && feed_.tracks() && other_feed_.tracks(); });
  }

  session::SessionService& service() override { return service_; }
  session::SessionService& other_service() override { return other_; }
  session::SessionStore& store() override { return redis_.store; }
  void RunUntil(const std::function<bool()>& condition) override { redis_.RunUntil(condition); }
  void ForeignSet(const std::string& sid, const std::string& record, std::int64_t ttl_ms) override {
    if (ttl_ms < 0) {
      SharedRedis().Command({"SET", "sess:" + sid, record});
    } else {
      SharedRedis().Command({"SET", "sess:" + sid, record, "PX", std::to_string(ttl_ms)});
    }
  }
  std::optional<std::string> ForeignGet(const std::string& sid) override {
    std::string text = SharedRedis().Command({"GET", "sess:" + sid});
    return text == "(nil)" ? std::nullopt : std::optional(std::move(text));
  }
  std::int64_t ForeignTtl(const std::string& sid) override {
    return std::stoll(SharedRedis().Command({"PTTL", "sess:" + sid}));
  }
  std::vector<std::string> Published() override {
    // What was published before this read of ours is answered before it is.
    bool passed = false;
    auto marker = redis_.subscriber.Subscribe("test:marker",
                                              {.on_message = [&](std::string_view) { passed = true; }, .on_up = [] {}});
    redis_.RunUntil([&] {
      if (!passed) SharedRedis().Command({"PUBLISH", "test:marker", ""});
      return passed;
    });
    return published_;
  }

 private:
  RedisConnections redis_;
  session::redis::TrackingFeed feed_;
  session::redis::TrackingFeed other_feed_;
  session::SessionService service_;
  session::SessionService other_;
  std::vector<std::string> published_;
  std::unique_ptr<session::EventBus::Subscription> subscription_;
};

class RedisRecoveryWorld final : public RecoveryWorld {
 public:
  explicit RedisRecoveryWorld(std::chrono::milliseconds recent)
      : redis_(SharedRedis(), {.recovery_window = kWindow, .recovery_recent = recent}) {
    SharedRedis().Command({"FLUSHALL"});
    redis_.AwaitReady();
  }
  session::RecoveryStore& store() override { return redis_.recovery; }
  std::vector<session::TakenSocket> KeepLease(const std::string& replica) override {
    return Lease(replica, std::chrono::seconds(60)).taken;
  }
  void EndLease(const std::string& replica) override {
    Lease(replica, std::chrono::milliseconds(1));
    RunUntil([&] {
      const auto swept = redis_.Await<session::SweepResult>(
          [&](auto done) { redis_.presence.Sweep(std::chrono::seconds(1), std::move(done)); });
      return SharedRedis().Command({"ZSCORE", "sesior:lease", replica}) == "(nil)";
    });
  }
  std::int64_t TtlOf(const std::string& private_id) override {
    return std::stoll(SharedRedis().Command({"PTTL", "sesior:rec:{" + private_id + "}"}));
  }
  void RunUntil(const std::function<bool()>& condition) override { redis_.RunUntil(condition); }

 private:
  session::LeaseState Lease(const std::string& replica, std::chrono::milliseconds ttl) {
    return *redis_.Await<session::LeaseState>([&](auto done) {
      redis_.presence.KeepLease({replica, ttl}, std::move(done));
    });
  }
  RedisConnections redis_;
};

}  // namespace

std::unique_ptr<RecoveryWorld> MakeRecoveryWorld(std::chrono::milliseconds recent) {
  return std::make_unique<RedisRecoveryWorld>(recent);
}

std::unique_ptr<SessionWorld> MakeSessionWorld(session::SessionOptions options) {
  return std::make_unique<RedisWorld>(std::move(options));
}

}  // namespace sesior::testing
