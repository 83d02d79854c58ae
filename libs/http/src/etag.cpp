#include "sesior/http/etag.hpp"

namespace sesior::http {

namespace {

bool Matches(std::string_view value, std::string_view etag, bool weakly) {
  const std::string_view opaque = etag.starts_with("W/") ? etag.substr(2) : etag;
  if (!weakly && etag.starts_with("W/")) return false;
  std::size_t at = 0;
  while (at < value.size()) {
    if (value[at] == ' ' || value[at] == '\t' || value[at] == ',') {
      ++at;
      continue;
    }
    if (value[at] == '*') return value.size() == 1 || value.find_first_not_of(" \t", at + 1) == std::string_view::npos;
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
