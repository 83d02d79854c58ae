// JSON in and out of requests. Bodies stay text: what is passed on is passed on as it came, numbers included.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "sesior/http/request.hpp"
#include "sesior/http/response.hpp"

namespace sesior::rest {

// An answer that no cache keeps.
http::Response JsonResponse(int status, std::string body);

// The body as one JSON object: JSON text, or a form (application/x-www-form-urlencoded) as an object of strings.
// kInvalidArgument with a message for users otherwise.
absl::StatusOr<std::string> ReadObject(const http::Request& request);

// The string member `name` of the JSON object `object`, as JavaScript would read it; nullopt: there is none, or it is
// not a string.
std::optional<std::string> StringMember(std::string_view object, std::string_view name);
bool HasMember(std::string_view object, std::string_view name);

}  // namespace sesior::rest
