// RequestParser: bytes in, HTTP/1.x requests out. The head is parsed by http-parser (strict) after our own check of its
// raw bytes has refused what request smuggling is made of: bare LF or CR, folded lines, blanks before a colon, control
// characters, both length headers, a repeated length, any transfer coding but one "chunked", chunk extensions,
// trailers, a second Host. Bodies are framed here, since http-parser is lax about line ends inside chunk extensions.
//
//   std::string_view rest = bytes;
//   while (!rest.empty() || ...) {
//     switch (parser.Feed(rest)) {             // takes from the front of `rest`
//       case kNeedMore: wait for more bytes
//       case kComplete: Answer(parser.Take());  // what is left in `rest` is the next request, or upgraded bytes
//       case kError:    answer parser.error().status and close
//     }
//   }
//
// Memory: about 100 bytes between requests; the buffers are freed with Take().
// Threading: thread-compatible. No I/O, no clock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "sesior/http/request.hpp"

namespace sesior::http {

struct Limits {
  std::size_t head_bytes = 16 * 1024;    // request line and headers together: 431
  std::size_t headers = 100;             // 431
  std::size_t target_bytes = 8 * 1024;   // 414
  std::size_t body_bytes = 1024 * 1024;  // 413, told by Content-Length before the body is read
};

class RequestParser {
 public:
  enum class Result { kNeedMore, kComplete, kError };
  struct Error {
    int status = 400;
    const char* reason = "";  // e.g. "bare line feed in the head"; for logs and bodies
  };

  // `limits` must outlive the parser: one object is shared by all connections.
  explicit RequestParser(const Limits& limits);
  ~RequestParser();
  RequestParser(RequestParser&&) noexcept;
  RequestParser& operator=(RequestParser&&) noexcept;

  // Takes bytes from the front of `bytes`, at most to the end of one request. After kError nothing more is taken.
  Result Feed(std::string_view& bytes);

  // After kComplete: the request; the parser is ready for the next one.
  Request Take();

  // No byte of a request has come yet.
  bool idle() const { return !state_; }
  // The head is complete: request() has everything but the body. Also after a kError that the body caused (413).
  bool head_complete() const;
  const Request& request() const;
  // The client waits for "100 Continue" before it sends the body.
  bool expects_continue() const;
  const Error& error() const { return error_; }

 private:
  struct State;
  Result Fail(int status, const char* reason);
  Result FinishHead();
  Result FeedBody(std::string_view& bytes);
  Result FeedChunked(std::string_view& bytes);

  const Limits* limits_;
  Error error_;
  std::unique_ptr<State> state_;
};

}  // namespace sesior::http
