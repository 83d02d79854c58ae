// Metrics: what a service counts, for Prometheus. Each service declares its metrics once, in its metrics.hpp, as a
// struct of references made from one registry at start; nothing looks a metric up by name at run time. Labels come from
// closed sets, never ids or names of rooms.
//   struct Metrics {
//     explicit Metrics(telemetry::Registry& r)
//         : dropped(r.Counter("sesior_realtime_messages_dropped_total", "Messages dropped.", {{"reason", "slow"}})) {}
//     telemetry::Counter& dropped;
//   };
// Threading: Registry and all metrics are thread-safe; a metric lives as long as its registry.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace prometheus {
class Registry;
}

namespace sesior::telemetry {

using Counter = prometheus::Counter;
using Gauge = prometheus::Gauge;
using Histogram = prometheus::Histogram;
using Labels = std::map<std::string, std::string>;

class Registry {
 public:
  Registry();
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  // Asking again for the same name and labels gives the same metric.
  telemetry::Counter& Counter(const std::string& name, const std::string& help, const Labels& labels = {});
  telemetry::Gauge& Gauge(const std::string& name, const std::string& help, const Labels& labels = {});
  // `bounds`: upper ends of the buckets, ascending; empty: 100 us to 10 s, for durations in seconds.
  telemetry::Histogram& Histogram(const std::string& name, const std::string& help, const Labels& labels = {},
                                  std::vector<double> bounds = {});

  // The text that /metrics answers (Prometheus exposition format 0.0.4), with process_* beside our own.
  std::string Serialize() const;

 private:
  std::unique_ptr<prometheus::Registry> registry_;
};

}  // namespace sesior::telemetry
