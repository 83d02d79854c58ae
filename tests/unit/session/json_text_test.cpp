#include "services/session/domain/json_text.hpp"

#include <string>

#include "gtest/gtest.h"

namespace sesior::session {
namespace {

TEST(JsonText, AcceptsWhatIsJson) {
  for (const char* text :
       {"{}", "[]", "null", " true ", "-0", "0.5e+10", "1E400", "12345678901234567890", "\"\"", "\"\\u00e9\\ud800\"",
        "[[],{},[{\"a\":[1,2,{\"b\":null}]}]]", "{\"a\":1,\"a\":2}", "\"\xf0\x9f\x98\x80\"", "\t\r\n[ 1 , 2 ]"}) {
    EXPECT_TRUE(CheckJson(text, kAnyDepth).ok()) << text;
  }
}

TEST(JsonText, RefusesWhatIsNot) {
  for (const char* text :
       {"",      "{",       "}",           "[1,]",   "{\"a\"}",  "{\"a\":}", "{a:1}",        "{\"a\":1,}",
        "01",    "1.",      ".5",          "+1",     "1e",       "-",        "tru",          "nul",
        "\"",    "\"\\x\"", "\"\\u12g4\"", "\"\n\"", "\"\x01\"", "\"\xff\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"",
        "[1 2]", "{} {}",   "[}",          "{]",     "NaN",      "'a'",      "//x\n1",       "\"\\\""}) {
    const absl::Status status = CheckJson(text, kAnyDepth);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
  }
  EXPECT_FALSE(CheckJson(std::string("1\0", 2), kAnyDepth).ok());
}

TEST(JsonText, LimitsDepthWithoutUsingTheStack) {
  EXPECT_TRUE(CheckJson("[[1]]", 2).ok());
  EXPECT_EQ(CheckJson("[[[]]]", 2).code(), absl::StatusCode::kOutOfRange);
  EXPECT_TRUE(JsonMembers("{\"a\":1}", 1).ok());
  EXPECT_EQ(JsonMembers("{\"a\":[]}", 1).status().code(), absl::StatusCode::kOutOfRange);
  const std::string deep(2'000'000, '[');
  EXPECT_EQ(CheckJson(deep, 32).code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(CheckJson(deep, kAnyDepth).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(CheckJson(deep + std::string(deep.size(), ']'), kAnyDepth).ok());
}

TEST(JsonMembers, GivesSlicesOfTheText) {
  const auto members = *JsonMembers("{ \"a\" : 1.10 ,\"b\":{\"c\": [ ] }, \"\\u0064\":\"x\"}", kAnyDepth);
  ASSERT_EQ(members.size(), 3U);
  EXPECT_EQ(members[0].raw_name, "\"a\"");
  EXPECT_EQ(members[0].value, "1.10");
  EXPECT_EQ(members[1].value, "{\"c\": [ ] }");
  EXPECT_EQ(FindMember(members, "d"), "\"x\"");
  EXPECT_FALSE(FindMember(members, "c"));
}

TEST(JsonMembers, LetsTheLastDuplicateCountAtThePlaceOfTheFirst) {
  const auto members = *JsonMembers("{\"a\":1,\"b\":2,\"\\u0061\":3}", kAnyDepth);
  ASSERT_EQ(members.size(), 2U);
  EXPECT_EQ(members[0].value, "3");
  std::string many = "{";
  for (int i = 0; i < 100; ++i) many += "\"m" + std::to_string(i % 50) + "\":" + std::to_string(i) + ",";
  many.back() = '}';
  const auto from_many = *JsonMembers(many, kAnyDepth);
  ASSERT_EQ(from_many.size(), 50U);
  EXPECT_EQ(from_many[7].value, "57");
}

TEST(JsonString, IsDecodedAsInJavaScript) {
  EXPECT_EQ(DecodeJsonString("\"a\\n\\\"\\/\\u00e9\\ud83d\\ude00\""), "a\n\"/\xc3\xa9\xf0\x9f\x98\x80");
  EXPECT_EQ(DecodeJsonString("\"\\ud83d\\u0041\""), "\xed\xa0\xbd\x41") << "a lone surrogate";
  EXPECT_EQ(DecodeJsonString("\"\\ud83d\\\\u\""), "\xed\xa0\xbd\\u") << "no escape behind it";
}

}  // namespace
}  // namespace sesior::session
