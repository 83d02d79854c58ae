#include "sesior/telemetry/log.hpp"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sesior::telemetry {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

std::string Logged(LogFormat format, Level level, std::string_view event, std::initializer_list<Field> fields) {
  ConfigureLog(Level::kInfo, format);
  testing::internal::CaptureStderr();
  Log(level, event, fields);
  return testing::internal::GetCapturedStderr();
}

TEST(Log, WritesKeysAndValues) {
  EXPECT_THAT(Logged(LogFormat::kKeyValue, Level::kInfo, "listening", {{"name", "http"}, {"port", 80}, {"tls", false}}),
              EndsWith("Z level=info event=listening name=http port=80 tls=false\n"));
}

TEST(Log, QuotesSoThatAValueCannotForgeALine) {
  EXPECT_THAT(Logged(LogFormat::kKeyValue, Level::kWarn, "x", {{"text", "a b\nlevel=error \"q\""}, {"none", ""}}),
              HasSubstr("text=\"a b\\u000alevel=error \\\"q\\\"\" none=\"\"\n"));
}

TEST(Log, WritesJson) {
  EXPECT_THAT(Logged(LogFormat::kJson, Level::kError, "x", {{"n", 1}, {"s", "a\"b"}}),
              EndsWith(R"("level":"error","event":"x","n":1,"s":"a\"b"})"
                       "\n"));
}

TEST(Log, LeavesOutWhatIsBelowTheLevel) { EXPECT_EQ(Logged(LogFormat::kKeyValue, Level::kDebug, "x", {}), ""); }

TEST(RateLimit, LetsOneThroughPerInterval) {
  RateLimit limit(3600);
  EXPECT_TRUE(limit.Allow());
  EXPECT_FALSE(limit.Allow());
}

}  // namespace
}  // namespace sesior::telemetry
