// The errors of the session rules, each in one place. Messages never hold ids, values or secrets.
#pragma once

#include <chrono>
#include <string_view>

#include "absl/status/status.h"

namespace sesior::session {

absl::Status SessionNotFound();  // kNotFound SESSION_NOT_FOUND
// kNotFound SESSION_DESTROYED, or SESSION_EXPIRED when it came to its absolute limit; metadata `end_reason` is the
// number in sesior.session.v1.EndReason. The successor of a session is never told.
absl::Status SessionDestroyed(int end_reason);
absl::Status SessionExists();  // kAlreadyExists SESSION_EXISTS
// kAborted ETAG_MISMATCH and WRITE_CONFLICT; metadata `current_etag`, quoted, is the version that stood in the way.
absl::Status EtagMismatch(std::string_view current_etag);
absl::Status WriteConflict(int tries, std::string_view current_etag);
absl::Status ClaimTaken(std::string_view member);  // kAlreadyExists CLAIM_TAKEN, field = the member
absl::Status CookieMalformed();                    // kUnauthenticated COOKIE_MALFORMED; also: there is none
absl::Status SignatureInvalid();                   // kUnauthenticated SIGNATURE_INVALID
absl::Status InvalidField(std::string_view field, std::string_view why);  // kInvalidArgument INVALID_FIELD
absl::Status TooManyWaiting();                                            // kResourceExhausted TOO_MANY_CALLS
// kResourceExhausted CREATE_RATE, with a wait; field device.address when it is the limit of an address.
absl::Status CreateRateExceeded(bool by_address, std::chrono::milliseconds retry_after);

absl::Status TooManySessions(int limit);  // kResourceExhausted TOO_MANY_SESSIONS
absl::Status HandleNotFound();            // kNotFound HANDLE_NOT_FOUND
absl::Status RecoveryNotFound();          // kNotFound RECOVERY_NOT_FOUND

}  // namespace sesior::session
