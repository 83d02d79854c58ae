// What the session service counts.
#pragma once

#include "sesior/telemetry/metrics.hpp"

namespace sesior::session {

struct Metrics {
  explicit Metrics(telemetry::Registry& r)
      : redis_up(r.Gauge("sesior_session_redis_up", "1 while commands and subscriptions reach Redis.")),
        redis_lost(r.Counter("sesior_session_redis_connections_lost_total", "Connections to Redis lost or refused.")),
        redis_pending(r.Gauge("sesior_session_redis_pending", "Commands waiting for Redis.")),
        swept(r.Counter("sesior_session_presence_swept_total",
                        "Entries of replicas whose lease had expired, removed.")) {}

  telemetry::Gauge& redis_up;
  telemetry::Counter& redis_lost;
  telemetry::Gauge& redis_pending;
  telemetry::Counter& swept;
};

}  // namespace sesior::session
