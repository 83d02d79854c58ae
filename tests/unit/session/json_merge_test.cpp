#include "services/session/domain/json_merge.hpp"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "sesior/base/error.hpp"

namespace sesior::session {
namespace {

std::string Merged(std::string_view record, std::string_view patch) {
  const absl::StatusOr<std::string> result = MergePatch(record, patch, {});
  return result.ok() ? *result : absl::StrCat("error: ", result.status().ToString());
}

struct Row {
  const char* record;
  const char* patch;
  const char* result;
};

TEST(MergePatch, DoesWhatRfc7396Says) {
  for (const Row& row : std::vector<Row>{
           // The examples of its appendix, as far as both are objects.
           {R"({"a":"b"})", R"({"a":"c"})", R"({"a":"c"})"},
           {R"({"a":"b"})", R"({"b":"c"})", R"({"a":"b","b":"c"})"},
           {R"({"a":"b"})", R"({"a":null})", R"({})"},
           {R"({"a":"b","b":"c"})", R"({"a":null})", R"({"b":"c"})"},
           {R"({"a":["b"]})", R"({"a":"c"})", R"({"a":"c"})"},
           {R"({"a":"c"})", R"({"a":["b"]})", R"({"a":["b"]})"},
           {R"({"a":{"b":"c"}})", R"({"a":{"b":"d","c":null}})", R"({"a":{"b":"d"}})"},
           {R"({"a":[{"b":"c"}]})", R"({"a":[1]})", R"({"a":[1]})"},
           {R"({"e":null})", R"({"a":1})", R"({"e":null,"a":1})"},
           {R"({})", R"({"a":{"bb":{"ccc":null}}})", R"({"a":{"bb":{}}})"},
           {R"({"a":1})", R"({"a":{"b":null,"c":2}})", R"({"a":{"c":2}})"},
       }) {
    EXPECT_EQ(Merged(row.record, row.patch), row.result) << row.record << " + " << row.patch;
  }
}

TEST(MergePatch, KeepsTheRestByteForByte) {
  const std::string record =
      R"({"cookie":{"originalMaxAge":60000,"expires":"2026-11-23T03:37:58.952Z","httpOnly":true,"path":"/"},)"
      R"("n":1.10,"big":12345678901234567890,"huge":1e400,"list":[ 1, 2 ],"nest":{"x": 1.0, "y": "\u00e9"},"e":[]})";
  EXPECT_EQ(Merged(record, R"({"userName":"ann"})"), record.substr(0, record.size() - 1) + R"(,"userName":"ann"})");
  EXPECT_EQ(Merged(record, R"({"nest":{}})"), record);
  EXPECT_EQ(Merged(record, R"({"absent":null,"nest":{"z":null,"x":1.0}})"), record) << "nothing changes";
  EXPECT_EQ(Merged(" { \"a\" : 1 } ", "{}"), " { \"a\" : 1 } ");
  EXPECT_EQ(Merged(R"({"a":{"x": 1},"b":2})", R"({"a":{"x":1},"b":3})"), R"({"a":{"x": 1},"b":3})");
}

TEST(MergePatch, TreatsDuplicateAndEscapedNamesAsJavaScriptDoes) {
  EXPECT_EQ(Merged(R"({"a":1,"b":2,"a":3})", R"({"b":4})"), R"({"a":3,"b":4})");
  EXPECT_EQ(Merged(R"({"\u0061":1})", R"({"a":2})"), R"({"\u0061":2})");
  EXPECT_EQ(Merged(R"({"a":1})", R"({"\u0061":null})"), R"({})");
  EXPECT_EQ(Merged(R"({"a":1})", R"({"a":null,"a":5})"), R"({"a":5})");
  EXPECT_EQ(Merged(R"({"a":{"x":1}})", R"({"a":{"y":1},"a":{"z":1}})"), R"({"a":{"x":1,"z":1}})");
}

// Found by fuzzing: the text of one name's escapes is the meaning of another name.
TEST(MergePatch, TellsAnEscapeFromTheCharactersItIsWrittenWith) {
  EXPECT_EQ(Merged(R"({"\n":1,"\\n":2})", R"({"\\n":3})"), R"({"\n":1,"\\n":3})");
  EXPECT_EQ(Merged(R"({"\\n":1})", R"({"\n":2})"), R"({"\\n":1,"\n":2})");
}

TEST(MergePatch, FindsMembersInLargeRecordsToo) {
  std::string record = "{";
  std::string patch = "{";
  for (int i = 0; i < 2000; ++i) {
    absl::StrAppend(&record, "\"m", i, "\":0,");
    absl::StrAppend(&patch, "\"m", i, "\":1,");
  }
  record.back() = '}';
  patch.back() = '}';
  EXPECT_EQ(Merged(record, patch), patch);
}

struct BadRow {
  std::string record;
  std::string patch;
  absl::StatusCode code;
  const char* reason;
  const char* field;
};

TEST(MergePatch, NamesWhatIsWrong) {
  const std::string deep = absl::StrCat("{\"a\":", std::string(40, '['), std::string(40, ']'), "}");
  const std::string large = absl::StrCat("{\"a\":\"", std::string(65 << 10, 'x'), "\"}");
  using enum absl::StatusCode;
  for (const BadRow& row : std::vector<BadRow>{
           {"{}", "", kInvalidArgument, "INVALID_PATCH", "merge_patch_json"},
           {"{}", "[]", kInvalidArgument, "INVALID_PATCH", "merge_patch_json"},
           {"{}", "null", kInvalidArgument, "INVALID_PATCH", "merge_patch_json"},
           {"{}", "{\"a\":\"\xff\"}", kInvalidArgument, "INVALID_PATCH", "merge_patch_json"},
           {"{}", deep, kInvalidArgument, "INVALID_PATCH", "a"},
           {"{}", R"({"ok":[],"\ud800":)" + deep + "}", kInvalidArgument, "INVALID_PATCH", "merge_patch_json"},
           {"{}", R"({"cookie":{"path":"/x"}})", kInvalidArgument, "RESERVED_MEMBER", "cookie"},
           {"{}", R"({"\u0063ookie":null})", kInvalidArgument, "RESERVED_MEMBER", "cookie"},
           {"{}", R"({"__proto__":{}})", kInvalidArgument, "RESERVED_MEMBER", "__proto__"},
           {"{}", R"({"a":1,"save":1})", kInvalidArgument, "RESERVED_MEMBER", "save"},
           {"{}", R"({"userName":"x"})", kInvalidArgument, "CLAIMED_MEMBER", "userName"},
           {"{}", large, kResourceExhausted, "RECORD_TOO_LARGE", "a"},
           {"[]", "{}", kDataLoss, "RECORD_CORRUPT", ""},
           {"{\"a\":", "{}", kDataLoss, "RECORD_CORRUPT", ""},
       }) {
    const absl::Status status = MergePatch(row.record, row.patch, {}, {"userName"}).status();
    EXPECT_EQ(status.code(), row.code) << status << row.patch.substr(0, 40);
    EXPECT_EQ(DetailsOf(status).reason, row.reason) << row.patch.substr(0, 40);
    EXPECT_EQ(DetailsOf(status).field, row.field) << row.patch.substr(0, 40);
    const bool names_member = status.message().find("\"a\"") != absl::string_view::npos;
    EXPECT_EQ(names_member, row.field == std::string("a")) << status;
  }
  // Reserved names count at the top only.
  EXPECT_EQ(Merged("{}", R"({"a":{"cookie":1}})"), R"({"a":{"cookie":1}})");
}

TEST(MergePatch, LetsARecordThatIsAlreadyTooLargeShrink) {
  const std::string large = absl::StrCat(R"({"keep":1,"a":")", std::string(70 << 10, 'x'), R"(","b":1})");
  EXPECT_EQ(Merged(large, R"({"a":null})"), R"({"keep":1,"b":1})");
  EXPECT_TRUE(MergePatch(large, R"({"b":2})", {}).ok());
  EXPECT_FALSE(MergePatch(large, R"({"b":22})", {}).ok());
}

}  // namespace
}  // namespace sesior::session
