// Socket.IO v5 packets as socket.io-parser 4.2 judges them: one case for each rule that a parser can decide.
#include "sesior/socketio/packet_codec.hpp"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "sesior/socketio/engine_codec.hpp"

namespace sesior::socketio {
namespace {

using testing::ElementsAre;
using Result = PacketDecoder::Result;

// type nsp #id data, as one line
std::string Show(const Packet& packet) {
  std::string text = std::to_string(static_cast<int>(packet.type)) + " " + std::string(packet.nsp);
  if (packet.id) text += " #" + std::to_string(*packet.id);
  if (!packet.data.empty()) text += " " + std::string(packet.data);
  return text;
}

TEST(PacketDecoder, ReadsHeaders) {
  struct Case {
    const char* text;
    const char* expected;
  };
  const Case cases[] = {
      {"0", "0 /"},
      {"0{\"token\":\"123\"}", "0 / {\"token\":\"123\"}"},
      {"0/custom", "0 /custom"},
      {"0/custom,", "0 /custom"},
      {"0/,", "0 /"},
      {"0/", "0 /"},
      {"0/custom,{}", "0 /custom {}"},
      {"0/custom?a=b,{}", "0 /custom?a=b {}"},  // a query is part of the name
      {"1", "1 /"},
      {"1/custom", "1 /custom"},
      {"1/custom,", "1 /custom"},
      {"2[\"a\"]", "2 / [\"a\"]"},
      {"2", "2 /"},  // without payload: tolerated
      {"212[\"a\",1]", "2 / #12 [\"a\",1]"},
      {"2/admin,456[\"a\"]", "2 /admin #456 [\"a\"]"},
      {"2/a/b,[\"x\"]", "2 /a/b [\"x\"]"},
      {"2007[\"a\"]", "2 / #7 [\"a\"]"},  // leading zeros in an id
      {"27 [\"a\"]", "2 / #7  [\"a\"]"},  // blank between id and JSON
      {"218446744073709551615[\"a\"]", "2 / #18446744073709551615 [\"a\"]"},
      {"2[5,1]", "2 / [5,1]"},                                          // numeric event name
      {"2[\"a\",{\"b\":1,\"b\":2}]", "2 / [\"a\",{\"b\":1,\"b\":2}]"},  // duplicate keys
      {"2[\"a\",\"\\ud800\"]", "2 / [\"a\",\"\\ud800\"]"},              // lone surrogate
      {"2[\"a\",{\"_placeholder\":true,\"num\":9}]",
       "2 / [\"a\",{\"_placeholder\":true,\"num\":9}]"},                      // ordinary JSON here
      {"2[\"a\",12345678901234567890]", "2 / [\"a\",12345678901234567890]"},  // verbatim
      {"312[]", "3 / #12 []"},
      {"3/admin,1[1]", "3 /admin #1 [1]"},
      {"3[1]", "3 / [1]"},  // ack without id: tolerated
      {"4{\"message\":\"x\"}", "4 / {\"message\":\"x\"}"},
  };
  for (const Case& c : cases) {
    PacketDecoder decoder;
    Packet packet;
    ASSERT_EQ(decoder.OnText(c.text, packet), Result::kPacket) << c.text << ": " << decoder.error();
    EXPECT_EQ(Show(packet), c.expected) << c.text;
  }
}

TEST(PacketDecoder, RefusesWhatIsNoPacket) {
  const char* cases[] = {
      "",
      "7",
      "9[\"a\"]",
      "a",
      "abc",
      "-1",  // unknown type
      "2[\"a\"",
      "2[\"a\",]",
      "2{bad}",  // bad JSON
      "2[\"a\"]x",
      "2[\"a\"][\"b\"]",
      "0{}x",  // trailing garbage
      "2{}",
      "2\"a\"",
      "21.5",
      "2null",
      "2abc[\"a\"]",  // payload is not an array
      "2[]",          // empty array
      "2[null]",
      "2[{}]",
      "2[true]",
      "2[[\"a\"]]",  // first element
      "2[\"connect\"]",
      "2[\"connect_error\"]",
      "2[\"disconnect\"]",
      "2[\"disconnecting\"]",
      "2[\"newListener\"]",
      "2[\"removeListener\"]",
      "2[\"conn\\u0065ct\"]",  // reserved, also when escaped
      "1{}",
      "1[]",
      "1/a,[]",
      "1null",
      "1 ",  // DISCONNECT with payload
      "0[]",
      "0\"a\"",
      "0null",
      "01[]",  // CONNECT with something else
      "3{}",
      "31{}",
      "3null",  // ACK that is no array
      "5-[\"a\"]",
      "5[\"a\"]",
      "50-[\"a\"]",
      "60-1[]",
      "511-[\"a\"]",
      "6-1[]",  // number of attachments
      "5-1-[\"a\"]",
      "51[\"a\"]",
      "51.5-[\"a\"]",
      "51-",
      "51-{}",
      "5",
      "51-[\"a\",{\"_placeholder\":true,\"num\":1}]",
      "51-[\"a\",{\"_placeholder\":true,\"num\":-1}]",
      "51-[\"a\",{\"_placeholder\":true,\"num\":\"0\"}]",
      "51-[\"a\",{\"_placeholder\":true}]",
      "218446744073709551616[\"a\"]",  // id beyond 2^64
      "2[\"\xff\"]",
      "2[\"a\",\"\xed\xa0\x80\"]",  // not UTF-8
  };
  for (const char* text : cases) {
    PacketDecoder decoder;
    Packet packet;
    EXPECT_EQ(decoder.OnText(text, packet), Result::kError) << text;
    EXPECT_FALSE(decoder.error().empty()) << text;
  }
}

TEST(PacketDecoder, GivesNameAndArgumentsOfAnEvent) {
  PacketDecoder decoder;
  Packet packet;
  ASSERT_EQ(decoder.OnText(R"(2["m\u00e9","a",{"b":[1, 2]},3])", packet), Result::kPacket);
  EXPECT_EQ(packet.event, "m\xc3\xa9");
  ASSERT_EQ(packet.arg_count(), 3u);
  EXPECT_EQ(packet.arg(0).AsString(), "a");
  EXPECT_EQ(packet.arg(1).text(), R"({"b":[1, 2]})");
  EXPECT_EQ(packet.arg(2).AsInt(), 3);
  EXPECT_TRUE(packet.arg(3).is_null());
  EXPECT_EQ(packet.arg(0).AsBinary(), std::nullopt);

  ASSERT_EQ(decoder.OnText("2[5]", packet), Result::kPacket);
  EXPECT_EQ(packet.event, "5");
  ASSERT_EQ(decoder.OnText(R"(2["\ud800"])", packet), Result::kPacket);
  EXPECT_EQ(packet.event, "\\ud800");
  ASSERT_EQ(decoder.OnText("31[7,8]", packet), Result::kPacket);
  ASSERT_EQ(packet.arg_count(), 2u);
  EXPECT_EQ(packet.arg(1).AsInt(), 8);
  ASSERT_EQ(decoder.OnText("2", packet), Result::kPacket);
  EXPECT_EQ(packet.event, "");
  EXPECT_EQ(packet.arg_count(), 0u);
}

TEST(PacketDecoder, CollectsAttachments) {
  PacketDecoder decoder;
  Packet packet;
  std::string text = R"(52-/bin,9["up",{"_placeholder":true,"num":1},[{"_placeholder":true,"num":0}],1])";
  ASSERT_EQ(decoder.OnText(text, packet), Result::kMore);
  text.assign(text.size(), '?');  // the decoder keeps what it needs
  ASSERT_EQ(decoder.OnBinary("zero", packet), Result::kMore);
  ASSERT_EQ(decoder.OnBinary("one", packet), Result::kPacket);
  EXPECT_EQ(packet.type, PacketType::kEvent);
  EXPECT_EQ(packet.nsp, "/bin");
  EXPECT_EQ(packet.id, 9u);
  EXPECT_EQ(packet.event, "up");
  EXPECT_THAT(packet.attachments(), ElementsAre("zero", "one"));
  EXPECT_EQ(packet.arg(0).AsBinary(), "one");
  EXPECT_EQ(packet.arg(1).AsBinary(), std::nullopt);  // inside another argument
  EXPECT_EQ(packet.arg(2).AsBinary(), std::nullopt);

  // It is ready for the next, and an acknowledgement works the same.
  ASSERT_EQ(decoder.OnText(R"(61-3[{"_placeholder":true,"num":0}])", packet), Result::kMore);
  ASSERT_EQ(decoder.OnBinary("", packet), Result::kPacket);
  EXPECT_EQ(packet.type, PacketType::kAck);
  EXPECT_EQ(packet.arg(0).AsBinary(), "");
}

TEST(PacketDecoder, ToleratesAttachmentsUsedTwiceOrNever) {
  PacketDecoder decoder;
  Packet packet;
  ASSERT_EQ(decoder.OnText(R"(52-["a",{"_placeholder":true,"num":1},{"_placeholder":true,"num":1}])", packet),
            Result::kMore);
  ASSERT_EQ(decoder.OnBinary("x", packet), Result::kMore);
  ASSERT_EQ(decoder.OnBinary("y", packet), Result::kPacket);
  EXPECT_EQ(packet.arg(0).AsBinary(), "y");
  EXPECT_EQ(packet.arg(1).AsBinary(), "y");
}

TEST(PacketDecoder, RefusesTextWhileAttachmentsAreDueAndBinaryWhenNoneIs) {
  PacketDecoder decoder;
  Packet packet;
  EXPECT_EQ(decoder.OnBinary("x", packet), Result::kError);
  ASSERT_EQ(decoder.OnText(R"(51-["a",{"_placeholder":true,"num":0}])", packet), Result::kMore);
  EXPECT_EQ(decoder.OnText(R"(2["a"])", packet), Result::kError);
}

TEST(PacketDecoder, BoundsAttachmentsInNumberAndBytes) {
  Packet packet;
  PacketDecoder ten;
  ASSERT_EQ(ten.OnText(R"(510-["a"])", packet), Result::kMore);
  for (int i = 0; i < 9; ++i) ASSERT_EQ(ten.OnBinary("x", packet), Result::kMore);
  EXPECT_EQ(ten.OnBinary("x", packet), Result::kPacket);

  PacketDecoder small(20);
  ASSERT_EQ(small.OnText(R"(52-["a"])", packet), Result::kMore);  // 5 bytes of JSON
  ASSERT_EQ(small.OnBinary(std::string(15, 'x'), packet), Result::kMore);
  EXPECT_EQ(small.OnBinary("x", packet), Result::kError);
  EXPECT_EQ(small.OnText(R"(51-["aaaaaaaaaaaaaaaaaaaa"])", packet), Result::kError);
}

std::string TextOf(const FramePtr& frame) {
  std::string payload;
  AppendToPayload(*frame, payload);
  return payload;
}

TEST(EncodePacket, WritesWhatTheReferenceWrites) {
  EXPECT_EQ(TextOf(EncodeEvent("/", R"(["a",1])")), R"(42["a",1])");
  EXPECT_EQ(TextOf(EncodeEvent("/custom", R"(["a"])")), R"(42/custom,["a"])");
  EXPECT_EQ(TextOf(EncodeEvent("/", R"(["a"])", {}, 17)), R"(4217["a"])");
  EXPECT_EQ(TextOf(EncodeEvent("/custom", R"(["a"])", {}, 0)), R"(42/custom,0["a"])");
  EXPECT_EQ(TextOf(EncodeAck("/", 456, R"([1,"2"])")), R"(43456[1,"2"])");
  EXPECT_EQ(TextOf(EncodeConnect("/", "abc")), R"(40{"sid":"abc"})");
  EXPECT_EQ(TextOf(EncodeConnect("/custom", "abc", "priv")), R"(40/custom,{"sid":"abc","pid":"priv"})");
  EXPECT_EQ(TextOf(EncodeConnectError("/random", "Invalid namespace")), R"(44/random,{"message":"Invalid namespace"})");
  EXPECT_EQ(TextOf(EncodeConnectError("/", "no", R"({"code":1})")), R"(44{"message":"no","data":{"code":1}})");
  EXPECT_EQ(TextOf(EncodeDisconnect("/")), "41");
  EXPECT_EQ(TextOf(EncodeDisconnect("/custom")), "41/custom,");
}

TEST(EncodePacket, PutsAttachmentsIntoTheSameFrame) {
  const std::string attachments[] = {"\1\2\3", "\4"};
  EXPECT_EQ(
      TextOf(EncodeEvent("/", R"(["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}])", attachments)),
      "452-[\"a\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]\x1e"
      "bAQID\x1e"
      "bBA==");
  EXPECT_EQ(TextOf(EncodeAck("/x", 7, R"([{"_placeholder":true,"num":0}])", std::span(attachments).first(1))),
            "461-/x,7[{\"_placeholder\":true,\"num\":0}]\x1e"
            "bAQID");
}

}  // namespace
}  // namespace sesior::socketio
