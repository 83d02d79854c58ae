#include "services/realtime/peers/peer_handshake.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "sesior/base/check.hpp"
#include "sesior/base/random.hpp"
#include "sesior/base/string_view.hpp"

namespace sesior::realtime {
namespace {

constexpr std::size_t kMaxLineBytes = 256;
constexpr std::size_t kNonceDigits = 32;
constexpr std::string_view kGreeting = "sesior-peer 1 ";

bool IsNonce(std::string_view text) {
  return text.size() == kNonceDigits &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::string Hmac(const std::string& secret, std::string_view text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  SESIOR_CHECK(HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
                    reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest, &size) != nullptr);
  return absl::BytesToHexString({reinterpret_cast<const char*>(digest), size});
}

}  // namespace

std::string PeerSecrets::Prove(std::string_view text) const { return Hmac(secrets_.front(), text); }

bool PeerSecrets::Accepts(std::string_view text, std::string_view proof) const {
  bool accepted = false;
  for (const std::string& secret : secrets_) {
    const std::string good = Hmac(secret, text);
    // The length is no secret.
    accepted |= good.size() == proof.size() && CRYPTO_memcmp(good.data(), proof.data(), good.size()) == 0;
  }
  return accepted;
}

PeerHandshake::PeerHandshake(Role role, const PeerSecrets& secrets, std::string replica_id, std::string nonce)
    : role_(role), secrets_(secrets), replica_id_(std::move(replica_id)) {
  (role == Role::kOwner ? nonce_a_ : nonce_b_) = std::move(nonce);
}

std::string PeerHandshake::NewNonce() { return absl::BytesToHexString(RandomBytes(kNonceDigits / 2)); }

std::string PeerHandshake::Greeting() const {
  return role_ == Role::kOwner ? absl::StrCat(ToAbsl(kGreeting), replica_id_, " ", nonce_a_, "\n") : "";
}

std::string PeerHandshake::Claim(std::string_view role) const {
  return absl::StrCat(ToAbsl(role), " ", nonce_a_, " ", nonce_b_, " ", replica_id_);
}

PeerHandshake::Result PeerHandshake::Feed(std::string_view& bytes, std::string& out) {
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    line_.append(bytes.substr(0, end));
    if (line_.size() > kMaxLineBytes) return Result::kFailed;
    bytes.remove_prefix(end == std::string_view::npos ? bytes.size() : end + 1);
    if (end == std::string_view::npos) break;
    const std::string line = std::exchange(line_, {});
    if (const Result result = OnLine(line, out); result != Result::kNeedMore) return result;
  }
  return Result::kNeedMore;
}

PeerHandshake::Result PeerHandshake::OnLine(std::string_view line, std::string& out) {
  if (role_ == Role::kOwner) {
    nonce_b_ = line.substr(0, kNonceDigits);
    if (!IsNonce(nonce_b_) || line.substr(kNonceDigits, 1) != " ") return Result::kFailed;
    if (!secrets_.Accepts(Claim("caller"), line.substr(kNonceDigits + 1))) return Result::kFailed;
    out.append(secrets_.Prove(Claim("owner"))).append("\n");
    return Result::kDone;
  }
  if (greeted_) return secrets_.Accepts(Claim("owner"), line) ? Result::kDone : Result::kFailed;
  greeted_ = true;
  if (!line.starts_with(kGreeting) || line.size() < kGreeting.size() + kNonceDigits + 2) return Result::kFailed;
  line.remove_prefix(kGreeting.size());
  const std::string_view id = line.substr(0, line.size() - kNonceDigits - 1);
  nonce_a_ = line.substr(line.size() - kNonceDigits);
  if (!IsNonce(nonce_a_) || line[id.size()] != ' ') return Result::kFailed;
  if (id != replica_id_) {
    met_another_ = true;
    return Result::kFailed;
  }
  out.append(nonce_b_).append(" ").append(secrets_.Prove(Claim("caller"))).append("\n");
  return Result::kNeedMore;
}

}  // namespace sesior::realtime
