// The rule for names of users, one for REST and realtime.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace sesior {

inline constexpr int kMaxUserNameCodePoints = 64;

// The name as it is stored and compared, byte for byte: without the white space that JavaScript's trim() takes off,
// 1 to 64 code points of valid UTF-8, none of them a control character (category Cc). Otherwise kInvalidArgument with
// the field "userName" and a message, fit for users, that names field and limit.
absl::StatusOr<std::string> ValidateUserName(std::string_view text);

}  // namespace sesior
