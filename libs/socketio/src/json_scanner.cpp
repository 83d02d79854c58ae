#include "json_scanner.hpp"

#include <cstdint>
#include <optional>

#include "sesior/socketio/json_text.hpp"

namespace sesior::socketio {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsHexDigit(char c) { return IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
bool IsNumberStart(char c) { return c == '-' || IsDigit(c); }

// Is the quoted name this one, however it is escaped?
bool IsName(std::string_view quoted, std::string_view name) {
  if (quoted.find('\\') == std::string_view::npos) return quoted.substr(1, quoted.size() - 2) == name;
  return JsonValue(quoted).AsString() == name;
}

}  // namespace

// Table 3-7 of the Unicode standard: no overlong forms, no surrogates, nothing beyond U+10FFFF.
const char* TakeUtf8(const char* p, const char* end) {
  const auto byte = [p](int i) { return static_cast<unsigned char>(p[i]); };
  const unsigned char lead = byte(0);
  int more = 0;
  unsigned char low = 0x80;
  unsigned char high = 0xbf;
  if (lead >= 0xc2 && lead <= 0xdf) {
    more = 1;
  } else if (lead >= 0xe0 && lead <= 0xef) {
    more = 2;
    if (lead == 0xe0) low = 0xa0;
    if (lead == 0xed) high = 0x9f;
  } else if (lead >= 0xf0 && lead <= 0xf4) {
    more = 3;
    if (lead == 0xf0) low = 0x90;
    if (lead == 0xf4) high = 0x8f;
  } else {
    return nullptr;
  }
  if (end - p <= more) return nullptr;
  if (byte(1) < low || byte(1) > high) return nullptr;
  for (int i = 2; i <= more; ++i) {
    if (byte(i) < 0x80 || byte(i) > 0xbf) return nullptr;
  }
  return p + more + 1;
}

void JsonScanner::Blanks() {
  while (p_ != end_ && (*p_ == ' ' || *p_ == '\n' || *p_ == '\r' || *p_ == '\t')) ++p_;
}

bool JsonScanner::Take(char c) {
  Blanks();
  if (p_ == end_ || *p_ != c) return false;
  ++p_;
  return true;
}

bool JsonScanner::AtEnd() {
  Blanks();
  return p_ == end_;
}

bool JsonScanner::Value(std::string_view& slice, int depth) {
  Blanks();
  const char* begin = p_;
  if (!Value(depth)) return false;
  slice = std::string_view(begin, static_cast<std::size_t>(p_ - begin));
  return true;
}

bool JsonScanner::Value(int depth) {
  Blanks();
  if (p_ == end_) return false;
  switch (*p_) {
    case '{':
      return depth < kMaxJsonDepth && Object(depth + 1);
    case '[':
      return depth < kMaxJsonDepth && Array(depth + 1);
    case '"':
      return String();
    case 't':
      return Literal("true");
    case 'f':
      return Literal("false");
    case 'n':
      return Literal("null");
    default:
      return Number();
  }
}

bool JsonScanner::Array(int depth) {
  ++p_;  // the bracket
  if (Take(']')) return true;
  do {
    if (!Value(depth)) return false;
  } while (Take(','));
  return Take(']');
}

bool JsonScanner::Object(int depth) {
  const char* begin = p_;
  ++p_;  // the brace
  if (Take('}')) return true;
  bool is_placeholder = false;
  std::string_view num;
  do {
    Blanks();
    const char* name = p_;
    if (p_ == end_ || *p_ != '"' || !String()) return false;
    const std::string_view quoted(name, static_cast<std::size_t>(p_ - name));
    if (!Take(':')) return false;
    Blanks();
    const char* value = p_;
    if (!Value(depth)) return false;
    if (check_placeholders_) {  // of members of the same name the last one counts
      const std::string_view text(value, static_cast<std::size_t>(p_ - value));
      if (IsName(quoted, "_placeholder")) is_placeholder = text == "true";
      if (IsName(quoted, "num")) num = text;
    }
  } while (Take(','));
  if (!Take('}')) return false;
  if (!is_placeholder) return true;
  const std::optional<std::int64_t> index =
      !num.empty() && IsNumberStart(num[0]) ? JsonValue(num).AsInt() : std::nullopt;
  if (!index || *index < 0 || static_cast<std::uint64_t>(*index) >= attachments_) return false;
  if (found_ != nullptr) {
    const std::string_view object(begin, static_cast<std::size_t>(p_ - begin));
    found_->push_back({object, num, static_cast<std::size_t>(*index)});
  }
  return true;
}

bool JsonScanner::String() {
  ++p_;  // the quote
  while (p_ != end_) {
    const auto c = static_cast<unsigned char>(*p_);
    if (c == '"') {
      ++p_;
      return true;
    }
    if (c < 0x20) return false;
    if (c >= 0x80) {
      p_ = TakeUtf8(p_, end_);
      if (p_ == nullptr) return false;
    } else if (c != '\\') {
      ++p_;
    } else {
      if (++p_ == end_) return false;
      switch (*p_++) {
        case '"':
        case '\\':
        case '/':
        case 'b':
        case 'f':
        case 'n':
        case 'r':
        case 't':
          break;
        case 'u':  // lone surrogates included, as JSON.parse has it
          for (int i = 0; i < 4; ++i, ++p_) {
            if (p_ == end_ || !IsHexDigit(*p_)) return false;
          }
          break;
        default:
          return false;
      }
    }
  }
  return false;
}

bool JsonScanner::Digits() {
  if (p_ == end_ || !IsDigit(*p_)) return false;
  while (p_ != end_ && IsDigit(*p_)) ++p_;
  return true;
}

bool JsonScanner::Number() {
  if (*p_ == '-' && ++p_ == end_) return false;
  if (*p_ == '0') {
    ++p_;
  } else if (!Digits()) {
    return false;
  }
  if (p_ != end_ && *p_ == '.') {
    ++p_;
    if (!Digits()) return false;
  }
  if (p_ != end_ && (*p_ == 'e' || *p_ == 'E')) {
    ++p_;
    if (p_ != end_ && (*p_ == '+' || *p_ == '-')) ++p_;
    if (!Digits()) return false;
  }
  return true;
}

bool JsonScanner::Literal(std::string_view word) {
  if (!std::string_view(p_, static_cast<std::size_t>(end_ - p_)).starts_with(word)) return false;
  p_ += word.size();
  return true;
}

}  // namespace sesior::socketio
