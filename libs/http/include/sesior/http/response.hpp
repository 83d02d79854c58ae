// Response: one HTTP/1.1 answer, built in memory and serialized once. A value.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sesior/http/request.hpp"

namespace sesior::http {

class Response {
 public:
  explicit Response(int status) : status_(status) {}
  Response(int status, std::string_view content_type, std::string body);

  // Headers keep their order and may repeat (Set-Cookie). A value with CR, LF or NUL is a bug of ours: it is left out,
  // never sent. Content-Length and Connection are Serialize's.
  Response& Add(std::string_view name, std::string_view value);
  Response& SetBody(std::string body);
  // A body shared by many answers, such as a file.
  Response& SetBody(std::shared_ptr<const std::string> body);

  int status() const { return status_; }
  std::string_view body() const { return shared_ ? std::string_view(*shared_) : std::string_view(body_); }
  const std::vector<Header>& headers() const { return headers_; }

  // The bytes to send in answer to `request`: no body for HEAD, 204 and 304; "Connection: close" when `close` is set or
  // the client does not want the connection kept, "Connection: keep-alive" for an HTTP/1.0 client that wants it.
  std::string Serialize(const Request& request, bool close) const;
  // The same before a request could be parsed; always closes.
  std::string SerializeAndClose() const;

 private:
  std::string SerializeAs(bool with_body, const char* connection) const;

  int status_;
  std::vector<Header> headers_;
  std::string body_;
  std::shared_ptr<const std::string> shared_;
};

// "Not Found"; "Unknown" for what is not in the registry.
const char* ReasonPhrase(int status);

}  // namespace sesior::http
