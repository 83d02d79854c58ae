// Socket.IO packets: what is decoded can be encoded again and decodes to the same. Messages are separated by 0x1e; one
// that begins with 'b' is binary.
#include <cstddef>
#include <cstdint>

#include "sesior/base/check.hpp"
#include "sesior/socketio/engine_codec.hpp"
#include "sesior/socketio/json.hpp"
#include "sesior/socketio/packet_codec.hpp"

using namespace sesior::socketio;

namespace {

void CheckRoundTrip(const Packet& packet) {
  const std::span<const std::string> attachments = packet.attachments();
  const FramePtr frame = EncodePacket({packet.type, packet.nsp, packet.id, packet.data, attachments});
  PacketDecoder decoder;
  Packet again;
  std::string_view rest = frame->wire();
  Frame::Part part;
  SESIOR_CHECK(Frame::NextPart(rest, part) && !part.binary);
  PacketDecoder::Result result = decoder.OnText(part.payload.substr(1), again);
  while (Frame::NextPart(rest, part)) {
    SESIOR_CHECK(result == PacketDecoder::Result::kMore && part.binary);
    result = decoder.OnBinary(part.payload, again);
  }
  SESIOR_CHECK(result == PacketDecoder::Result::kPacket);
  SESIOR_CHECK(again.type == packet.type && again.nsp == packet.nsp && again.id == packet.id);
  SESIOR_CHECK(again.event == packet.event && again.elements.size() == packet.elements.size());
  SESIOR_CHECK(again.attachments().size() == attachments.size());
}

// An argument that is passed on stays JSON, and means no more attachments than came.
void CheckPassedOn(const Argument& argument) {
  const Json json = Json::Array(argument, Json::Object({{"again", argument}}));
  JsonValue::Elements elements;
  const std::size_t binaries = json.attachments().size();
  SESIOR_CHECK(ParseJsonArray(json.text(), elements, binaries > 0 ? std::optional(binaries) : std::nullopt));
  SESIOR_CHECK(binaries <= 2 * argument.attachments().size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  PacketDecoder decoder(1000);
  while (true) {
    const std::size_t end = rest.find('\x1e');
    const std::string_view message = rest.substr(0, end);
    Packet packet;
    const bool binary = message.starts_with('b');
    const PacketDecoder::Result result =
        binary ? decoder.OnBinary(message.substr(1), packet) : decoder.OnText(message, packet);
    if (result == PacketDecoder::Result::kPacket) {
      // An id followed by a blank or a digit-like payload is written back without the blank; all else is kept.
      CheckRoundTrip(packet);
      for (std::size_t i = 0; i <= packet.arg_count(); ++i) {
        packet.arg(i).AsInt();
        packet.arg(i).AsDouble();
        packet.arg(i).AsString();
        packet.arg(i).Member("a");
        packet.arg(i).AsBinary();
        CheckPassedOn(packet.arg(i));
      }
    }
    if (end == std::string_view::npos) return 0;
    rest.remove_prefix(end + 1);
  }
}
