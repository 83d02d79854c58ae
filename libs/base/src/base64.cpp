#include "sesior/base/base64.hpp"

#include "absl/strings/escaping.h"
#include "sesior/base/string_view.hpp"

namespace sesior {

std::string Base64Encode(std::string_view bytes) { return absl::Base64Escape(ToAbsl(bytes)); }

std::string Base64UrlEncode(std::string_view bytes) { return absl::WebSafeBase64Escape(ToAbsl(bytes)); }

std::optional<std::string> Base64Decode(std::string_view text) {
  // absl decodes leniently (blanks, missing padding, stray bits): what does not come back the same is refused.
  std::string bytes;
  if (text.size() % 4 != 0 || !absl::Base64Unescape(ToAbsl(text), &bytes) || Base64Encode(bytes) != text) {
    return std::nullopt;
  }
  return bytes;
}

}  // namespace sesior
