// Packets of socket.io-msgpack-parser: what is decoded can be encoded again and decodes to the same, and stays within
// the bounds.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "sesior/base/check.hpp"
#include "sesior/socketio/packet_codec.hpp"

using namespace sesior::socketio;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kMaxBytes = 1'000;
  const std::string_view message(reinterpret_cast<const char*>(data), size);
  PacketDecoder decoder(kMaxBytes, PacketFormat::kMsgpack);
  Packet packet;
  if (decoder.OnBinary(message, packet) != PacketDecoder::Result::kPacket) {
    SESIOR_CHECK(!decoder.error().empty());
    return 0;
  }
  std::size_t bytes = packet.data.size();
  for (const std::string& attachment : packet.attachments()) bytes += attachment.size();
  SESIOR_CHECK(bytes <= kMaxBytes && packet.attachments().size() <= kMaxAttachments);
  SESIOR_CHECK(packet.data.empty() || JsonValue::Parse(packet.data));
  for (std::size_t i = 0; i <= packet.arg_count(); ++i) {
    packet.arg(i).AsBinary();
    packet.arg(i).Member("a");
  }

  const FramePtr frame =
      EncodePacket({packet.type, packet.nsp, packet.id, packet.data, packet.attachments()}, PacketFormat::kMsgpack);
  std::string_view rest = frame->wire();
  Frame::Part part;
  SESIOR_CHECK(Frame::NextPart(rest, part) && part.binary && rest.empty());
  PacketDecoder again(100 * kMaxBytes, PacketFormat::kMsgpack);
  Packet copy;
  SESIOR_CHECK(again.OnBinary(part.payload, copy) == PacketDecoder::Result::kPacket);
  SESIOR_CHECK(copy.type == packet.type && copy.nsp == packet.nsp && copy.id == packet.id);
  SESIOR_CHECK(copy.elements.size() == packet.elements.size() && copy.event == packet.event);
  SESIOR_CHECK(copy.data.empty() == packet.data.empty());
  return 0;
}
