// Engine.IO 4 on the wire: packets, long-polling payloads, the open packet, the rules of the handshake.
// Pure functions; thread-safe. Views that go out point into the text that came in.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sesior/socketio/frame.hpp"

namespace sesior::socketio {

enum class EngineTransport : std::uint8_t { kPolling, kWebSocket };

// The options of the reference server, with its defaults.
struct EngineOptions {
  std::chrono::milliseconds ping_interval{25'000};
  std::chrono::milliseconds ping_timeout{20'000};
  std::chrono::milliseconds upgrade_timeout{10'000};
  std::chrono::milliseconds close_timeout{
      30'000};                                // how long a closed polling session waits for a GET that takes the rest
  std::size_t max_payload_bytes = 1'000'000;  // of one POST body and of one WebSocket message
  std::size_t max_packets_per_post = 10'000;  // more: parse error
  std::size_t max_packets_per_poll = 16;      // more wait for the next; python-engineio refuses payloads with more
  std::size_t send_queue_limit_bytes = 1 << 20;  // per client; more: closed as kSlow
  bool allow_polling = true;
  bool allow_websocket = true;
  bool allow_upgrades = true;  // needs both transports
};

// -- packets --

enum class EnginePacketType : std::uint8_t { kOpen, kClose, kPing, kPong, kMessage, kUpgrade, kNoop };

struct EnginePacket {
  EnginePacketType type = EnginePacketType::kNoop;
  std::string_view data;  // text after the type digit, or the bytes of a binary message
  bool binary = false;
};

// One packet in text form, as it stands in a payload or a WebSocket text frame; nullopt: it is none.
// "b" and base64 is a binary message (strict base64; the reference skips foreign characters); its bytes go to
// `decoded`, which packet.data then points into.
std::optional<EnginePacket> ParseEnginePacket(std::string_view text, std::string& decoded);

// -- long-polling payloads: packets joined by 0x1e; a binary message is "b" and its base64 --

inline constexpr char kPayloadSeparator = '\x1e';

// PayloadReader walks the packets of a POST body.
//   while (reader.Next()) use(reader.packet());
//   if (reader.failed()) close;
class PayloadReader {
 public:
  explicit PayloadReader(std::string_view body) : rest_(body) {}
  // False at the end, and for good after the first packet that is none (an empty one included).
  bool Next();
  bool failed() const { return failed_; }
  // Valid until the next call of Next().
  const EnginePacket& packet() const { return packet_; }

 private:
  std::string_view rest_;
  std::string decoded_;
  EnginePacket packet_;
  bool failed_ = false;
  bool done_ = false;
};

// Appends all parts of `frame` to a payload, with the separators they need.
void AppendToPayload(const Frame& frame, std::string& payload);

// -- open packet --

// 0{"sid":...,"upgrades":[...],"pingInterval":...,"pingTimeout":...,"maxPayload":...}, keys in this order.
std::string EncodeOpenPacket(std::string_view sid, EngineTransport transport, const EngineOptions& options);

// -- handshake --

// What goes back to a client whose request is refused. The numbers are the protocol's.
enum class EngineError : std::uint8_t {
  kUnknownTransport = 0,
  kUnknownSession = 1,
  kBadHandshakeMethod = 2,
  kBadRequest = 3,
  kForbidden = 4,
  kUnsupportedProtocol = 5,
};

struct EngineRequest {
  std::string_view method = {};                              // "GET", "POST", ... as sent
  std::optional<std::string_view> transport = std::nullopt;  // query parameters, percent-decoded; nullopt: absent
  std::optional<std::string_view> eio = std::nullopt;
  std::optional<std::string_view> sid = std::nullopt;  // an empty one counts as absent
  std::string_view origin = {};                        // raw header value, empty: absent
  bool is_upgrade = false;                             // "Connection: upgrade" with "Upgrade: websocket"
  // The transport the session of `sid` uses now; nullopt: there is no such session.
  std::optional<EngineTransport> session_transport = std::nullopt;
  // The caller's own rules (allow-listed origins, limits, draining) say no to a new session. Ignored when sid is given:
  // cross-site requests to an existing session are refused by the caller before this.
  bool forbidden = false;
};

// Applies the reference's rules in the reference's order; nullopt: go on. No sid: a new session. With sid: a poll, a
// POST, another method (500, empty body), or an upgrade.
std::optional<EngineError> VerifyEngineRequest(const EngineRequest& request, const EngineOptions& options);

int HttpStatus(EngineError error);            // 400; 403 for kForbidden
std::string_view Message(EngineError error);  // "Transport unknown", ...
std::string ErrorBody(EngineError error,
                      std::string_view message = {});  // {"code":N,"message":"..."}; empty: the default

}  // namespace sesior::socketio
