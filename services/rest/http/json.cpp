#include "services/rest/http/json.hpp"

#include "sesior/base/json_string.hpp"
#include "sesior/base/utf8.hpp"
#include "sesior/http/form.hpp"
#include "sesior/socketio/json_text.hpp"

namespace sesior::rest {
namespace {

bool IsForm(const http::Request& request) {
  constexpr std::string_view kType = "application/x-www-form-urlencoded";
  const std::string* type = request.Find("Content-Type");
  return type != nullptr && http::EqualsIgnoreCase(std::string_view(*type).substr(0, kType.size()), kType);
}

absl::StatusOr<std::string> FormObject(std::string_view body) {
  std::string object = "{";
  for (const auto& [name, value] : http::ParseForm(body)) {
    if (!IsValidUtf8(name) || !IsValidUtf8(value)) {
      return absl::InvalidArgumentError("the form must be valid UTF-8");
    }
    if (object.size() > 1) object += ',';
    AppendJsonString(object, name);
    object += ':';
    AppendJsonString(object, value);
  }
  return object + '}';
}

}  // namespace

http::Response JsonResponse(int status, std::string body) {
  http::Response response(status, "application/json; charset=utf-8", std::move(body));
  response.Add("Cache-Control", "no-store");
  return response;
}

absl::StatusOr<std::string> ReadObject(const http::Request& request) {
  if (IsForm(request)) return FormObject(request.body);
  const std::optional<socketio::JsonValue> value = socketio::JsonValue::Parse(request.body);
  if (!value) {
    return absl::InvalidArgumentError("the body must be JSON in valid UTF-8, at most 128 levels deep");
  }
  if (value->kind() != socketio::JsonKind::kObject) return absl::InvalidArgumentError("the body must be a JSON object");
  return std::string(value->text());
}

std::optional<std::string> StringMember(std::string_view object, std::string_view name) {
  const std::optional<socketio::JsonValue> value = socketio::JsonValue::Parse(object);
  if (!value) return std::nullopt;
  const std::optional<socketio::JsonValue> member = value->Member(name);
  return member ? member->AsString() : std::nullopt;
}

bool HasMember(std::string_view object, std::string_view name) {
  const std::optional<socketio::JsonValue> value = socketio::JsonValue::Parse(object);
  return value && value->Member(name);
}

}  // namespace sesior::rest
