// MessagePack to JSON text and back, as socket.io-msgpack-parser (notepack 2) has it. Private to the library.
//
//   bytes                         in JSON text
//   bin, ext 0                    {"_placeholder":true,"num":N}, its bytes in `attachments`
//   fixext1 0 (undefined)         left out of an object, null in an array
//   fixext8 0 (Date)              "2026-11-25T12:00:00.000Z", as JSON.stringify has it
//   NaN, infinities, other ext    null
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sesior::socketio {

// MsgpackReader takes values off the front of a message.
// Bounds: kMaxJsonDepth levels; `max_bytes` of JSON text and attachments together; `max_attachments`. Nothing is
// reserved by a length that was only announced.
// Errors: false, for good; error() says why.
class MsgpackReader {
 public:
  MsgpackReader(std::string_view message, std::size_t max_bytes, std::size_t max_attachments)
      : rest_(message), max_bytes_(max_bytes), max_attachments_(max_attachments) {}

  bool at_end() const { return rest_.empty(); }
  const char* error() const { return error_; }

  // The number of members of the map that comes next; nullopt: something else comes.
  std::optional<std::uint32_t> Map();
  // The text of the string that comes next; nullopt: something else comes, or it is no UTF-8.
  std::optional<std::string_view> String();
  // The integer that comes next, not negative; nullopt: something else comes.
  std::optional<std::uint64_t> Unsigned();
  // Is `undefined` next? If so it is taken.
  bool TakeUndefined();
  // Takes one value and shows its bytes.
  bool Skip(std::string_view& value);
  // Takes one value, appends its JSON to `json` and its bytes to `attachments`.
  bool ToJson(std::string& json, std::vector<std::string>& attachments);

 private:
  enum class Kind : std::uint8_t {
    kNil,
    kFalse,
    kTrue,
    kUnsigned,
    kNegative,
    kFloat,
    kString,
    kBinary,
    kArray,
    kMap,
    kExt
  };
  struct Head {
    Kind kind = Kind::kNil;
    std::uint64_t number = 0;  // of kUnsigned and kNegative (as int64); of containers: members
    double real = 0;           // of kFloat
    std::string_view data;     // of kString, kBinary and kExt
    std::int8_t ext_type = 0;
    bool is_fixed_ext = false;
  };

  bool Fail(const char* error) {
    if (*error_ == '\0') error_ = error;
    return false;
  }
  bool TakeHead(Head& head);
  bool TakeBigEndian(int bytes, std::uint64_t& value);
  bool TakeData(std::uint64_t bytes, std::string_view& data);
  bool TakeExt(std::uint64_t bytes, Head& head);
  // `json` null: only skipped.
  bool Value(int depth, std::string* json, std::vector<std::string>* attachments);
  bool Key(std::string* json);
  bool Append(std::string* json, std::string_view text);
  bool AppendString(std::string* json, std::string_view text);
  bool AppendBinary(std::string* json, std::vector<std::string>* attachments, std::string_view bytes);
  bool AppendExt(const Head& head, std::string* json, std::vector<std::string>* attachments);

  std::string_view rest_;
  std::size_t max_bytes_;
  std::size_t max_attachments_;
  std::size_t attached_bytes_ = 0;
  const char* error_ = "";
};

// -- writing, with the shortest forms --
void AppendMsgpackString(std::string& out, std::string_view utf8);
void AppendMsgpackUnsigned(std::string& out, std::uint64_t value);
void AppendMsgpackMapHeader(std::string& out, std::uint32_t members);
// The value of `json`, with the placeholders in it replaced by bytes; nil when it is no JSON.
void AppendMsgpackValue(std::string& out, std::string_view json, std::span<const std::string> attachments);

}  // namespace sesior::socketio
