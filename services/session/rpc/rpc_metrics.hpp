// What the gRPC side counts.
#pragma once

#include "sesior/telemetry/metrics.hpp"

namespace sesior::session::rpc {

struct RpcMetrics {
  explicit RpcMetrics(telemetry::Registry& registry)
      : calls_unary(
            registry.Counter("sesior_session_calls_total", "Calls, by how they came.", {{"transport", "unary"}})),
        calls_stream(
            registry.Counter("sesior_session_calls_total", "Calls, by how they came.", {{"transport", "stream"}})),
        errors(registry.Counter("sesior_session_call_errors_total", "Calls answered with an error.")),
        expired(
            registry.Counter("sesior_session_calls_expired_total", "Calls dropped unexecuted past their deadline.")),
        refused(registry.Counter("sesior_session_calls_refused_total", "Calls refused over the stream's limit.")),
        denied_unknown(registry.Counter("sesior_session_calls_denied_total",
                                        "Calls and streams refused for who called.", {{"reason", "credentials"}})),
        denied_role(registry.Counter("sesior_session_calls_denied_total", "Calls and streams refused for who called.",
                                     {{"reason", "role"}})),
        exchange_streams(registry.Gauge("sesior_session_streams", "Open streams.", {{"stream", "exchange"}})),
        watch_streams(registry.Gauge("sesior_session_streams", "Open streams.", {{"stream", "watch"}})),
        subscribe_streams(registry.Gauge("sesior_session_streams", "Open streams.", {{"stream", "subscribe"}})),
        watches_pushed(registry.Counter("sesior_session_watch_events_total", "Events put to watch streams.")),
        deliveries(registry.Counter("sesior_session_deliveries_total", "Messages put to subscribe streams.")),
        slow_subscribers(registry.Counter("sesior_session_slow_subscribers_total",
                                          "Subscribe streams ended since they did not keep up.")),
        refetched(registry.Counter("sesior_session_broadcasts_refetched_total",
                                   "Broadcasts read from the history, for a channel or a stream that missed them.")),
        gaps_announced(registry.Counter("sesior_session_gaps_announced_total",
                                        "Gaps that the history could not fill, told to streams.")) {}

  telemetry::Counter& calls_unary;
  telemetry::Counter& calls_stream;
  telemetry::Counter& errors;
  telemetry::Counter& expired;
  telemetry::Counter& refused;
  telemetry::Counter& denied_unknown;
  telemetry::Counter& denied_role;
  telemetry::Gauge& exchange_streams;
  telemetry::Gauge& watch_streams;
  telemetry::Gauge& subscribe_streams;
  telemetry::Counter& watches_pushed;
  telemetry::Counter& deliveries;
  telemetry::Counter& slow_subscribers;
  telemetry::Counter& refetched;
  telemetry::Counter& gaps_announced;
};

}  // namespace sesior::session::rpc
