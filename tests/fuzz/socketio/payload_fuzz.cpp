// Engine.IO payloads: what is read can be written again and reads the same.
#include <cstddef>
#include <cstdint>

#include "sesior/base/check.hpp"
#include "sesior/socketio/engine_codec.hpp"

using namespace sesior::socketio;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  std::string again;
  PayloadReader reader(body);
  while (reader.Next()) {
    const EnginePacket& packet = reader.packet();
    if (packet.binary) {
      SESIOR_CHECK(packet.type == EnginePacketType::kMessage);
      AppendToPayload(*Frame::Binary(packet.data), again);
    } else {
      const std::string text = std::to_string(static_cast<int>(packet.type)) + std::string(packet.data);
      AppendToPayload(*Frame::Text(text), again);
    }
  }
  if (!reader.failed()) SESIOR_CHECK(again == body);

  std::string_view rest = body;
  const std::size_t third = size / 3;
  VerifyEngineRequest({.method = rest.substr(0, third),
                       .transport = rest.substr(third, third),
                       .eio = "4",
                       .sid = rest.substr(2 * third),
                       .origin = rest},
                      {});
  return 0;
}
