#include "sesior/base/user_name.hpp"

#include "sesior/base/error.hpp"
#include "sesior/base/utf8.hpp"

namespace sesior {
namespace {

// WhiteSpace and LineTerminator of ECMAScript.
bool IsTrimmed(char32_t c) {
  return (c >= 0x09 && c <= 0x0d) || c == 0x20 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
         c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000 || c == 0xfeff;
}

bool IsControl(char32_t c) { return c < 0x20 || (c >= 0x7f && c <= 0x9f); }

absl::Status Refuse(std::string_view message) {
  return Error(absl::StatusCode::kInvalidArgument, message, {.reason = {}, .field = "userName", .retry_after = {}});
}

}  // namespace

absl::StatusOr<std::string> ValidateUserName(std::string_view text) {
  // From the first to behind the last code point that is not trimmed; what stands between counts.
  const char* begin = nullptr;
  const char* end = nullptr;
  int length = 0;
  int length_at_end = 0;
  bool control = false;
  bool control_at_end = false;
  while (!text.empty()) {
    const char* at = text.data();
    const std::optional<char32_t> c = TakeCodePoint(text);
    if (!c) return Refuse("userName must be valid UTF-8");
    if (IsTrimmed(*c) && begin == nullptr) continue;
    if (begin == nullptr) begin = at;
    ++length;
    control = control || IsControl(*c);
    if (IsTrimmed(*c)) continue;
    end = text.data();
    length_at_end = length;
    control_at_end = control;
  }
  if (begin == nullptr) return Refuse("userName must not be empty");
  if (length_at_end > kMaxUserNameCodePoints) return Refuse("userName must have at most 64 characters");
  if (control_at_end) return Refuse("userName must not contain control characters");
  return std::string(begin, end);
}

}  // namespace sesior
