#include "sesior/http/etag.hpp"

#include <gtest/gtest.h>

namespace sesior::http {
namespace {

struct Row {
  const char* header;
  const char* etag;
  bool weakly;
  bool strongly;
};

TEST(ETag, Matches) {
  for (const Row& row : {
           Row{"\"a\"", "\"a\"", true, true},
           Row{"\"a\"", "\"b\"", false, false},
           Row{"\"b\", \"a\"", "\"a\"", true, true},
           Row{" ,\t\"b\",,\"a\" ,", "\"a\"", true, true},
           Row{"W/\"a\"", "\"a\"", true, false},
           Row{"\"a\"", "W/\"a\"", true, false},
           Row{"W/\"a\"", "W/\"a\"", true, false},
           Row{"W/\"a\", \"a\"", "\"a\"", true, true},
           Row{"*", "\"a\"", true, true},
           Row{" * ", "W/\"a\"", true, true},
           Row{"*, \"b\"", "\"a\"", false, false},
           Row{"\"b\", *", "\"a\"", false, false},
           Row{"\"*\"", "\"a\"", false, false},
           Row{"\"b,\"a\"", "\"a\"", false, false},
           Row{"\"b\\\", \"a\"", "\"a\"", true, true},
           Row{"a", "\"a\"", false, false},
           Row{"\"a", "\"a\"", false, false},
           Row{"w/\"a\"", "\"a\"", false, false},
           Row{"W/", "\"a\"", false, false},
           Row{"W/ \"a\"", "\"a\"", false, false},
           Row{"", "\"a\"", false, false},
           Row{"\"\"", "\"\"", true, true},
           Row{"\"A\"", "\"a\"", false, false},
       }) {
    EXPECT_EQ(MatchesWeakly(row.header, row.etag), row.weakly) << row.header << " " << row.etag;
    EXPECT_EQ(MatchesStrongly(row.header, row.etag), row.strongly) << row.header << " " << row.etag;
  }
}

}  // namespace
}  // namespace sesior::http
