// Why a connection, or one namespace of it, ended: the catalogue.
// The text is what the reference server gives its "disconnect" handlers; logs and metrics use it as it stands.
#pragma once

#include <cstdint>
#include <string_view>

namespace sesior::socketio {

enum class CloseReason : std::uint8_t {
  kTransportError,     // the client broke the HTTP or WebSocket rules, or a connection was cut in mid-request
  kTransportClose,     // the client closed its connection, or sent a close packet
  kForcedClose,        // closed by this server below Socket.IO
  kPingTimeout,        // no pong within pingTimeout
  kParseError,         // a packet that is none
  kServerShutdown,     // this process is going away: the client shall reconnect, elsewhere
  kForcedServerClose,  // closed by this server: protocol rule broken, connectTimeout, or the application asked
  kClientDisconnect,   // the client sent DISCONNECT for the namespace
  kServerDisconnect,   // this server sent DISCONNECT for the namespace
  kSlow,               // more bytes queued for the client than the limit allows
  kFlooding,           // more packets from the client in a second than the limit allows
  kSessionEnded,       // the SESIOR session was destroyed, expired or replaced
  kAged,               // connected for the longest time allowed: the client shall reconnect, elsewhere
};
inline constexpr int kCloseReasonCount = 13;

// "transport close", ...: lower case, stable.
std::string_view Text(CloseReason reason);

// May the client take up its connection state again (id, rooms, missed packets)? False after an explicit disconnect of
// either side and when its session ended.
bool IsRecoverable(CloseReason reason);

// The code of the WebSocket close frame; 0: none is sent (the peer sees 1005), as the reference does.
std::uint16_t WebSocketCode(CloseReason reason);

// Is it useless to send what is still queued (the peer does not read, or may not see it)?
bool DiscardsQueue(CloseReason reason);

}  // namespace sesior::socketio
