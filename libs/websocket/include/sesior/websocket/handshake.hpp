// The server's side of the WebSocket opening handshake (RFC 6455 section 4.2), version 13, no extensions, no
// subprotocol. Thread-safe functions. This header needs C++17 only.
#pragma once

#include <string>
#include <string_view>

namespace sesior::websocket {

// What the handshake depends on, from a request that an HTTP parser has accepted. Header values as sent, with several
// headers of one name joined by commas; empty: absent.
struct HandshakeRequest {
  std::string_view method;
  bool http_1_1 = false;  // the request's version is HTTP/1.1
  std::string_view upgrade;
  std::string_view connection;
  std::string_view key;      // Sec-WebSocket-Key
  std::string_view version;  // Sec-WebSocket-Version
};

enum class HandshakeVerdict {
  kAccepted,
  kNotWebSocket,  // no upgrade to WebSocket asked for, or not with GET and HTTP/1.1: an ordinary request
  kWrongVersion,  // answer 426 (or 400) with "Sec-WebSocket-Version: 13"
  kInvalidKey,    // the key is not the base64 of 16 bytes: answer 400
};

HandshakeVerdict Judge(const HandshakeRequest& request);

// Is `token` a member of the comma-separated list? Case does not matter.
bool HasToken(std::string_view list, std::string_view token);

// The value of Sec-WebSocket-Accept for a key that Judge has accepted.
std::string AcceptValue(std::string_view key);

// The whole answer, "HTTP/1.1 101 ..." to the empty line. `extra_headers`: lines ending with CRLF, or empty.
std::string AcceptResponse(std::string_view key, std::string_view extra_headers = {});

}  // namespace sesior::websocket
