// What sesior-rest counts beside its server (http/server_options.hpp).
#pragma once

#include <string>

#include "sesior/telemetry/metrics.hpp"

namespace sesior::rest {

// Of one route; `route` is its pattern, never what a client sent.
struct RouteMetrics {
  RouteMetrics(telemetry::Registry& registry, const std::string& route)
      : good(Requests(registry, route, "good")),
        refused(Requests(registry, route, "refused")),
        failed(Requests(registry, route, "failed")),
        duration(registry.Histogram("sesior_rest_request_duration_seconds", "From the whole request to its answer.",
                                    {{"route", route}})) {}

  telemetry::Counter& good;     // below 400
  telemetry::Counter& refused;  // 4xx
  telemetry::Counter& failed;   // 5xx
  telemetry::Histogram& duration;

 private:
  static telemetry::Counter& Requests(telemetry::Registry& registry, const std::string& route, const char* outcome) {
    return registry.Counter("sesior_rest_requests_total", "Requests answered.",
                            {{"route", route}, {"outcome", outcome}});
  }
};

}  // namespace sesior::rest
