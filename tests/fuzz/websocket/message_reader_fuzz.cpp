// What a client may send after the handshake. The first byte says in pieces of which size it arrives.
#include <algorithm>
#include <cstdint>
#include <string>

#include "sesior/base/check.hpp"
#include "sesior/websocket/message_reader.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t count) {
  using namespace sesior::websocket;
  constexpr std::size_t kMaxMessageBytes = 4096;
  if (count == 0) return 0;
  const std::size_t piece = bytes[0] == 0 ? count : bytes[0];
  std::string input(reinterpret_cast<const char*>(bytes + 1), count - 1);
  MessageReader reader(kMaxMessageBytes);
  bool finished = false;
  for (std::size_t offset = 0; offset < input.size(); offset += piece) {
    char* data = input.data() + offset;
    std::size_t size = std::min(piece, input.size() - offset);
    for (Event event = reader.Next(data, size); event.kind != EventKind::kMore; event = reader.Next(data, size)) {
      SESIOR_CHECK(!finished);
      finished = event.kind == EventKind::kClose || event.kind == EventKind::kError;
      if (event.kind != EventKind::kError) SESIOR_CHECK(event.payload.size() <= kMaxMessageBytes);
      if (event.kind == EventKind::kPing) SESIOR_CHECK(EncodeFrame(Opcode::kPong, event.payload).size() <= 127);
    }
    SESIOR_CHECK(size == 0);
  }
  return 0;
}
