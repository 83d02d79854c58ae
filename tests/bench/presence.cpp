// What presence costs with many online, and that a dead replica's users are told of once and in time:
//   presence [SESSIONS]     (100000, on two replicas with half of them each)
// Starts a redis-server of its own, brings the sessions online, lists and counts them while others come and go, then
// lets one replica's lease end. Prints rates and latencies. Fails when a count or a list is wrong, or when not exactly
// the dead replica's users are told to have left.
#include <algorithm>
#include <asio/io_context.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "services/session/redis/redis_presence_store.hpp"
#include "services/session/redis/redis_session_store.hpp"
#include "services/session/redis/subscriber.hpp"
#include "sesior/base/clock.hpp"
#include "tests/support/redis_server.hpp"

namespace {

using namespace sesior;
using namespace sesior::session;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr int kInFlight = 500;
constexpr milliseconds kLong{3'600'000};  // a machine may be busy

double SecondsSince(steady_clock::time_point start) {
  return std::chrono::duration<double>(steady_clock::now() - start).count();
}

template <typename T>
T Must(absl::StatusOr<T> result) {
  if (result.ok()) return *std::move(result);
  std::fprintf(stderr, "%s\n", result.status().ToString().c_str());
  std::exit(1);
}

struct Bench {
  explicit Bench(const testing::RedisServer& server)
      : client(io, {.connection = Options(server)}, scripts,
               {.on_up = [](const redis::ServerInfo&) {}, .on_down = [](const absl::Status&, bool) {}}),
        subscriber(io, {.connection = Options(server)}, client, [](bool, const absl::Status&) {}),
        store(client, {}, SystemClock()),
        presence(client, {}, SystemClock()) {
    client.Start();
    subscriber.Start();
  }
  static redis::ConnectionOptions Options(const testing::RedisServer& server) {
    redis::ConnectionOptions options;
    options.address = *redis::ParseRedisUrl(server.url());
    return options;
  }
  void RunUntil(const std::function<bool()>& condition) {
    while (!condition()) io.run_one_for(milliseconds(100));
  }
  // `start(i, done)` for each i below `count`, kInFlight at a time; how many a second.
  double Each(int count, const std::function<void(int, std::function<void()>)>& start) {
    const auto begin = steady_clock::now();
    int ended = 0;
    for (int i = 0, open = 0; ended < count;) {
      while (i < count && open < kInFlight) {
        ++open;
        start(i++, [&] {
          --open;
          ++ended;
        });
      }
      io.run_one_for(milliseconds(100));
    }
    return count / SecondsSince(begin);
  }
  // One after another; prints the latency.
  void Time(const char* what, int count, const std::function<void(std::function<void()>)>& start) {
    std::vector<double> took;
    for (int i = 0; i < count; ++i) {
      const auto begin = steady_clock::now();
      bool done = false;
      start([&] { done = true; });
      RunUntil([&] { return done; });
      took.push_back(1000 * SecondsSince(begin));
    }
    std::sort(took.begin(), took.end());
    std::printf("%-28s p50 %7.2f  p99 %7.2f  max %7.2f ms\n", what, took[took.size() / 2], took[took.size() * 99 / 100],
                took.back());
  }
  void Lease(const std::string& replica, milliseconds ttl) {
    bool done = false;
    presence.KeepLease({.replica_id = replica, .ttl = ttl}, [&](absl::StatusOr<LeaseState> state) {
      Must(std::move(state));
      done = true;
    });
    RunUntil([&] { return done; });
  }

  asio::io_context io;
  redis::ScriptSet scripts;
  redis::Client client;
  redis::Subscriber subscriber;
  redis::RedisSessionStore store;
  redis::RedisPresenceStore presence;
};

}  // namespace

int main(int argc, char** argv) {
  const int count = argc > 1 ? std::atoi(argv[1]) : 100'000;
  testing::RedisServer server;
  Bench bench(server);
  int left = 0;
  bool is_listening = false;
  const auto subscription = bench.subscriber.Subscribe(
      BroadcastChannel("/"),
      {.on_message = [&](std::string_view message) { left += message.ends_with("left") ? 1 : 0; },
       .on_up = [&] { is_listening = true; }});
  bench.RunUntil([&] { return is_listening && bench.client.ready(); });
  bench.Lease("r1", kLong);
  bench.Lease("r2", kLong);

  std::vector<SessionId> ids;
  for (int i = 0; i < count; ++i) ids.push_back(SessionId::Generate());
  bench.Each(count, [&](int i, std::function<void()> done) {
    StoreCreate create;
    create.id = ids[static_cast<std::size_t>(i)];
    create.record = R"({"cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"}})";
    create.ttl = milliseconds(3'600'000);
    bench.store.Create(std::move(create), [done](absl::StatusOr<StoreReply> reply) {
      Must(std::move(reply));
      done();
    });
  });
  const auto enter = [&](int i, const std::function<void()>& done) {
    char key[16];
    std::snprintf(key, sizeof key, "user %07d", i);
    EnterRequest request{.replica_id = i % 2 == 0 ? "r1" : "r2",
                         .name_space = "/",
                         .session_id = ids[static_cast<std::size_t>(i)],
                         .key = key,
                         .value_json = std::string(R"({"userName":")") + key + "\"}",
                         .joined_payload = "joined",
                         .left_payload = "left",
                         .session_revision = 1};
    bench.presence.Enter(std::move(request), [done](absl::StatusOr<bool> first) {
      Must(std::move(first));
      done();
    });
  };
  std::printf("%d sessions\n", count);
  std::printf("come online                  %7.0f a second\n", bench.Each(count, enter));
  std::printf("told again (nothing changes) %7.0f a second\n", bench.Each(count, enter));

  bool is_good = true;
  bench.Time("count", 1000, [&](std::function<void()> done) {
    bench.presence.CountOnline("/", [&, done](absl::StatusOr<std::int64_t> online) {
      is_good = is_good && Must(std::move(online)) == count;
      done();
    });
  });
  const int page = std::min(count, 1000);
  const auto check = [&](const std::function<void()>& done) {
    return [&, done](absl::StatusOr<OnlineList> list) {
      is_good = is_good && Must(std::move(list)).entries.size() == static_cast<std::size_t>(page);
      done();
    };
  };
  bench.Time("the newest 1,000", 200,
             [&](std::function<void()> done) { bench.presence.ListNewest("/", 1000, check(done)); });
  bench.Time("a page of 1,000 by name", 200,
             [&](std::function<void()> done) { bench.presence.ListByKey("/", "", 1000, check(done)); });

  // r1 dies. What the sweep does is timed as a replica of the session service would do it: step after step.
  bench.Lease("r1", milliseconds(1));
  const auto begin = steady_clock::now();
  bool is_over = false;
  double longest = 0;
  while (!is_over) {
    const auto step = steady_clock::now();
    bool done = false;
    bench.presence.Sweep(milliseconds(60'000), [&](absl::StatusOr<SweepResult> swept) {
      is_over = !Must(std::move(swept)).more;
      done = true;
    });
    bench.RunUntil([&] { return done; });
    longest = std::max(longest, 1000 * SecondsSince(step));
  }
  const int gone = (count + 1) / 2;
  bench.RunUntil([&] { return left >= gone || SecondsSince(begin) > 60; });
  std::printf("a dead replica's %d users    %7.2f s until all were told, longest step %.2f ms\n", gone,
              SecondsSince(begin), longest);
  bench.Time("count afterwards", 10, [&](std::function<void()> done) {
    bench.presence.CountOnline("/", [&, done](absl::StatusOr<std::int64_t> online) {
      is_good = is_good && Must(std::move(online)) == count - gone;
      done();
    });
  });
  is_good = is_good && left == gone;
  std::printf("%s\n", is_good ? "all as it should be" : "WRONG");
  return is_good ? 0 : 1;
}
