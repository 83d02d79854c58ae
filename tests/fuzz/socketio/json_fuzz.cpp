// The JSON scanner against RapidJSON: they agree, but for the lone surrogates and the depth that ours is made for.
#include <cstddef>
#include <cstdint>

#include "rapidjson/memorystream.h"
#include "rapidjson/reader.h"
#include "sesior/base/check.hpp"
#include "sesior/socketio/json_text.hpp"

using namespace sesior::socketio;

namespace {

int Depth(std::string_view text) {  // an upper bound
  int depth = 0;
  for (char c : text) depth += c == '[' || c == '{';
  return depth;
}

bool RapidJsonAccepts(std::string_view text) {
  constexpr unsigned kFlags =
      rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag | rapidjson::kParseNumbersAsStringsFlag;
  rapidjson::MemoryStream stream(text.data(), text.size());
  rapidjson::Reader reader;
  rapidjson::BaseReaderHandler<> handler;
  return !reader.Parse<kFlags>(stream, handler).IsError();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::optional<JsonValue> value = JsonValue::Parse(text);
  SESIOR_CHECK(IsValidUtf8(JsonString(text)));
  SESIOR_CHECK(JsonValue::Parse(JsonString(text)));
  if (IsValidUtf8(text)) SESIOR_CHECK(JsonValue(JsonString(text)).AsString() == text);
  JsonValue::Elements elements;
  SESIOR_CHECK(ParseJsonArray(text, elements) == (value && value->kind() == JsonKind::kArray));
  if (value) {
    SESIOR_CHECK(IsValidUtf8(value->text()));
    for (std::string_view item : value->Items()) SESIOR_CHECK(JsonValue::Parse(item)->text() == item);
    if (value->kind() == JsonKind::kArray) SESIOR_CHECK(elements == value->Items());
  }
  if (text.find('\0') != std::string_view::npos) return 0;  // the end of the text to RapidJSON
  const bool accepted = RapidJsonAccepts(text);
  // RapidJSON refuses lone surrogates and numbers that no double holds.
  const bool may_differ = text.find("\\u") != std::string_view::npos ||
                          text.find_first_of("eE") != std::string_view::npos || text.size() > 300;
  if (value && !accepted) SESIOR_CHECK(may_differ);
  if (!value && accepted) SESIOR_CHECK(Depth(text) > kMaxJsonDepth);
  return 0;
}
