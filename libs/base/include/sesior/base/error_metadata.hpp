// What a status may tell beside ErrorDetails: values by name that a caller can act on ("current_etag"). They travel as
// the metadata of google.rpc.ErrorInfo. The same rule holds as for messages: no ids, names of users or secrets.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace sesior {

// `status` with one value more; `name` is one of [a-z0-9_].
absl::Status WithMetadata(absl::Status status, std::string_view name, std::string_view value);
std::map<std::string, std::string> MetadataOf(const absl::Status& status);

}  // namespace sesior
