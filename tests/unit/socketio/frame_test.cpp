#include "sesior/socketio/frame.hpp"

#include <vector>

#include "gtest/gtest.h"

namespace sesior::socketio {
namespace {

using namespace std::string_literals;

TEST(Frame, WritesTheHeaderOfAServerFrameForEverySize) {
  struct Case {
    std::size_t payload_bytes;
    std::string header;
  };
  const Case cases[] = {
      {0, "\x81\x00"s},
      {1, "\x81\x01"s},
      {125, "\x81\x7d"s},
      {126, "\x81\x7e\x00\x7e"s},
      {65535, "\x81\x7e\xff\xff"s},
      {65536, "\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"s},
  };
  for (const Case& c : cases) {
    const std::string payload(c.payload_bytes, 'x');
    EXPECT_EQ(Frame::Text(payload)->wire(), c.header + payload) << c.payload_bytes;
  }
  EXPECT_EQ(Frame::Binary("ab")->wire(),
            "\x82\x02"s
            "ab");
}

TEST(Frame, GivesItsPartsBack) {
  std::string wire;
  const std::string big(70'000, 'y');
  Frame::AppendText(wire, "451-[]");
  Frame::AppendBinary(wire, std::string("\0\x81\xff", 3));
  Frame::AppendBinary(wire, "");
  Frame::AppendText(wire, big);
  const Frame frame(wire);

  std::vector<std::pair<std::string, bool>> parts;
  std::string_view rest = frame.wire();
  Frame::Part part;
  while (Frame::NextPart(rest, part)) parts.emplace_back(part.payload, part.binary);
  const std::vector<std::pair<std::string, bool>> expected = {
      {"451-[]", false}, {std::string("\0\x81\xff", 3), true}, {"", true}, {big, false}};
  EXPECT_EQ(parts, expected);
}

}  // namespace
}  // namespace sesior::socketio
