#include "sesior/socketio/engine_codec.hpp"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "sesior/base/base64.hpp"
#include "sesior/base/string_view.hpp"
#include "sesior/socketio/json_text.hpp"

namespace sesior::socketio {
namespace {

// What Node.js lets through in a header value.
bool IsHeaderByte(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}

}  // namespace

std::optional<EnginePacket> ParseEnginePacket(std::string_view text, std::string& decoded) {
  if (text.empty()) return std::nullopt;
  if (text[0] == 'b') {
    std::optional<std::string> bytes = Base64Decode(text.substr(1));
    if (!bytes) return std::nullopt;
    decoded = *std::move(bytes);
    return EnginePacket{EnginePacketType::kMessage, decoded, true};
  }
  if (text[0] < '0' || text[0] > '6') return std::nullopt;
  return EnginePacket{static_cast<EnginePacketType>(text[0] - '0'), text.substr(1), false};
}

bool PayloadReader::Next() {
  if (done_) return false;
  const std::size_t end = rest_.find(kPayloadSeparator);
  std::optional<EnginePacket> packet = ParseEnginePacket(rest_.substr(0, end), decoded_);
  failed_ = !packet;
  done_ = failed_ || end == std::string_view::npos;
  if (failed_) return false;
  packet_ = *packet;
  if (!done_) rest_.remove_prefix(end + 1);
  return true;
}

void AppendToPayload(const Frame& frame, std::string& payload) {
  std::string_view rest = frame.wire();
  Frame::Part part;
  while (Frame::NextPart(rest, part)) {
    if (!payload.empty()) payload.push_back(kPayloadSeparator);
    if (part.binary) {
      payload.push_back('b');
      payload.append(Base64Encode(part.payload));
    } else {
      payload.append(part.payload);
    }
  }
}

std::string EncodeOpenPacket(std::string_view sid, EngineTransport transport, const EngineOptions& options) {
  const bool can_upgrade = transport == EngineTransport::kPolling && options.allow_upgrades && options.allow_websocket;
  return absl::StrCat("0{\"sid\":", JsonString(sid), ",\"upgrades\":[", can_upgrade ? "\"websocket\"" : "",
                      "],\"pingInterval\":", options.ping_interval.count(),
                      ",\"pingTimeout\":", options.ping_timeout.count(), ",\"maxPayload\":", options.max_payload_bytes,
                      "}");
}

std::optional<EngineError> VerifyEngineRequest(const EngineRequest& request, const EngineOptions& options) {
  const bool polling = request.transport == "polling";
  const bool websocket = request.transport == "websocket";
  if (!(polling && options.allow_polling) && !(websocket && options.allow_websocket)) {
    return EngineError::kUnknownTransport;
  }
  if (!std::all_of(request.origin.begin(), request.origin.end(), IsHeaderByte)) return EngineError::kBadRequest;

  if (request.sid && !request.sid->empty()) {
    if (!request.session_transport) return EngineError::kUnknownSession;
    if (request.is_upgrade) {
      // The reference upgrades "transport=polling" and then closes; refusing is the same, sooner.
      return websocket ? std::nullopt : std::optional(EngineError::kBadRequest);
    }
    const EngineTransport asked = polling ? EngineTransport::kPolling : EngineTransport::kWebSocket;
    if (asked != *request.session_transport || websocket) return EngineError::kBadRequest;
    return std::nullopt;
  }

  if (request.method != "GET") return EngineError::kBadHandshakeMethod;
  if (websocket != request.is_upgrade) return EngineError::kBadRequest;
  if (request.forbidden) return EngineError::kForbidden;
  if (request.eio != "4") return EngineError::kUnsupportedProtocol;
  return std::nullopt;
}

int HttpStatus(EngineError error) { return error == EngineError::kForbidden ? 403 : 400; }

std::string_view Message(EngineError error) {
  static constexpr std::array<std::string_view, 6> kMessages = {
      "Transport unknown", "Session ID unknown", "Bad handshake method",
      "Bad request",       "Forbidden",          "Unsupported protocol version",
  };
  return kMessages[static_cast<std::size_t>(error)];
}

std::string ErrorBody(EngineError error, std::string_view message) {
  return absl::StrCat("{\"code\":", static_cast<int>(error),
                      ",\"message\":", JsonString(message.empty() ? Message(error) : message), "}");
}

}  // namespace sesior::socketio
