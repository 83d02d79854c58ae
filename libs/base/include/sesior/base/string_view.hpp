// Debian builds Abseil as C++14: absl::string_view is a class of its own there and std::string_view does not convert to
// it. Our code uses std::string_view and converts at the call into Abseil:  absl::StrCat("x", ToAbsl(view)).
#pragma once

#include <string_view>

#include "absl/strings/string_view.h"

namespace sesior {

inline absl::string_view ToAbsl(std::string_view view) { return absl::string_view(view.data(), view.size()); }
inline std::string_view ToStd(absl::string_view view) { return std::string_view(view.data(), view.size()); }

}  // namespace sesior
