// OpsServer: /metrics, /livez and /readyz over HTTP, on a port and a thread of its own, so that probes are answered
// however busy the service is.
//   /livez   200 "ok" while the process runs; never depends on another service.
//   /readyz  200 "ok" while `ready` says so, else 503 "not ready".
//   /metrics the registry's text.
// Threading: `ready` and `collect` are called on the server's thread, must not block, and must be thread-safe.
// A client that sends garbage, too much (8 KiB) or nothing (5 s) is closed; at most 64 connections at a time.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "sesior/runtime/run.hpp"
#include "sesior/telemetry/metrics.hpp"

namespace sesior::ops {

class OpsServer final : public runtime::Part {
 public:
  // `listen`: host:port; port 0: any free one, told by the log line event=listening name=ops. `collect` is called
  // before each serialization, to set gauges.
  OpsServer(
      std::string listen, const telemetry::Registry& registry, std::function<bool()> ready,
      std::function<void()> collect = [] {});
  ~OpsServer() override;

  absl::Status Start() override;
  // From here on /readyz answers 503; the port stays open until Stop.
  void Drain(std::chrono::steady_clock::time_point deadline) override;
  void Stop() override;
  int port() const;

 private:
  class Server;
  std::unique_ptr<Server> server_;
};

}  // namespace sesior::ops
