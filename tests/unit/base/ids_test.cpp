#include "sesior/base/ids.hpp"

#include <set>

#include "gtest/gtest.h"

namespace sesior {
namespace {

TEST(Ids, SessionIdsAreThirtyTwoUrlSafeCharactersAndDiffer) {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const SessionId id = SessionId::Generate();
    EXPECT_EQ(id.text().size(), 32u);
    EXPECT_EQ(id.text().find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
              std::string::npos);
    seen.insert(id.text());
  }
  EXPECT_EQ(seen.size(), 1000u);
}

TEST(Ids, AreMaskedByTheirHash) {
  EXPECT_EQ(Masked("abc"), "h:ba7816bf8f01");
  EXPECT_EQ(Sha1Hex("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
}

}  // namespace
}  // namespace sesior
