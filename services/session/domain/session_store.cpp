#include "services/session/domain/session_store.hpp"

#include "absl/strings/str_cat.h"
#include "sesior/base/string_view.hpp"

namespace sesior::session {

std::string ClaimText(const SessionId& holder, std::string_view nonce) {
  return absl::StrCat(holder.text(), " ", ToAbsl(nonce));
}

SessionId ClaimHolder(std::string_view claim_text) {
  return SessionId(std::string(claim_text.substr(0, claim_text.find(' '))));
}

std::string EncodeClaims(const std::vector<HeldClaim>& claims) {
  std::string text;
  for (const HeldClaim& claim : claims) {
    absl::StrAppend(&text, claim.name_space, "\x1f", claim.value, "\x1f", claim.member, "\x1f", claim.nonce, "\x1e");
  }
  return text;
}

std::vector<HeldClaim> DecodeClaims(std::string_view text) {
  std::vector<HeldClaim> claims;
  const auto field = [&text](char end) {
    const std::size_t at = text.find(end);
    std::string value(text.substr(0, at));
    text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
    return value;
  };
  while (!text.empty()) {
    HeldClaim claim;
    claim.name_space = field('\x1f');
    claim.value = field('\x1f');
    claim.member = field('\x1f');
    claim.nonce = field('\x1e');
    claims.push_back(std::move(claim));
  }
  return claims;
}

}  // namespace sesior::session
