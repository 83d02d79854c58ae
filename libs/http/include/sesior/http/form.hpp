// Query strings and application/x-www-form-urlencoded bodies. Immutable functions, thread-safe.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sesior::http {

// %XX decoded; nullopt when a % is not followed by two hex digits. "+" stays.
std::optional<std::string> PercentDecode(std::string_view text);

using Form = std::vector<std::pair<std::string, std::string>>;
inline constexpr std::size_t kMaxFormFields = 1000;

// "a=1&b=x+y": names and values decoded ("+" is a blank), order and duplicates kept; a part without "=" has an empty
// value. A bad escape stays as it is, as in URLSearchParams. Fields beyond the limit are left out, as Express does.
// The result may be invalid UTF-8.
Form ParseForm(std::string_view text);
// The first value of that name; nullptr: none.
const std::string* FindField(const Form& form, std::string_view name);

}  // namespace sesior::http
