// JSON merge patch (RFC 7396) on text: what the patch does not touch stays as it was, byte for byte.
// Threading: pure functions.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace sesior::session {

struct MergeLimits {
  int max_patch_depth = 32;                 // levels of objects and arrays in the patch
  std::size_t max_result_bytes = 64 << 10;  // a result above is refused unless it is no longer than before
};

// `record` changed by `patch`. A patch that changes nothing gives `record` itself. Members keep their order; new ones
// come last, in the order of the patch.
// Errors: kInvalidArgument with `field` and reason INVALID_PATCH (not JSON, not an object; too deep, naming the
// member), RESERVED_MEMBER (one that Express cannot load) or CLAIMED_MEMBER (one of `refused`); kResourceExhausted
// RECORD_TOO_LARGE, naming the patch's largest member; kDataLoss RECORD_CORRUPT (`record` is not a JSON object).
absl::StatusOr<std::string> MergePatch(std::string_view record, std::string_view patch, const MergeLimits& limits,
                                       const std::vector<std::string>& refused = {});

}  // namespace sesior::session
