// ResponseParser: bytes in, HTTP/1.1 answers out, as our own services write them: a head, then a body of the announced
// length. Refused as malformed: other versions, bare line feeds, folded lines, any transfer coding, two lengths, a body
// without a length; 1xx other than 101. The result does not depend on how the bytes are cut.
//
//   ResponseParser parser(limits);
//   parser.Begin(Method::kGet);              // for each answer, before its first byte
//   switch (parser.Feed(rest)) {             // takes from the front of `rest`
//     case kNeedMore: ...
//     case kComplete: Use(parser.Take());    // parser.keep_alive(): more answers may follow
//     case kUpgraded: Send(parser.head());   // 101: what is left in `rest` is no HTTP any more
//     case kError:    close
//   }
// Threading: thread-compatible. No I/O, no clock.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "sesior/http/request.hpp"
#include "sesior/http/response.hpp"

namespace sesior::http {

class ResponseParser {
 public:
  enum class Result { kNeedMore, kComplete, kUpgraded, kError };
  struct Limits {
    std::size_t head_bytes = 16 * 1024;
    std::size_t body_bytes = 1024 * 1024;
  };

  explicit ResponseParser(const Limits& limits) : limits_(limits) {}

  // An answer to a request of this method follows (to HEAD: without a body).
  void Begin(Method method);
  Result Feed(std::string_view& bytes);
  // After kComplete: status, headers but Content-Length and Connection, body.
  Response Take();
  // After kUpgraded: the head as it came, its empty line included.
  const std::string& head() const { return head_; }
  bool keep_alive() const { return keep_alive_; }
  // Nothing of the answer has come yet.
  bool untouched() const { return head_.empty(); }

 private:
  Result FinishHead();

  Limits limits_;
  Method method_ = Method::kGet;
  std::string head_;
  int status_ = 0;
  std::vector<Header> headers_;
  std::string body_;
  std::size_t body_left_ = 0;
  bool head_done_ = false;
  bool keep_alive_ = true;
};

}  // namespace sesior::http
