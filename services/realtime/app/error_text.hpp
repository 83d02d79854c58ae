// The one table from a status to the text that a client's acknowledgement function gets as `error`.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace sesior::realtime::app {

// Fit for users; never an id, never the service's own words except about a field of theirs.
std::string ErrorText(const absl::Status& status);

}  // namespace sesior::realtime::app
