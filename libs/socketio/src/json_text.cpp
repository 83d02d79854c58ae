#include "sesior/socketio/json_text.hpp"

#include <charconv>
#include <cmath>

#include "json_scanner.hpp"
#include "sesior/base/check.hpp"

namespace sesior::socketio {
namespace {

constexpr char kHexDigits[] = "0123456789abcdef";

unsigned HexValue(char c) { return static_cast<unsigned>(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10); }

unsigned FourHexDigits(const char* p) {
  return HexValue(p[0]) << 12 | HexValue(p[1]) << 8 | HexValue(p[2]) << 4 | HexValue(p[3]);
}

void AppendCodePoint(std::string& out, unsigned code_point) {
  const auto push = [&out](unsigned byte) { out.push_back(static_cast<char>(byte)); };
  if (code_point < 0x80) {
    push(code_point);
  } else if (code_point < 0x800) {
    push(0xc0 | code_point >> 6);
    push(0x80 | (code_point & 0x3f));
  } else if (code_point < 0x10000) {
    push(0xe0 | code_point >> 12);
    push(0x80 | (code_point >> 6 & 0x3f));
    push(0x80 | (code_point & 0x3f));
  } else {
    push(0xf0 | code_point >> 18);
    push(0x80 | (code_point >> 12 & 0x3f));
    push(0x80 | (code_point >> 6 & 0x3f));
    push(0x80 | (code_point & 0x3f));
  }
}

// `p` points behind "\u"; moves it behind the digits, and behind the second escape of a pair.
std::optional<unsigned> TakeUnicodeEscape(const char*& p, const char* end) {
  const unsigned unit = FourHexDigits(p);
  p += 4;
  if (unit < 0xd800 || unit > 0xdfff) return unit;
  if (unit > 0xdbff || end - p < 6 || p[0] != '\\' || p[1] != 'u') return std::nullopt;
  const unsigned low = FourHexDigits(p + 2);
  if (low < 0xdc00 || low > 0xdfff) return std::nullopt;
  p += 6;
  return 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
}

char Unescaped(char c) {
  switch (c) {
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    default:
      return c;
  }
}

}  // namespace

std::optional<JsonValue> JsonValue::Parse(std::string_view text) {
  JsonScanner scanner(text);
  std::string_view slice;
  if (!scanner.Value(slice) || !scanner.AtEnd()) return std::nullopt;
  return JsonValue(slice);
}

JsonKind JsonValue::kind() const {
  switch (text_[0]) {
    case '{':
      return JsonKind::kObject;
    case '[':
      return JsonKind::kArray;
    case '"':
      return JsonKind::kString;
    case 't':
    case 'f':
      return JsonKind::kBool;
    case 'n':
      return JsonKind::kNull;
    default:
      return JsonKind::kNumber;
  }
}

std::optional<bool> JsonValue::AsBool() const {
  if (kind() != JsonKind::kBool) return std::nullopt;
  return text_[0] == 't';
}

std::optional<std::int64_t> JsonValue::AsInt() const {
  if (kind() != JsonKind::kNumber) return std::nullopt;
  std::int64_t value = 0;
  const char* end = text_.data() + text_.size();
  const std::from_chars_result result = std::from_chars(text_.data(), end, value);
  if (result.ec != std::errc()) return std::nullopt;
  if (result.ptr == end) return value;
  // 1e3 and 2.0 are integers too; within the range where a double holds every one.
  const std::optional<double> number = AsDouble();
  if (!number || std::abs(*number) > 9007199254740992.0 || *number != std::floor(*number)) return std::nullopt;
  return static_cast<std::int64_t>(*number);
}

std::optional<double> JsonValue::AsDouble() const {
  if (kind() != JsonKind::kNumber) return std::nullopt;
  double value = 0;
  const std::from_chars_result result = std::from_chars(text_.data(), text_.data() + text_.size(), value);
  if (result.ec != std::errc()) return std::nullopt;
  return value;
}

std::optional<std::string_view> JsonValue::AsPlainString() const {
  if (kind() != JsonKind::kString || text_.find('\\') != std::string_view::npos) return std::nullopt;
  return text_.substr(1, text_.size() - 2);
}

std::optional<std::string> JsonValue::AsString() const {
  std::string out;
  return Unescape(out, false) ? std::optional<std::string>(std::move(out)) : std::nullopt;
}

std::string JsonValue::ToText() const {
  std::string out;
  Unescape(out, true);
  return out;
}

bool JsonValue::Unescape(std::string& out, bool is_lenient) const {
  if (kind() != JsonKind::kString) return false;
  out.reserve(text_.size() - 2);
  const char* end = text_.data() + text_.size() - 1;
  for (const char* p = text_.data() + 1; p != end;) {
    if (*p != '\\') {
      out.push_back(*p++);
      continue;
    }
    ++p;
    if (*p != 'u') {
      out.push_back(Unescaped(*p++));
      continue;
    }
    ++p;
    const std::optional<unsigned> code_point = TakeUnicodeEscape(p, end);
    if (!code_point && !is_lenient) return false;
    AppendCodePoint(out, code_point.value_or(0xfffd));
  }
  return true;
}

std::optional<JsonValue> JsonValue::Member(std::string_view name) const {
  if (kind() != JsonKind::kObject) return std::nullopt;
  std::optional<JsonValue> found;
  const Elements items = Items();
  for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
    const JsonValue key(items[i]);
    const std::optional<std::string_view> plain = key.AsPlainString();
    if (plain ? *plain == name : key.AsString() == name) found = JsonValue(items[i + 1]);
  }
  return found;
}

JsonValue::Elements JsonValue::Items() const {
  Elements items;
  const bool object = kind() == JsonKind::kObject;
  if (!object && kind() != JsonKind::kArray) return items;
  JsonScanner scanner(text_.substr(1));
  if (scanner.Take(object ? '}' : ']')) return items;
  do {
    std::string_view slice;
    SESIOR_CHECK(scanner.Value(slice));
    items.push_back(slice);
    if (object) {
      SESIOR_CHECK(scanner.Take(':') && scanner.Value(slice));
      items.push_back(slice);
    }
  } while (scanner.Take(','));
  return items;
}

bool ParseJsonArray(std::string_view text, JsonValue::Elements& elements, std::optional<std::size_t> attachments) {
  elements.clear();
  JsonScanner scanner(text);
  if (attachments) scanner.CheckPlaceholders(*attachments);
  if (!scanner.Take('[')) return false;
  if (!scanner.Take(']')) {
    do {
      std::string_view slice;
      if (!scanner.Value(slice, 1)) return false;
      elements.push_back(slice);
    } while (scanner.Take(','));
    if (!scanner.Take(']')) return false;
  }
  return scanner.AtEnd();
}

void AppendJsonString(std::string& out, std::string_view text) {
  out.push_back('"');
  const char* end = text.data() + text.size();
  for (const char* p = text.data(); p != end;) {
    const auto c = static_cast<unsigned char>(*p);
    if (c >= 0x80) {
      const char* next = TakeUtf8(p, end);
      if (next != nullptr) {
        out.append(p, next);
        p = next;
      } else {
        out.append("\xef\xbf\xbd");
        ++p;
      }
      continue;
    }
    ++p;
    switch (c) {
      case '"':
        out.append("\\\"");
        break;
      case '\\':
        out.append("\\\\");
        break;
      case '\n':
        out.append("\\n");
        break;
      case '\r':
        out.append("\\r");
        break;
      case '\t':
        out.append("\\t");
        break;
      default:
        if (c >= 0x20) {
          out.push_back(static_cast<char>(c));
        } else {
          out.append("\\u00");
          out.push_back(kHexDigits[c >> 4]);
          out.push_back(kHexDigits[c & 0xf]);
        }
    }
  }
  out.push_back('"');
}

std::string JsonString(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 2);
  AppendJsonString(out, text);
  return out;
}

bool IsValidUtf8(std::string_view text) {
  const char* end = text.data() + text.size();
  for (const char* p = text.data(); p != end;) {
    if (static_cast<unsigned char>(*p) < 0x80) {
      ++p;
    } else {
      p = TakeUtf8(p, end);
      if (p == nullptr) return false;
    }
  }
  return true;
}

}  // namespace sesior::socketio
