// MetricsExport: puts the tallies of a server's threads into its registry, when somebody asks for them.
// Threading: Collect is to be called by one thread at a time.
#pragma once

#include <cstdint>
#include <vector>

#include "services/realtime/metrics.hpp"
#include "services/realtime/server.hpp"
#include "sesior/telemetry/metrics.hpp"

namespace sesior::realtime {

class MetricsExport {
 public:
  // Both outlive it.
  MetricsExport(telemetry::Registry& registry, const Server& server);

  void Collect();

 private:
  struct Total {
    telemetry::Counter& counter;
    Tally LoopTallies::*tally;
    std::uint64_t told = 0;
  };
  struct Level {
    telemetry::Gauge& gauge;
    Tally LoopTallies::*tally;
  };

  const Server& server_;
  std::vector<Total> totals_;
  std::vector<Level> levels_;
};

}  // namespace sesior::realtime
