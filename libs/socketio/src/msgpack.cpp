#include "msgpack.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "json_scanner.hpp"
#include "sesior/socketio/json.hpp"
#include "sesior/socketio/json_text.hpp"

namespace sesior::socketio {
namespace {

constexpr std::int64_t kMaxDateMs = 8'640'000'000'000'000;  // of a Date in JavaScript

// As Date.prototype.toISOString; nullopt: no Date has this time.
std::optional<std::string> IsoTime(std::int64_t ms) {
  if (ms > kMaxDateMs || ms < -kMaxDateMs) return std::nullopt;
  const std::int64_t day_ms = 86'400'000;
  const std::int64_t days = ms >= 0 ? ms / day_ms : (ms - day_ms + 1) / day_ms;
  const std::int64_t time = ms - days * day_ms;
  // Days since 0000-03-01 in eras of 400 years (H. Hinnant, "chrono-compatible low-level date algorithms").
  const std::int64_t z = days + 719'468;
  const std::int64_t era = (z >= 0 ? z : z - 146'096) / 146'097;
  const std::int64_t day_of_era = z - era * 146'097;
  const std::int64_t year_of_era = (day_of_era - day_of_era / 1'460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const std::int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::int64_t shifted_month = (5 * day_of_year + 2) / 153;
  const std::int64_t day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
  const std::int64_t month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
  const std::int64_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);

  std::array<char, 40> text;
  const auto ll = [](std::int64_t value) { return static_cast<long long>(value); };
  const char* format = year >= 0 && year <= 9999 ? "%04lld-%02lld-%02lldT%02lld:%02lld:%02lld.%03lldZ"
                                                 : "%+07lld-%02lld-%02lldT%02lld:%02lld:%02lld.%03lldZ";
  std::snprintf(text.data(), text.size(), format, ll(year), ll(month), ll(day), ll(time / 3'600'000),
                ll(time / 60'000 % 60), ll(time / 1'000 % 60), ll(time % 1'000));
  return std::string(text.data());
}

void AppendBigEndian(std::string& out, std::uint64_t value, int bytes) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift & 0xff));
}

std::uint64_t ReadBigEndian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (const char c : bytes) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

void PushByte(std::string& out, unsigned byte) { out.push_back(static_cast<char>(byte)); }

}  // namespace

// -- MsgpackReader --

bool MsgpackReader::TakeBigEndian(int bytes, std::uint64_t& value) {
  const auto count = static_cast<std::size_t>(bytes);
  if (rest_.size() < count) return Fail("message ends too early");
  value = ReadBigEndian(rest_.substr(0, count));
  rest_.remove_prefix(count);
  return true;
}

bool MsgpackReader::TakeData(std::uint64_t bytes, std::string_view& data) {
  if (rest_.size() < bytes) return Fail("message ends too early");
  data = rest_.substr(0, static_cast<std::size_t>(bytes));
  rest_.remove_prefix(data.size());
  return true;
}

bool MsgpackReader::TakeExt(std::uint64_t bytes, Head& head) {
  head.kind = Kind::kExt;
  std::uint64_t type = 0;
  if (!TakeBigEndian(1, type)) return false;
  head.ext_type = static_cast<std::int8_t>(type);
  return TakeData(bytes, head.data);
}

// https://github.com/msgpack/msgpack/blob/master/spec.md
bool MsgpackReader::TakeHead(Head& head) {
  std::uint64_t byte = 0;
  if (!TakeBigEndian(1, byte)) return false;
  const auto lead = static_cast<unsigned>(byte);
  // The length or the number that follows the byte, of 1, 2, 4, ... bytes by its place among its kind.
  const auto follows = [&](unsigned first) { return TakeBigEndian(1 << (lead - first), head.number); };
  const auto integer = [&](std::int64_t value) {
    head.kind = value < 0 ? Kind::kNegative : Kind::kUnsigned;
    head.number = static_cast<std::uint64_t>(value);
    return true;
  };
  if (lead < 0x80) return integer(lead);
  if (lead >= 0xe0) return integer(static_cast<std::int8_t>(lead));
  if (lead < 0xc0) {
    head.kind = lead < 0x90 ? Kind::kMap : lead < 0xa0 ? Kind::kArray : Kind::kString;
    head.number = lead < 0xa0 ? lead & 0x0f : lead & 0x1f;
    return head.kind != Kind::kString || TakeData(head.number, head.data);
  }
  switch (lead) {
    case 0xc0:
      head.kind = Kind::kNil;
      return true;
    case 0xc1:
      return Fail("byte without a meaning");
    case 0xc2:
    case 0xc3:
      head.kind = lead == 0xc2 ? Kind::kFalse : Kind::kTrue;
      return true;
    case 0xc4:
    case 0xc5:
    case 0xc6:
      head.kind = Kind::kBinary;
      return follows(0xc4) && TakeData(head.number, head.data);
    case 0xc7:
    case 0xc8:
    case 0xc9:
      return follows(0xc7) && TakeExt(head.number, head);
    case 0xca:
    case 0xcb:
      head.kind = Kind::kFloat;
      if (!TakeBigEndian(lead == 0xca ? 4 : 8, head.number)) return false;
      head.real = lead == 0xca ? std::bit_cast<float>(static_cast<std::uint32_t>(head.number))
                               : std::bit_cast<double>(head.number);
      return true;
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
      head.kind = Kind::kUnsigned;
      return follows(0xcc);
    case 0xd0:
      return follows(0xd0) && integer(static_cast<std::int8_t>(head.number));
    case 0xd1:
      return follows(0xd0) && integer(static_cast<std::int16_t>(head.number));
    case 0xd2:
      return follows(0xd0) && integer(static_cast<std::int32_t>(head.number));
    case 0xd3:
      return follows(0xd0) && integer(static_cast<std::int64_t>(head.number));
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8:
      head.is_fixed_ext = true;
      return TakeExt(std::uint64_t{1} << (lead - 0xd4), head);
    case 0xd9:
    case 0xda:
    case 0xdb:
      head.kind = Kind::kString;
      return follows(0xd9) && TakeData(head.number, head.data);
    case 0xdc:
    case 0xdd:
      head.kind = Kind::kArray;
      return TakeBigEndian(lead == 0xdc ? 2 : 4, head.number);
    default:  // 0xde, 0xdf
      head.kind = Kind::kMap;
      return TakeBigEndian(lead == 0xde ? 2 : 4, head.number);
  }
}

std::optional<std::uint32_t> MsgpackReader::Map() {
  Head head;
  if (!TakeHead(head)) return std::nullopt;
  if (head.kind == Kind::kMap) return static_cast<std::uint32_t>(head.number);
  Fail("not a map");
  return std::nullopt;
}

std::optional<std::string_view> MsgpackReader::String() {
  Head head;
  if (!TakeHead(head)) return std::nullopt;
  if (head.kind == Kind::kString && IsValidUtf8(head.data)) return head.data;
  Fail("not a string");
  return std::nullopt;
}

std::optional<std::uint64_t> MsgpackReader::Unsigned() {
  Head head;
  if (!TakeHead(head)) return std::nullopt;
  if (head.kind == Kind::kUnsigned) return head.number;
  Fail("not a number of this kind");
  return std::nullopt;
}

bool MsgpackReader::TakeUndefined() {
  constexpr std::string_view kUndefined("\xd4\x00\x00", 3);
  if (!rest_.starts_with(kUndefined)) return false;
  rest_.remove_prefix(kUndefined.size());
  return true;
}

bool MsgpackReader::Skip(std::string_view& value) {
  const std::string_view from = rest_;
  if (!Value(0, nullptr, nullptr)) return false;
  value = from.substr(0, from.size() - rest_.size());
  return true;
}

bool MsgpackReader::ToJson(std::string& json, std::vector<std::string>& attachments) {
  return Value(0, &json, &attachments);
}

bool MsgpackReader::Append(std::string* json, std::string_view text) {
  if (json == nullptr) return true;
  json->append(text);
  return json->size() + attached_bytes_ <= max_bytes_ || Fail("packet too large");
}

bool MsgpackReader::AppendString(std::string* json, std::string_view text) {
  if (!IsValidUtf8(text)) return Fail("text that is no UTF-8");
  if (json == nullptr) return true;
  AppendJsonString(*json, text);
  return Append(json, {});
}

bool MsgpackReader::AppendBinary(std::string* json, std::vector<std::string>* attachments, std::string_view bytes) {
  if (json == nullptr) return true;
  if (attachments->size() >= max_attachments_) return Fail("too many attachments");
  json->append(R"({"_placeholder":true,"num":)").append(std::to_string(attachments->size())).append("}");
  attachments->emplace_back(bytes);
  attached_bytes_ += bytes.size();
  return Append(json, {});
}

bool MsgpackReader::AppendExt(const Head& head, std::string* json, std::vector<std::string>* attachments) {
  if (head.ext_type == 0 && !head.is_fixed_ext) return AppendBinary(json, attachments, head.data);
  if (head.ext_type == 0 && head.data.size() == 8) {
    const std::optional<std::string> time = IsoTime(static_cast<std::int64_t>(ReadBigEndian(head.data)));
    return time ? AppendString(json, *time) : Append(json, "null");
  }
  return Append(json, "null");
}

bool MsgpackReader::Key(std::string* json) {
  Head head;
  if (!TakeHead(head)) return false;
  switch (head.kind) {
    case Kind::kString:
      return AppendString(json, head.data);
    case Kind::kUnsigned:
      return AppendString(json, std::to_string(head.number));
    case Kind::kNegative:
      return AppendString(json, std::to_string(static_cast<std::int64_t>(head.number)));
    default:
      return Fail("a key that is no string");
  }
}

bool MsgpackReader::Value(int depth, std::string* json, std::vector<std::string>* attachments) {
  Head head;
  if (!TakeHead(head)) return false;
  switch (head.kind) {
    case Kind::kNil:
      return Append(json, "null");
    case Kind::kFalse:
      return Append(json, "false");
    case Kind::kTrue:
      return Append(json, "true");
    case Kind::kUnsigned:
      return Append(json, std::to_string(head.number));
    case Kind::kNegative:
      return Append(json, std::to_string(static_cast<std::int64_t>(head.number)));
    case Kind::kFloat:
      return Append(json, Json(head.real).text());
    case Kind::kString:
      return AppendString(json, head.data);
    case Kind::kBinary:
      return AppendBinary(json, attachments, head.data);
    case Kind::kExt:
      return AppendExt(head, json, attachments);
    case Kind::kArray:
    case Kind::kMap:
      break;
  }
  if (depth >= kMaxJsonDepth) return Fail("nested too deeply");
  const bool is_map = head.kind == Kind::kMap;
  bool is_first = true;
  if (!Append(json, is_map ? "{" : "[")) return false;
  for (std::uint64_t i = 0; i < head.number; ++i) {
    const std::size_t before = json != nullptr ? json->size() : 0;
    if (!is_first && !Append(json, ",")) return false;
    if (is_map) {
      if (!Key(json) || !Append(json, ":")) return false;
      if (TakeUndefined()) {
        if (json != nullptr) json->resize(before);
        continue;
      }
    }
    if (!Value(depth + 1, json, attachments)) return false;
    is_first = false;
  }
  return Append(json, is_map ? "}" : "]");
}

// -- writing --

namespace {

// `small`: the byte of the form with the length in it, for less than `small_limit`; `first`: the byte of the form with
// a length of 1, 2 and 4 bytes, or of 2 and 4 when `has_8` is false.
void AppendLength(std::string& out, std::size_t length, unsigned small, std::size_t small_limit, unsigned first,
                  bool has_8) {
  if (length < small_limit) return PushByte(out, small | static_cast<unsigned>(length));
  int bytes = length <= 0xff && has_8 ? 1 : length <= 0xffff ? 2 : 4;
  PushByte(out, first + (bytes == 1 ? 0u : bytes == 2 ? 1u : 2u) - (has_8 ? 0u : 1u));
  AppendBigEndian(out, length, bytes);
}

void AppendNegative(std::string& out, std::int64_t value) {
  const auto bits = static_cast<std::uint64_t>(value);
  if (value >= -0x20) return PushByte(out, static_cast<unsigned>(bits & 0xff));
  const int bytes = value >= INT8_MIN ? 1 : value >= INT16_MIN ? 2 : value >= INT32_MIN ? 4 : 8;
  PushByte(out, bytes == 1 ? 0xd0 : bytes == 2 ? 0xd1 : bytes == 4 ? 0xd2 : 0xd3);
  AppendBigEndian(out, bits, bytes);
}

void AppendNumber(std::string& out, std::string_view text) {
  const JsonValue number(text);
  if (const std::optional<std::int64_t> integer = number.AsInt()) {
    return *integer < 0 ? AppendNegative(out, *integer)
                        : AppendMsgpackUnsigned(out, static_cast<std::uint64_t>(*integer));
  }
  std::uint64_t large = 0;
  const std::from_chars_result result = std::from_chars(text.data(), text.data() + text.size(), large);
  if (result.ec == std::errc() && result.ptr == text.data() + text.size()) return AppendMsgpackUnsigned(out, large);
  // Beyond a double's range it becomes infinite or zero, as in JavaScript.
  const double real = number.AsDouble() ? *number.AsDouble() : std::strtod(std::string(text).c_str(), nullptr);
  PushByte(out, 0xcb);
  AppendBigEndian(out, std::bit_cast<std::uint64_t>(real), 8);
}

// Writes JSON that has been checked, in one pass.
class MsgpackWriter {
 public:
  MsgpackWriter(std::string& out, std::string_view json, std::span<const JsonScanner::Placeholder> placeholders,
                std::span<const std::string> attachments)
      : out_(out), rest_(json), placeholders_(placeholders), attachments_(attachments) {}

  void Value() {
    Blanks();
    switch (rest_[0]) {
      case '{':
        return TakePlaceholder() ? void() : Container(0x80, '}', true);
      case '[':
        return Container(0x90, ']', false);
      case '"':
        return AppendText(String());
      case 't':
        return Literal(4, 0xc3);
      case 'f':
        return Literal(5, 0xc2);
      case 'n':
        return Literal(4, 0xc0);
      default:
        return AppendNumber(out_, Take(std::min(rest_.find_first_of(" \n\r\t,]}"), rest_.size())));
    }
  }

 private:
  void Blanks() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \n\r\t"), rest_.size())); }
  std::string_view Take(std::size_t count) {
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }
  bool TakeIf(char c) {
    Blanks();
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void Literal(std::size_t length, unsigned byte) {
    Take(length);
    PushByte(out_, byte);
  }
  std::string_view String() {
    std::size_t end = 1;
    while (rest_[end] != '"') end += rest_[end] == '\\' ? 2 : 1;
    return Take(end + 1);
  }
  void AppendText(std::string_view quoted) {
    const JsonValue text(quoted);
    if (const std::optional<std::string_view> plain = text.AsPlainString()) return AppendMsgpackString(out_, *plain);
    AppendMsgpackString(out_, text.ToText());
  }
  bool TakePlaceholder() {
    if (placeholders_.empty() || placeholders_[0].object.data() != rest_.data()) return false;
    const JsonScanner::Placeholder& placeholder = placeholders_[0];
    const std::string& bytes = attachments_[placeholder.attachment];
    AppendLength(out_, bytes.size(), 0, 0, 0xc4, true);
    out_.append(bytes);
    Take(placeholder.object.size());
    // Those inside it mean nothing.
    while (!placeholders_.empty() && placeholders_[0].object.data() < rest_.data())
      placeholders_ = placeholders_.subspan(1);
    return true;
  }
  // The count is known at the end only: few members fit the byte that is kept for it, for more it is widened.
  void Container(unsigned small, char end, bool is_map) {
    Take(1);
    const std::size_t at = out_.size();
    out_.push_back('\0');
    std::size_t count = 0;
    if (!TakeIf(end)) {
      do {
        ++count;
        if (is_map) {
          Blanks();
          AppendText(String());
          TakeIf(':');
        }
        Value();
      } while (TakeIf(','));
      TakeIf(end);
    }
    std::string header;
    AppendLength(header, count, small, 16, is_map ? 0xde : 0xdc, false);
    out_.replace(at, 1, header);
  }

  std::string& out_;
  std::string_view rest_;
  std::span<const JsonScanner::Placeholder> placeholders_;  // those ahead, in the order of the text
  std::span<const std::string> attachments_;
};

}  // namespace

void AppendMsgpackString(std::string& out, std::string_view utf8) {
  AppendLength(out, utf8.size(), 0xa0, 32, 0xd9, true);
  out.append(utf8);
}

void AppendMsgpackUnsigned(std::string& out, std::uint64_t value) {
  if (value < 0x80) return PushByte(out, static_cast<unsigned>(value));
  const int bytes = value <= 0xff ? 1 : value <= 0xffff ? 2 : value <= 0xffffffff ? 4 : 8;
  PushByte(out, bytes == 1 ? 0xcc : bytes == 2 ? 0xcd : bytes == 4 ? 0xce : 0xcf);
  AppendBigEndian(out, value, bytes);
}

void AppendMsgpackMapHeader(std::string& out, std::uint32_t members) {
  AppendLength(out, members, 0x80, 16, 0xde, false);
}

void AppendMsgpackValue(std::string& out, std::string_view json, std::span<const std::string> attachments) {
  std::vector<JsonScanner::Placeholder> placeholders;
  JsonScanner scanner(json);
  if (!attachments.empty()) scanner.CheckPlaceholders(attachments.size(), &placeholders);
  std::string_view value;
  if (!scanner.Value(value) || !scanner.AtEnd()) return PushByte(out, 0xc0);
  std::sort(placeholders.begin(), placeholders.end(),
            [](const auto& a, const auto& b) { return a.object.data() < b.object.data(); });
  MsgpackWriter(out, value, placeholders, attachments).Value();
}

}  // namespace sesior::socketio
