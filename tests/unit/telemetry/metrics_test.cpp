#include "sesior/telemetry/metrics.hpp"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sesior::telemetry {
namespace {

using testing::HasSubstr;

TEST(Metrics, AreSerializedForPrometheus) {
  Registry registry;
  registry.Counter("sesior_test_total", "Tests.", {{"reason", "slow"}}).Increment(3);
  registry.Gauge("sesior_test_open", "Open.").Set(7);
  registry.Histogram("sesior_test_seconds", "Took.").Observe(0.002);
  const std::string text = registry.Serialize();
  for (const char* part : {"# TYPE sesior_test_total counter\n", "sesior_test_total{reason=\"slow\"} 3\n",
                           "sesior_test_open 7\n", "sesior_test_seconds_bucket{le=\"0.0025\"} 1\n",
                           "process_resident_memory_bytes ", "process_cpu_seconds_total "}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
}

TEST(Metrics, AskingAgainGivesTheSameMetric) {
  Registry registry;
  EXPECT_EQ(&registry.Counter("sesior_test_total", "Tests."), &registry.Counter("sesior_test_total", "Tests."));
}

}  // namespace
}  // namespace sesior::telemetry
