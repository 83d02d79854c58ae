// MessageReader turns the bytes a client sends after the handshake into messages; EncodeFrame makes the bytes a server
// sends. websocketpp does the framing; what it leaves open is checked here: payloads of close frames, and the length of
// a message whose later fragments claim nearly 2^64 bytes.
//
//   for (websocket::Event event = reader.Next(data, size); event.kind != EventKind::kMore;
//        event = reader.Next(data, size)) { ... }
//
// Memory:    between messages a reader holds no buffer, only this object. While a message is being read it holds what
//            has arrived of it, at most `max_message_bytes` and one input more.
// Threading: thread-compatible.
// This header needs C++17 only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace sesior::websocket {

enum class Opcode : std::uint8_t { kText = 1, kBinary = 2, kClose = 8, kPing = 9, kPong = 10 };

// Close codes of RFC 6455 section 7.4.1 that this server sends.
inline constexpr std::uint16_t kNormal = 1000;
inline constexpr std::uint16_t kGoingAway = 1001;
inline constexpr std::uint16_t kProtocolError = 1002;
inline constexpr std::uint16_t kInvalidPayload = 1007;
inline constexpr std::uint16_t kTooBig = 1009;
inline constexpr std::uint16_t kInternalError = 1011;

enum class EventKind : std::uint8_t {
  kMore,    // the input is used up
  kText,    // payload: valid UTF-8
  kBinary,  //
  kPing,    // answer with a pong of the same payload
  kPong,    //
  kClose,   // code: what the peer gave, 0 when it gave none. Answer with a close of the same code. Nothing follows.
  kError,   // the peer broke the protocol; code: what to close with. Nothing follows.
};

struct Event {
  EventKind kind = EventKind::kMore;
  std::uint16_t code = 0;
  std::string_view payload;  // valid until the next call of Next or the reader's end; with kError: fixed words for logs
};

class MessageReader {
 public:
  explicit MessageReader(std::size_t max_message_bytes);
  ~MessageReader();
  MessageReader(MessageReader&&) noexcept;
  MessageReader& operator=(MessageReader&&) noexcept;

  // Takes bytes off the front of the input until there is something to tell; `data` and `size` then stand behind what
  // was taken. The input is unmasked in place.
  Event Next(char*& data, std::size_t& size);

 private:
  class Engine;
  Event Fail(std::uint16_t code, const char* words);
  Event OnClose(std::string_view payload);

  std::unique_ptr<Engine> engine_;  // null between messages
  std::size_t max_message_bytes_;
  bool finished_ = false;  // after kClose or kError
};

// A whole frame as a server sends it: final, unmasked. The payload of a control frame: at most 125 bytes.
std::string EncodeFrame(Opcode opcode, std::string_view payload);
// A close frame; code 0: without code and reason.
std::string EncodeClose(std::uint16_t code, std::string_view reason = {});

// websocketpp finds out the byte order of the machine at its first use, without synchronisation: call this once before
// starting threads that use the library.
void Initialize();

}  // namespace sesior::websocket
