#include "sesior/http/etag.hpp"

namespace sesior::http {

namespace {

bool IsBlank(char c) { return c == ' ' || c == '\t'; }

bool Matches(std::string_view value, std::string_view etag, bool weakly) {
  while (!value.empty() && IsBlank(value.front())) value.remove_prefix(1);
  while (!value.empty() && IsBlank(value.back())) value.remove_suffix(1);
  if (value == "*") return true;
  const bool etag_is_weak = etag.starts_with("W/");
  if (etag_is_weak && !weakly) return false;
  const std::string_view opaque = etag_is_weak ? etag.substr(2) : etag;
  std::size_t at = 0;
  while (at < value.size()) {
    if (IsBlank(value[at]) || value[at] == ',') {
      ++at;
      continue;
    }
    const bool weak = value.substr(at, 2) == "W/";
    if (weak) at += 2;
    if (at >= value.size() || value[at] != '"') return false;
    const std::size_t end = value.find('"', at + 1);
    if (end == std::string_view::npos) return false;
    if (value.substr(at, end - at + 1) == opaque && (weakly || !weak)) return true;
    at = end + 1;
  }
  return false;
}

}  // namespace

bool MatchesWeakly(std::string_view header_value, std::string_view etag) { return Matches(header_value, etag, true); }
bool MatchesStrongly(std::string_view header_value, std::string_view etag) {
  return Matches(header_value, etag, false);
}

}  // namespace sesior::http
