// UTF-8, read strictly: no overlong forms, no surrogates, nothing beyond U+10FFFF.
#pragma once

#include <optional>
#include <string_view>

namespace sesior {

// Takes the first code point off `text`. nullopt when `text` is empty or does not begin with a whole one; `text` is
// unchanged then.
std::optional<char32_t> TakeCodePoint(std::string_view& text);

bool IsValidUtf8(std::string_view text);

}  // namespace sesior
