#include "services/session/domain/callers.hpp"

#include <algorithm>

#include "sesior/base/error.hpp"
#include "sesior/base/error_metadata.hpp"
#include "sesior/base/ids.hpp"

namespace sesior::session {

namespace {

absl::Status Unauthenticated(const char* reason, std::string_view message) {
  return Error(absl::StatusCode::kUnauthenticated, message, {.reason = reason, .field = {}, .retry_after = {}});
}

bool Has(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

const char* NameOf(Role role) {
  switch (role) {
    case Role::kNone:
      return "none";
    case Role::kEdge:
      return "edge";
    case Role::kBackend:
      return "backend";
    case Role::kAdmin:
      return "admin";
  }
  return "none";
}

void Callers::SetTokens(Role role, const std::vector<std::string>& tokens) {
  absl::MutexLock lock(&mutex_);
  absl::erase_if(tokens_, [role](const auto& known) { return known.second == role; });
  for (const std::string& token : tokens) {
    Role& known = tokens_.try_emplace(Sha256Hex(token), role).first->second;
    known = std::min(known, role);
  }
}

Role Callers::RoleOfCertificate(const std::vector<std::string_view>& names) const {
  Role role = Role::kNone;
  for (const std::string_view name : names) {
    if (Has(names_.edge, name)) role = std::max(role, Role::kEdge);
    if (Has(names_.backend, name)) role = std::max(role, Role::kBackend);
    if (Has(names_.admin, name)) role = std::max(role, Role::kAdmin);
  }
  return role;
}

absl::StatusOr<Role> Callers::RoleOf(const ShownCredentials& shown) const {
  Role role = shown.by_certificate;
  if (shown.token_sha256) {
    absl::MutexLock lock(&mutex_);
    const auto found = tokens_.find(*shown.token_sha256);
    if (found == tokens_.end()) return Unauthenticated("CREDENTIALS_UNKNOWN", "the bearer token is not known");
    role = std::max(role, found->second);
  }
  if (role != Role::kNone) return role;
  if (shown.certificate) {
    return Unauthenticated("CREDENTIALS_UNKNOWN", "no name of the client certificate has a role");
  }
  return Unauthenticated("CREDENTIALS_MISSING", "a client certificate or a bearer token is needed");
}

absl::Status RoleRequired(Role least) {
  return WithMetadata(
      Error(absl::StatusCode::kPermissionDenied, std::string("the role \"") + NameOf(least) + "\" is needed",
            {.reason = "ROLE_REQUIRED", .field = {}, .retry_after = {}}),
      "role", NameOf(least));
}

}  // namespace sesior::session
