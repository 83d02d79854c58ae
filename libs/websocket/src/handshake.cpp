#include "sesior/websocket/handshake.hpp"

#include <algorithm>

#include "engine.hpp"

namespace sesior::websocket {
namespace {

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return Lower(x) == Lower(y); });
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// The base64 of 16 bytes: 22 characters and "==". websocketpp takes any text. The bits that the last character has too
// many are not looked at: some clients do not clear them, and nothing depends on them.
bool IsValidKey(std::string_view key) {
  if (key.size() != 24 || key.substr(22) != "==") return false;
  return std::all_of(key.begin(), key.begin() + 22, [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
  });
}

}  // namespace

bool HasToken(std::string_view list, std::string_view token) {
  while (true) {
    const std::size_t comma = list.find(',');
    if (EqualsIgnoringCase(Trim(list.substr(0, comma)), token)) return true;
    if (comma == std::string_view::npos) return false;
    list.remove_prefix(comma + 1);
  }
}

HandshakeVerdict Judge(const HandshakeRequest& request) {
  if (request.method != "GET" || !request.http_1_1 || !HasToken(request.upgrade, "websocket") ||
      !HasToken(request.connection, "upgrade")) {
    return HandshakeVerdict::kNotWebSocket;
  }
  if (Trim(request.version) != "13") return HandshakeVerdict::kWrongVersion;
  if (!IsValidKey(Trim(request.key))) return HandshakeVerdict::kInvalidKey;
  return HandshakeVerdict::kAccepted;
}

std::string AcceptValue(std::string_view key) {
  Processor processor(false, true, SharedState().messages, SharedState().rng);
  websocketpp::http::parser::request request;
  request.replace_header("Sec-WebSocket-Key", std::string(Trim(key)));
  websocketpp::http::parser::response response;
  processor.process_handshake(request, "", response);
  return response.get_header("Sec-WebSocket-Accept");
}

std::string AcceptResponse(std::string_view key, std::string_view extra_headers) {
  std::string response =
      "HTTP/1.1 101 Switching Protocols\r\n"
      "Upgrade: websocket\r\n"
      "Connection: Upgrade\r\n"
      "Sec-WebSocket-Accept: ";
  response.append(AcceptValue(key)).append("\r\n").append(extra_headers).append("\r\n");
  return response;
}

}  // namespace sesior::websocket
