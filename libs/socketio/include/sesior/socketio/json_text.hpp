// JSON kept as the text that came in: checked once, sliced without copying, read only where somebody looks.
//
// Why not a document: most arguments are passed on, not read; text passed on verbatim is exact (numbers beyond 2^53
// survive) and costs nothing. Why not RapidJSON here: its reader refuses lone surrogate escapes, which JavaScript's
// JSON.parse lets pass, reports no positions of values, and unescapes every string it checks.
// Accepted: RFC 8259 as JSON.parse reads it, any value at the top, valid UTF-8 only, at most `kMaxJsonDepth` levels.
// Threading: thread-safe functions; JsonValue is an immutable view.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sesior::socketio {

inline constexpr int kMaxJsonDepth = 128;  // containers inside each other, the outermost included

enum class JsonKind : std::uint8_t { kNull, kBool, kNumber, kString, kArray, kObject };

// JsonValue: a view on one checked JSON value; it does not own its text.
class JsonValue {
 public:
  JsonValue() = default;  // null
  // `checked` must be one valid value without blanks around it, such as the slices made here.
  explicit JsonValue(std::string_view checked) : text_(checked) {}

  // Checks all of `text` (blanks around it are allowed); nullopt: not JSON.
  static std::optional<JsonValue> Parse(std::string_view text);

  std::string_view text() const { return text_; }
  JsonKind kind() const;
  bool is_null() const { return kind() == JsonKind::kNull; }

  // nullopt: another kind of value, or one the type cannot hold (AsInt: fractions and beyond int64; AsString: a lone
  // surrogate, which is no Unicode text).
  std::optional<bool> AsBool() const;
  std::optional<std::int64_t> AsInt() const;
  std::optional<double> AsDouble() const;
  std::optional<std::string> AsString() const;
  // As AsString, but a lone surrogate becomes U+FFFD; empty when it is no string.
  std::string ToText() const;
  // The text between the quotes where it has no escapes, which costs nothing; nullopt: no string, or it has some.
  std::optional<std::string_view> AsPlainString() const;

  // The member of that name (the last one, as in JavaScript); nullopt: no object, no such member.
  std::optional<JsonValue> Member(std::string_view name) const;

  using Elements = std::vector<std::string_view>;
  // The elements of an array, or name, value, name, value ... of an object (names quoted, as written); empty otherwise.
  Elements Items() const;

 private:
  bool Unescape(std::string& out, bool is_lenient) const;

  std::string_view text_ = "null";
};

// Checks that `text` is one JSON array with nothing but blanks around it and slices its top level into `elements`
// (replaced). False: it is not; `elements` is then unspecified. With `attachments`, every {"_placeholder":true,"num":N}
// in it must have an integer N, 0 <= N < attachments.
bool ParseJsonArray(std::string_view text, JsonValue::Elements& elements,
                    std::optional<std::size_t> attachments = std::nullopt);

// Appends `text` as a JSON string, quotes included. Invalid UTF-8 becomes U+FFFD.
void AppendJsonString(std::string& out, std::string_view text);
std::string JsonString(std::string_view text);

// Is this valid UTF-8 (no surrogates, no overlong forms)?
bool IsValidUtf8(std::string_view text);

}  // namespace sesior::socketio
