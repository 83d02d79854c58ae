#include "services/session/domain/claim_plan.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/session/domain/errors.hpp"
#include "services/session/domain/json_text.hpp"
#include "services/session/domain/record.hpp"
#include "sesior/base/base64.hpp"
#include "sesior/base/random.hpp"
#include "sesior/base/string_view.hpp"
#include "sesior/base/utf8.hpp"

namespace sesior::session {

namespace {

constexpr std::size_t kMaxNamespace = 64;
constexpr std::size_t kMaxValueBytes = 1024;

std::string NewNonce() { return Base64UrlEncode(RandomBytes(6)); }

const HeldClaim* FindHeld(const std::vector<HeldClaim>& held, const std::string& name_space) {
  const auto found =
      std::find_if(held.begin(), held.end(), [&](const HeldClaim& claim) { return claim.name_space == name_space; });
  return found == held.end() ? nullptr : &*found;
}

bool IsNamespace(std::string_view text) {
  return !text.empty() && text.size() <= kMaxNamespace && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '-';
  });
}

bool HasControl(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

std::string Override(const std::map<std::size_t, std::string>& takeovers, std::size_t index, std::string otherwise) {
  const auto found = takeovers.find(index);
  return found == takeovers.end() ? std::move(otherwise) : found->second;
}

}  // namespace

absl::Status CheckClaims(const std::vector<ClaimRequest>& claims) {
  std::set<std::string_view> seen;
  for (const ClaimRequest& claim : claims) {
    if (!IsNamespace(claim.name_space)) {
      return InvalidField("claims.namespace", "must be 1 to 64 of A-Z a-z 0-9 _ . -");
    }
    if (!seen.insert(claim.name_space).second) return InvalidField("claims.namespace", "appears twice");
    if (claim.value.empty() || claim.value.size() > kMaxValueBytes || HasControl(claim.value) ||
        !IsValidUtf8(claim.value)) {
      return InvalidField("claims.value", "must be 1 to 1024 bytes of UTF-8 without control characters");
    }
    if (claim.member.empty() || claim.member.size() > kMaxNamespace || HasControl(claim.member) ||
        !IsValidUtf8(claim.member) || IsReservedMember(claim.member)) {
      return InvalidField("claims.member", "must name a member that Express can load, at most 64 bytes");
    }
  }
  return absl::OkStatus();
}

ClaimPlan PlanClaims(const SessionId& id, std::string_view record, const std::vector<HeldClaim>& held,
                     const std::vector<ClaimRequest>& requests, const std::map<std::size_t, std::string>& takeovers) {
  ClaimPlan plan;
  plan.held = held;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const ClaimRequest& request = requests[i];
    const HeldClaim* old = FindHeld(held, request.name_space);
    plan.previous.push_back(old == nullptr ? std::nullopt : std::optional(old->value));
    const bool same = old != nullptr && old->value == request.value && old->member == request.member;
    const bool same_record = same && StringMember(record, request.member) == request.value;
    const std::string nonce = same_record ? old->nonce : NewNonce();
    plan.moves.push_back({request.name_space, request.value,
                          Override(takeovers, i, same ? ClaimText(id, old->nonce) : std::string()),
                          ClaimText(id, nonce)});
    if (same_record) continue;
    plan.changes_held = true;
    std::erase_if(plan.held, [&](const HeldClaim& claim) { return claim.name_space == request.name_space; });
    plan.held.push_back({request.name_space, request.value, request.member, nonce});
  }
  for (const ClaimRequest& request : requests) {
    const HeldClaim* old = FindHeld(held, request.name_space);
    if (old == nullptr || old->value == request.value) continue;
    plan.moves.push_back({old->name_space, old->value, ClaimText(id, old->nonce), {}});
  }
  return plan;
}

ClaimPlan PlanClaimsForNewId(const SessionId& old_id, const SessionId& new_id, bool keep,
                             const std::vector<HeldClaim>& held, const std::vector<ClaimRequest>& requests,
                             const std::map<std::size_t, std::string>& takeovers) {
  ClaimPlan plan;
  plan.changes_held = true;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const ClaimRequest& request = requests[i];
    const HeldClaim* old = FindHeld(held, request.name_space);
    plan.previous.push_back(old == nullptr ? std::nullopt : std::optional(old->value));
    const std::string nonce = NewNonce();
    const bool same = old != nullptr && old->value == request.value;
    plan.moves.push_back({request.name_space, request.value,
                          Override(takeovers, i, same ? ClaimText(old_id, old->nonce) : std::string()),
                          ClaimText(new_id, nonce)});
    plan.held.push_back({request.name_space, request.value, request.member, nonce});
  }
  // What is not moved needs no release here: it goes with the old session.
  if (!keep) return plan;
  for (const HeldClaim& old : held) {
    if (FindHeld(plan.held, old.name_space) != nullptr) continue;
    const std::string nonce = NewNonce();
    plan.moves.push_back({old.name_space, old.value, ClaimText(old_id, old.nonce), ClaimText(new_id, nonce)});
    plan.held.push_back({old.name_space, old.value, old.member, nonce});
  }
  return plan;
}

std::string EncodePrevious(const std::vector<std::optional<std::string>>& previous) {
  std::string text;
  for (const std::optional<std::string>& value : previous) {
    absl::StrAppend(&text, value ? "+" : "-", value ? *value : std::string(), "\x1f");
  }
  return text;
}

std::vector<std::optional<std::string>> DecodePrevious(std::string_view text) {
  std::vector<std::optional<std::string>> previous;
  while (!text.empty()) {
    const std::size_t end = text.find('\x1f');
    const std::string_view field = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (field.starts_with("+")) {
      previous.emplace_back(std::string(field.substr(1)));
    } else {
      previous.emplace_back(std::nullopt);
    }
  }
  return previous;
}

}  // namespace sesior::session
