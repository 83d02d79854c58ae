// Claims: from what a request wants and what the session holds to what the store shall move. Threading: pure functions.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "services/session/domain/session_store.hpp"

namespace sesior::session {

struct ClaimRequest {
  std::string name_space;
  std::string value;
  std::string member;
  std::string previous_placeholder;  // see Announcement
};

// kInvalidArgument naming the field: namespace (1-64 of [A-Za-z0-9_.-]), value (1-1024 bytes of UTF-8 without control
// characters), member (a name Express can load), one claim a namespace.
absl::Status CheckClaims(const std::vector<ClaimRequest>& claims);

struct ClaimPlan {
  std::vector<ClaimMove> moves;  // number i belongs to request i; what is released comes behind
  std::vector<HeldClaim> held;   // the list afterwards
  bool changes_held = false;
  std::vector<std::optional<std::string>> previous;  // per request: the value held before
};

// `record`: the session's before the write. `takeovers`: texts of void claims, by request. A claim that the session
// holds already keeps its nonce only when the record holds the value too; else whoever judged the record before this
// write would take over a claim that is good again.
ClaimPlan PlanClaims(const SessionId& id, std::string_view record, const std::vector<HeldClaim>& held,
                     const std::vector<ClaimRequest>& requests, const std::map<std::size_t, std::string>& takeovers);
// For a session that moves to a new id. With `keep`, what is held and not asked for anew moves along; else it goes.
ClaimPlan PlanClaimsForNewId(const SessionId& old_id, const SessionId& new_id, bool keep,
                             const std::vector<HeldClaim>& held, const std::vector<ClaimRequest>& requests,
                             const std::map<std::size_t, std::string>& takeovers);

// `previous` as one line of text for the store to remember, and back.
std::string EncodePrevious(const std::vector<std::optional<std::string>>& previous);
std::vector<std::optional<std::string>> DecodePrevious(std::string_view text);

}  // namespace sesior::session
