// Reading JSON as text: the whole text is checked (RFC 8259 grammar, valid UTF-8, depth), and what is handed out are
// slices of it, so that a member nobody changes can be written back byte for byte (number text, escapes, order).
// No recursion: hostile nesting costs memory of one bit a level, never stack. Threading: pure functions.
#pragma once

#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sesior::session {

inline constexpr int kAnyDepth = std::numeric_limits<int>::max();

// One member of an object: slices of the text it was read from.
struct JsonMember {
  std::string_view raw_name;  // with its quotes, escapes as written
  std::string_view value;     // without blanks around
};

// The members of the object `text`, in order. Of duplicate names the last value counts, at the place of the first, as
// in JavaScript. `max_depth` 1 allows {"a":1} but not {"a":[]}.
// Errors: kInvalidArgument naming the byte (not JSON, invalid UTF-8, no object), kOutOfRange (deeper than max_depth).
absl::StatusOr<std::vector<JsonMember>> JsonMembers(std::string_view text, int max_depth);

// OK when `text` is exactly one JSON value. Errors as above.
absl::Status CheckJson(std::string_view text, int max_depth);

// Whether a checked name, as written, means `name`.
bool IsNamed(std::string_view raw_name, std::string_view name);

// The text of the member `name` (UTF-8, no escapes) in a list from JsonMembers; nullopt when there is none.
std::optional<std::string_view> FindMember(const std::vector<JsonMember>& members, std::string_view name);

inline bool IsJsonObject(std::string_view value) { return !value.empty() && value.front() == '{'; }
inline bool IsJsonString(std::string_view value) { return !value.empty() && value.front() == '"'; }

// A checked JSON string (with quotes) as bytes. A lone surrogate, which JSON allows and UTF-8 does not, becomes the
// three bytes it would have; so two names are equal exactly when JavaScript holds them equal.
std::string DecodeJsonString(std::string_view raw);

// Length in bytes of the valid UTF-8 sequence at the start of `text`; 0 when there is none.
std::size_t Utf8SequenceLength(std::string_view text);

}  // namespace sesior::session
