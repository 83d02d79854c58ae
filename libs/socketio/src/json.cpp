#include "sesior/socketio/json.hpp"

#include <array>
#include <charconv>
#include <cmath>

namespace sesior::socketio {

Json::Json(double value) {
  if (!std::isfinite(value)) {
    text_ = "null";
    return;
  }
  std::array<char, 32> buffer;
  const std::to_chars_result result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  text_.assign(buffer.data(), result.ptr);
}

Json Json::Raw(std::string text) {
  Json json;
  json.text_ = std::move(text);
  return json;
}

Json Json::Object(std::initializer_list<std::pair<std::string_view, Json>> members) {
  std::string text = "{";
  for (const auto& [name, value] : members) {
    if (text.size() > 1) text.push_back(',');
    AppendJsonString(text, name);
    text.push_back(':');
    text.append(value.text());
  }
  text.push_back('}');
  return Raw(std::move(text));
}

}  // namespace sesior::socketio
