// Argument: one argument of an event or an acknowledgement: JSON in which bytes may stand anywhere. A view: it ends
// with the packet it belongs to. Threading: immutable.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "sesior/socketio/json_text.hpp"

namespace sesior::socketio {

class Argument : public JsonValue {
 public:
  Argument() = default;  // null
  // Every placeholder in `value` must mean one of `attachments`; without attachments there are no placeholders, only
  // objects that look like one.
  Argument(JsonValue value, std::span<const std::string> attachments) : JsonValue(value), attachments_(attachments) {}

  // The bytes that it is; nullopt: it is something else.
  std::optional<std::string_view> AsBinary() const;
  // As JsonValue::Member, and the member may be bytes.
  std::optional<Argument> Member(std::string_view name) const;

  // Of the whole packet.
  std::span<const std::string> attachments() const { return attachments_; }

 private:
  std::span<const std::string> attachments_;
};

}  // namespace sesior::socketio
