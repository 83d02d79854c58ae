// What the session service counts.
#pragma once

#include "sesior/telemetry/metrics.hpp"

namespace sesior::session {

struct Metrics {
  explicit Metrics(telemetry::Registry& r)
      : redis_up(r.Gauge("sesior_session_redis_up", "1 while commands and subscriptions reach Redis.")),
        redis_lost(r.Counter("sesior_session_redis_connections_lost_total", "Connections to Redis lost or refused.")),
        redis_pending(r.Gauge("sesior_session_redis_pending", "Commands waiting for Redis.")),
        swept(
            r.Counter("sesior_session_presence_swept_total", "Entries of replicas whose lease had expired, removed.")),
        expired(r.Counter("sesior_session_expired_total", "Sessions found to be over by the sweep.")),
        expiry_late(r.Histogram("sesior_session_expiry_late_seconds",
                                "By how much the longest waiting entry of a sweep's batch was late.", {},
                                {0.05, 0.1, 0.25, 0.5, 1, 2, 5, 30, 300})),
        secrets_loaded(r.Counter("sesior_session_secret_reloads_total", "Changes of files of secrets and tokens.",
                                 {{"result", "loaded"}})),
        secrets_refused(r.Counter("sesior_session_secret_reloads_total", "Changes of files of secrets and tokens.",
                                  {{"result", "refused"}})),
        revived(r.Counter("sesior_session_revived_total",
                          "Records that a late foreign write brought back after their session had ended, removed.")),
        overwrites_mended(r.Counter("sesior_session_stale_overwrites_total",
                                    "Members set back by a stale copy of a foreign writer.", {{"action", "mended"}})),
        overwrites_reported(r.Counter("sesior_session_stale_overwrites_total",
                                      "Members set back by a stale copy of a foreign writer.",
                                      {{"action", "reported"}})),
        creates_refused_service(r.Counter("sesior_session_creates_refused_total",
                                          "Sessions not made over a limit of rate.", {{"limit", "service"}})),
        creates_refused_address(r.Counter("sesior_session_creates_refused_total",
                                          "Sessions not made over a limit of rate.", {{"limit", "address"}})),
        tracks(r.Gauge("sesior_session_change_feed_up", "1 while changes of sessions by others are told.")),
        feed_lost(r.Counter("sesior_session_change_feed_lost_total", "Times that tracking was lost or refused.")),
        read_hits(r.Counter("sesior_session_reads_total", "Reads of sessions, by who answered.", {{"from", "memory"}})),
        read_misses(
            r.Counter("sesior_session_reads_total", "Reads of sessions, by who answered.", {{"from", "store"}})),
        read_flushes(r.Counter("sesior_session_read_flushes_total",
                               "Times that nothing remembered was known to be current any more.")) {}

  telemetry::Gauge& redis_up;
  telemetry::Counter& redis_lost;
  telemetry::Gauge& redis_pending;
  telemetry::Counter& swept;
  telemetry::Counter& expired;
  telemetry::Histogram& expiry_late;
  telemetry::Counter& secrets_loaded;
  telemetry::Counter& secrets_refused;
  telemetry::Counter& revived;
  telemetry::Counter& overwrites_mended;
  telemetry::Counter& overwrites_reported;
  telemetry::Counter& creates_refused_service;
  telemetry::Counter& creates_refused_address;
  telemetry::Gauge& tracks;
  telemetry::Counter& feed_lost;
  telemetry::Counter& read_hits;
  telemetry::Counter& read_misses;
  telemetry::Counter& read_flushes;
};

}  // namespace sesior::session
