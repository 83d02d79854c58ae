// The identifiers that cross boundaries, each its own type so that one is never passed for another.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace sesior {

// The id of a session: a secret (whoever holds it and a cookie key is that user). Never logged; use Masked().
class SessionId {
 public:
  SessionId() = default;
  explicit SessionId(std::string text) : text_(std::move(text)) {}
  // A new unguessable id, as express-session makes it: 24 random bytes, URL-safe base64, 32 characters.
  static SessionId Generate();

  const std::string& text() const { return text_; }
  bool empty() const { return text_.empty(); }
  friend bool operator==(const SessionId&, const SessionId&) = default;
  friend auto operator<=>(const SessionId&, const SessionId&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const SessionId& id) {
    return H::combine(std::move(h), id.text_);
  }

 private:
  std::string text_;
};

// How an id appears in logs: "h:" and the first 12 hex digits of its SHA-256.
std::string Masked(std::string_view id);
inline std::string Masked(const SessionId& id) { return Masked(id.text()); }

// A short unguessable id for a process or a socket: 15 random bytes, URL-safe base64, 20 characters.
std::string NewShortId();

// A random request id: 16 random bytes as URL-safe base64, 22 characters.
std::string NewRequestId();

std::string Sha256Hex(std::string_view bytes);  // lower case, 64 characters
std::string Sha1Hex(std::string_view bytes);    // lower case, 40 characters

}  // namespace sesior
