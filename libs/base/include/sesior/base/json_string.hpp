// Writing JSON strings.
#pragma once

#include <string>
#include <string_view>

namespace sesior {

// Appends `text` as a JSON string, quotes included, as JSON.stringify writes it. `text` must be valid UTF-8.
void AppendJsonString(std::string& out, std::string_view text);
std::string JsonString(std::string_view text);

}  // namespace sesior
