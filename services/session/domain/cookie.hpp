// The session cookie, judged as express-session judges it (1.19, with cookie 0.7 and cookie-signature 1.2; observed):
// what Express lets in comes in, but for ids that Express never makes; nothing else does.
//   value = encodeURIComponent("s:" + id + "." + base64(HMAC-SHA256(secret, id)) without padding)
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/session/domain/record.hpp"
#include "sesior/base/ids.hpp"

namespace sesior::session {

inline constexpr std::size_t kMaxSessionIdLength = 256;
inline constexpr std::size_t kMaxCookieHeaderBytes = 16 << 10;

// Ids SESIOR works with: 1 to 256 visible ASCII characters without `{` and `}` (they would move the session's keys to
// other slots of a Redis Cluster). Express's own are 32 of [A-Za-z0-9_-].
bool IsUsableSessionId(std::string_view id);

// The decoded value of the first cookie called `name` (exactly); nullopt when there is none. Blanks and one pair of
// double quotes around the value go, a value that cannot be decoded stays as it is: all as npm's `cookie` does.
std::optional<std::string> FindCookie(std::string_view header, std::string_view name);

// JavaScript's decodeURIComponent; nullopt where that throws. Bytes above 127 that are not encoded stay.
std::optional<std::string> DecodeUriComponent(std::string_view text);
std::string EncodeUriComponent(std::string_view text);

enum class CookieVerdict {
  kAbsent,        // no header, no cookie of that name, or an empty value
  kMalformed,     // not of the form above, or an id SESIOR does not work with, or a header above 16 KiB
  kBadSignature,  // no secret fits
  kGood,
  kUnknown,  // said by SessionService only: well signed, but there is no such session
};

struct CookieReading {
  CookieVerdict verdict = CookieVerdict::kAbsent;
  SessionId id;          // set when kGood
  bool retired = false;  // kGood by another secret than the first: a new cookie is due
};

// Signs and verifies with a list of secrets: any verifies, the first signs. Comparisons take the same time whatever
// they find. Threading: thread-compatible (the keyed state is reused).
class CookieSigner {
 public:
  // At least one secret, none empty.
  explicit CookieSigner(const std::vector<std::string>& secrets);
  ~CookieSigner();
  CookieSigner(const CookieSigner&) = delete;
  CookieSigner& operator=(const CookieSigner&) = delete;

  // "s:<id>.<signature>", not yet encoded for a header.
  std::string Sign(const SessionId& id);
  // "<id>.<signature>" -> its verdict; never kAbsent.
  CookieReading Unsign(std::string_view signed_id);
  // A whole Cookie header, as received.
  CookieReading Read(std::string_view header, std::string_view name);
  // An id that every replica with the same secrets derives from the same words, and nobody without them. Makes a
  // repeated "create" end at the same session.
  SessionId DeriveId(std::string_view purpose, std::string_view request_id);

 private:
  class Key;
  std::vector<std::unique_ptr<Key>> keys_;
};

// The value of a Set-Cookie header: `signed_value` from CookieSigner::Sign. `expires_ms`: wall clock; unset: none.
std::string SetCookieText(const CookieAttributes& cookie, std::string_view signed_value,
                          std::optional<std::int64_t> expires_ms);
// The Set-Cookie that makes a browser forget the cookie.
std::string ClearCookieText(const CookieAttributes& cookie);

}  // namespace sesior::session
