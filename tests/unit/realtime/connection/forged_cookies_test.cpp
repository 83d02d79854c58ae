#include "services/realtime/connection/forged_cookies.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace sesior::realtime {
namespace {

using std::chrono::seconds;

const ForgedCookies::Time kNow{seconds(1'000'000)};

TEST(ForgedCookies, AreRememberedForAWhile) {
  ForgedCookies forged(seconds(5), 100);
  EXPECT_FALSE(forged.Has("a=b", kNow));
  forged.Remember("a=b", kNow);
  EXPECT_TRUE(forged.Has("a=b", kNow + seconds(4)));
  EXPECT_FALSE(forged.Has("a=c", kNow));
  EXPECT_FALSE(forged.Has("a=b", kNow + seconds(5)));
}

TEST(ForgedCookies, AreBounded) {
  ForgedCookies forged(seconds(5), 3);
  for (const char* header : {"1", "2", "3", "4"}) forged.Remember(header, kNow);
  int kept = 0;
  for (const char* header : {"1", "2", "3", "4"}) kept += forged.Has(header, kNow) ? 1 : 0;
  EXPECT_EQ(kept, 1);
}

}  // namespace
}  // namespace sesior::realtime
