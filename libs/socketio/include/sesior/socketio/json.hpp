// Json: JSON text in the making, for arguments of events and acknowledgements.
//   Json::Object({{"userName", name}, {"age", 7}})      {"userName":"ann","age":7}
//   Json::Array(nullptr, Json::Raw(event.arg(0)))       [null,...]
// Values: null, bool, numbers, text (quoted; invalid UTF-8 becomes U+FFFD), other Json, and JsonValue passed on
// verbatim. Threading: thread-compatible.
#pragma once

#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "sesior/socketio/json_text.hpp"

namespace sesior::socketio {

class Json {
 public:
  Json(std::nullptr_t) : text_("null") {}
  Json(bool value) : text_(value ? "true" : "false") {}
  template <std::integral T>
  requires(!std::same_as<T, bool> && !std::same_as<T, char>) Json(T value) : text_(std::to_string(value)) {}
  Json(double value);  // what is no JSON number (NaN, infinities) becomes null, as in JavaScript
  Json(std::string_view text) : text_(JsonString(text)) {}
  Json(const std::string& text) : text_(JsonString(text)) {}
  Json(const char* text) : text_(JsonString(text)) {}
  Json(JsonValue value) : text_(value.text()) {}

  // `text` must be JSON.
  static Json Raw(std::string text);
  static Json Object(std::initializer_list<std::pair<std::string_view, Json>> members);
  template <typename... Values>
  static Json Array(const Values&... values) {
    std::string text = "[";
    ((text.append(Json(values).text()).push_back(',')), ...);
    if constexpr (sizeof...(values) > 0) text.pop_back();
    text.push_back(']');
    return Raw(std::move(text));
  }

  const std::string& text() const& { return text_; }
  std::string text() && { return std::move(text_); }

 private:
  Json() = default;
  std::string text_;
};

}  // namespace sesior::socketio
