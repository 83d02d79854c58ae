// The errors of the session rules, each in one place. Messages never hold ids, values or secrets.
#pragma once

#include <string_view>

#include "absl/status/status.h"

namespace sesior::session {

absl::Status SessionNotFound();                    // kNotFound SESSION_NOT_FOUND
absl::Status SessionDestroyed();                   // kNotFound SESSION_DESTROYED
absl::Status EtagMismatch();                       // kAborted ETAG_MISMATCH
absl::Status WriteConflict(int tries);             // kAborted WRITE_CONFLICT
absl::Status ClaimTaken(std::string_view member);  // kAlreadyExists CLAIM_TAKEN, field = the member
absl::Status CookieMalformed();                    // kUnauthenticated COOKIE_MALFORMED; also: there is none
absl::Status SignatureInvalid();                   // kUnauthenticated SIGNATURE_INVALID
absl::Status InvalidField(std::string_view field, std::string_view why);  // kInvalidArgument INVALID_FIELD
absl::Status TooManyWaiting();                                            // kResourceExhausted TOO_MANY_CALLS

}  // namespace sesior::session
