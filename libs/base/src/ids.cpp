#include "sesior/base/ids.hpp"

#include <openssl/sha.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "sesior/base/base64.hpp"
#include "sesior/base/random.hpp"

namespace sesior {

SessionId SessionId::Generate() { return SessionId(Base64UrlEncode(RandomBytes(24))); }

std::string Sha256Hex(std::string_view bytes) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest);
  return absl::BytesToHexString({reinterpret_cast<const char*>(digest), sizeof digest});
}

std::string Sha1Hex(std::string_view bytes) {
  unsigned char digest[SHA_DIGEST_LENGTH];
  SHA1(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest);
  return absl::BytesToHexString({reinterpret_cast<const char*>(digest), sizeof digest});
}

std::string Masked(std::string_view id) { return absl::StrCat("h:", Sha256Hex(id).substr(0, 12)); }

std::string NewShortId() { return Base64UrlEncode(RandomBytes(15)); }

std::string NewRequestId() { return Base64UrlEncode(RandomBytes(16)); }

}  // namespace sesior
