#include "services/session/domain/create_limits.hpp"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/support/fake_clock.hpp"

namespace sesior::session {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

TEST(CreateLimits, AllowABurstOfAPeriodAndThenItsRate) {
  testing::FakeClock clock;
  CreateLimits limits({.per_second = 10, .per_address_per_minute = std::nullopt}, clock);
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(limits.Take("")) << i;
  const auto refusal = limits.Take("");
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->limit, CreateLimits::Limit::kService);
  EXPECT_EQ(refusal->retry_after, 100ms);
  clock.Advance(refusal->retry_after);
  EXPECT_FALSE(limits.Take(""));
  EXPECT_TRUE(limits.Take(""));
  clock.Advance(10s);
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(limits.Take("")) << "idle time gives no more than one period: " << i;
  EXPECT_TRUE(limits.Take(""));
}

TEST(CreateLimits, CountEachClientForItself) {
  testing::FakeClock clock;
  CreateLimits limits({.per_second = 1000, .per_address_per_minute = 3}, clock);
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(limits.Take("192.0.2.1"));
  const auto refusal = limits.Take("192.0.2.1");
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->limit, CreateLimits::Limit::kAddress);
  EXPECT_EQ(refusal->retry_after, 20s);
  EXPECT_TRUE(limits.Take("::ffff:192.0.2.1")) << "the same, said otherwise";
  EXPECT_FALSE(limits.Take("192.0.2.2"));
  for (const char* address : {"2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::"}) EXPECT_FALSE(limits.Take(address));
  EXPECT_TRUE(limits.Take("2001:db8::3")) << "one client has a whole /64";
  EXPECT_FALSE(limits.Take("2001:db8:0:1::3"));
  for (int i = 0; i < 9; ++i) EXPECT_FALSE(limits.Take("no address"));
  clock.Advance(20s);
  EXPECT_FALSE(limits.Take("192.0.2.1"));
  EXPECT_TRUE(limits.Take("192.0.2.1"));
}

TEST(CreateLimits, ARefusalByAddressTakesNothingFromTheOthers) {
  testing::FakeClock clock;
  CreateLimits limits({.per_second = 5, .per_address_per_minute = 1}, clock);
  EXPECT_FALSE(limits.Take("192.0.2.1"));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(limits.Take("192.0.2.1")->limit, CreateLimits::Limit::kAddress);
  for (int i = 2; i < 6; ++i) EXPECT_FALSE(limits.Take(absl::StrCat("192.0.2.", i)));
  EXPECT_EQ(limits.Take("192.0.2.6")->limit, CreateLimits::Limit::kService);
}

TEST(CreateLimits, KnowABoundedNumberOfAddresses) {
  testing::FakeClock clock;
  CreateLimits limits({.per_second = 1000, .per_address_per_minute = 2, .max_addresses = 10}, clock);
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(limits.Take(absl::StrCat("192.0.2.", i)));
  EXPECT_FALSE(limits.Take("198.51.100.1"));
  EXPECT_FALSE(limits.Take("198.51.100.2"));
  EXPECT_TRUE(limits.Take("198.51.100.3")) << "the rest shares one bucket";
  EXPECT_FALSE(limits.Take("192.0.2.1")) << "who is known does not";
  EXPECT_EQ(limits.known_addresses(), 10U);
  clock.Advance(61s);
  EXPECT_FALSE(limits.Take("198.51.100.3"));
  EXPECT_EQ(limits.known_addresses(), 1U) << "who was quiet is forgotten";
}

}  // namespace
}  // namespace sesior::session
