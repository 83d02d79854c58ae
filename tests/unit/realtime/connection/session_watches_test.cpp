#include "services/realtime/connection/session_watches.hpp"

#include <gtest/gtest.h>

#include <string>

namespace sesior::realtime {
namespace {

TEST(SessionWatches, AsksOnlyForCookiesThatCanHoldASession) {
  const std::string value = "s%3Aabc." + std::string(43, 'x');
  auto plausible = [](const std::string& header) { return SessionWatches::IsPlausible(header, "connect.sid"); };
  EXPECT_TRUE(plausible("connect.sid=" + value));
  EXPECT_TRUE(plausible("a=b; connect.sid=" + value + "; c=d"));
  EXPECT_TRUE(plausible(";; connect.sid =" + value));
  EXPECT_TRUE(plausible("connect.sid=short; connect.sid=" + value));
  EXPECT_FALSE(plausible(""));
  EXPECT_FALSE(plausible("connect.sid"));
  EXPECT_FALSE(plausible("connect.sid=short"));
  EXPECT_FALSE(plausible("Connect.sid=" + value));
  EXPECT_FALSE(plausible("xconnect.sid=" + value));
  EXPECT_FALSE(plausible("a=connect.sid=" + value));
}

}  // namespace
}  // namespace sesior::realtime
