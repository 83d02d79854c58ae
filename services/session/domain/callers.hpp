// Callers: who may do what. A caller's role comes from the names in its client certificate, from its bearer token, or
// the higher of both; without any configured the service answers on loopback only, where every caller has all roles.
// Threading: thread-safe. Errors: kUnauthenticated (CREDENTIALS_MISSING, CREDENTIALS_UNKNOWN), kPermissionDenied
// (ROLE_REQUIRED, with metadata `role`). Tokens are kept as their SHA-256 alone.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"

namespace sesior::session {

// Each may do what those before it may.
enum class Role { kNone, kEdge, kBackend, kAdmin };
const char* NameOf(Role role);  // "edge"

// The names of a role's certificates: a DNS or URI alternative name, or the common name, compared byte for byte.
struct CertificateNames {
  std::vector<std::string> edge, backend, admin;
};

// What a caller has shown.
struct ShownCredentials {
  Role by_certificate = Role::kNone;
  bool certificate = false;                 // there is one, whatever its names
  std::optional<std::string> token_sha256;  // lower-case hex
};

class Callers {
 public:
  static constexpr std::size_t kLeastTokenBytes = 16;

  explicit Callers(CertificateNames names) : names_(std::move(names)) {}

  // In place of those that the role had. A token of two roles has the lower one.
  void SetTokens(Role role, const std::vector<std::string>& tokens) ABSL_LOCKS_EXCLUDED(mutex_);

  // `names`: all of a certificate that came from our authority.
  Role RoleOfCertificate(const std::vector<std::string_view>& names) const;

  // A token that is not known is refused even beside a good certificate: somebody forgot to change it.
  absl::StatusOr<Role> RoleOf(const ShownCredentials& shown) const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  const CertificateNames names_;
  mutable absl::Mutex mutex_;
  absl::flat_hash_map<std::string, Role> tokens_ ABSL_GUARDED_BY(mutex_);  // by SHA-256
};

absl::Status RoleRequired(Role least);

}  // namespace sesior::session
