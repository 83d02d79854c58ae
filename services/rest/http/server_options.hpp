// What the generic server keeps to, and what it counts. Immutable while it runs.
#pragma once

#include <chrono>
#include <string>

#include "sesior/http/request_parser.hpp"
#include "sesior/telemetry/metrics.hpp"

namespace sesior::rest {

struct ServerOptions {
  std::string listen = "127.0.0.1:0";  // host:port; port 0: any free one
  int threads = 1;                     // workers, >= 1
  int max_connections = 10000;         // a connection beyond it is closed at once
  http::Limits limits{.body_bytes = 64 * 1024};
  // Until a started head is whole, and then until the body is: 408.
  std::chrono::milliseconds head_timeout{10'000};
  std::chrono::milliseconds body_timeout{30'000};
  std::chrono::milliseconds idle_timeout{75'000};  // between requests: closed
  // While draining, new connections are still served for so long (a balancer learns late); then they are closed at
  // once.
  std::chrono::milliseconds drain_accept{1'000};
  std::chrono::milliseconds write_timeout{30'000};  // a reader that takes nothing for so long is closed
};

struct ServerMetrics {
  explicit ServerMetrics(telemetry::Registry& registry)
      : connections(registry.Gauge("sesior_rest_connections", "Open connections.")),
        accepted(registry.Counter("sesior_rest_connections_accepted_total", "Connections accepted.")),
        refused(registry.Counter("sesior_rest_connections_refused_total", "Connections closed at once, at the limit.")),
        bad_requests(registry.Counter("sesior_rest_bad_requests_total", "Requests that are no acceptable HTTP.")),
        timeouts(registry.Counter("sesior_rest_timeouts_total", "Connections closed by a timeout other than idling.")),
        dropped_replies(registry.Counter("sesior_rest_dropped_replies_total", "Answers whose client had gone.")) {}

  telemetry::Gauge& connections;
  telemetry::Counter& accepted;
  telemetry::Counter& refused;
  telemetry::Counter& bad_requests;
  telemetry::Counter& timeouts;
  telemetry::Counter& dropped_replies;
};

}  // namespace sesior::rest
