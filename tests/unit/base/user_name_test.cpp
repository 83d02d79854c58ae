#include "sesior/base/user_name.hpp"

#include <gtest/gtest.h>

#include "sesior/base/error.hpp"

namespace sesior {
namespace {

std::string Times(int count, std::string_view text) {
  std::string out;
  for (int i = 0; i < count; ++i) out += text;
  return out;
}

TEST(UserName, TakesAndTrimsAsTheTableSays) {
  const struct {
    std::string given;
    std::string stored;
  } cases[] = {
      {"ann", "ann"},
      {"1", "1"},
      {"  ann \t\r\n\v\f", "ann"},
      {"\xef\xbb\xbf\xc2\xa0\xe1\x9a\x80\xe2\x80\x80 ann "
       "\xe2\x80\x8a\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaf\xe2\x81\x9f\xe3\x80\x80",
       "ann"},
      {"a b", "a b"},
      {"a\xe2\x80\xa8"
       "b",
       "a\xe2\x80\xa8"
       "b"},  // U+2028 inside stays
      {"\xe2\x80\x8b"
       "a",
       "\xe2\x80\x8b"
       "a"},  // U+200B is no white space
      {"__proto__", "__proto__"},
      {"<b>\"x\"\\</b>", "<b>\"x\"\\</b>"},
      {"e\xcc\x81", "e\xcc\x81"},  // no normalisation
      {Times(64, "\xf0\x9f\x98\x80"), Times(64, "\xf0\x9f\x98\x80")},
      {Times(100, " ") + Times(64, "x") + Times(100, " "), Times(64, "x")},
      {"\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf"},  // U+10FFFF
  };
  for (const auto& c : cases) {
    const absl::StatusOr<std::string> name = ValidateUserName(c.given);
    ASSERT_TRUE(name.ok()) << c.given << ": " << name.status();
    EXPECT_EQ(*name, c.stored);
  }
}

TEST(UserName, RefusesAsTheTableSays) {
  const struct {
    std::string given;
    std::string message;
  } cases[] = {
      {"", "userName must not be empty"},
      {" \t\xc2\xa0\xef\xbb\xbf ", "userName must not be empty"},
      {Times(65, "x"), "userName must have at most 64 characters"},
      {Times(65, "\xf0\x9f\x98\x80"), "userName must have at most 64 characters"},
      {"x" + Times(63, " ") + "x", "userName must have at most 64 characters"},
      {std::string("a\0b", 3), "userName must not contain control characters"},
      {"a\nb", "userName must not contain control characters"},
      {"a\x7f", "userName must not contain control characters"},
      {"\xc2\x85"
       "a",
       "userName must not contain control characters"},
      {"\xc2\x9f", "userName must not contain control characters"},
      {"\xff", "userName must be valid UTF-8"},
      {"a\xed\xa0\x80", "userName must be valid UTF-8"},  // a surrogate
      {"\xc0\xaf", "userName must be valid UTF-8"},       // overlong
      {"\xe0\x80\xaf", "userName must be valid UTF-8"},
      {"\xf4\x90\x80\x80", "userName must be valid UTF-8"},  // beyond U+10FFFF
      {"a\xe2\x82", "userName must be valid UTF-8"},         // cut off
      {"a\x80", "userName must be valid UTF-8"},
  };
  for (const auto& c : cases) {
    const absl::Status status = ValidateUserName(c.given).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.given;
    EXPECT_EQ(status.message(), c.message) << c.given;
    EXPECT_EQ(DetailsOf(status).field, "userName");
  }
}

}  // namespace
}  // namespace sesior
