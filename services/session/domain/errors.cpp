#include "services/session/domain/errors.hpp"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sesior/base/error.hpp"
#include "sesior/base/error_metadata.hpp"
#include "sesior/base/string_view.hpp"

namespace sesior::session {

namespace {
absl::Status Make(absl::StatusCode code, std::string_view message, std::string reason, std::string field = {}) {
  return Error(code, message, {.reason = std::move(reason), .field = std::move(field), .retry_after = {}});
}

constexpr int kEndedByExpiry = 6;  // sesior.session.v1.END_REASON_EXPIRED

absl::Status WithEtag(absl::Status status, std::string_view etag) {
  return etag.empty() ? status
                      : WithMetadata(std::move(status), "current_etag", absl::StrCat("\"", ToAbsl(etag), "\""));
}
}  // namespace

absl::Status SessionNotFound() {
  return Make(absl::StatusCode::kNotFound, "there is no such session", "SESSION_NOT_FOUND");
}

absl::Status SessionDestroyed(int end_reason) {
  const bool is_expired = end_reason == kEndedByExpiry;
  return WithMetadata(
      Make(absl::StatusCode::kNotFound, is_expired ? "the session came to its absolute limit" : "the session was ended",
           is_expired ? "SESSION_EXPIRED" : "SESSION_DESTROYED"),
      "end_reason", std::to_string(end_reason));
}

absl::Status SessionExists() {
  return Make(absl::StatusCode::kAlreadyExists, "there is a session with this id", "SESSION_EXISTS",
              "express.session_id");
}

absl::Status EtagMismatch(std::string_view current_etag) {
  return WithEtag(Make(absl::StatusCode::kAborted, "the session has changed since that etag", "ETAG_MISMATCH", "etag"),
                  current_etag);
}

absl::Status WriteConflict(int tries, std::string_view current_etag) {
  return WithEtag(
      Make(absl::StatusCode::kAborted,
           absl::StrCat("others kept writing to the session; gave up after ", tries, " tries"), "WRITE_CONFLICT"),
      current_etag);
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

absl::Status CreateRateExceeded(bool by_address, std::chrono::milliseconds retry_after) {
  return Error(absl::StatusCode::kResourceExhausted,
               by_address ? "too many new sessions from this address; try again later"
                          : "too many new sessions; try again later",
               {.reason = "CREATE_RATE", .field = by_address ? "device.address" : "", .retry_after = retry_after});
}

absl::Status TooManySessions(int limit) {
  return Make(absl::StatusCode::kResourceExhausted,
              absl::StrCat("the user has too many sessions (limit ", limit, "); end one first"), "TOO_MANY_SESSIONS");
}

absl::Status HandleNotFound() {
  return Make(absl::StatusCode::kNotFound, "the user has no such session, or it has ended", "HANDLE_NOT_FOUND",
              "handle");
}

absl::Status RecoveryNotFound() {
  return Make(absl::StatusCode::kNotFound, "there is no such recovery record, or it is in use", "RECOVERY_NOT_FOUND");
}

}  // namespace sesior::session
