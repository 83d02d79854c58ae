#include "services/session/domain/errors.hpp"

#include <string>

#include "absl/strings/str_cat.h"
#include "sesior/base/error.hpp"
#include "sesior/base/string_view.hpp"

namespace sesior::session {

namespace {
absl::Status Make(absl::StatusCode code, std::string_view message, std::string reason, std::string field = {}) {
  return Error(code, message, {.reason = std::move(reason), .field = std::move(field), .retry_after = {}});
}
}  // namespace

absl::Status SessionNotFound() {
  return Make(absl::StatusCode::kNotFound, "there is no such session", "SESSION_NOT_FOUND");
}

absl::Status SessionDestroyed() {
  return Make(absl::StatusCode::kNotFound, "the session was ended", "SESSION_DESTROYED");
}

absl::Status EtagMismatch() {
  return Make(absl::StatusCode::kAborted, "the session has changed since that etag", "ETAG_MISMATCH", "etag");
}

absl::Status WriteConflict(int tries) {
  return Make(absl::StatusCode::kAborted,
              absl::StrCat("others kept writing to the session; gave up after ", tries, " tries"), "WRITE_CONFLICT");
}

absl::Status ClaimTaken(std::string_view member) {
  return Make(absl::StatusCode::kAlreadyExists, "another session holds this value", "CLAIM_TAKEN", std::string(member));
}

absl::Status CookieMalformed() {
  return Make(absl::StatusCode::kUnauthenticated, "no session cookie, or one that is none", "COOKIE_MALFORMED");
}

absl::Status SignatureInvalid() {
  return Make(absl::StatusCode::kUnauthenticated, "the session cookie's signature is not ours", "SIGNATURE_INVALID");
}

absl::Status InvalidField(std::string_view field, std::string_view why) {
  return Make(absl::StatusCode::kInvalidArgument, absl::StrCat(ToAbsl(field), ": ", ToAbsl(why)), "INVALID_FIELD",
              std::string(field));
}

absl::Status TooManyWaiting() {
  return Make(absl::StatusCode::kResourceExhausted, "too many calls wait for this session", "TOO_MANY_CALLS");
}

}  // namespace sesior::session
