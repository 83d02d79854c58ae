#include "sesior/websocket/handshake.hpp"

#include <gtest/gtest.h>

namespace sesior::websocket {
namespace {

// The example of RFC 6455 section 1.2.
constexpr std::string_view kKey = "dGhlIHNhbXBsZSBub25jZQ==";

HandshakeRequest Example() { return {"GET", true, "websocket", "Upgrade", kKey, "13"}; }

TEST(Handshake, AcceptsTheExampleOfTheRfc) {
  EXPECT_EQ(Judge(Example()), HandshakeVerdict::kAccepted);
  EXPECT_EQ(AcceptValue(kKey), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST(Handshake, AnswersWithAllThatAClientChecks) {
  EXPECT_EQ(AcceptResponse(kKey, "Set-Cookie: a=1\r\n"),
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSet-Cookie: a=1\r\n\r\n");
}

TEST(Handshake, FindsTokensInListsWhateverTheirCase) {
  HandshakeRequest request = Example();
  request.upgrade = "h2c , WebSocket";
  request.connection = "keep-alive,\tUPGRADE";
  EXPECT_EQ(Judge(request), HandshakeVerdict::kAccepted);
  request.connection = "upgraded";
  EXPECT_EQ(Judge(request), HandshakeVerdict::kNotWebSocket);
}

TEST(Handshake, TakesAnythingElseForAnOrdinaryRequest) {
  for (auto change : {+[](HandshakeRequest& r) { r.method = "POST"; }, +[](HandshakeRequest& r) { r.http_1_1 = false; },
                      +[](HandshakeRequest& r) { r.upgrade = ""; }, +[](HandshakeRequest& r) { r.connection = ""; }}) {
    HandshakeRequest request = Example();
    change(request);
    EXPECT_EQ(Judge(request), HandshakeVerdict::kNotWebSocket);
  }
}

TEST(Handshake, WantsVersion13) {
  HandshakeRequest request = Example();
  for (std::string_view version : {"", "8", "13, 8", "013"}) {
    request.version = version;
    EXPECT_EQ(Judge(request), HandshakeVerdict::kWrongVersion) << version;
  }
}

TEST(Handshake, WantsAKeyOf16Bytes) {
  HandshakeRequest request = Example();
  for (std::string_view key : {"", "abc", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZQ===",
                               "dGhlIHNhbXBsZSBub25jZ!==", "dGhlIHNhbXBsZSBub25jZXE="}) {
    request.key = key;
    EXPECT_EQ(Judge(request), HandshakeVerdict::kInvalidKey) << key;
  }
}

}  // namespace
}  // namespace sesior::websocket
