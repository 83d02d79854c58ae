#include "services/session/domain/record.hpp"

#include <chrono>

#include "gtest/gtest.h"
#include "sesior/base/error.hpp"

namespace sesior::session {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

TEST(Record, IsNewAsConnectRedisWritesIt) {
  CookieAttributes cookie;
  EXPECT_EQ(NewRecord(cookie, 0), R"({"cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"}})");
  cookie.max_age = 60000ms;
  cookie.same_site = CookieAttributes::SameSite::kLax;
  EXPECT_EQ(NewRecord(cookie, 1795405018952),
            R"({"cookie":{"originalMaxAge":60000,"expires":"2026-11-23T03:37:58.952Z","httpOnly":true,"path":"/",)"
            R"("sameSite":"lax"}})");
  cookie = {.name = "n",
            .path = "/app",
            .domain = "example.com",
            .max_age = {},
            .http_only = false,
            .secure = true,
            .partitioned = true,
            .same_site = CookieAttributes::SameSite::kNone,
            .priority = CookieAttributes::Priority::kHigh};
  EXPECT_EQ(NewRecord(cookie, 0),
            R"({"cookie":{"originalMaxAge":null,"partitioned":true,"priority":"high","expires":null,"secure":true,)"
            R"("httpOnly":false,"domain":"example.com","path":"/app","sameSite":"none"}})");
}

TEST(Record, TakesAnotherCookieAndKeepsTheRestByteForByte) {
  EXPECT_EQ(*WithCookie(R"({"a":1.10, "cookie":{"path":"/"},"b":[ ]})", R"({"path":"/x"})"),
            R"({"a":1.10,"cookie":{"path":"/x"},"b":[ ]})");
  EXPECT_EQ(*WithCookie(R"({"\u0063ookie":{}})", R"({"path":"/x"})"), R"({"\u0063ookie":{"path":"/x"}})");
  EXPECT_EQ(ReasonOf(WithCookie("[]", "{}").status()), "RECORD_CORRUPT");
}

TEST(Record, NeedsACookieObject) {
  for (const char* bad : {"", "{}", "[]", "1", "\"x\"", R"({"userName":"u"})", R"({"cookie":null})", "x",
                          R"({"cookie":[]})", R"({"cookie":{},"cookie":1})"}) {
    EXPECT_EQ(InspectRecord(bad).status().code(), absl::StatusCode::kDataLoss) << bad;
  }
  EXPECT_TRUE(InspectRecord(R"({"cookie":{}})").ok());
  EXPECT_TRUE(IsAbsentRecord(""));
  EXPECT_TRUE(IsAbsentRecord("null"));
  EXPECT_FALSE(IsAbsentRecord("{}"));
}

TEST(Record, LivesAsLongAsItsOriginalMaxAgeSays) {
  const auto idle = [](const char* record) { return IdleLimit(*InspectRecord(record), 86400s); };
  EXPECT_EQ(idle(R"({"cookie":{"originalMaxAge":60000}})"), 60000ms);
  EXPECT_EQ(idle(R"({"cookie":{"originalMaxAge":6e4}})"), 60000ms);
  EXPECT_EQ(idle(R"({"cookie":{"originalMaxAge":null}})"), 86400s);
  EXPECT_EQ(idle(R"({"cookie":{}})"), 86400s);
  EXPECT_EQ(idle(R"({"cookie":{"originalMaxAge":-5}})"), 86400s);
  EXPECT_EQ(idle(R"({"cookie":{"originalMaxAge":1e300}})"), 86400s);
  EXPECT_EQ(idle(R"({"cookie":{"originalMaxAge":"60000"}})"), 86400s);
}

TEST(Record, ShowsTheApplicationAllButTheCookie) {
  EXPECT_EQ(InspectRecord(R"({"cookie":{"path":"/"},"a":1.10, "b": [ ]})")->data_json, R"({"a":1.10,"b":[ ]})");
  EXPECT_EQ(InspectRecord(R"({"\u0063ookie":{}})")->data_json, "{}");
}

TEST(Record, GivesOneMemberAsString) {
  const char* record = R"({"cookie":{},"userName":"a\u00e9","n":1,"bad":"\ud800"})";
  EXPECT_EQ(StringMember(record, "userName"), "a\xc3\xa9");
  EXPECT_FALSE(StringMember(record, "n"));
  EXPECT_FALSE(StringMember(record, "absent"));
  EXPECT_FALSE(StringMember(record, "bad"));
  EXPECT_FALSE(StringMember("[", "a"));
}

TEST(Record, KnowsTheNamesThatExpressCannotLoad) {
  for (const char* name : {"id",
                           "req",
                           "cookie",
                           "touch",
                           "resetMaxAge",
                           "save",
                           "reload",
                           "destroy",
                           "regenerate",
                           "constructor",
                           "toString",
                           "toLocaleString",
                           "valueOf",
                           "hasOwnProperty",
                           "isPrototypeOf",
                           "propertyIsEnumerable",
                           "__proto__",
                           "__defineGetter__",
                           "__defineSetter__",
                           "__lookupGetter__",
                           "__lookupSetter__"}) {
    EXPECT_TRUE(IsReservedMember(name)) << name;
  }
  for (const char* name : {"", "userName", "__v", "_sesior", "Cookie", "ids"}) {
    EXPECT_FALSE(IsReservedMember(name)) << name;
  }
}

}  // namespace
}  // namespace sesior::session
