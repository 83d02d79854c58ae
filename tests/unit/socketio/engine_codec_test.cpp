// Engine.IO's handshake and HTTP as engine.io 6.6 behaves: one case for each rule that a codec can decide.
#include "sesior/socketio/engine_codec.hpp"

#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace sesior::socketio {
namespace {

using namespace std::string_literals;

std::string Show(const EnginePacket& packet) {
  return std::to_string(static_cast<int>(packet.type)) + (packet.binary ? "b:" : ":") + std::string(packet.data);
}

TEST(EnginePacket, IsATypeDigitAndData) {
  struct Case {
    std::string text;
    std::string expected;  // empty: no packet
  };
  const Case cases[] = {
      {"0{}", "0:{}"}, {"1", "1:"},           {"2probe", "2:probe"},
      {"3", "3:"},     {"4hello", "4:hello"}, {"4", "4:"},
      {"5", "5:"},     {"6", "6:"},           {"7", ""},
      {"", ""},        {"abc", ""},           {"bAQIDBA==", "4b:\1\2\3\4"},
      {"b", "4b:"},    {"bAQI", ""},          {"b!", ""},
      {"-1", ""},      {"\xff", ""},
  };
  for (const Case& c : cases) {
    std::string decoded;
    const std::optional<EnginePacket> packet = ParseEnginePacket(c.text, decoded);
    EXPECT_EQ(packet ? Show(*packet) : "", c.expected) << c.text;
  }
}

TEST(Payload, IsPacketsJoinedBySeparators) {
  struct Case {
    std::string body;
    std::vector<std::string> packets;
    bool failed;
  };
  const Case cases[] = {
      {"4hello", {"4:hello"}, false},
      {"4test1\x1e"
       "4test2\x1e"
       "4test3",
       {"4:test1", "4:test2", "4:test3"},
       false},
      {"4hello\x1e"
       "bAQIDBA==",
       {"4:hello", "4b:\1\2\3\4"},
       false},
      {"", {}, true},  // an empty body holds an empty packet
      {"abc", {}, true},
      {"4a\x1e", {"4:a"}, true},  // no trailing separator
      {"\x1e"
       "4a",
       {},
       true},
      {"4a\x1e"
       "9\x1e"
       "4b",
       {"4:a"},
       true},  // nothing is read behind an error
      {"4a\x1e"
       "bAQ=\x1e"
       "4b",
       {"4:a"},
       true},  // broken base64
      {"4\0"s, {"4:\0"s}, false},
  };
  for (const Case& c : cases) {
    PayloadReader reader(c.body);
    std::vector<std::string> packets;
    while (reader.Next()) packets.push_back(Show(reader.packet()));
    EXPECT_EQ(packets, c.packets) << c.body;
    EXPECT_EQ(reader.failed(), c.failed) << c.body;
    EXPECT_FALSE(reader.Next()) << c.body;
  }
}

TEST(Payload, TakesWholeFramesWithTheirAttachments) {
  std::string wire;
  Frame::AppendText(wire, "451-[{\"_placeholder\":true,\"num\":0}]");
  Frame::AppendBinary(wire, "\1\2\3\4");
  std::string payload;
  AppendToPayload(*Frame::Text("2"), payload);
  AppendToPayload(Frame(wire), payload);
  EXPECT_EQ(payload,
            "2\x1e"
            "451-[{\"_placeholder\":true,\"num\":0}]\x1e"
            "bAQIDBA==");
}

TEST(OpenPacket, HasItsKeysInTheOrderOfTheReference) {
  EngineOptions options;
  EXPECT_EQ(EncodeOpenPacket("abc", EngineTransport::kPolling, options),
            R"(0{"sid":"abc","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000})");
  EXPECT_EQ(EncodeOpenPacket("abc", EngineTransport::kWebSocket, options),
            R"(0{"sid":"abc","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000})");
  options.ping_interval = std::chrono::milliseconds(300);
  options.ping_timeout = std::chrono::milliseconds(200);
  options.max_payload_bytes = 5;
  options.allow_upgrades = false;
  EXPECT_EQ(EncodeOpenPacket("a\"b", EngineTransport::kPolling, options),
            R"(0{"sid":"a\"b","upgrades":[],"pingInterval":300,"pingTimeout":200,"maxPayload":5})");
}

// What a correct request looks like; each case breaks some of it.
EngineRequest Get(std::string_view transport) {
  return {.method = "GET", .transport = transport, .eio = "4", .is_upgrade = transport == "websocket"};
}

TEST(EngineRequest, IsAcceptedWhenNothingIsWrong) {
  EXPECT_EQ(VerifyEngineRequest(Get("polling"), {}), std::nullopt);
  EXPECT_EQ(VerifyEngineRequest(Get("websocket"), {}), std::nullopt);
  for (const char* method : {"GET", "POST", "PUT"}) {  // the caller answers 500 to the last
    EngineRequest request = Get("polling");
    request.method = method;
    request.sid = "x";
    request.session_transport = EngineTransport::kPolling;
    EXPECT_EQ(VerifyEngineRequest(request, {}), std::nullopt) << method;
  }
}

TEST(EngineRequest, IsRefusedByTheFirstRuleItBreaks) {
  // Everything wrong at once, mended rule by rule: the order is the reference's.
  EngineRequest request{.method = "POST", .origin = "http://a\x01", .forbidden = true};
  EXPECT_EQ(VerifyEngineRequest(request, {}), EngineError::kUnknownTransport);
  request.transport = "websocket";
  EXPECT_EQ(VerifyEngineRequest(request, {}), EngineError::kBadRequest);  // the Origin
  request.origin = "http://a";
  EXPECT_EQ(VerifyEngineRequest(request, {}), EngineError::kBadHandshakeMethod);
  request.method = "GET";
  EXPECT_EQ(VerifyEngineRequest(request, {}), EngineError::kBadRequest);  // no Upgrade header
  request.is_upgrade = true;
  EXPECT_EQ(VerifyEngineRequest(request, {}), EngineError::kForbidden);
  request.forbidden = false;
  EXPECT_EQ(VerifyEngineRequest(request, {}), EngineError::kUnsupportedProtocol);
  request.eio = "4";
  EXPECT_EQ(VerifyEngineRequest(request, {}), std::nullopt);
}

TEST(EngineRequest, IsRefusedForEachSingleFault) {
  struct Case {
    const char* name;
    void (*spoil)(EngineRequest&);
    EngineError error;
  };
  const Case cases[] = {
      {"no transport", [](EngineRequest& r) { r.transport.reset(); }, EngineError::kUnknownTransport},
      {"strange transport", [](EngineRequest& r) { r.transport = "abc"; }, EngineError::kUnknownTransport},
      {"webtransport", [](EngineRequest& r) { r.transport = "webtransport"; }, EngineError::kUnknownTransport},
      {"no transport and no EIO", [](EngineRequest& r) { r.transport.reset(), r.eio.reset(); },
       EngineError::kUnknownTransport},
      {"no EIO", [](EngineRequest& r) { r.eio.reset(); }, EngineError::kUnsupportedProtocol},
      {"EIO=3", [](EngineRequest& r) { r.eio = "3"; }, EngineError::kUnsupportedProtocol},
      {"EIO=abc", [](EngineRequest& r) { r.eio = "abc"; }, EngineError::kUnsupportedProtocol},
      {"EIO=44", [](EngineRequest& r) { r.eio = "44"; }, EngineError::kUnsupportedProtocol},
      {"POST", [](EngineRequest& r) { r.method = "POST"; }, EngineError::kBadHandshakeMethod},
      {"PUT", [](EngineRequest& r) { r.method = "PUT"; }, EngineError::kBadHandshakeMethod},
      {"unknown sid", [](EngineRequest& r) { r.sid = "x"; }, EngineError::kUnknownSession},
      {"unknown sid and PUT", [](EngineRequest& r) { r.sid = "x", r.method = "PUT"; }, EngineError::kUnknownSession},
      {"polling after the upgrade",
       [](EngineRequest& r) { r.sid = "x", r.session_transport = EngineTransport::kWebSocket; },
       EngineError::kBadRequest},
      {"websocket without upgrade",
       [](EngineRequest& r) {
         r.transport = "websocket", r.sid = "x", r.session_transport = EngineTransport::kPolling;
       },
       EngineError::kBadRequest},
      {"upgrade with transport=polling", [](EngineRequest& r) { r.is_upgrade = true; }, EngineError::kBadRequest},
      {"upgrade with transport=polling and a sid",
       [](EngineRequest& r) { r.is_upgrade = true, r.sid = "x", r.session_transport = EngineTransport::kPolling; },
       EngineError::kBadRequest},
      {"control byte in Origin", [](EngineRequest& r) { r.origin = "http://a\x7f"; }, EngineError::kBadRequest},
      {"refused Origin", [](EngineRequest& r) { r.forbidden = true; }, EngineError::kForbidden},
  };
  for (const Case& c : cases) {
    EngineRequest request = Get("polling");
    c.spoil(request);
    EXPECT_EQ(VerifyEngineRequest(request, {}), c.error) << c.name;
  }
}

TEST(EngineRequest, MayOnlyUseTheTransportsThatAreOn) {
  EngineOptions options;
  options.allow_polling = false;
  EXPECT_EQ(VerifyEngineRequest(Get("polling"), options), EngineError::kUnknownTransport);
  EXPECT_EQ(VerifyEngineRequest(Get("websocket"), options), std::nullopt);
  options = {};
  options.allow_websocket = false;
  EXPECT_EQ(VerifyEngineRequest(Get("websocket"), options), EngineError::kUnknownTransport);
}

TEST(EngineError, HasCodeMessageAndStatus) {
  struct Case {
    EngineError error;
    int status;
    std::string body;
  };
  const Case cases[] = {
      {EngineError::kUnknownTransport, 400, R"({"code":0,"message":"Transport unknown"})"},
      {EngineError::kUnknownSession, 400, R"({"code":1,"message":"Session ID unknown"})"},
      {EngineError::kBadHandshakeMethod, 400, R"({"code":2,"message":"Bad handshake method"})"},
      {EngineError::kBadRequest, 400, R"({"code":3,"message":"Bad request"})"},
      {EngineError::kForbidden, 403, R"({"code":4,"message":"Forbidden"})"},
      {EngineError::kUnsupportedProtocol, 400, R"({"code":5,"message":"Unsupported protocol version"})"},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(HttpStatus(c.error), c.status);
    EXPECT_EQ(ErrorBody(c.error), c.body);
  }
  EXPECT_EQ(ErrorBody(EngineError::kForbidden, "too \"many\""), R"({"code":4,"message":"too \"many\""})");
}

}  // namespace
}  // namespace sesior::socketio
