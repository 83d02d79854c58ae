// RequestParser: any way of cutting the bytes gives the same requests and the same refusal, and a request that was
// accepted, written out again in plain form, is read as itself (so nothing in it could end a line or start a request).
// The first byte of the input chooses the cuts, the rest is what a client sends.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sesior/base/check.hpp"
#include "sesior/http/request_parser.hpp"

using namespace sesior::http;

namespace {

constexpr Limits kLimits{.head_bytes = 2048, .headers = 16, .target_bytes = 256, .body_bytes = 512};

struct Outcome {
  std::vector<Request> requests;
  int status = 0;  // 0: not refused
  std::string_view reason;
  bool idle = true;
  bool head_complete = false;

  void Add(RequestParser& parser, std::string_view bytes) {
    while (status == 0) {
      const std::size_t before = bytes.size();
      switch (parser.Feed(bytes)) {
        case RequestParser::Result::kNeedMore:
          SESIOR_CHECK(bytes.empty());
          idle = parser.idle();
          head_complete = parser.head_complete();
          return;
        case RequestParser::Result::kComplete:
          SESIOR_CHECK(bytes.size() < before);
          SESIOR_CHECK(parser.head_complete() && !parser.expects_continue());
          requests.push_back(parser.Take());
          SESIOR_CHECK(parser.idle());
          break;
        case RequestParser::Result::kError:
          status = parser.error().status;
          reason = parser.error().reason;
          idle = parser.idle();
          head_complete = parser.head_complete();
      }
    }
  }
};

bool Same(const Request& a, const Request& b) {
  if (a.headers.size() != b.headers.size()) return false;
  for (std::size_t i = 0; i < a.headers.size(); ++i) {
    if (a.headers[i].name != b.headers[i].name || a.headers[i].value != b.headers[i].value) return false;
  }
  return a.method == b.method && a.method_text == b.method_text && a.target == b.target && a.path == b.path &&
         a.query == b.query && a.version_minor == b.version_minor && a.keep_alive == b.keep_alive &&
         a.upgrade == b.upgrade && a.body == b.body;
}

void CheckSame(const Outcome& a, const Outcome& b) {
  SESIOR_CHECK(a.status == b.status && a.reason == b.reason);
  SESIOR_CHECK(a.idle == b.idle && a.head_complete == b.head_complete);
  SESIOR_CHECK(a.requests.size() == b.requests.size());
  for (std::size_t i = 0; i < a.requests.size(); ++i) SESIOR_CHECK(Same(a.requests[i], b.requests[i]));
}

std::string Write(const Request& request) {
  std::string text =
      request.method_text + " " + request.target + " HTTP/1." + std::to_string(request.version_minor) + "\r\n";
  for (const Header& header : request.headers) text += header.name + ":" + header.value + "\r\n";
  text += "\r\n";
  if (request.Find("transfer-encoding") == nullptr) return text + request.body;
  for (const char c : request.body) {
    text += "1\r\n";
    text += c;
    text += "\r\n";
  }
  return text + "0\r\n\r\n";
}

void CheckAccepted(const Request& request) {
  SESIOR_CHECK(request.headers.size() <= kLimits.headers && request.body.size() <= kLimits.body_bytes);
  SESIOR_CHECK(request.target.size() <= kLimits.target_bytes);
  SESIOR_CHECK(request.path == "*" || request.path.starts_with('/'));
  const std::string* length = request.Find("content-length");
  SESIOR_CHECK(length == nullptr || std::stoull(*length) == request.body.size());
  SESIOR_CHECK(length == nullptr || request.Find("transfer-encoding") == nullptr);
  SESIOR_CHECK(length != nullptr || request.Find("transfer-encoding") != nullptr || request.body.empty());
  RequestParser parser(kLimits);
  Outcome again;
  again.Add(parser, Write(request));
  SESIOR_CHECK(again.requests.size() == 1 && again.status == 0 && again.idle);
  SESIOR_CHECK(Same(again.requests[0], request));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t step = data[0] % 61 + 1;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);

  RequestParser whole_parser(kLimits);
  Outcome whole;
  whole.Add(whole_parser, bytes);
  for (const Request& request : whole.requests) CheckAccepted(request);

  for (const std::size_t piece : {std::size_t{1}, step}) {
    RequestParser parser(kLimits);
    Outcome cut;
    for (std::size_t at = 0; at < bytes.size(); at += piece) cut.Add(parser, bytes.substr(at, piece));
    CheckSame(whole, cut);
  }
  return 0;
}
