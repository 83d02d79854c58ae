// Run: the life of a process. Starts parts in order, waits for SIGTERM or SIGINT, drains and stops them in reverse.
//
//   int main(int argc, char** argv) {
//     runtime::BlockSignals();                  // first of all: threads inherit the mask
//     ...
//     return runtime::Run({&redis, &service, &rpc}, config.stop_timeout);
//   }
#pragma once

#include <chrono>
#include <initializer_list>

#include "absl/status/status.h"

namespace sesior::runtime {

// Something with threads, sockets or connections of its own. All methods are called on the main thread.
class Part {
 public:
  virtual ~Part() = default;
  // Returns when it works, or why it cannot; a failure ends the process with exit code 1.
  virtual absl::Status Start() = 0;
  // Stop taking new work and finish the old, until `deadline` at most. Called for all parts, in reverse order, before
  // any is stopped.
  virtual void Drain(std::chrono::steady_clock::time_point /*deadline*/) {}
  // End at once. Nothing of the part runs after it.
  virtual void Stop() = 0;
};

// Leaves SIGTERM, SIGINT and SIGHUP to Run(); ignores SIGPIPE.
void BlockSignals();

// The exit code: 0 after a signal and a stop in time, 1 when a part did not start or the stop took longer than
// `stop_timeout` (the process then ends at once, with a log line). A second signal ends it at once too.
int Run(std::initializer_list<Part*> parts, std::chrono::milliseconds stop_timeout);

}  // namespace sesior::runtime
