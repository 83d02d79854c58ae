// Request: one HTTP/1.x request as RequestParser hands it out. Headers stand in the order they came, values trimmed of
// blanks but otherwise raw. A value.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sesior::http {

enum class Method { kGet, kHead, kPost, kPut, kPatch, kDelete, kOptions, kOther };

struct Header {
  std::string name;  // as sent
  std::string value;
};

struct Request {
  Method method = Method::kOther;
  std::string method_text;
  std::string target;      // as sent, e.g. "/users?limit=5"
  std::string path;        // "/users", not decoded
  std::string query;       // "limit=5", not decoded, no question mark
  int version_minor = 1;   // HTTP/1.<this>
  bool keep_alive = true;  // what the client wants
  bool upgrade = false;    // Connection names Upgrade and there is an Upgrade header
  std::vector<Header> headers;
  std::string body;

  // The first header of that name, in any case; nullptr: none.
  const std::string* Find(std::string_view name) const;
  // All of them, joined by `separator`; nullopt: none. Cookie lines are joined by "; ", as Node does.
  std::optional<std::string> Joined(std::string_view name, std::string_view separator) const;
};

// Compares ASCII letters without case.
bool EqualsIgnoreCase(std::string_view a, std::string_view b);
// Whether a comma-separated header value has this token, in any case.
bool HasToken(std::string_view value, std::string_view token);

}  // namespace sesior::http
