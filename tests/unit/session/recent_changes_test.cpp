#include "services/session/domain/recent_changes.hpp"

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sesior::session {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::int64_t kNow = 1'795'405'018'952;

TEST(RecentChanges, KnowAStaleCopy) {
  const std::string before = R"({"cookie":{},"name":"ann","n":1,"gone":0})";
  const std::string after = R"({"cookie":{},"name":"bob","n":1,"new":[2]})";
  const std::string recent = NoteChanges("", before, after, kNow);
  EXPECT_THAT(SetBack(recent, before, kNow), ElementsAre("name", "gone", "new"));
  EXPECT_THAT(SetBack(recent, after, kNow), IsEmpty());
  EXPECT_THAT(SetBack(recent, R"({"cookie":{},"name":"ann","gone":1,"new":[2]})", kNow), ElementsAre("name"));
  EXPECT_THAT(SetBack(recent, R"({"name":"cat","new":3})", kNow), IsEmpty()) << "values of their own";
  EXPECT_THAT(SetBack(ForgetChanges(recent, {"name", "gone"}), before, kNow), ElementsAre("new"));
}

TEST(RecentChanges, AreForgottenAfterTwoMinutes) {
  const std::string recent = NoteChanges("", R"({"a":1})", R"({"a":2})", kNow);
  EXPECT_THAT(SetBack(recent, R"({"a":1})", kNow + 118'000), ElementsAre("a"));
  EXPECT_THAT(SetBack(recent, R"({"a":1})", kNow + 121'000), IsEmpty());
  EXPECT_EQ(NoteChanges(recent, R"({"b":1})", R"({"b":1})", kNow + 121'000), "");
}

TEST(RecentChanges, KnowCopiesOfSeveralAges) {
  std::string recent;
  for (int i = 0; i < 3; ++i) {
    recent = NoteChanges(recent, absl::StrCat("{\"a\":", i, "}"), absl::StrCat("{\"a\":", i + 1, "}"), kNow + i);
  }
  for (const char* old : {R"({"a":0})", R"({"a":1})", R"({"a":2})"}) {
    EXPECT_THAT(SetBack(recent, old, kNow), ElementsAre("a")) << old;
  }
  EXPECT_THAT(SetBack(recent, R"({"a":3})", kNow), IsEmpty());
  // There and back again: the present value is no stale one.
  recent = NoteChanges(recent, R"({"a":3})", R"({"a":1})", kNow);
  EXPECT_THAT(SetBack(recent, R"({"a":1})", kNow), IsEmpty());
  EXPECT_THAT(SetBack(recent, R"({"a":3})", kNow), ElementsAre("a"));
}

TEST(RecentChanges, AreBounded) {
  std::string before = "{";
  std::string after = "{";
  for (int i = 0; i < 3000; ++i) {
    absl::StrAppend(&before, "\"m", i, "\":0,");
    absl::StrAppend(&after, "\"m", i, "\":1,");
  }
  before.back() = after.back() = '}';
  const std::string recent = NoteChanges("", before, after, kNow);
  EXPECT_EQ(SetBack(recent, before, kNow).size(), 6U);
  EXPECT_LT(recent.size(), 400U);
  const std::string long_name(65, 'x');
  EXPECT_EQ(NoteChanges("", "{}", absl::StrCat("{\"", long_name, "\":1}"), kNow), "");
}

TEST(RecentChanges, SurviveTextsThatAreNone) {
  for (const char* text :
       {"x", "\x1f\x1e", "1\x1f-\x1f-\x1f\x1e", "9999999999\x1f-\x1f-\x1f\"\"\x1e", "\x1e\x1e\x1e"}) {
    SetBack(text, R"({"a":1})", kNow);
    NoteChanges(text, R"({"a":1})", R"({"a":2})", kNow);
  }
  const std::string recent = NoteChanges("", R"({"a":1})", R"({"a":2})", kNow);
  EXPECT_THAT(SetBack(recent, "not json", kNow), IsEmpty());
  EXPECT_EQ(NoteChanges(recent, "[]", "{}", kNow), "");
}

}  // namespace
}  // namespace sesior::session
