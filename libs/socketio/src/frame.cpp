#include "sesior/socketio/frame.hpp"

#include <cstdint>

namespace sesior::socketio {
namespace {

// RFC 6455 section 5.2, FIN set, no mask: what a server sends.
constexpr unsigned char kTextOpcode = 0x81;
constexpr unsigned char kBinaryOpcode = 0x82;

void AppendHeader(std::string& wire, unsigned char opcode, std::size_t payload_bytes) {
  wire.push_back(static_cast<char>(opcode));
  int length_bytes = 0;
  if (payload_bytes < 126) {
    wire.push_back(static_cast<char>(payload_bytes));
  } else if (payload_bytes <= 0xffff) {
    wire.push_back(126);
    length_bytes = 2;
  } else {
    wire.push_back(127);
    length_bytes = 8;
  }
  for (int shift = 8 * (length_bytes - 1); shift >= 0; shift -= 8) {
    wire.push_back(static_cast<char>((static_cast<std::uint64_t>(payload_bytes) >> shift) & 0xff));
  }
}

}  // namespace

void Frame::AppendTextHeader(std::string& wire, std::size_t payload_bytes) {
  AppendHeader(wire, kTextOpcode, payload_bytes);
}

void Frame::AppendText(std::string& wire, std::string_view packet) {
  AppendHeader(wire, kTextOpcode, packet.size());
  wire.append(packet);
}

void Frame::AppendBinary(std::string& wire, std::string_view bytes) {
  AppendHeader(wire, kBinaryOpcode, bytes.size());
  wire.append(bytes);
}

FramePtr Frame::Text(std::string_view packet) {
  std::string wire;
  wire.reserve(packet.size() + 10);
  AppendText(wire, packet);
  return std::make_shared<const Frame>(std::move(wire));
}

FramePtr Frame::Binary(std::string_view bytes) {
  std::string wire;
  wire.reserve(bytes.size() + 10);
  AppendBinary(wire, bytes);
  return std::make_shared<const Frame>(std::move(wire));
}

bool Frame::NextPart(std::string_view& rest, Part& part) {
  if (rest.empty()) return false;
  auto byte = [&rest](std::size_t i) { return static_cast<unsigned char>(rest[i]); };
  const int length_bytes = byte(1) < 126 ? 0 : byte(1) == 126 ? 2 : 8;
  std::uint64_t payload_bytes = length_bytes == 0 ? byte(1) : 0;
  for (int i = 0; i < length_bytes; ++i) payload_bytes = payload_bytes << 8 | byte(static_cast<std::size_t>(2 + i));
  const std::size_t header_bytes = static_cast<std::size_t>(2 + length_bytes);
  part.binary = byte(0) == kBinaryOpcode;
  part.payload = rest.substr(header_bytes, static_cast<std::size_t>(payload_bytes));
  rest.remove_prefix(header_bytes + part.payload.size());
  return true;
}

}  // namespace sesior::socketio
