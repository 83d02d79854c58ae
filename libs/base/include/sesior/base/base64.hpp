// Base64 as RFC 4648 has it: standard alphabet, and the URL-safe one without padding.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sesior {

std::string Base64Encode(std::string_view bytes);     // with padding
std::string Base64UrlEncode(std::string_view bytes);  // "-" and "_", no padding

// Strict: standard alphabet, right padding, no blanks, unused bits zero. nullopt otherwise.
std::optional<std::string> Base64Decode(std::string_view text);

}  // namespace sesior
