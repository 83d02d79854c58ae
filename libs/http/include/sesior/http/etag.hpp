// Entity tags (RFC 9110, 8.8.3 and 13.1).
#pragma once

#include <string_view>

namespace sesior::http {

// Whether an If-None-Match value ("*", or a list of tags) has `etag` (quotes included), by weak comparison: W/"x"
// equals "x". From the first thing on that is no tag, nothing matches any more.
bool MatchesWeakly(std::string_view header_value, std::string_view etag);
// The same for If-Match, by strong comparison: a weak tag never matches.
bool MatchesStrongly(std::string_view header_value, std::string_view etag);

}  // namespace sesior::http
