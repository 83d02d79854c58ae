// RequestParser: bytes in, HTTP/1.x requests out. The head is parsed by http-parser (strict) after our own check of its
// raw bytes has refused what request smuggling is made of: bare LF or CR, folded lines, blanks before a colon, control
// characters, both length headers, a repeated length, any transfer coding but one "chunked", chunk extensions,
// trailers, a second Host. Bodies are framed here, since http-parser is lax about line ends inside chunk extensions.
// One empty line before a request is skipped. The result does not depend on how the bytes are cut.
//
//   std::string_view rest = bytes;
//   switch (parser.Feed(rest)) {              // takes from the front of `rest`
//     case kNeedMore: wait for more bytes      (`rest` is empty)
//     case kComplete: Answer(parser.Take());   // what is left in `rest` is the next request, or upgraded bytes
//     case kError:    answer parser.error().status and close
//   }
//
// Statuses: 400 malformed or refused as above, 413 / 414 / 431 a limit, 417 an Expect other than 100-continue,
// 505 a version other than 1.0 and 1.1.
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
  std::size_t head_bytes = 16 * 1024;    // request line and headers together, the empty line included: 431
  std::size_t headers = 100;             // 431
  std::size_t target_bytes = 8 * 1024;   // 414
  std::size_t body_bytes = 1024 * 1024;  // 413, told by Content-Length or chunk size before those bytes are read
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

  // No byte of the next request has come yet (an empty line before it does not count).
  bool idle() const { return !state_; }
  // The head was accepted: request() has everything but the body. Stays so after a kError of the body (413, chunks).
  bool head_complete() const;
  const Request& request() const;
  // The client waits for "100 Continue" before it sends the body: true from the Feed that completes the head to the
  // next one with bytes, so asking once after each Feed sends it once.
  bool expects_continue() const;
  const Error& error() const { return error_; }

 private:
  struct State;
  Result Fail(int status, const char* reason);
  Result FeedHead(std::string_view& bytes);
  Result FinishHead();
  Result FeedBody(std::string_view& bytes);
  Result FeedChunked(std::string_view& bytes);

  const Limits* limits_;
  Error error_;
  bool skipped_line_ = false;  // an empty line before this request
  std::unique_ptr<State> state_;
};

}  // namespace sesior::http
