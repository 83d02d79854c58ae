#include "sesior/websocket/message_reader.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sesior::websocket {
namespace {

using Bytes = std::string;

// A masked frame as a client sends it. `first`: FIN, RSV and opcode.
Bytes ClientFrame(unsigned char first, std::string_view payload) {
  Bytes frame(1, static_cast<char>(first));
  int length_bytes = 0;
  if (payload.size() < 126) {
    frame.push_back(static_cast<char>(0x80 | payload.size()));
  } else if (payload.size() <= 0xffff) {
    frame.push_back(static_cast<char>(0x80 | 126));
    length_bytes = 2;
  } else {
    frame.push_back(static_cast<char>(0x80 | 127));
    length_bytes = 8;
  }
  for (int i = length_bytes - 1; i >= 0; --i) frame.push_back(static_cast<char>(payload.size() >> (8 * i)));
  const Bytes mask = "\x37\xfa\x21\x3d";
  frame += mask;
  for (std::size_t i = 0; i < payload.size(); ++i) frame.push_back(static_cast<char>(payload[i] ^ mask[i % 4]));
  return frame;
}

std::string Show(const Event& event) {
  static const char* const kNames[] = {"more", "text", "binary", "ping", "pong", "close", "error"};
  std::string shown = kNames[static_cast<int>(event.kind)];
  if (event.code != 0) shown += " " + std::to_string(event.code);
  if (!event.payload.empty()) shown += " " + std::string(event.payload);
  return shown;
}

// All that a reader tells about `input`, given in pieces of `piece` bytes.
std::vector<std::string> Read(Bytes input, std::size_t piece = 1 << 20, std::size_t max_message_bytes = 1000) {
  MessageReader reader(max_message_bytes);
  std::vector<std::string> events;
  for (std::size_t offset = 0; offset < input.size(); offset += piece) {
    char* data = input.data() + offset;
    std::size_t size = std::min(piece, input.size() - offset);
    for (Event event = reader.Next(data, size); event.kind != EventKind::kMore; event = reader.Next(data, size)) {
      events.push_back(Show(event));
    }
    EXPECT_EQ(size, 0u);
  }
  return events;
}

using Events = std::vector<std::string>;

TEST(MessageReader, ReadsTheExamplesOfTheRfc) {
  EXPECT_EQ(Read("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), Events{"text Hello"});
  EXPECT_EQ(Read("\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), Events{"pong Hello"});
  EXPECT_EQ(Read(ClientFrame(0x01, "Hel") + ClientFrame(0x80, "lo")), Events{"text Hello"});
}

TEST(MessageReader, ReadsTheSameFromPiecesOfAnySize) {
  const Bytes input = ClientFrame(0x81, "4hello") + ClientFrame(0x02, std::string(200, 'x')) + ClientFrame(0x89, "p") +
                      ClientFrame(0x80, std::string(300, 'y')) + ClientFrame(0x81, "") +
                      ClientFrame(0x88,
                                  "\x03\xe9"
                                  "bye");
  const Events expected{"text 4hello", "ping p", "binary " + std::string(200, 'x') + std::string(300, 'y'), "text",
                        "close 1001 bye"};
  for (std::size_t piece : {1u, 2u, 3u, 5u, 7u, 64u, 1000u}) EXPECT_EQ(Read(input, piece), expected) << piece;
}

TEST(MessageReader, ReadsLongMessages) {
  const std::string payload(70'000, 'a');
  EXPECT_EQ(Read(ClientFrame(0x82, payload), 4096, 70'000), Events{"binary " + payload});
}

TEST(MessageReader, RefusesMessagesOverTheLimit) {
  EXPECT_EQ(Read(ClientFrame(0x81, std::string(1000, 'a')))[0].substr(0, 5), "text ");
  EXPECT_EQ(Read(ClientFrame(0x81, std::string(1001, 'a'))), Events{"error 1009 message too big"});
  EXPECT_EQ(Read(ClientFrame(0x01, std::string(600, 'a')) + ClientFrame(0x80, std::string(401, 'a'))),
            Events{"error 1009 message too big"});
}

TEST(MessageReader, IsNotFooledByALengthThatOverflows) {
  const Bytes rest =
      "\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff"
      "\x37\xfa\x21\x3d" +
      std::string(2000, 'a');
  EXPECT_EQ(Read(ClientFrame(0x02, "abc") + rest), Events{"error 1009 message too big"});
}

TEST(MessageReader, RefusesWhatBreaksTheProtocol) {
  EXPECT_EQ(Read("\x81\x05Hello"), Events{"error 1002 frame without mask"});
  EXPECT_EQ(Read(ClientFrame(0xc1, "a")), Events{"error 1002 reserved bit set"});
  EXPECT_EQ(Read(ClientFrame(0x83, "a")), Events{"error 1002 reserved opcode"});
  EXPECT_EQ(Read(ClientFrame(0x09, "a")), Events{"error 1002 fragmented control frame"});
  EXPECT_EQ(Read(ClientFrame(0x80, "a")), Events{"error 1002 fragments out of order"});
  EXPECT_EQ(Read(ClientFrame(0x01, "a") + ClientFrame(0x81, "b")), Events{"error 1002 fragments out of order"});
  EXPECT_EQ(Read(ClientFrame(0x89, std::string(126, 'a'))), Events{"error 1002 control frame over 125 bytes"});
  EXPECT_EQ(Read(Bytes("\x81\xfe\x00\x01\x37\xfa\x21\x3d\x7f", 9)), Events{"error 1002 length not minimally encoded"});
}

TEST(MessageReader, RefusesTextThatIsNotUtf8) {
  EXPECT_EQ(Read(ClientFrame(0x81, "\xff")), Events{"error 1007 text is not valid UTF-8"});
  EXPECT_EQ(Read(ClientFrame(0x81, "\xe2\x82")), Events{"error 1007 text is not valid UTF-8"});
  EXPECT_EQ(Read(ClientFrame(0x01, "\xe2\x82") + ClientFrame(0x80, "\xac")), Events{"text \xe2\x82\xac"});
}

TEST(MessageReader, ChecksClosePayloads) {
  EXPECT_EQ(Read(ClientFrame(0x88, "")), Events{"close"});
  EXPECT_EQ(Read(ClientFrame(0x88, "\x03\xe8")), Events{"close 1000"});
  EXPECT_EQ(Read(ClientFrame(0x88, "\x0f\xa0 why")), Events{"close 4000  why"});
  EXPECT_EQ(Read(ClientFrame(0x88, "\x03")), Events{"error 1002 close frame of one byte"});
  for (int code : {0, 999, 1004, 1005, 1006, 1015, 2999, 5000}) {
    const Bytes payload{static_cast<char>(code >> 8), static_cast<char>(code & 0xff)};
    EXPECT_EQ(Read(ClientFrame(0x88, payload)), Events{"error 1002 close code that may not be sent"}) << code;
  }
  EXPECT_EQ(Read(ClientFrame(0x88, "\x03\xe8\xff")), Events{"error 1007 close reason is not valid UTF-8"});
}

TEST(MessageReader, TellsNothingAfterTheEnd) {
  EXPECT_EQ(Read(ClientFrame(0x88, "") + ClientFrame(0x81, "late"), 3), Events{"close"});
  EXPECT_EQ(Read("\x81\x05" + ClientFrame(0x81, "late"), 3), Events{"error 1002 frame without mask"});
}

TEST(EncodeFrame, WritesTheThreeLengths) {
  EXPECT_EQ(EncodeFrame(Opcode::kText, "Hello"), "\x81\x05Hello");
  EXPECT_EQ(EncodeFrame(Opcode::kBinary, std::string(126, 'a')), Bytes("\x82\x7e\x00\x7e", 4) + std::string(126, 'a'));
  EXPECT_EQ(EncodeFrame(Opcode::kText, std::string(65'536, 'a')),
            Bytes("\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00", 10) + std::string(65'536, 'a'));
  EXPECT_EQ(EncodeFrame(Opcode::kPong, "x"), "\x8a\x01x");
}

TEST(EncodeClose, WritesCodeAndReason) {
  EXPECT_EQ(EncodeClose(0), Bytes("\x88\x00", 2));
  EXPECT_EQ(EncodeClose(kGoingAway), "\x88\x02\x03\xe9");
  EXPECT_EQ(EncodeClose(kNormal, "bye"),
            "\x88\x05\x03\xe8"
            "bye");
  EXPECT_EQ(EncodeClose(kNormal, std::string(200, 'r')).size(), 2u + 125u);
}

TEST(MessageReader, RefusesTextThatEndsInsideACodePointAlsoInFragments) {
  EXPECT_EQ(Read(ClientFrame(0x81, "\xe2\x82")), Events{"error 1007 text is not valid UTF-8"});
  EXPECT_EQ(Read(ClientFrame(0x01, "a") + ClientFrame(0x80, "\xf0\x9f\x98")),
            Events{"error 1007 text is not valid UTF-8"});
  EXPECT_EQ(Read(ClientFrame(0x01, "a") + ClientFrame(0x80, "\xc3")), Events{"error 1007 text is not valid UTF-8"});
  EXPECT_EQ(Read(ClientFrame(0x01, "\xe2\x82") + ClientFrame(0x80, "\xac")), Events{"text \xe2\x82\xac"});
}

}  // namespace
}  // namespace sesior::websocket
