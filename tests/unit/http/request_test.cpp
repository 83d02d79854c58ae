#include "sesior/http/request.hpp"

#include <gtest/gtest.h>

namespace sesior::http {
namespace {

TEST(Request, FindsAHeaderInAnyCase) {
  Request request;
  request.headers = {{"Cookie", "a=1"}, {"X", "y"}, {"cookie", "b=2"}};
  ASSERT_NE(request.Find("COOKIE"), nullptr);
  EXPECT_EQ(*request.Find("COOKIE"), "a=1");
  EXPECT_EQ(request.Find("Cooki"), nullptr);
  EXPECT_EQ(request.Joined("cookie", "; "), "a=1; b=2");
  EXPECT_EQ(request.Joined("x", "; "), "y");
  EXPECT_EQ(request.Joined("z", "; "), std::nullopt);
}

TEST(EqualsIgnoreCase, FoldsAsciiLettersOnly) {
  EXPECT_TRUE(EqualsIgnoreCase("aZ-", "Az-"));
  EXPECT_FALSE(EqualsIgnoreCase("a", "ab"));
  EXPECT_FALSE(EqualsIgnoreCase("[", "{"));
  EXPECT_FALSE(EqualsIgnoreCase("\xc3\x89", "\xc3\xa9"));
}

TEST(HasToken, ComparesWholeElements) {
  EXPECT_TRUE(HasToken("Upgrade", "upgrade"));
  EXPECT_TRUE(HasToken("keep-alive,\tUpgrade ", "upgrade"));
  EXPECT_FALSE(HasToken("upgraded, not upgrade", "upgrade"));
  EXPECT_FALSE(HasToken("", "upgrade"));
}

}  // namespace
}  // namespace sesior::http
