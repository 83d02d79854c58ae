#include "sesior/socketio/json_text.hpp"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "sesior/socketio/json.hpp"

namespace sesior::socketio {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using namespace std::string_literals;

std::string Nested(int depth) {
  return std::string(static_cast<std::size_t>(depth), '[') + std::string(static_cast<std::size_t>(depth), ']');
}

TEST(JsonText, AcceptsWhatJsonParseAccepts) {
  const std::string cases[] = {
      "null",
      "true",
      "false",
      "0",
      "-0",
      "12",
      "-1.5e+10",
      "1E5",
      "0.001",
      "1e999",
      R"("")",
      R"("a\"b\\\/\b\f\n\r\t")",
      R"("\u00e9\ud83d\ude00")",
      R"("\ud800")",
      R"("\udc00x")",
      "\"\xc3\xa9\xf0\x9f\x98\x80\xef\xbf\xbf\"",
      "[]",
      "{}",
      " [ 1 , 2 ] ",
      "\t{\r\n\"a\" : [ { } ] , \"a\":1}",
      "\"\x7f\"",
      "[[],{},[[]]]",
      Nested(kMaxJsonDepth),
      "123456789012345678901234567890",
  };
  for (const std::string& text : cases) EXPECT_TRUE(JsonValue::Parse(text)) << text;
}

TEST(JsonText, RefusesWhatJsonParseRefuses) {
  const std::string cases[] = {
      "",
      " ",
      "nul",
      "nullx",
      "True",
      "01",
      "-",
      "+1",
      ".5",
      "1.",
      "1e",
      "1e+",
      "0x1",
      "--1",
      "NaN",
      "Infinity",
      "'a'",
      "\"",
      "\"a",
      "\"\\",
      "\"\\x\"",
      "\"\\u12\"",
      "\"\\u12g4\"",
      "\"a\nb\"",
      "\"\x01\"",
      "\"\0\""s,
      "[",
      "[1",
      "[1,",
      "[1,]",
      "[,1]",
      "[1 2]",
      "]",
      "{",
      "{\"a\"",
      "{\"a\":",
      "{\"a\":1",
      "{\"a\":1,}",
      "{a:1}",
      "{1:1}",
      "{\"a\" 1}",
      "{,}",
      "1 2",
      "[] []",
      "[}",
      "null\0"s,
      "\xef\xbb\xbf[]",
      "// c\n1",
      // not UTF-8: stray, cut, overlong, surrogate, beyond U+10FFFF
      "\"\x80\"",
      "\"\xc3\"",
      "\"\xc0\xaf\"",
      "\"\xe0\x80\xaf\"",
      "\"\xed\xa0\x80\"",
      "\"\xf4\x90\x80\x80\"",
      "\"\xf0\x9f\x98\"",
      "\"\xff\"",
      "\"\xf0\x80\x80\xaf\"",
      Nested(kMaxJsonDepth + 1),
      Nested(100000),
      std::string(1000000, '['),
  };
  for (const std::string& text : cases) EXPECT_FALSE(JsonValue::Parse(text)) << text.substr(0, 20);
}

TEST(JsonText, SlicesAnArrayWithoutTheBlanksAroundItsElements) {
  JsonValue::Elements elements;
  ASSERT_TRUE(ParseJsonArray(" [ \"a\" , 1 ,{\"b\": [2, 3]} , [ ] ,null ] ", elements));
  EXPECT_THAT(elements, ElementsAre("\"a\"", "1", "{\"b\": [2, 3]}", "[ ]", "null"));
  ASSERT_TRUE(ParseJsonArray("[]", elements));
  EXPECT_THAT(elements, IsEmpty());
  for (const char* text : {"{}", "1", "[1]x", "[1", "[1,]", "", "[1][2]"})
    EXPECT_FALSE(ParseJsonArray(text, elements)) << text;
  EXPECT_TRUE(ParseJsonArray(Nested(kMaxJsonDepth), elements));
  EXPECT_FALSE(ParseJsonArray(Nested(kMaxJsonDepth + 1), elements));
}

TEST(JsonText, ChecksPlaceholdersWhereverTheyAre) {
  struct Case {
    const char* text;
    bool valid;  // with two attachments
  };
  const Case cases[] = {
      {R"([{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}])", true},
      {R"([{"num":1,"_placeholder":true}])", true},
      {R"([[[{"a":{"_placeholder":true,"num":1}}]]])", true},
      {R"([{"_placeholder":true,"num":2}])", false},
      {R"([{"a":[{"_placeholder":true,"num":2}]}])", false},
      {R"([{"_placeholder":true,"num":-1}])", false},
      {R"([{"_placeholder":true,"num":0.5}])", false},
      {R"([{"_placeholder":true,"num":"0"}])", false},
      {R"([{"_placeholder":true,"num":null}])", false},
      {R"([{"_placeholder":true}])", false},
      {R"([{"_placeholder":false,"num":9}])", true},
      {R"([{"_placeholder":1,"num":9}])", true},
      {R"([{"num":9}])", true},
      {R"([{"\u005fplaceholder":true,"n\u0075m":9}])", false},
      {R"([{"_placeholder":true,"num":9,"num":0}])", true},  // the last one counts
      {R"([{"_placeholder":true,"_placeholder":0,"num":9}])", true},
      {R"([{"_placeholder":true,"num":1.0}])", true},
      {R"([{"_placeholder":true,"num":1e400}])", false},
  };
  for (const Case& c : cases) {
    JsonValue::Elements elements;
    EXPECT_EQ(ParseJsonArray(c.text, elements, 2), c.valid) << c.text;
    EXPECT_TRUE(ParseJsonArray(c.text, elements)) << c.text;
  }
}

TEST(JsonValue, KnowsItsKind) {
  EXPECT_EQ(JsonValue("null").kind(), JsonKind::kNull);
  EXPECT_EQ(JsonValue("true").kind(), JsonKind::kBool);
  EXPECT_EQ(JsonValue("-1").kind(), JsonKind::kNumber);
  EXPECT_EQ(JsonValue("\"\"").kind(), JsonKind::kString);
  EXPECT_EQ(JsonValue("[]").kind(), JsonKind::kArray);
  EXPECT_EQ(JsonValue("{}").kind(), JsonKind::kObject);
  EXPECT_TRUE(JsonValue().is_null());
}

TEST(JsonValue, ReadsNumbers) {
  EXPECT_EQ(JsonValue("42").AsInt(), 42);
  EXPECT_EQ(JsonValue("-7").AsInt(), -7);
  EXPECT_EQ(JsonValue("9223372036854775807").AsInt(), INT64_MAX);
  EXPECT_EQ(JsonValue("1e3").AsInt(), 1000);
  EXPECT_EQ(JsonValue("2.0").AsInt(), 2);
  EXPECT_EQ(JsonValue("9223372036854775808").AsInt(), std::nullopt);
  EXPECT_EQ(JsonValue("1.5").AsInt(), std::nullopt);
  EXPECT_EQ(JsonValue("1e300").AsInt(), std::nullopt);
  EXPECT_EQ(JsonValue("\"1\"").AsInt(), std::nullopt);
  EXPECT_EQ(JsonValue("1.5").AsDouble(), 1.5);
  EXPECT_EQ(JsonValue("1e999").AsDouble(), std::nullopt);
  EXPECT_EQ(JsonValue("true").AsBool(), true);
  EXPECT_EQ(JsonValue("0").AsBool(), std::nullopt);
}

TEST(JsonValue, ReadsStrings) {
  EXPECT_EQ(JsonValue(R"("a\"\\\/\b\f\n\r\tz")").AsString(), "a\"\\/\b\f\n\r\tz");
  EXPECT_EQ(JsonValue(R"("\u0041\u00e9\u20ac\ud83d\ude00\u0000")").AsString(),
            "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\0"s);
  EXPECT_EQ(JsonValue("\"\xc3\xa9\"").AsString(), "\xc3\xa9");
  EXPECT_EQ(JsonValue("\"plain\"").AsPlainString(), "plain");
  EXPECT_EQ(JsonValue(R"("a\nb")").AsPlainString(), std::nullopt);
  // A lone surrogate is let pass, but is no text.
  for (const char* text :
       {R"("\ud800")", R"("\udc00")", R"("\ud800x")", R"("\ud800\n")", R"("\ud800\ud800")", R"("\ud83d\u0041")"}) {
    EXPECT_TRUE(JsonValue::Parse(text)) << text;
    EXPECT_EQ(JsonValue(text).AsString(), std::nullopt) << text;
  }
  EXPECT_EQ(JsonValue("1").AsString(), std::nullopt);
}

TEST(JsonValue, FindsTheLastMemberOfAName) {
  const JsonValue value(R"({"a":1,"b":{"a":2},"\u0063":3, "a" : 4 })");
  EXPECT_EQ(value.Member("a")->text(), "4");
  EXPECT_EQ(value.Member("b")->Member("a")->text(), "2");
  EXPECT_EQ(value.Member("c")->text(), "3");
  EXPECT_FALSE(value.Member("d"));
  EXPECT_FALSE(JsonValue("[1]").Member("0"));
  EXPECT_THAT(JsonValue("[1, [2]]").Items(), ElementsAre("1", "[2]"));
  EXPECT_THAT(JsonValue(R"({ "a" : 1, "b":[]})").Items(), ElementsAre("\"a\"", "1", "\"b\"", "[]"));
  EXPECT_THAT(JsonValue("{ }").Items(), IsEmpty());
  EXPECT_THAT(JsonValue("1").Items(), IsEmpty());
}

TEST(JsonText, QuotesAnyText) {
  EXPECT_EQ(JsonString("a\"\\\n\r\t\x01\x1f/\xc3\xa9"), R"("a\"\\\n\r\t\u0001\u001f/)"
                                                        "\xc3\xa9\"");
  EXPECT_EQ(JsonString("x\xffy\xc3"), "\"x\xef\xbf\xbdy\xef\xbf\xbd\"");
  EXPECT_EQ(JsonString(""), "\"\"");
}

TEST(JsonText, KnowsUtf8) {
  EXPECT_TRUE(IsValidUtf8(""));
  EXPECT_TRUE(IsValidUtf8("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"));
  EXPECT_FALSE(IsValidUtf8("\xed\xa0\x80"));
  EXPECT_FALSE(IsValidUtf8("a\xc3"));
}

TEST(Json, MakesText) {
  EXPECT_EQ(
      Json::Array(nullptr, true, 7, -1.5, "a\"b", std::string("c"), Json::Object({{"x", 1}, {"y", Json::Array()}}))
          .text(),
      R"([null,true,7,-1.5,"a\"b","c",{"x":1,"y":[]}])");
  EXPECT_EQ(Json::Array(JsonValue("{\"n\": 12345678901234567890}")).text(), "[{\"n\": 12345678901234567890}]");
  EXPECT_EQ(Json(1.0 / 0.0).text(), "null");
  EXPECT_EQ(Json(0.1).text(), "0.1");
  EXPECT_EQ(Json(1e300).text(), "1e+300");
  EXPECT_EQ(Json::Object({}).text(), "{}");
  EXPECT_EQ(Json("\xff").text(), "\"\xef\xbf\xbd\"");
}

TEST(Json, NumbersItsBinariesWhereverTheyStand) {
  const Json inner = Json::Object({{"a", Json::Binary("A")}, {"list", Json::Array(1, Json::Binary("B"))}});
  const Json outer = Json::Array(Json::Binary("0"), inner, "x", inner);
  EXPECT_EQ(
      outer.text(),
      R"([{"_placeholder":true,"num":0},{"a":{"_placeholder":true,"num":1},"list":[1,{"_placeholder":true,"num":2}]},)"
      R"("x",{"a":{"_placeholder":true,"num":3},"list":[1,{"_placeholder":true,"num":4}]}])");
  EXPECT_EQ(std::vector<std::string>(outer.attachments().begin(), outer.attachments().end()),
            (std::vector<std::string>{"0", "A", "B", "A", "B"}));
  EXPECT_EQ(outer.value().attachments()[4], "B");
  std::vector<Json> many(12, Json::Binary("x"));
  EXPECT_TRUE(Json::Array(0, Json::ArrayOf(many)).text().ends_with(R"("num":10},{"_placeholder":true,"num":11}]])"));
}

TEST(Json, PassesArgumentsOnWithTheirBinaries) {
  const std::string attachments[] = {"A", "B", "C"};
  const std::string_view text =
      R"([{"num":2,"_placeholder":true},{"_placeholder":true,"num": 1e0,"x":{"_placeholder":true,"num":2}},{"num":7},)"
      R"({"_placeholder":true,"num":2}])";
  const Json json(Argument(JsonValue(text), attachments));
  EXPECT_EQ(
      json.text(),
      R"([{"num":0,"_placeholder":true},{"_placeholder":true,"num": 1,"x":{"_placeholder":true,"num":0}},{"num":7},)"
      R"({"_placeholder":true,"num":0}])");
  ASSERT_EQ(json.attachments().size(), 2u);  // what is meant twice is there once
  EXPECT_EQ(json.attachments()[0], "C");
  EXPECT_EQ(json.attachments()[1], "B");
  // Without attachments it is an object like any other.
  EXPECT_EQ(Json(Argument(JsonValue(R"({"_placeholder":true,"num":9})"), {})).text(),
            R"({"_placeholder":true,"num":9})");
}

}  // namespace
}  // namespace sesior::socketio
