#include "sesior/http/response.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace sesior::http {
namespace {

Request Asked(Method method, int version_minor = 1, bool keep_alive = true) {
  Request request;
  request.method = method;
  request.version_minor = version_minor;
  request.keep_alive = keep_alive;
  return request;
}

TEST(Response, HasHeadersInOrderThenLengthThenBody) {
  Response response(200, "application/json", "{}");
  response.Add("Set-Cookie", "a=1").Add("Set-Cookie", "b=2");
  EXPECT_EQ(response.Serialize(Asked(Method::kGet), false),
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n"
            "Content-Length: 2\r\n\r\n{}");
}

TEST(Response, SaysWhetherTheConnectionStays) {
  const Response response(200);
  const std::string head = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n";
  EXPECT_EQ(response.Serialize(Asked(Method::kGet), false), head + "\r\n");
  EXPECT_EQ(response.Serialize(Asked(Method::kGet), true), head + "Connection: close\r\n\r\n");
  EXPECT_EQ(response.Serialize(Asked(Method::kGet, 1, false), false), head + "Connection: close\r\n\r\n");
  EXPECT_EQ(response.Serialize(Asked(Method::kGet, 0, true), false), head + "Connection: keep-alive\r\n\r\n");
  EXPECT_EQ(response.Serialize(Asked(Method::kGet, 0, false), false), head + "Connection: close\r\n\r\n");
  EXPECT_EQ(response.SerializeAndClose(), head + "Connection: close\r\n\r\n");
}

TEST(Response, HasTheLengthButNoBodyForHead) {
  EXPECT_EQ(Response(404, "text/plain", "gone").Serialize(Asked(Method::kHead), false),
            "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\n");
}

TEST(Response, HasNoContentWhereNoneMayBe) {
  EXPECT_EQ(Response(204).SetBody("x").Serialize(Asked(Method::kPost), false), "HTTP/1.1 204 No Content\r\n\r\n");
  EXPECT_EQ(Response(304).SetBody("x").Serialize(Asked(Method::kGet), false), "HTTP/1.1 304 Not Modified\r\n\r\n");
  EXPECT_EQ(Response(101).Add("Connection", "Upgrade").Serialize(Asked(Method::kGet), false),
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n");
}

TEST(Response, NeverSendsAValueThatWouldEndItsLine) {
  Response response(200);
  response.Add("A", "b\r\nSet-Cookie: x").Add("B", "b\n").Add("C", std::string_view("\0", 1)).Add("D", "d");
  ASSERT_EQ(response.headers().size(), 1u);
  EXPECT_EQ(response.headers()[0].name, "D");
}

TEST(Response, SharesABody) {
  const auto file = std::make_shared<const std::string>("file");
  Response response(200);
  response.SetBody("own").SetBody(file);
  EXPECT_EQ(response.body().data(), file->data());
  EXPECT_EQ(response.SetBody("own").body(), "own");
}

TEST(ReasonPhrase, KnowsTheRegistry) {
  EXPECT_STREQ(ReasonPhrase(412), "Precondition Failed");
  EXPECT_STREQ(ReasonPhrase(431), "Request Header Fields Too Large");
  EXPECT_STREQ(ReasonPhrase(299), "Unknown");
}

}  // namespace
}  // namespace sesior::http
