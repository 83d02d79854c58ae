#include "services/session/domain/json_text.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"

namespace sesior::session {

namespace {

// Bytes that a JSON string may hold without a second look.
constexpr std::array<bool, 256> PlainBytes() {
  std::array<bool, 256> plain{};
  for (std::size_t c = 0x20; c < 0x80; ++c) plain[c] = c != '"' && c != '\\';
  return plain;
}
constexpr std::array<bool, 256> kPlain = PlainBytes();

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsHex(char c) { return IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
unsigned HexValue(char c) { return static_cast<unsigned>(IsDigit(c) ? c - '0' : (c | 0x20) - 'a' + 10); }

class Scanner {
 public:
  Scanner(std::string_view text, int max_depth) : text_(text), max_depth_(max_depth) {}

  absl::Status Value() {
    std::vector<bool> in_object;  // the open containers, innermost last
    while (true) {
      // Here a value must start. Scalars are done in one go; a container that is not empty goes round again.
      Blanks();
      bool opened = false;
      if (Peek() == '{' || Peek() == '[') {
        const bool object = text_[at_++] == '{';
        if (static_cast<int>(in_object.size()) + depth_ >= max_depth_) {
          return absl::OutOfRangeError(absl::StrCat("JSON nests deeper than ", max_depth_, " levels"));
        }
        Blanks();
        if (Peek() == (object ? '}' : ']')) {
          ++at_;
        } else {
          in_object.push_back(object);
          opened = true;
          if (object && !Name()) return Broken();
        }
      } else if (!Scalar()) {
        return Broken();
      }
      if (opened) continue;
      // Here a value has ended: close containers until one goes on.
      while (true) {
        if (in_object.empty()) return absl::OkStatus();
        Blanks();
        const char c = Peek();
        if (c == ',') {
          ++at_;
          if (in_object.back() && !Name()) return Broken();
          break;
        }
        if (c != (in_object.back() ? '}' : ']') || at_ >= text_.size()) return Broken();
        ++at_;
        in_object.pop_back();
      }
    }
  }

  // `"name" :` with blanks around.
  bool Name() {
    Blanks();
    if (Peek() != '"' || !String()) return false;
    Blanks();
    if (Peek() != ':') return false;
    ++at_;
    return true;
  }

  bool String() {
    ++at_;
    while (at_ < text_.size()) {
      const unsigned char c = static_cast<unsigned char>(text_[at_]);
      if (kPlain[c]) {
        ++at_;
      } else if (c == '"') {
        ++at_;
        return true;
      } else if (c == '\\') {
        if (!Escape()) return false;
      } else {
        const std::size_t length = c < 0x80 ? 0 : Utf8SequenceLength(text_.substr(at_));
        if (length == 0) return false;
        at_ += length;
      }
    }
    return false;
  }

  void Blanks() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r')) {
      ++at_;
    }
  }

  // The next byte; NUL at the end (a NUL in the text is no token either).
  char Peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  std::size_t at() const { return at_; }
  void Skip() { ++at_; }
  void EnterObject() { ++depth_; }
  bool AtEnd() const { return at_ == text_.size(); }
  absl::Status Broken() const { return absl::InvalidArgumentError(absl::StrCat("not JSON at byte ", at_)); }

 private:
  bool Escape() {
    if (at_ + 1 >= text_.size()) return false;
    switch (text_[at_ + 1]) {
      case '"':
      case '\\':
      case '/':
      case 'b':
      case 'f':
      case 'n':
      case 'r':
      case 't':
        at_ += 2;
        return true;
      case 'u':
        if (at_ + 6 > text_.size()) return false;
        for (std::size_t i = 2; i < 6; ++i) {
          if (!IsHex(text_[at_ + i])) return false;
        }
        at_ += 6;
        return true;
      default:
        return false;
    }
  }

  bool Scalar() {
    switch (Peek()) {
      case '"':
        return String();
      case 't':
        return Word("true");
      case 'f':
        return Word("false");
      case 'n':
        return Word("null");
      default:
        return Number();
    }
  }

  bool Word(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }

  bool Digits() {
    const std::size_t start = at_;
    while (IsDigit(Peek())) ++at_;
    return at_ > start;
  }

  bool Number() {
    if (Peek() == '-') ++at_;
    if (Peek() == '0') {
      ++at_;
    } else if (!Digits()) {
      return false;
    }
    if (Peek() == '.') {
      ++at_;
      if (!Digits()) return false;
    }
    if (Peek() == 'e' || Peek() == 'E') {
      ++at_;
      if (Peek() == '+' || Peek() == '-') ++at_;
      if (!Digits()) return false;
    }
    return true;
  }

  std::string_view text_;
  int max_depth_;
  int depth_ = 0;
  std::size_t at_ = 0;
};

bool HasEscape(std::string_view raw) { return raw.find('\\') != std::string_view::npos; }

// Keeps of each name the last value at the first place.
void DropDuplicates(std::vector<JsonMember>& members) {
  constexpr std::size_t kFew = 16;
  std::size_t kept = 0;
  if (members.size() <= kFew) {
    for (const JsonMember& member : members) {
      std::size_t same = 0;
      while (same < kept && !(members[same].raw_name == member.raw_name ||
                              ((HasEscape(member.raw_name) || HasEscape(members[same].raw_name)) &&
                               DecodeJsonString(members[same].raw_name) == DecodeJsonString(member.raw_name)))) {
        ++same;
      }
      if (same < kept) {
        members[same].value = member.value;
      } else {
        members[kept++] = member;
      }
    }
  } else {
    absl::flat_hash_map<std::string, std::size_t> places;
    places.reserve(members.size());
    for (const JsonMember& member : members) {
      const auto [place, is_new] = places.try_emplace(DecodeJsonString(member.raw_name), kept);
      if (is_new) {
        members[kept++] = member;
      } else {
        members[place->second].value = member.value;
      }
    }
  }
  members.resize(kept);
}

void AppendUtf8(std::string& out, unsigned code) {
  const auto byte = [&out](unsigned value) { out.push_back(static_cast<char>(static_cast<unsigned char>(value))); };
  if (code < 0x80) {
    byte(code);
  } else if (code < 0x800) {
    byte(0xC0 | (code >> 6));
    byte(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    byte(0xE0 | (code >> 12));
    byte(0x80 | ((code >> 6) & 0x3F));
    byte(0x80 | (code & 0x3F));
  } else {
    byte(0xF0 | (code >> 18));
    byte(0x80 | ((code >> 12) & 0x3F));
    byte(0x80 | ((code >> 6) & 0x3F));
    byte(0x80 | (code & 0x3F));
  }
}

unsigned Hex4(std::string_view digits) {
  unsigned code = 0;
  for (std::size_t i = 0; i < 4; ++i) code = code * 16 + HexValue(digits[i]);
  return code;
}

}  // namespace

absl::StatusOr<std::vector<JsonMember>> JsonMembers(std::string_view text, int max_depth) {
  Scanner scanner(text, max_depth);
  std::vector<JsonMember> members;
  scanner.Blanks();
  if (scanner.Peek() != '{') {
    if (const absl::Status status = CheckJson(text, max_depth); !status.ok()) return status;
    return absl::InvalidArgumentError("not a JSON object");
  }
  if (max_depth < 1) return absl::OutOfRangeError("JSON nests deeper than 0 levels");
  scanner.Skip();
  scanner.EnterObject();
  scanner.Blanks();
  if (scanner.Peek() == '}') {
    scanner.Skip();
  } else {
    while (true) {
      scanner.Blanks();
      const std::size_t name_start = scanner.at();
      if (scanner.Peek() != '"' || !scanner.String()) return scanner.Broken();
      const std::size_t name_end = scanner.at();
      scanner.Blanks();
      if (scanner.Peek() != ':') return scanner.Broken();
      scanner.Skip();
      scanner.Blanks();
      const std::size_t value_start = scanner.at();
      if (absl::Status status = scanner.Value(); !status.ok()) return status;
      members.push_back(
          {text.substr(name_start, name_end - name_start), text.substr(value_start, scanner.at() - value_start)});
      scanner.Blanks();
      const char next = scanner.Peek();
      if (next != ',' && next != '}') return scanner.Broken();
      scanner.Skip();
      if (next == '}') break;
    }
  }
  scanner.Blanks();
  if (!scanner.AtEnd()) return scanner.Broken();
  DropDuplicates(members);
  return members;
}

absl::Status CheckJson(std::string_view text, int max_depth) {
  Scanner scanner(text, max_depth);
  if (absl::Status status = scanner.Value(); !status.ok()) return status;
  scanner.Blanks();
  return scanner.AtEnd() ? absl::OkStatus() : scanner.Broken();
}

bool IsNamed(std::string_view raw_name, std::string_view name) {
  if (HasEscape(raw_name)) return DecodeJsonString(raw_name) == name;
  return raw_name.substr(1, raw_name.size() - 2) == name;
}

std::optional<std::string_view> FindMember(const std::vector<JsonMember>& members, std::string_view name) {
  for (const JsonMember& member : members) {
    if (IsNamed(member.raw_name, name)) return member.value;
  }
  return std::nullopt;
}

std::string DecodeJsonString(std::string_view raw) {
  raw = raw.substr(1, raw.size() - 2);
  if (!HasEscape(raw)) return std::string(raw);
  std::string out;
  out.reserve(raw.size());
  for (std::size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] != '\\') {
      out.push_back(raw[i]);
      continue;
    }
    switch (raw[++i]) {
      case 'b':
        out.push_back('\b');
        break;
      case 'f':
        out.push_back('\f');
        break;
      case 'n':
        out.push_back('\n');
        break;
      case 'r':
        out.push_back('\r');
        break;
      case 't':
        out.push_back('\t');
        break;
      case 'u': {
        unsigned code = Hex4(raw.substr(i + 1));
        i += 4;
        if (code >= 0xD800 && code < 0xDC00 && raw.substr(i + 1, 2) == "\\u") {
          const unsigned low = Hex4(raw.substr(i + 3));
          if (low >= 0xDC00 && low < 0xE000) {
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
            i += 6;
          }
        }
        AppendUtf8(out, code);
        break;
      }
      default:
        out.push_back(raw[i]);
    }
  }
  return out;
}

std::size_t Utf8SequenceLength(std::string_view text) {
  if (text.empty()) return 0;
  const auto byte = [text](std::size_t i) { return static_cast<unsigned>(static_cast<unsigned char>(text[i])); };
  const auto next = [&](std::size_t i, unsigned low, unsigned high) {
    return i < text.size() && byte(i) >= low && byte(i) <= high;
  };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return next(1, 0x80, 0xBF) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    const unsigned low = lead == 0xE0 ? 0xA0 : 0x80;
    const unsigned high = lead == 0xED ? 0x9F : 0xBF;
    return next(1, low, high) && next(2, 0x80, 0xBF) ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    const unsigned low = lead == 0xF0 ? 0x90 : 0x80;
    const unsigned high = lead == 0xF4 ? 0x8F : 0xBF;
    return next(1, low, high) && next(2, 0x80, 0xBF) && next(3, 0x80, 0xBF) ? 4 : 0;
  }
  return 0;
}

}  // namespace sesior::session
