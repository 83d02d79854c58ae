// Json: JSON in the making, for the arguments of events and acknowledgements; bytes may stand anywhere in it.
//   Json::Object({{"userName", name}, {"age", 7}})      {"userName":"ann","age":7}
//   Json::Array(nullptr, event.arg(0))                  [null,...]
//   Json::Object({{"picture", Json::Binary(bytes)}})    the bytes go out as they are, as in JavaScript
// Values: null, bool, numbers, text (quoted; invalid UTF-8 becomes U+FFFD), bytes, other Json, and arguments passed on
// verbatim, their bytes included. A copy of a Json shares the bytes; putting one into another copies them.
// Threading: thread-compatible.
#pragma once

#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/string_view.h"
#include "sesior/base/string_view.hpp"
#include "sesior/socketio/argument.hpp"
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
  Json(absl::string_view text) : text_(JsonString(ToStd(text))) {}
  Json(JsonValue value) : text_(value.text()) {}
  Json(const Argument& value);

  // `text` must be JSON.
  static Json Raw(std::string text);
  // Bytes. An event or an acknowledgement takes kMaxAttachments of them.
  static Json Binary(std::string bytes);
  static Json Object(std::initializer_list<std::pair<std::string_view, Json>> members);
  template <typename... Values>
  static Json Array(const Values&... values) {
    return ArrayOf({Json(values)...});
  }
  static Json ArrayOf(std::initializer_list<Json> values);
  static Json ArrayOf(std::span<const Json> values);

  // Bytes stand in it as {"_placeholder":true,"num":N}, in the order of N, counted from 0.
  const std::string& text() const& { return text_; }
  std::string text() && { return std::move(text_); }
  // What N counts.
  std::span<const std::string> attachments() const;
  // To look at it; the view lives as long as this.
  Argument value() const { return Argument(JsonValue(text_), attachments()); }

 private:
  struct Binaries;
  class Builder;

  Json() = default;

  std::string text_;
  std::shared_ptr<const Binaries> binaries_;  // null: none
};

}  // namespace sesior::socketio
