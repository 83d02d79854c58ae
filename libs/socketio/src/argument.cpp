#include "sesior/socketio/argument.hpp"

namespace sesior::socketio {

std::optional<std::string_view> Argument::AsBinary() const {
  if (attachments_.empty()) return std::nullopt;
  const std::optional<JsonValue> flag = JsonValue::Member("_placeholder");
  if (!flag || flag->AsBool() != true) return std::nullopt;
  return attachments_[static_cast<std::size_t>(*JsonValue::Member("num")->AsInt())];
}

std::optional<Argument> Argument::Member(std::string_view name) const {
  const std::optional<JsonValue> member = JsonValue::Member(name);
  return member ? std::optional<Argument>(Argument(*member, attachments_)) : std::nullopt;
}

}  // namespace sesior::socketio
