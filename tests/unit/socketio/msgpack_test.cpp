// Packets as socket.io-msgpack-parser 3.0 has them; the bytes were written by notepack 2.2.
#include "absl/strings/escaping.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "sesior/base/string_view.hpp"
#include "sesior/socketio/packet_codec.hpp"

namespace sesior::socketio {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Result = PacketDecoder::Result;

std::string Bytes(const std::string& hex) { return absl::HexStringToBytes(hex); }
std::string Hex(std::string_view bytes) { return absl::BytesToHexString(ToAbsl(bytes)); }

// The one binary message that a frame holds.
std::string Message(const FramePtr& frame) {
  std::string_view rest = frame->wire();
  Frame::Part part;
  EXPECT_TRUE(Frame::NextPart(rest, part) && part.binary && rest.empty());
  return std::string(part.payload);
}

// {type:3,data:[value],nsp:"/"}
constexpr const char* kBefore = "83a47479706503a46461746191";
constexpr const char* kBehind = "a36e7370a12f";

Result Decode(std::string_view message, Packet& packet, std::uint32_t max_packet_bytes = 10'000) {
  PacketDecoder decoder(max_packet_bytes, PacketFormat::kMsgpack);
  const Result result = decoder.OnBinary(message, packet);
  EXPECT_EQ(result == Result::kError, !decoder.error().empty());
  return result;
}

// The JSON of a value that stands alone in an acknowledgement; "error" when the packet is refused.
std::string ValueOf(const std::string& hex) {
  const std::string message = Bytes(kBefore + hex + kBehind);
  Packet packet;
  if (Decode(message, packet) != Result::kPacket) return "error";
  EXPECT_EQ(packet.arg_count(), 1u);
  return std::string(packet.arg(0).text());
}

std::string HexOf(const std::string& json, std::span<const std::string> attachments = {}) {
  const std::string hex =
      Hex(Message(EncodePacket({PacketType::kAck, "/", {}, "[" + json + "]", attachments}, PacketFormat::kMsgpack)));
  EXPECT_TRUE(hex.starts_with(kBefore) && hex.ends_with(kBehind)) << hex;
  return hex.substr(std::string_view(kBefore).size(), hex.size() - std::string_view(kBefore).size() - 12);
}

TEST(Msgpack, WritesAndReadsValuesAsNotepackDoes) {
  const std::string x31(31, 'x');
  const std::string x32(32, 'x');
  const std::pair<std::string, std::string> cases[] = {
      {"0", "00"},
      {"127", "7f"},
      {"128", "cc80"},
      {"255", "ccff"},
      {"256", "cd0100"},
      {"65535", "cdffff"},
      {"65536", "ce00010000"},
      {"4294967295", "ceffffffff"},
      {"4294967296", "cf0000000100000000"},
      {"9007199254740991", "cf001fffffffffffff"},
      {"18446744073709551615", "cfffffffffffffffff"},
      {"-1", "ff"},
      {"-32", "e0"},
      {"-33", "d0df"},
      {"-128", "d080"},
      {"-129", "d1ff7f"},
      {"-32768", "d18000"},
      {"-32769", "d2ffff7fff"},
      {"-2147483648", "d280000000"},
      {"-2147483649", "d3ffffffff7fffffff"},
      {"-9223372036854775808", "d38000000000000000"},
      {"1.5", "cb3ff8000000000000"},
      {"1e+300", "cb7e37e43c8800759c"},
      {"null", "c0"},
      {"true", "c3"},
      {"false", "c2"},
      {"\"\"", "a0"},
      {"\"\u00e9\"", "a2c3a9"},
      {"\"" + x31 + "\"", "bf" + Hex(x31)},
      {"\"" + x32 + "\"", "d920" + Hex(x32)},
      {"[]", "90"},
      {"[1,[2]]", "92019102"},
      {"{}", "80"},
      {"{\"a\":{\"b\":null}}", "81a16181a162c0"},
      {"\"a\\\"b\\\\\\n\"", "a56122625c0a"},
  };
  for (const auto& [json, hex] : cases) {
    EXPECT_EQ(HexOf(json), hex) << json;
    EXPECT_EQ(ValueOf(hex), json) << hex;
  }
}

TEST(Msgpack, WritesJsonHoweverItIsSpelled) {
  EXPECT_EQ(HexOf(" [ 1 , 2.0 ,\t1e3 ] "), "930102cd03e8");
  EXPECT_EQ(HexOf("{ \"a\" : [ ] , \"\\u0062\" : \"\\ud83d\\ude00\" }"), "82a16190a162a4f09f9880");
  EXPECT_EQ(HexOf("\"\\ud800\""), "a3efbfbd");  // no text: as it would come out of a TextEncoder
  EXPECT_EQ(HexOf("-0"), "00");
  EXPECT_EQ(HexOf("1e999"), "cb7ff0000000000000");
  EXPECT_EQ(HexOf("-1e999"), "cbfff0000000000000");
  EXPECT_EQ(HexOf("123456789012345678901"), "cb441ac53a7e04bcda");
}

TEST(Msgpack, WritesLongContainersAndTexts) {
  std::string array = "[";
  std::string object = "{";
  for (int i = 0; i < 16; ++i) {
    array += i == 0 ? "0" : ",0";
    object += (i == 0 ? "\"k" : ",\"k") + std::string(1, "0123456789abcdef"[i]) + "\":[" + std::to_string(i) + "]";
  }
  EXPECT_EQ(HexOf(array + "]"), "dc0010" + std::string(32, '0'));
  EXPECT_TRUE(HexOf(object + "}").starts_with("de0010a26b309100a26b319101"));
  EXPECT_EQ(ValueOf(HexOf(object + "}")), object + "}");
  std::string many = "[" + std::string(2 * 70'000, ' ') + "]";
  for (std::size_t i = 0; i < 70'000; ++i) many.replace(1 + 2 * i, 2, i + 1 < 70'000 ? "1," : "1 ");
  EXPECT_TRUE(HexOf(many).starts_with("dd00011170"));
  EXPECT_TRUE(HexOf("\"" + std::string(256, 'y') + "\"").starts_with("da01007979"));
  EXPECT_TRUE(HexOf("\"" + std::string(65'536, 'y') + "\"").starts_with("db000100007979"));
}

TEST(Msgpack, ReadsWhatJsonHasNoWordFor) {
  const std::pair<std::string, std::string> cases[] = {
      {"d40000", "null"},                                        // undefined
      {"93d4000001d40000", "[null,1,null]"},                     //
      {"83a161d40000a16201a163d40000", "{\"b\":1}"},             // left out, as by JSON.stringify
      {"d7000000019abaab9bfb", "\"2025-11-25T11:00:00.123Z\""},  // Date
      {"d700ffffffffffffffff", "\"1969-12-31T23:59:59.999Z\""},
      {"d700000000dd9aa6e000", "\"2000-02-29T00:00:00.000Z\""},
      {"d700ffffc76e394a73ff", "\"-000002-12-31T23:59:59.999Z\""},
      {"d700001eb208c2dc0000", "\"+275760-09-13T00:00:00.000Z\""},
      {"d7007fffffffffffffff", "null"},
      {"d7008000000000000000", "null"},
      {"cb7ff8000000000000", "null"},  // NaN
      {"cb7ff0000000000000", "null"},
      {"ca3fc00000", "1.5"},
      {"d5050102", "null"},  // another extension
      {"c7020501ff", "null"},
      {"8201a161ffa162", "{\"1\":\"a\",\"-1\":\"b\"}"},  // numbers for names
      {"cf00000000000000ff", "255"},                     // not the shortest form
  };
  for (const auto& [hex, json] : cases) EXPECT_EQ(ValueOf(hex), json) << hex;
}

TEST(Msgpack, ReadsAndWritesBinary) {
  // {type:2,data:["e",<07>,{x:[<0102 as ArrayBuffer>]}],nsp:"/",id:5,options:{compress:true}}
  const std::string message = Bytes(
      "85a47479706502a46461746193a165c4010781a17891c702000102a36e7370a12fa2696405a76f7074696f6e7381a8636f6d7072657373"
      "c3");
  Packet packet;
  ASSERT_EQ(Decode(message, packet), Result::kPacket);
  EXPECT_EQ(packet.event, "e");
  EXPECT_EQ(packet.id, 5u);
  EXPECT_THAT(packet.attachments(), ElementsAre("\x07", "\x01\x02"));
  EXPECT_EQ(packet.arg(0).AsBinary(), "\x07");
  EXPECT_EQ(packet.data, R"(["e",{"_placeholder":true,"num":0},{"x":[{"_placeholder":true,"num":1}]}])");
  const FramePtr frame = EncodeEvent("/", packet.data, packet.attachments(), packet.id, PacketFormat::kMsgpack);
  EXPECT_EQ(Hex(Message(frame)), "84a47479706502a46461746193a165c4010781a17891c4020102a2696405a36e7370a12f");

  const std::string blob(300, 'b');
  const std::string two[] = {"a", blob};
  EXPECT_EQ(
      HexOf(R"([{"num":1,"_placeholder":true},{"_placeholder":true,"num":0,"x":{"_placeholder":true,"num":0}},2])",
            two),
      "93c5012c" + Hex(blob) + "c4016102");
  EXPECT_EQ(HexOf(R"({"_placeholder":true,"num":0})"), "82ac5f706c616365686f6c646572c3a36e756d00");  // an object
}

TEST(Msgpack, LetsNobodyForgeAPlaceholder) {
  EXPECT_EQ(ValueOf("82ac5f706c616365686f6c646572c3a36e756d09"), R"({"_placeholder":true,"num":9})");  // an object
  // The same beside a real attachment would mean one that is not there.
  EXPECT_EQ(ValueOf("92c4010182ac5f706c616365686f6c646572c3a36e756d09"), "error");
}

std::string Show(const std::string& hex) {
  const std::string message = Bytes(hex);
  Packet packet;
  if (Decode(message, packet) != Result::kPacket) return "error";
  std::string text = std::to_string(static_cast<int>(packet.type)) + " " + std::string(packet.nsp);
  if (packet.id) text += " #" + std::to_string(*packet.id);
  return text + " " + std::string(packet.data);
}

TEST(Msgpack, ReadsPackets) {
  EXPECT_EQ(Show("83a47479706500a46461746181a5746f6b656ea178a36e7370a12f"), "0 / {\"token\":\"x\"}");
  EXPECT_EQ(Show("83a47479706500a36e7370a22f61a464617461d40000"), "0 /a ");  // data: undefined
  EXPECT_EQ(Show("82a47479706501a36e7370a12f"), "1 / ");
  EXPECT_EQ(Show("84a47479706503a46461746190a36e7370a12fa2696405"), "3 / #5 []");
  EXPECT_EQ(Show("84a47479706502a464617461"
                 "91a161"
                 "a36e7370a12fa46e6f7065c0"),
            "2 / [\"a\"]");                                                                  // an unknown member
  EXPECT_EQ(Show("84a47479706501a47479706502a46461746191a161a36e7370a12f"), "2 / [\"a\"]");  // the last one counts
}

TEST(Msgpack, RefusesWhatIsNoPacket) {
  const std::pair<const char*, std::string> cases[] = {
      {"nothing", ""},
      {"no map", "93000102"},
      {"a type beyond the last", "82a47479706505a36e7370a12f"},
      {"a negative type", "82a474797065ffa36e7370a12f"},
      {"a type that is text", "82a474797065a130a36e7370a12f"},
      {"no type", "81a36e7370a12f"},
      {"no namespace", "81a47479706501"},
      {"a namespace that is a number", "82a47479706501a36e737001"},
      {"a namespace that is no UTF-8", "82a47479706501a36e7370a1ff"},
      {"an id that is text", "84a47479706502a46461746191a161a36e7370a12fa26964a135"},
      {"a negative id", "84a47479706502a46461746191a161a36e7370a12fa26964ff"},
      {"CONNECT with an array", "83a47479706500a46461746190a36e7370a12f"},
      {"CONNECT with null", "83a47479706500a464617461c0a36e7370a12f"},
      {"CONNECT with binary", "83a47479706500a46461746181a161c40101a36e7370a12f"},
      {"DISCONNECT with data", "83a47479706501a46461746180a36e7370a12f"},
      {"an event without data", "82a47479706502a36e7370a12f"},
      {"an event whose data is an object", "83a47479706502a46461746180a36e7370a12f"},
      {"an event without a name", "83a47479706502a46461746190a36e7370a12f"},
      {"an event whose name is null", "83a47479706502a46461746191c0a36e7370a12f"},
      {"a reserved name", "83a47479706502a46461746191aa646973636f6e6e656374a36e7370a12f"},
      {"something behind it", "82a47479706501a36e7370a12f00"},
      {"a member without a name", "8201a161a36e7370a12f"},
      {"eleven attachments",
       "83a47479706502a4646174619ca165c40101c40101c40101c40101c40101c40101c40101c40101c40101c40101c40101a36e7370a12f"},
  };
  for (const auto& [why, hex] : cases) EXPECT_EQ(Show(hex), "error") << why;
  for (const char* value : {"c1", "a2ff", "d9", "d905616263", "c4", "c6ffffffff", "dd", "ddffffffff01", "dfffffffff",
                            "81c001", "81cb00000000000000000001", "a1ff", "a3eda080", "d7", "c9ffffffff00"}) {
    EXPECT_EQ(ValueOf(value), "error") << value;
  }
  const std::string whole = Bytes("84a47479706502a46461746193a165c4010781a17891c702000102a2696405a36e7370a12f");
  Packet packet;
  ASSERT_EQ(Decode(whole, packet), Result::kPacket);
  for (std::size_t i = 0; i < whole.size(); ++i) EXPECT_EQ(Decode(whole.substr(0, i), packet), Result::kError) << i;
}

TEST(Msgpack, RefusesText) {
  PacketDecoder decoder(1'000, PacketFormat::kMsgpack);
  Packet packet;
  EXPECT_EQ(decoder.OnText("0", packet), Result::kError);
}

TEST(Msgpack, BoundsDepthAndSize) {
  const auto nested = [](std::size_t levels) {  // the array of arguments is one of them
    std::string hex;
    for (std::size_t i = 1; i < levels; ++i) hex += "91";
    return ValueOf(hex + "00");
  };
  EXPECT_NE(nested(kMaxJsonDepth), "error");
  EXPECT_EQ(nested(kMaxJsonDepth + 1), "error");

  // Text that becomes longer on its way, and text and bytes together.
  const std::string controls = Bytes(std::string(kBefore) + "d9c8" + std::string(400, '0') + kBehind);
  Packet packet;
  EXPECT_EQ(Decode(controls, packet, 1'204), Result::kPacket);
  EXPECT_EQ(Decode(controls, packet, 1'203), Result::kError);
  const std::string binary = Bytes(std::string(kBefore) + "c464" + std::string(200, '0') + kBehind);
  EXPECT_EQ(Decode(binary, packet, 131), Result::kPacket);
  EXPECT_EQ(Decode(binary, packet, 130), Result::kError);
}

TEST(Msgpack, WritesConnectAndTheOthers) {
  const PacketFormat format = PacketFormat::kMsgpack;
  EXPECT_EQ(Show(Hex(Message(EncodeConnect("/a", "ID", "", format)))), "0 /a {\"sid\":\"ID\"}");
  EXPECT_EQ(Show(Hex(Message(EncodeConnectError("/", "no", "[1]", format)))), "4 / {\"message\":\"no\",\"data\":[1]}");
  EXPECT_EQ(Hex(Message(EncodeDisconnect("/", format))), "82a47479706501a36e7370a12f");
  EXPECT_EQ(Show(Hex(Message(EncodeAck("/", 7, "[1]", {}, format)))), "3 / #7 [1]");
}

}  // namespace
}  // namespace sesior::socketio
