// What an absl::Status of SESIOR carries beside code and message, so that it survives every boundary (gRPC, the batched
// stream, HTTP): a reason from the table in proto/README.md, the field that was wrong, how long to wait.
// The message names the thing and the limit; it never holds ids, names of users, secrets or raw payloads.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace sesior {

struct ErrorDetails {
  std::string reason;                                    // "SESSION_NOT_FOUND"; empty: none
  std::string field;                                     // the request field or record member concerned; empty: none
  std::optional<std::chrono::milliseconds> retry_after;  // set with kUnavailable when a wait is advised
};

absl::Status Error(absl::StatusCode code, std::string_view message, ErrorDetails details);
// All that Error() attached; empty members when nothing was attached.
ErrorDetails DetailsOf(const absl::Status& status);
// Shorthand for DetailsOf(status).reason.
std::string ReasonOf(const absl::Status& status);

}  // namespace sesior
