#include "services/session/domain/cookie.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "services/session/domain/json_text.hpp"
#include "sesior/base/base64.hpp"
#include "sesior/base/check.hpp"
#include "sesior/base/string_view.hpp"

namespace sesior::session {

namespace {

bool IsBlank(char c) { return c == ' ' || c == '\t'; }

std::string_view TrimBlanks(std::string_view text) {
  while (!text.empty() && IsBlank(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsBlank(text.back())) text.remove_suffix(1);
  return text;
}

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// "%41" -> 'A'; -1 when `text` does not start so.
int DecodePercent(std::string_view text) {
  if (text.size() < 3 || text[0] != '%') return -1;
  const int high = HexValue(text[1]);
  const int low = HexValue(text[2]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

bool IsUnreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("-_.!~*'()").find(c) != std::string_view::npos;
}

bool EqualInConstantTime(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string HttpDate(std::int64_t ms) {
  return absl::FormatTime("%a, %d %b %Y %H:%M:%S GMT", absl::FromUnixMillis(ms), absl::UTCTimeZone());
}

}  // namespace

bool IsUsableSessionId(std::string_view id) {
  if (id.empty() || id.size() > kMaxSessionIdLength) return false;
  for (const char c : id) {
    if (c <= ' ' || c > '~' || c == '{' || c == '}') return false;
  }
  return true;
}

std::optional<std::string> DecodeUriComponent(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    if (text[0] != '%') {
      out.push_back(text[0]);
      text.remove_prefix(1);
      continue;
    }
    // One encoded character: up to four encoded bytes, which together must be valid UTF-8.
    std::string bytes;
    do {
      const int byte = DecodePercent(text);
      if (byte < 0 || bytes.size() == 4) return std::nullopt;
      bytes.push_back(static_cast<char>(byte));
      text.remove_prefix(3);
    } while (Utf8SequenceLength(bytes) == 0);
    out += bytes;
  }
  return out;
}

std::string EncodeUriComponent(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size() + 16);
  for (const char c : text) {
    if (IsUnreserved(c)) {
      out.push_back(c);
    } else {
      const unsigned byte = static_cast<unsigned char>(c);
      out.push_back('%');
      out.push_back(kHex[byte >> 4]);
      out.push_back(kHex[byte & 15]);
    }
  }
  return out;
}

std::optional<std::string> FindCookie(std::string_view header, std::string_view name) {
  // Pairs end at `;`; a piece without `=` is no pair.
  while (!header.empty()) {
    const std::size_t end = header.find(';');
    const std::string_view pair = header.substr(0, end);
    header.remove_prefix(end == std::string_view::npos ? header.size() : end + 1);
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos || TrimBlanks(pair.substr(0, equals)) != name) continue;
    std::string_view value = TrimBlanks(pair.substr(equals + 1));
    if (!value.empty() && value.front() == '"' && value.back() == '"') {
      value = value.size() < 2 ? std::string_view() : value.substr(1, value.size() - 2);
    }
    if (value.find('%') == std::string_view::npos) return std::string(value);
    std::optional<std::string> decoded = DecodeUriComponent(value);
    return decoded ? *std::move(decoded) : std::string(value);
  }
  return std::nullopt;
}

// One secret, keyed once; every signature starts from the keyed state.
class CookieSigner::Key {
 public:
  explicit Key(std::string_view secret) {
    EVP_MAC* mac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
    SESIOR_CHECK(mac != nullptr);
    context_ = EVP_MAC_CTX_new(mac);
    EVP_MAC_free(mac);
    SESIOR_CHECK(context_ != nullptr);
    char digest[] = "SHA256";
    const std::array<OSSL_PARAM, 2> params = {OSSL_PARAM_construct_utf8_string("digest", digest, 0),
                                              OSSL_PARAM_construct_end()};
    SESIOR_CHECK(EVP_MAC_init(context_, reinterpret_cast<const unsigned char*>(secret.data()), secret.size(),
                              params.data()) == 1);
  }
  ~Key() { EVP_MAC_CTX_free(context_); }
  Key(const Key&) = delete;
  Key& operator=(const Key&) = delete;

  std::string Hmac(std::string_view data) {
    std::string out(32, '\0');
    std::size_t size = 0;
    SESIOR_CHECK(EVP_MAC_init(context_, nullptr, 0, nullptr) == 1);
    SESIOR_CHECK(EVP_MAC_update(context_, reinterpret_cast<const unsigned char*>(data.data()), data.size()) == 1);
    SESIOR_CHECK(EVP_MAC_final(context_, reinterpret_cast<unsigned char*>(out.data()), &size, out.size()) == 1);
    SESIOR_CHECK(size == out.size());
    return out;
  }

  std::string Signature(std::string_view id) {
    std::string text = Base64Encode(Hmac(id));
    while (!text.empty() && text.back() == '=') text.pop_back();
    return text;
  }

 private:
  EVP_MAC_CTX* context_;
};

CookieSigner::CookieSigner(const std::vector<std::string>& secrets) {
  SESIOR_CHECK(!secrets.empty());
  for (const std::string& secret : secrets) {
    SESIOR_CHECK(!secret.empty());
    keys_.push_back(std::make_unique<Key>(secret));
  }
}

CookieSigner::~CookieSigner() = default;

std::string CookieSigner::Sign(const SessionId& id) {
  return absl::StrCat("s:", id.text(), ".", keys_.front()->Signature(id.text()));
}

CookieReading CookieSigner::Unsign(std::string_view signed_id) {
  CookieReading reading;
  reading.verdict = CookieVerdict::kMalformed;
  const std::size_t dot = signed_id.rfind('.');
  if (dot == std::string_view::npos || !IsUsableSessionId(signed_id.substr(0, dot))) return reading;
  const std::string_view id = signed_id.substr(0, dot);
  const std::string_view signature = signed_id.substr(dot + 1);
  reading.verdict = CookieVerdict::kBadSignature;
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    if (!EqualInConstantTime(keys_[i]->Signature(id), signature)) continue;
    reading.verdict = CookieVerdict::kGood;
    reading.id = SessionId(std::string(id));
    reading.retired = i > 0;
    break;
  }
  return reading;
}

CookieReading CookieSigner::Read(std::string_view header, std::string_view name) {
  CookieReading reading;
  if (header.size() > kMaxCookieHeaderBytes) {
    reading.verdict = CookieVerdict::kMalformed;
    return reading;
  }
  const std::optional<std::string> value = FindCookie(header, name);
  if (!value || value->empty()) return reading;
  if (!value->starts_with("s:")) {
    reading.verdict = CookieVerdict::kMalformed;
    return reading;
  }
  return Unsign(std::string_view(*value).substr(2));
}

SessionId CookieSigner::DeriveId(std::string_view purpose, std::string_view request_id) {
  // A NUL keeps these words apart from every id that a cookie signature could be asked for.
  const std::string words = absl::StrCat(ToAbsl(purpose), absl::string_view("\0", 1), ToAbsl(request_id));
  return SessionId(Base64UrlEncode(std::string_view(keys_.front()->Hmac(words)).substr(0, 24)));
}

std::string SetCookieText(const CookieAttributes& cookie, std::string_view signed_value,
                          std::optional<std::int64_t> expires_ms) {
  std::string text = absl::StrCat(cookie.name, "=", EncodeUriComponent(signed_value));
  if (!cookie.domain.empty()) absl::StrAppend(&text, "; Domain=", cookie.domain);
  if (!cookie.path.empty()) absl::StrAppend(&text, "; Path=", cookie.path);
  if (expires_ms) absl::StrAppend(&text, "; Expires=", HttpDate(*expires_ms));
  if (cookie.http_only) text += "; HttpOnly";
  if (cookie.secure) text += "; Secure";
  if (cookie.partitioned) text += "; Partitioned";
  switch (cookie.priority) {
    case CookieAttributes::Priority::kUnset:
      break;
    case CookieAttributes::Priority::kLow:
      text += "; Priority=Low";
      break;
    case CookieAttributes::Priority::kMedium:
      text += "; Priority=Medium";
      break;
    case CookieAttributes::Priority::kHigh:
      text += "; Priority=High";
      break;
  }
  switch (cookie.same_site) {
    case CookieAttributes::SameSite::kUnset:
      break;
    case CookieAttributes::SameSite::kLax:
      text += "; SameSite=Lax";
      break;
    case CookieAttributes::SameSite::kStrict:
      text += "; SameSite=Strict";
      break;
    case CookieAttributes::SameSite::kNone:
      text += "; SameSite=None";
      break;
  }
  return text;
}

std::string ClearCookieText(const CookieAttributes& cookie) { return SetCookieText(cookie, "", 0); }

}  // namespace sesior::session
