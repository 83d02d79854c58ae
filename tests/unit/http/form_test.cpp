#include "sesior/http/form.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace sesior::http {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

TEST(PercentDecode, DecodesStrictly) {
  EXPECT_EQ(PercentDecode("/a%20b%2f%C3%a9+"), "/a b/\xc3\xa9+");
  EXPECT_EQ(PercentDecode(""), "");
  EXPECT_EQ(PercentDecode("%00"), std::string(1, '\0'));
  for (const char* wrong : {"%", "%4", "a%", "%4g", "%g4", "%%41", "% 41", "%-1"}) {
    EXPECT_EQ(PercentDecode(wrong), std::nullopt) << wrong;
  }
}

TEST(ParseForm, KeepsOrderAndDuplicates) {
  EXPECT_THAT(ParseForm("userName=Ann+B%C3%A9&b=&c&=d&a=1=2&userName=x"),
              ElementsAre(Pair("userName", "Ann B\xc3\xa9"), Pair("b", ""), Pair("c", ""), Pair("", "d"),
                          Pair("a", "1=2"), Pair("userName", "x")));
}

TEST(ParseForm, SkipsEmptyPartsAndKeepsBadEscapes) {
  EXPECT_THAT(ParseForm(""), IsEmpty());
  EXPECT_THAT(ParseForm("&&"), IsEmpty());
  EXPECT_THAT(ParseForm("&a=%&b=%4&%zz=%41&"), ElementsAre(Pair("a", "%"), Pair("b", "%4"), Pair("%zz", "A")));
}

TEST(ParseForm, SeparatorsMayBeEscaped) { EXPECT_THAT(ParseForm("a%3Db=c%26d"), ElementsAre(Pair("a=b", "c&d"))); }

TEST(ParseForm, StopsAtTheLimit) {
  std::string text;
  for (std::size_t i = 0; i <= kMaxFormFields; ++i) text += "a&";
  EXPECT_EQ(ParseForm(text).size(), kMaxFormFields);
}

TEST(FindField, GivesTheFirst) {
  const Form form = ParseForm("a=1&a=2");
  ASSERT_NE(FindField(form, "a"), nullptr);
  EXPECT_EQ(*FindField(form, "a"), "1");
  EXPECT_EQ(FindField(form, "A"), nullptr);
}

}  // namespace
}  // namespace sesior::http
