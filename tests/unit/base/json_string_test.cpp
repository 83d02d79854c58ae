#include "sesior/base/json_string.hpp"

#include <gtest/gtest.h>

namespace sesior {
namespace {

TEST(JsonString, WritesAsJsonStringify) {
  EXPECT_EQ(JsonString(""), R"("")");
  EXPECT_EQ(JsonString("ann"), R"("ann")");
  EXPECT_EQ(JsonString("\"\\/"), R"("\"\\/")");
  EXPECT_EQ(JsonString("a\b\f\n\r\tz"), R"("a\b\f\n\r\tz")");
  EXPECT_EQ(JsonString(std::string("\0\x1f\x7f", 3)), "\"\\u0000\\u001f\x7f\"");
  EXPECT_EQ(JsonString("\xf0\x9f\x98\x80\xe2\x80\xa8"), "\"\xf0\x9f\x98\x80\xe2\x80\xa8\"");
}

TEST(JsonString, AppendsToWhatIsThere) {
  std::string out = "x:";
  AppendJsonString(out, "y");
  EXPECT_EQ(out, "x:\"y\"");
}

}  // namespace
}  // namespace sesior
