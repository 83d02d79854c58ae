// How late the end of a session by time is noticed when nobody asks for it, and what the sweep costs:
//   expiry_sweep [SESSIONS [SECONDS]]     (100000 sessions that end within 60 s)
// Starts a redis-server of its own and two replicas' cores, makes the sessions with ends spread evenly, and listens.
// Prints the lateness of all ends as told by Redis's own clock of each key, how long Redis answered a PING meanwhile
// (no spike), and the CPU time of Redis and of both replicas. Fails when an end is not told, or told later than 2 s.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <asio/io_context.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "services/session/core.hpp"
#include "sesior/base/clock.hpp"
#include "tests/support/redis_server.hpp"

namespace {

using namespace sesior;
using namespace sesior::session;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr int kInFlight = 500;

double OwnCpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// "name:value" in what INFO says.
double InfoNumber(testing::RedisServer& redis, const std::string& section, const std::string& name) {
  const std::string info = redis.Command({"INFO", section});
  const std::size_t at = info.find(name + ":");
  return at == std::string::npos ? 0 : std::atof(info.c_str() + at + name.size() + 1);
}
double RedisCpuSeconds(testing::RedisServer& redis) {
  return InfoNumber(redis, "cpu", "used_cpu_user") + InfoNumber(redis, "cpu", "used_cpu_sys");
}

void PrintQuantiles(const char* what, std::vector<double> values, const char* unit) {
  std::sort(values.begin(), values.end());
  const auto at = [&](double q) {
    return values[std::min(values.size() - 1, static_cast<std::size_t>(q * static_cast<double>(values.size())))];
  };
  std::printf("%-22s p50 %8.1f  p90 %8.1f  p99 %8.1f  p99.9 %8.1f  max %8.1f %s\n", what, at(0.5), at(0.9), at(0.99),
              at(0.999), values.back(), unit);
}

// The connections of the measuring side, on this thread.
struct Bench {
  explicit Bench(const testing::RedisServer& server)
      : client(io, {.connection = Options(server)}, scripts,
               {.on_up = [](const redis::ServerInfo&) {}, .on_down = [](const absl::Status&, bool) {}}),
        subscriber(io, {.connection = Options(server)}, client, [](bool, const absl::Status&) {}),
        store(client, {}, SystemClock()) {
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

  asio::io_context io;
  redis::ScriptSet scripts;
  redis::Client client;
  redis::Subscriber subscriber;
  redis::RedisSessionStore store;
};

}  // namespace

int main(int argc, char** argv) {
  const int count = argc > 1 ? std::atoi(argv[1]) : 100'000;
  const int seconds = argc > 2 ? std::atoi(argv[2]) : 60;
  testing::RedisServer server;
  Config config;
  config.redis = Bench::Options(server);
  config.sessions.secrets = {"bench"};
  telemetry::Registry registry;
  Metrics metrics(registry);
  std::vector<std::unique_ptr<Core>> replicas;
  Bench bench(server);
  std::unordered_map<std::string, double> ends;  // id -> when, ms of the wall clock; 0: not known yet
  std::vector<double> late;
  int told_twice = 0;
  bool is_listening = false;
  const auto hints = bench.subscriber.Subscribe(
      kChangeChannel, {.on_message =
                           [&](std::string_view message) {
                             if (!message.starts_with("end ")) return;
                             const std::string id(message.substr(4, message.rfind(' ') - 4));
                             const auto found = ends.find(id);
                             if (found == ends.end()) {
                               ++told_twice;
                               return;
                             }
                             late.push_back(static_cast<double>(SystemClock().WallMillis()) - found->second);
                             ends.erase(found);
                           },
                       .on_up = [&] { is_listening = true; }});
  bench.RunUntil([&] { return is_listening && bench.client.ready(); });

  // All are made before the first ends; each holds a claim, as a signed-in user's does.
  const milliseconds lead(20'000 + count);
  const auto start = steady_clock::now();
  int made = 0;
  for (int i = 0, open = 0; made < count;) {
    while (i < count && open < kInFlight) {
      StoreCreate create;
      create.id = SessionId::Generate();
      create.record = R"({"cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"}})";
      const auto since = std::chrono::duration_cast<milliseconds>(steady_clock::now() - start);
      create.ttl = lead - since + milliseconds(static_cast<std::int64_t>(i) * seconds * 1000 / count);
      const std::string name = "u" + std::to_string(i++);
      const HeldClaim claim{"userName", name, "userName", "nonce"};
      create.effects.claims = {claim};
      create.effects.claim_moves = {{"userName", name, "", ClaimText(create.id, claim.nonce)}};
      ++open;
      const std::string id = create.id.text();
      bench.store.Create(std::move(create), [&, id](absl::StatusOr<StoreReply> reply) {
        if (!reply.ok()) {
          std::fprintf(stderr, "%s\n", reply.status().ToString().c_str());
          std::exit(1);
        }
        redis::Arguments when;
        when.Add("PEXPIRETIME").Add("sess:" + id);
        bench.client.Command(std::move(when), [&, id](absl::StatusOr<redis::Reply> answer) {
          ends[id] = static_cast<double>(answer->number());
          ++made;
          --open;
        });
      });
    }
    bench.io.run_one_for(milliseconds(100));
  }
  std::printf("%d sessions made in %.1f s; their ends: within %d s\n", count,
              std::chrono::duration<double>(steady_clock::now() - start).count(), seconds);
  for (int i = 0; i < 2; ++i) {
    replicas.push_back(std::make_unique<Core>(config, metrics));
    if (!replicas.back()->Start().ok()) return 1;
  }

  double cpu = 0;
  double redis_cpu = 0;
  bool has_begun = false;
  std::vector<double> pings;
  bool is_pinging = false;
  const auto limit = start + lead + std::chrono::seconds(seconds + 30);
  while (!ends.empty() && steady_clock::now() < limit) {
    if (!has_begun && steady_clock::now() >= start + lead) {
      has_begun = true;
      cpu = OwnCpuSeconds();
      redis_cpu = RedisCpuSeconds(server);
    }
    if (has_begun && !is_pinging) {
      is_pinging = true;
      const auto asked = steady_clock::now();
      redis::Arguments ping;
      ping.Add("PING");
      bench.client.Command(std::move(ping), [&, asked](absl::StatusOr<redis::Reply>) {
        pings.push_back(std::chrono::duration<double, std::milli>(steady_clock::now() - asked).count());
        auto timer = std::make_shared<asio::steady_timer>(bench.io, milliseconds(5));
        timer->async_wait([&, timer](std::error_code) { is_pinging = false; });
      });
    }
    bench.io.run_one_for(milliseconds(10));
  }
  cpu = OwnCpuSeconds() - cpu;
  redis_cpu = RedisCpuSeconds(server) - redis_cpu;
  for (const auto& replica : replicas) replica->Stop();
  if (late.empty() || pings.empty()) return 1;

  PrintQuantiles("told after the end", late, "ms");
  PrintQuantiles("PING meanwhile", pings, "ms");
  std::printf("CPU per session: Redis %.1f us; both replicas and this program %.1f us\n", redis_cpu * 1e6 / count,
              cpu * 1e6 / count);
  std::printf("not told: %zu; told again: %d; claims left: %s\n", ends.size(), told_twice,
              server.Command({"EVAL", "return #redis.call('KEYS', 'sesior:claim:*')", "0"}).c_str());
  const bool is_good = ends.empty() && *std::max_element(late.begin(), late.end()) <= 2000;
  return is_good ? 0 : 1;
}
