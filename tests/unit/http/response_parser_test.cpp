#include "sesior/http/response_parser.hpp"

#include <gtest/gtest.h>

namespace sesior::http {
namespace {

using Result = ResponseParser::Result;

constexpr ResponseParser::Limits kLimits{200, 100};

// Feeds `bytes` in pieces of this size; the last result.
Result FeedIn(ResponseParser& parser, std::string_view bytes, std::size_t piece, std::string* left = nullptr) {
  Result result = Result::kNeedMore;
  while (!bytes.empty() && result == Result::kNeedMore) {
    std::string_view part = bytes.substr(0, piece);
    bytes.remove_prefix(part.size());
    result = parser.Feed(part);
    if (left != nullptr) *left = std::string(part) + std::string(bytes);
  }
  return result;
}

TEST(ResponseParser, ReadsWhatResponseWrites) {
  Response sent(200, "text/plain", "a body");
  sent.Add("Set-Cookie", "a=1").Add("Set-Cookie", "b=2");
  const std::string bytes = sent.Serialize(Request(), false);
  for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
    ResponseParser parser(kLimits);
    parser.Begin(Method::kGet);
    ASSERT_EQ(FeedIn(parser, bytes, piece), Result::kComplete) << piece;
    EXPECT_TRUE(parser.keep_alive());
    EXPECT_EQ(parser.Take().Serialize(Request(), false), bytes);
  }
}

TEST(ResponseParser, ReadsOneAfterTheOther) {
  const std::string one = "HTTP/1.1 204 No Content\r\nX: 1\r\n\r\n";
  const std::string two = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
  const std::string both = one + two;
  std::string_view rest = both;
  ResponseParser parser(kLimits);
  parser.Begin(Method::kPost);
  ASSERT_EQ(parser.Feed(rest), Result::kComplete);
  EXPECT_EQ(parser.Take().status(), 204);
  EXPECT_EQ(rest, two);
  parser.Begin(Method::kPost);
  EXPECT_TRUE(parser.untouched());
  ASSERT_EQ(parser.Feed(rest), Result::kComplete);
  EXPECT_FALSE(parser.keep_alive());
  EXPECT_EQ(parser.Take().body(), "ok");
}

TEST(ResponseParser, TakesNoBodyForHead) {
  ResponseParser parser(kLimits);
  parser.Begin(Method::kHead);
  EXPECT_EQ(FeedIn(parser, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n", 7), Result::kComplete);
}

TEST(ResponseParser, LeavesWhatFollowsAnUpgrade) {
  const std::string head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";
  for (const std::size_t piece : {std::size_t{1}, std::size_t{9}, std::size_t{1000}}) {
    ResponseParser parser(kLimits);
    parser.Begin(Method::kGet);
    std::string left;
    ASSERT_EQ(FeedIn(parser, head + "frames", piece, &left), Result::kUpgraded);
    EXPECT_EQ(parser.head(), head);
    EXPECT_EQ(left, "frames");
  }
}

TEST(ResponseParser, RefusesWhatItDoesNotWriteItself) {
  for (const std::string& bytes : {
           std::string("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
           std::string("HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"),
           std::string("HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"),
           std::string("HTTP/1.1 100 Continue\r\n\r\n"),
           std::string("HTTP/1.1 200 OK\r\n\r\n"),
           std::string("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n"),
           std::string("HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n"),
           std::string("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
           std::string("HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n"),
           std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
           std::string("HTTP/1.1 200 OK\r\nA: 1\n folded\r\nContent-Length: 0\r\n\r\n"),
           std::string("HTTP/1.1 200 OK\r\nno colon\r\n\r\n"),
           std::string("HTTP/1.1 200 OK\r\nBad Name: x\r\n\r\n"),
           std::string("nonsense\r\n\r\n"),
           std::string("HTTP/1.1 200 OK\r\nA: ") + std::string(200, 'x'),
           std::string("HTTP/1.1 200 OK\r\nA: ") + std::string(200, 'x') + "\r\n\r\n",
       }) {
    for (const std::size_t piece : {std::size_t{1}, std::size_t{1000}}) {
      ResponseParser parser(kLimits);
      parser.Begin(Method::kGet);
      EXPECT_EQ(FeedIn(parser, bytes, piece), Result::kError) << bytes;
    }
  }
}

}  // namespace
}  // namespace sesior::http
