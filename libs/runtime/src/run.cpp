#include "sesior/runtime/run.hpp"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "sesior/telemetry/log.hpp"

namespace sesior::runtime {

namespace {

using telemetry::Level;
using telemetry::Log;

sigset_t StopSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

// Ends the process when stopping takes too long or somebody insists.
void WatchStop(std::chrono::milliseconds timeout, const std::atomic<bool>& done) {
  const sigset_t signals = StopSignals();
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (!done) {
    const timespec step{.tv_sec = 0, .tv_nsec = 50'000'000};
    const bool insisted = sigtimedwait(&signals, nullptr, &step) > 0;
    if (done) return;
    if (insisted || std::chrono::steady_clock::now() > deadline) {
      Log(Level::kError, "stop_forced", {{"reason", insisted ? "signal" : "timeout"}});
      _exit(1);
    }
  }
}

}  // namespace

void BlockSignals() {
  sigset_t set = StopSignals();
  sigaddset(&set, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

int Run(std::initializer_list<Part*> parts, std::chrono::milliseconds stop_timeout) {
  std::vector<Part*> started;
  int exit_code = 0;
  for (Part* part : parts) {
    if (const absl::Status status = part->Start(); !status.ok()) {
      Log(Level::kError, "start_failed", {{"error", std::string(status.message())}});
      exit_code = 1;
      break;
    }
    started.push_back(part);
  }
  if (exit_code == 0) {
    Log(Level::kInfo, "started");
    const sigset_t signals = StopSignals();
    int signal_number = 0;
    sigwait(&signals, &signal_number);
    Log(Level::kInfo, "stopping", {{"signal", signal_number}});
  }
  std::atomic<bool> done{false};
  std::thread watch([&] { WatchStop(stop_timeout, done); });
  // A fifth of the time is kept for Stop().
  const auto deadline = std::chrono::steady_clock::now() + stop_timeout * 4 / 5;
  for (auto part = started.rbegin(); part != started.rend(); ++part) {
    if (exit_code == 0) (*part)->Drain(deadline);
  }
  for (auto part = started.rbegin(); part != started.rend(); ++part) (*part)->Stop();
  done = true;
  watch.join();
  Log(Level::kInfo, "stopped");
  return exit_code;
}

}  // namespace sesior::runtime
