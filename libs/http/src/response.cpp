#include "sesior/http/response.hpp"

#include <http_parser.h>

namespace sesior::http {

const char* ReasonPhrase(int status) {
  const char* phrase = http_status_str(static_cast<http_status>(status));
  return std::string_view(phrase) == "<unknown>" ? "Unknown" : phrase;
}

Response::Response(int status, std::string_view content_type, std::string body)
    : status_(status), body_(std::move(body)) {
  Add("Content-Type", content_type);
}

Response& Response::Add(std::string_view name, std::string_view value) {
  if (value.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos) {
    headers_.push_back({std::string(name), std::string(value)});
  }
  return *this;
}

Response& Response::SetBody(std::string body) {
  body_ = std::move(body);
  shared_.reset();
  return *this;
}

Response& Response::SetBody(std::shared_ptr<const std::string> body) {
  shared_ = std::move(body);
  return *this;
}

std::string Response::SerializeAs(bool with_body, const char* connection) const {
  const std::string_view content = body();
  std::string text;
  text.reserve(160 + headers_.size() * 48 + (with_body ? content.size() : 0));
  text.append("HTTP/1.1 ").append(std::to_string(status_)).append(" ").append(ReasonPhrase(status_)).append("\r\n");
  for (const Header& header : headers_) text.append(header.name).append(": ").append(header.value).append("\r\n");
  // 1xx, 204 and 304 have no content; a length there confuses clients.
  const bool may_have_content = status_ >= 200 && status_ != 204 && status_ != 304;
  if (may_have_content) text.append("Content-Length: ").append(std::to_string(content.size())).append("\r\n");
  if (*connection != '\0') text.append("Connection: ").append(connection).append("\r\n");
  text.append("\r\n");
  if (with_body && may_have_content) text.append(content);
  return text;
}

std::string Response::Serialize(const Request& request, bool close) const {
  const char* connection = "";
  if (close || !request.keep_alive) {
    connection = "close";
  } else if (request.version_minor == 0) {
    connection = "keep-alive";
  }
  return SerializeAs(request.method != Method::kHead, connection);
}

std::string Response::SerializeAndClose() const { return SerializeAs(true, "close"); }

}  // namespace sesior::http
