// Namespaces, acknowledgements and disconnection as socket.io 4.8 behaves: one case for each rule.
#include "sesior/socketio/server_connection.hpp"

#include <vector>

#include "gtest/gtest.h"

namespace sesior::socketio {
namespace {

using std::chrono::milliseconds;

class Harness final : public ServerConnection::Owner {
 public:
  explicit Harness(PacketFormat format = PacketFormat::kJson) : format_(format) {}

  SendResult SendFrame(FramePtr frame, bool is_volatile) override {
    std::string payload;
    AppendToPayload(*frame, payload);
    for (char& c : payload) {
      if (c == kPayloadSeparator) c = '|';
    }
    Log((is_volatile ? "volatile:" : "send:") + payload);
    return SendResult::kSent;
  }
  void CloseEngine(CloseReason reason) override {
    Log("close:" + std::string(Text(reason)));
    connection_.OnClosed(reason);
  }
  void OnConnect(ServerConnection::Slot slot, std::string_view nsp, JsonValue auth) override {
    Log("connect:" + std::to_string(slot) + std::string(nsp) + std::string(auth.text()));
    if (nsp == "/" || nsp == "/custom") connection_.Accept(slot, "ID");
    if (nsp == "/none") connection_.Refuse(slot, "Invalid namespace");
    // other namespaces are answered later
  }
  void OnEvent(ServerConnection::Slot slot, const Packet& packet) override {
    Log("event:" + std::to_string(slot) + std::string(packet.data));
    if (packet.event == "leave") connection_.Disconnect(slot);
    if (packet.event == "close") connection_.DisconnectAll(CloseReason::kServerDisconnect);
    if (packet.id) connection_.SendAck(slot, *packet.id, "[1]", packet.attachments());
  }
  void OnAck(ServerConnection::Slot slot, std::uint64_t id, const Packet& packet) override {
    Log("ack:" + std::to_string(slot) + "#" + std::to_string(id) + std::string(packet.data));
  }
  void OnDisconnect(ServerConnection::Slot slot, CloseReason reason) override {
    Log("gone:" + std::to_string(slot) + ":" + std::string(Text(reason)));
  }

  std::string Receive(std::string_view text) {
    connection_.OnMessage(text, false, now_);
    return Take();
  }
  std::string ReceiveBinary(std::string_view bytes) {
    connection_.OnMessage(bytes, true, now_);
    return Take();
  }
  std::string Timer(int ms) {
    connection_.OnTimer(start_ + milliseconds(ms));
    return Take();
  }
  void Advance(int ms) { now_ += milliseconds(ms); }
  std::string Take() { return std::exchange(log_, {}); }
  ServerConnection& connection() { return connection_; }
  ServerConnectionOptions& options() { return options_; }

 private:
  void Log(const std::string& what) { log_ += (log_.empty() ? "" : " ") + what; }

  PacketFormat format_;
  ServerConnectionOptions options_{.connect_timeout = milliseconds(1000),
                                   .max_namespaces = 3,
                                   .max_namespace_bytes = 20,
                                   .max_packet_bytes = 200,
                                   .format = format_};
  Time start_ = Time() + milliseconds(5);
  Time now_ = start_;
  ServerConnection connection_{options_, *this, start_};
  std::string log_;
};

TEST(ServerConnection, JoinsNamespacesWithTheirAuthPayload) {
  Harness h;
  EXPECT_EQ(h.Receive("0"), "connect:0/{} send:40{\"sid\":\"ID\"}");
  EXPECT_EQ(h.Receive("0/custom,{\"token\":\"abc\"}"),
            "connect:1/custom{\"token\":\"abc\"} send:40/custom,{\"sid\":\"ID\"}");
  EXPECT_TRUE(h.connection().joined(0));
  EXPECT_EQ(h.connection().nsp(1), "/custom");
  EXPECT_EQ(h.Receive("2[\"a\"]"), "event:0[\"a\"]");
  EXPECT_EQ(h.Receive("2/custom,[\"b\"]"), "event:1[\"b\"]");
}

TEST(ServerConnection, RefusesANamespaceAndStaysOpen) {
  Harness h;
  EXPECT_EQ(h.Receive("0/none"), "connect:0/none{} send:44/none,{\"message\":\"Invalid namespace\"}");
  EXPECT_EQ(h.Receive("0"), "connect:0/{} send:40{\"sid\":\"ID\"}");
}

TEST(ServerConnection, MayBeAnsweredLater) {
  Harness h;
  EXPECT_EQ(h.Receive("0/later"), "connect:0/later{}");
  EXPECT_FALSE(h.connection().joined(0));
  EXPECT_EQ(h.connection().Send(0, EncodeEvent("/later", "[\"a\"]")), SendResult::kDropped);
  EXPECT_TRUE(h.connection().Accept(0, "X", "P"));
  EXPECT_EQ(h.Take(), "send:40/later,{\"sid\":\"X\",\"pid\":\"P\"}");
  EXPECT_FALSE(h.connection().Accept(0, "X"));
  EXPECT_FALSE(h.connection().Refuse(0, "no"));
  EXPECT_EQ(h.connection().Send(0, EncodeEvent("/later", "[\"a\"]"), true), SendResult::kSent);
  EXPECT_EQ(h.Take(), "volatile:42/later,[\"a\"]");

  EXPECT_EQ(h.Receive("0/later2"), "connect:1/later2{}");
  EXPECT_TRUE(h.connection().Refuse(1, "Not authorized", "{\"a\":1}"));
  EXPECT_EQ(h.Take(), "send:44/later2,{\"message\":\"Not authorized\",\"data\":{\"a\":1}}");
}

TEST(ServerConnection, ClosesTheWholeConnectionWhenTheProtocolIsBroken) {
  struct Case {
    const char* text;
    const char* reason;
  };
  const Case cases[] = {
      {"abc", "parse error"},
      {"2{}", "parse error"},
      {"0[]", "parse error"},
      {"2[\"connect\"]", "parse error"},
      {"0", "forced server close"},                     // a second CONNECT
      {"4{\"message\":\"x\"}", "forced server close"},  // CONNECT_ERROR from a client
      {"2/other,[\"a\"]", "forced server close"},       // a namespace not joined
      {"1/other,", "forced server close"},
      {"3/other,1[]", "forced server close"},
      {"4/other,{}", "forced server close"},
      {"0/a-name-that-is-too-long", "forced server close"},
  };
  for (const Case& c : cases) {
    Harness h;
    h.Receive("0");
    EXPECT_EQ(h.Receive(c.text), std::string("close:") + c.reason + " gone:0:" + c.reason) << c.text;
    EXPECT_FALSE(h.connection().error().empty());
    EXPECT_EQ(h.Receive("2[\"a\"]"), "");  // nothing goes in any more
  }
}

TEST(ServerConnection, ClosesOnAnEventBeforeConnect) {
  Harness h;
  EXPECT_EQ(h.Receive("2[\"a\"]"), "close:forced server close");
}

TEST(ServerConnection, ClosesOnAnythingForANamespaceThatIsStillPending) {
  for (const char* text : {"2/later,[\"a\"]", "0/later", "1/later"}) {
    Harness h;
    h.Receive("0/later");
    EXPECT_EQ(h.Receive(text), "close:forced server close gone:0:forced server close") << text;
  }
}

TEST(ServerConnection, ClosesOnBinaryThatNothingAnnounced) {
  Harness h;
  EXPECT_EQ(h.ReceiveBinary("a"), "close:parse error");
}

TEST(ServerConnection, IgnoresAnEventWithoutPayloadAndAnAckWithoutId) {
  Harness h;
  h.Receive("0");
  EXPECT_EQ(h.Receive("2"), "");
  EXPECT_EQ(h.Receive("3[1]"), "");
  EXPECT_FALSE(h.connection().closed());
}

TEST(ServerConnection, CarriesAcknowledgementsBothWays) {
  Harness h;
  h.Receive("0");
  EXPECT_EQ(h.Receive("27[\"a\"]"), "event:0[\"a\"] send:437[1]");
  EXPECT_EQ(h.Receive("312[\"x\"]"), "ack:0#12[\"x\"]");
  // The answer to an event with binary is binary only if it contains some.
  EXPECT_EQ(h.Receive("51-8[\"a\",{\"_placeholder\":true,\"num\":0}]"), "");
  EXPECT_EQ(h.ReceiveBinary("\1"), "event:0[\"a\",{\"_placeholder\":true,\"num\":0}] send:461-8[1]|bAQ==");
}

TEST(ServerConnection, LeavesANamespaceAndStaysOpen) {
  Harness h;
  h.Receive("0");
  h.Receive("0/custom");
  EXPECT_EQ(h.Receive("1/custom"), "gone:1:client namespace disconnect");
  EXPECT_EQ(h.Receive("2/custom,[\"late\"]"), "");  // a straggler
  EXPECT_EQ(h.Receive("1/custom,"), "");
  EXPECT_EQ(h.Receive("2[\"a\"]"), "event:0[\"a\"]");
  EXPECT_EQ(h.Receive("0/custom"), "connect:1/custom{} send:40/custom,{\"sid\":\"ID\"}");
}

TEST(ServerConnection, DisconnectsOneNamespace) {
  Harness h;
  h.Receive("0");
  h.Receive("0/custom");
  EXPECT_EQ(h.Receive("2/custom,[\"leave\"]"), "event:1[\"leave\"] send:41/custom, gone:1:server namespace disconnect");
  EXPECT_FALSE(h.connection().Disconnect(1));
  EXPECT_TRUE(h.connection().Disconnect(0, CloseReason::kSessionEnded));
  EXPECT_EQ(h.Take(), "send:41 gone:0:session ended");
}

TEST(ServerConnection, DisconnectsAllNamespacesAndCloses) {
  Harness h;
  h.Receive("0");
  h.Receive("0/custom");
  h.Receive("0/later");
  EXPECT_EQ(h.Receive("25[\"close\"]"),
            "event:0[\"close\"] send:41 gone:0:server namespace disconnect "
            "send:41/custom, gone:1:server namespace disconnect close:server namespace disconnect "
            "gone:2:server namespace disconnect");
}

TEST(ServerConnection, TellsEveryNamespaceWhenTheConnectionIsGone) {
  Harness h;
  h.Receive("0");
  h.Receive("0/custom");
  h.Receive("1");
  h.connection().OnClosed(CloseReason::kPingTimeout);
  EXPECT_EQ(h.Take(), "gone:1:ping timeout");
  EXPECT_EQ(h.connection().Send(1, EncodeEvent("/custom", "[\"a\"]")), SendResult::kDropped);
  h.connection().OnClosed(CloseReason::kPingTimeout);
  EXPECT_EQ(h.Take(), "");
}

TEST(ServerConnection, BoundsTheNamespacesOfAConnection) {
  Harness h;
  h.Receive("0");
  h.Receive("0/none");  // refused: does not count
  h.Receive("0/later1");
  h.Receive("0/later2");
  EXPECT_EQ(
      h.Receive("0/later3"),
      "close:forced server close gone:0:forced server close gone:1:forced server close gone:2:forced server close");
  EXPECT_EQ(h.connection().limit(), Limit::kNamespaces);
}

TEST(ServerConnection, BoundsThePacketsOfASecond) {
  Harness h;
  h.options().max_packets_per_second = 3;
  h.Receive("0");
  EXPECT_EQ(h.Receive("2[\"a\"]"), "event:0[\"a\"]");
  h.Advance(999);
  EXPECT_EQ(h.Receive("2[\"b\"]"), "event:0[\"b\"]");
  h.Advance(1);  // another second
  EXPECT_EQ(h.Receive("2[\"c\"]"), "event:0[\"c\"]");
  EXPECT_EQ(h.Receive("399[]"), "ack:0#99[]");
  EXPECT_EQ(h.Receive("51-[\"d\",{\"_placeholder\":true,\"num\":0}]"), "");  // no packet yet
  EXPECT_EQ(h.ReceiveBinary("1"), "event:0[\"d\",{\"_placeholder\":true,\"num\":0}]");
  EXPECT_FALSE(h.connection().closed());
  EXPECT_EQ(h.Receive("2[\"e\"]"), "close:too many packets gone:0:too many packets");
  EXPECT_EQ(h.connection().limit(), Limit::kPackets);
}

TEST(ServerConnection, NamesTheBoundOfThePacketThatItClosesFor) {
  const auto limit = [](const std::string& text, const std::string& bytes) {
    Harness h;
    h.Receive("0");
    std::string log = h.Receive(text);
    log += h.ReceiveBinary(bytes);
    EXPECT_EQ(log, "close:parse error gone:0:parse error");
    return h.connection().limit();
  };
  EXPECT_EQ(limit("51-[\"a\"]", std::string(200, 'x')), Limit::kPacketBytes);
  EXPECT_EQ(limit("51-[\"" + std::string(200, 'x') + "\"]", ""), Limit::kPacketBytes);
  EXPECT_EQ(limit("511-[\"a\"]", ""), Limit::kAttachments);
  EXPECT_EQ(limit("9", ""), Limit::kNone);
}

TEST(ServerConnection, SpeaksMsgpackWhereAsked) {
  Harness h(PacketFormat::kMsgpack);
  const auto message = [](const OutPacket& packet) {
    std::string_view rest;
    Frame::Part part;
    const FramePtr frame = EncodePacket(packet, PacketFormat::kMsgpack);
    rest = frame->wire();
    EXPECT_TRUE(Frame::NextPart(rest, part) && part.binary);
    return std::string(part.payload);
  };
  const std::string joined = h.ReceiveBinary(message({PacketType::kConnect, "/", {}, {}, {}}));
  EXPECT_TRUE(joined.starts_with("connect:0/{} send:b")) << joined;
  const std::string answered = h.ReceiveBinary(message({PacketType::kEvent, "/", 7, "[\"a\"]", {}}));
  EXPECT_TRUE(answered.starts_with("event:0[\"a\"] send:b")) << answered;
  EXPECT_EQ(h.Receive("2[\"a\"]"), "close:parse error gone:0:parse error");
}

TEST(ServerConnection, ReusesTheSlotsOfNamespacesThatWereLeft) {
  Harness h;
  for (int i = 0; i < 10; ++i) {
    h.Receive("0/n" + std::to_string(i));
    ASSERT_FALSE(h.connection().closed());
    const auto slot = static_cast<ServerConnection::Slot>(i < 3 ? i : 0);
    ASSERT_TRUE(h.connection().Accept(slot, "ID")) << i;
    ASSERT_TRUE(h.connection().Disconnect(slot));
  }
}

TEST(ServerConnection, ClosesWhenNoNamespaceIsJoinedInTime) {
  Harness h;
  h.Receive("0/later");  // still thinking: the time counts
  EXPECT_EQ(h.Timer(999), "");
  EXPECT_EQ(h.Timer(1000), "close:forced server close gone:0:forced server close");
}

TEST(ServerConnection, HasNoDeadlineOnceANamespaceWasJoined) {
  Harness h;
  EXPECT_NE(h.connection().deadline(), kNever);
  h.Receive("0");
  EXPECT_EQ(h.connection().deadline(), kNever);
  EXPECT_EQ(h.Timer(5000), "");
}

TEST(ServerConnection, IsSmall) { EXPECT_LE(sizeof(ServerConnection), 128u); }

}  // namespace
}  // namespace sesior::socketio
