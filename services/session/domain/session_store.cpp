#include "services/session/domain/session_store.hpp"

#include <algorithm>
#include <cstddef>

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

namespace {

std::string TidyText(const std::string& text, std::size_t limit) {
  std::string tidy;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) >= ' ' && c != '\x7f') tidy.push_back(c);
  }
  if (tidy.size() <= limit) return tidy;
  while (limit > 0 && (static_cast<unsigned char>(tidy[limit]) & 0xC0) == 0x80) --limit;
  tidy.resize(limit);
  return tidy;
}

}  // namespace

Device Tidy(Device device) {
  return {TidyText(device.address, 64), TidyText(device.user_agent, 256), TidyText(device.label, 64)};
}

std::string EncodeDevice(const Device& device) {
  return device.empty() ? std::string() : absl::StrCat(device.address, "\x1f", device.user_agent, "\x1f", device.label);
}

Device DecodeDevice(std::string_view text) {
  Device device;
  const std::size_t first = text.find('\x1f');
  if (first == std::string_view::npos) return device;
  const std::size_t second = std::min(text.find('\x1f', first + 1), text.size());
  device.address = std::string(text.substr(0, first));
  device.user_agent = std::string(text.substr(first + 1, second - first - 1));
  if (second < text.size()) device.label = std::string(text.substr(second + 1));
  return device;
}

std::optional<std::uint64_t> MissingIn(const StoreHistory& history) {
  const std::uint64_t next = history.broadcasts.empty() ? history.head.offset + 1 : history.broadcasts.front().offset;
  return history.from < next ? std::optional(next - 1) : std::nullopt;
}

}  // namespace sesior::session
