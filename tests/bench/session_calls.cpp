// What a call to the session service costs, by the unary rpc and by the batched stream, one run for both:
//   session_calls ADDRESS SESSION_PID REDIS_PID [SECONDS]
// ADDRESS is a running sesior-session (`deploy/run --json` prints it, and the process ids). For each operation and each
// number of calls in flight it prints the rate, the latency, and the CPU time a call takes of client, service and
// Redis.
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "sesior/session_client/grpc_session_client.hpp"

namespace {

using namespace sesior;
using session_client::CallOptions;
using session_client::Options;
using session_client::SessionClient;
using Clock = std::chrono::steady_clock;

// User and system time of a process, in microseconds.
double CpuMicros(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  long user = 0;
  long system = 0;
  const std::size_t after_name = text.rfind(')');
  if (after_name != std::string::npos) {
    std::sscanf(text.c_str() + after_name + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld", &user, &system);
  }
  return static_cast<double>(user + system) * 1e6 / static_cast<double>(sysconf(_SC_CLK_TCK));
}

double OwnCpuMicros() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

struct Account {
  std::string id;
  std::string cookie;
};

Account Create(SessionClient& client, const std::string& name) {
  session::v1::CreateSessionRequest request;
  session::v1::Claim& claim = *request.add_claims();
  claim.set_namespace_("userName");
  claim.set_value(name);
  claim.set_member("userName");
  std::promise<Account> account;
  client.CreateSession(std::move(request),
                       {.timeout = std::chrono::seconds(10), .correlation_id = {}, .traceparent = {}},
                       [&account](absl::StatusOr<session::v1::CreateSessionResponse> response) {
                         if (!response.ok()) {
                           std::fprintf(stderr, "%s\n", response.status().ToString().c_str());
                           std::exit(1);
                         }
                         account.set_value({response->session().session_id(),
                                            response->set_cookie().substr(0, response->set_cookie().find(';'))});
                       });
  return account.get_future().get();
}

// Keeps a number of calls in flight until the time is up.
class Load {
 public:
  using Start = std::function<void(std::size_t lane, std::uint64_t round, std::function<void(bool)> done)>;
  explicit Load(Start start) : start_(std::move(start)) {}

  void Run(std::size_t in_flight, std::chrono::milliseconds time) {
    end_ = Clock::now() + time;
    open_ = in_flight;
    rounds_.assign(in_flight, 0);
    latencies_.assign(in_flight, {});
    for (std::size_t lane = 0; lane < in_flight; ++lane) Next(lane);
    std::unique_lock<std::mutex> lock(mutex_);
    ended_.wait(lock, [this] { return open_ == 0; });
  }

  std::uint64_t calls() const {
    std::uint64_t sum = 0;
    for (const std::uint64_t rounds : rounds_) sum += rounds;
    return sum;
  }
  std::uint64_t errors() const { return errors_; }
  double Percentile(double part) const {
    std::vector<float> all;
    for (const auto& lane : latencies_) all.insert(all.end(), lane.begin(), lane.end());
    if (all.empty()) return 0;
    const auto at = static_cast<std::ptrdiff_t>(part * static_cast<double>(all.size() - 1));
    std::nth_element(all.begin(), all.begin() + at, all.end());
    return static_cast<double>(all[static_cast<std::size_t>(at)]);
  }

 private:
  // A lane has one call at a time, so its members need no lock.
  void Next(std::size_t lane) {
    const auto begin = Clock::now();
    start_(lane, rounds_[lane]++, [this, lane, begin](bool ok) {
      if (!ok) ++errors_;
      const auto now = Clock::now();
      latencies_[lane].push_back(std::chrono::duration<float, std::micro>(now - begin).count());
      if (now < end_) return Next(lane);
      const std::lock_guard<std::mutex> lock(mutex_);
      if (--open_ == 0) ended_.notify_all();
    });
  }

  Start start_;
  Clock::time_point end_;
  std::mutex mutex_;
  std::condition_variable ended_;
  std::size_t open_ = 0;
  std::vector<std::uint64_t> rounds_;
  std::vector<std::vector<float>> latencies_;
  std::atomic<std::uint64_t> errors_{0};
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: session_calls ADDRESS SESSION_PID REDIS_PID [SECONDS]\n");
    return 2;
  }
  const int session_pid = std::atoi(argv[2]);
  const int redis_pid = std::atoi(argv[3]);
  const std::chrono::milliseconds time(1000 * (argc > 4 ? std::atoi(argv[4]) : 2));
  constexpr std::size_t kMostInFlight = 256;
  const CallOptions options{.timeout = std::chrono::seconds(10), .correlation_id = {}, .traceparent = {}};
  const std::string run = std::to_string(getpid());

  std::printf("| call | transport | in flight | calls/s | p50 us | p99 us | client us | service us | Redis us |\n");
  std::printf("|---|---|---|---|---|---|---|---|---|\n");
  std::vector<Account> accounts;
  for (const std::string operation : {"resolve", "get", "update", "rename"}) {
    for (const std::size_t in_flight : {std::size_t{1}, std::size_t{16}, kMostInFlight}) {
      for (const auto transport : {Options::Transport::kUnary, Options::Transport::kStream}) {
        const auto client = session_client::MakeSessionClient({.addresses = {argv[1]}, .transport = transport});
        while (!client->connected()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
        while (accounts.size() < kMostInFlight) {
          accounts.push_back(Create(*client, "bench-" + run + "-" + std::to_string(accounts.size())));
        }
        Load load([&](std::size_t lane, std::uint64_t round, std::function<void(bool)> done) {
          if (operation == "get") {
            session::v1::GetSessionRequest request;
            request.mutable_session()->set_session_id(accounts[lane].id);
            return client->GetSession(std::move(request), options,
                                      [done](const auto& response) { done(response.ok()); });
          }
          if (operation == "resolve") {
            session::v1::ResolveCookieRequest request;
            request.set_cookie_header(accounts[lane].cookie);
            return client->ResolveCookie(std::move(request), options,
                                         [done](const auto& response) { done(response.ok()); });
          }
          const std::string name = "bench-" + run + "-" + std::to_string(lane) + (round % 2 == 0 ? "-a" : "-b");
          session::v1::UpdateSessionRequest request;
          request.mutable_session()->set_session_id(accounts[lane].id);
          if (operation == "update") {
            request.set_merge_patch_json(round % 2 == 0 ? R"({"theme":"dark","seen":1})"
                                                        : R"({"theme":"light","seen":2})");
          } else {
            session::v1::Claim& claim = *request.add_claims();
            claim.set_namespace_("userName");
            claim.set_value(name);
            claim.set_member("userName");
          }
          broadcast::v1::Broadcast& broadcast = *request.mutable_announcement()->mutable_broadcast();
          broadcast.set_namespace_("/bench");
          broadcast.mutable_packet()->set_args_json("[\"user:renamed\",{\"user\":{\"userName\":\"" + name + "\"}}]");
          client->UpdateSession(std::move(request), options, [done](const auto& response) { done(response.ok()); });
        });
        const double own = OwnCpuMicros();
        const double service = CpuMicros(session_pid);
        const double redis = CpuMicros(redis_pid);
        const auto begin = Clock::now();
        load.Run(in_flight, time);
        const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
        const auto calls = static_cast<double>(load.calls());
        std::printf("| %s | %s | %zu | %.0f | %.0f | %.0f | %.1f | %.1f | %.1f |%s\n", operation.c_str(),
                    transport == Options::Transport::kUnary ? "unary" : "stream", in_flight, calls / seconds,
                    load.Percentile(0.5), load.Percentile(0.99), (OwnCpuMicros() - own) / calls,
                    (CpuMicros(session_pid) - service) / calls, (CpuMicros(redis_pid) - redis) / calls,
                    load.errors() > 0 ? " errors!" : "");
        std::fflush(stdout);
      }
    }
  }
  return 0;
}
