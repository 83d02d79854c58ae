#include "sesior/http/request_parser.hpp"

#include <http_parser.h>

#include <algorithm>
#include <utility>

#include "sesior/base/check.hpp"

namespace sesior::http {

namespace {

constexpr std::size_t kMaxChunkDigits = 8;

bool IsToken(std::string_view text) {
  if (text.empty()) return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// What the length headers and Host of a head say.
struct Framing {
  int hosts = 0;
  int lengths = 0;
  int codings = 0;
  bool chunked = false;
  std::uint64_t length = 0;
};

// Checks one header line; the reason when it is refused, else nullptr.
const char* CheckHeaderLine(std::string_view line, Framing& framing) {
  if (line.front() == ' ' || line.front() == '\t') return "folded header line";
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return "header line without a colon";
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = Trim(line.substr(colon + 1));
  if (!IsToken(name)) return "invalid character in a header name";
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\t') || byte == 0x7f) return "control character in a header value";
  }
  if (EqualsIgnoreCase(name, "host")) {
    ++framing.hosts;
    if (value.find_first_of(" \t/@?#\\,") != std::string_view::npos) return "invalid Host";
  } else if (EqualsIgnoreCase(name, "content-length")) {
    ++framing.lengths;
    if (value.empty() || value.size() > 18) return "invalid Content-Length";
    for (const char c : value) {
      if (c < '0' || c > '9') return "invalid Content-Length";
      framing.length = framing.length * 10 + static_cast<std::uint64_t>(c - '0');
    }
  } else if (EqualsIgnoreCase(name, "transfer-encoding")) {
    ++framing.codings;
    if (!EqualsIgnoreCase(value, "chunked")) return "transfer coding other than chunked";
    framing.chunked = true;
  }
  return nullptr;
}

// Checks the raw head, request line to the empty line exclusive. http-parser accepts some of what is refused here.
const char* CheckHead(std::string_view head, std::size_t max_headers, Framing& framing, bool& too_many) {
  std::size_t count = 0;
  std::size_t at = head.find("\r\n");
  const std::string_view request_line = head.substr(0, at);
  const std::size_t first = request_line.find(' ');
  const std::size_t last = request_line.rfind(' ');
  if (first == std::string_view::npos || first == last) return "invalid request line";
  if (!IsToken(request_line.substr(0, first))) return "invalid method";
  for (const char c : request_line.substr(first + 1, last - first - 1)) {
    if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f) return "invalid request target";
  }
  const std::string_view version = request_line.substr(last + 1);
  if (version != "HTTP/1.1" && version != "HTTP/1.0") return "unsupported HTTP version";
  while (at != std::string_view::npos) {
    const std::size_t begin = at + 2;
    at = head.find("\r\n", begin);
    const std::string_view line = head.substr(begin, at == std::string_view::npos ? at : at - begin);
    if (++count > max_headers) {
      too_many = true;
      return "too many headers";
    }
    if (const char* reason = CheckHeaderLine(line, framing)) return reason;
  }
  if (framing.hosts > 1) return "more than one Host";
  if (framing.hosts == 0 && version == "HTTP/1.1") return "no Host";
  if (framing.lengths > 1) return "more than one Content-Length";
  if (framing.codings > 1) return "more than one Transfer-Encoding";
  if (framing.lengths > 0 && framing.codings > 0) return "both Content-Length and Transfer-Encoding";
  if (framing.codings > 0 && version == "HTTP/1.0") return "Transfer-Encoding in HTTP/1.0";
  return nullptr;
}

Method ToMethod(unsigned method) {
  switch (method) {
    case HTTP_GET:
      return Method::kGet;
    case HTTP_HEAD:
      return Method::kHead;
    case HTTP_POST:
      return Method::kPost;
    case HTTP_PUT:
      return Method::kPut;
    case HTTP_PATCH:
      return Method::kPatch;
    case HTTP_DELETE:
      return Method::kDelete;
    case HTTP_OPTIONS:
      return Method::kOptions;
    default:
      return Method::kOther;
  }
}

Request& RequestOf(http_parser* parser) { return *static_cast<Request*>(parser->data); }

// Runs http-parser over a checked head. A line has one field and one value callback, since the head comes in one piece.
bool ParseHead(std::string_view head, Request& request) {
  http_parser parser;
  http_parser_init(&parser, HTTP_REQUEST);
  parser.data = &request;
  http_parser_settings settings;
  http_parser_settings_init(&settings);
  settings.on_url = [](http_parser* p, const char* at, size_t length) {
    RequestOf(p).target.append(at, length);
    return 0;
  };
  settings.on_header_field = [](http_parser* p, const char* at, size_t length) {
    RequestOf(p).headers.push_back({std::string(at, length), std::string()});
    return 0;
  };
  settings.on_header_value = [](http_parser* p, const char* at, size_t length) {
    RequestOf(p).headers.back().value = std::string(Trim(std::string_view(at, length)));
    return 0;
  };
  // 2: no body follows here (it is framed by our own code), and nothing after the head is looked at.
  settings.on_headers_complete = [](http_parser* p) {
    Request& parsed = RequestOf(p);
    parsed.method = ToMethod(p->method);
    parsed.method_text = http_method_str(static_cast<http_method>(p->method));
    parsed.version_minor = p->http_minor;
    parsed.keep_alive = http_should_keep_alive(p) != 0;
    return 2;
  };
  const std::size_t parsed = http_parser_execute(&parser, &settings, head.data(), head.size());
  return HTTP_PARSER_ERRNO(&parser) == HPE_OK && parsed == head.size();
}

// Splits the target; an absolute one must name the Host.
const char* SplitTarget(Request& request) {
  std::string_view target = request.target;
  if (target.empty() || target.front() == '/') {
    // origin form
  } else if (target == "*" && request.method == Method::kOptions) {
    request.path = "*";
    return nullptr;
  } else {
    const std::size_t scheme = target.find("://");
    if (scheme == std::string_view::npos) return "invalid request target";
    target.remove_prefix(scheme + 3);
    const std::size_t slash = target.find_first_of("/?");
    const std::string* host = request.Find("host");
    if (host == nullptr || !EqualsIgnoreCase(target.substr(0, slash), *host)) return "target and Host differ";
    target = slash == std::string_view::npos ? std::string_view("/") : target.substr(slash);
  }
  const std::size_t question = target.find('?');
  request.path = std::string(target.substr(0, question));
  if (request.path.empty()) request.path = "/";
  if (question != std::string_view::npos) request.query = std::string(target.substr(question + 1));
  return nullptr;
}

}  // namespace

struct RequestParser::State {
  enum class Phase { kHead, kBody, kChunkSize, kChunkData, kChunkEnd, kLastLine, kComplete, kFailed };
  Phase phase = Phase::kHead;
  std::string buffer;           // the head so far, or the chunk's size line so far
  std::size_t scanned = 0;      // of the head: bytes whose line ends have been looked at
  std::uint64_t body_left = 0;  // of the body or chunk
  bool expects_continue = false;
  Request request;
};

RequestParser::RequestParser(const Limits& limits) : limits_(&limits) {}
RequestParser::~RequestParser() = default;
RequestParser::RequestParser(RequestParser&&) noexcept = default;
RequestParser& RequestParser::operator=(RequestParser&&) noexcept = default;

RequestParser::Result RequestParser::Fail(int status, const char* reason) {
  state_->phase = State::Phase::kFailed;
  state_->buffer = std::string();
  error_ = {status, reason};
  return Result::kError;
}

RequestParser::Result RequestParser::Feed(std::string_view& bytes) {
  if (bytes.empty() && !state_) return Result::kNeedMore;
  if (!state_) state_ = std::make_unique<State>();
  State& state = *state_;
  switch (state.phase) {
    case State::Phase::kHead:
      break;
    case State::Phase::kFailed:
      return Result::kError;
    case State::Phase::kComplete:
      return Result::kComplete;
    default:
      return FeedBody(bytes);
  }
  // Byte by byte up to the empty line; a wrong line end is refused as soon as it is seen, however the bytes are cut.
  std::size_t taken = 0;
  while (taken < bytes.size()) {
    const std::size_t end = bytes.find('\n', taken);
    const std::size_t stop = end == std::string_view::npos ? bytes.size() : end + 1;
    const std::size_t room = limits_->head_bytes - state.buffer.size();
    if (stop - taken > room) {
      const bool in_target = state.buffer.find("\r\n") == std::string::npos;
      return in_target ? Fail(414, "request target too long") : Fail(431, "request head too large");
    }
    state.buffer.append(bytes.substr(taken, stop - taken));
    taken = stop;
    for (; state.scanned < state.buffer.size(); ++state.scanned) {
      const char c = state.buffer[state.scanned];
      const bool after_cr = state.scanned > 0 && state.buffer[state.scanned - 1] == '\r';
      if (after_cr != (c == '\n'))
        return Fail(400, after_cr ? "bare carriage return in the head" : "bare line feed in the head");
      if (c == '\0') return Fail(400, "NUL in the head");
    }
    if (state.buffer.ends_with("\r\n\r\n")) {
      bytes.remove_prefix(taken);
      const Result result = FinishHead();
      return result == Result::kNeedMore && state.phase != State::Phase::kHead ? FeedBody(bytes) : result;
    }
  }
  bytes.remove_prefix(taken);
  if (state.buffer.size() > limits_->target_bytes + 64 && state.buffer.find("\r\n") == std::string::npos) {
    return Fail(414, "request target too long");
  }
  return Result::kNeedMore;
}

RequestParser::Result RequestParser::FinishHead() {
  State& state = *state_;
  Framing framing;
  bool too_many = false;
  const std::string_view lines = std::string_view(state.buffer).substr(0, state.buffer.size() - 4);
  if (const char* reason = CheckHead(lines, limits_->headers, framing, too_many)) {
    return Fail(too_many ? 431 : 400, reason);
  }
  if (!ParseHead(state.buffer, state.request)) {
    state.request = Request();
    return Fail(400, "malformed request head");
  }
  if (state.request.target.size() > limits_->target_bytes) return Fail(414, "request target too long");
  if (const char* reason = SplitTarget(state.request)) return Fail(400, reason);
  const std::string* connection = state.request.Find("connection");
  state.request.upgrade =
      connection != nullptr && HasToken(*connection, "upgrade") && state.request.Find("upgrade") != nullptr;
  const std::string* expect = state.request.Find("expect");
  if (expect != nullptr && !EqualsIgnoreCase(*expect, "100-continue")) return Fail(417, "unknown expectation");
  state.expects_continue = expect != nullptr && (framing.chunked || framing.length > 0);
  state.buffer = std::string();
  if (framing.length > limits_->body_bytes) {
    state.phase = State::Phase::kBody;  // the head stays readable
    return Fail(413, "request body too large");
  }
  state.body_left = framing.length;
  state.phase = framing.chunked      ? State::Phase::kChunkSize
                : framing.length > 0 ? State::Phase::kBody
                                     : State::Phase::kComplete;
  return state.phase == State::Phase::kComplete ? Result::kComplete : Result::kNeedMore;
}

RequestParser::Result RequestParser::FeedBody(std::string_view& bytes) {
  State& state = *state_;
  if (state.phase != State::Phase::kBody) return FeedChunked(bytes);
  const std::size_t take = std::min<std::uint64_t>(state.body_left, bytes.size());
  state.request.body.append(bytes.substr(0, take));
  bytes.remove_prefix(take);
  state.body_left -= take;
  if (state.body_left > 0) return Result::kNeedMore;
  state.phase = State::Phase::kComplete;
  return Result::kComplete;
}

// chunked-body without extensions and trailers: *( 1*8HEXDIG CRLF data CRLF ) "0" CRLF CRLF
RequestParser::Result RequestParser::FeedChunked(std::string_view& bytes) {
  State& state = *state_;
  while (!bytes.empty()) {
    if (state.phase == State::Phase::kChunkData) {
      const std::size_t take = std::min<std::uint64_t>(state.body_left, bytes.size());
      state.request.body.append(bytes.substr(0, take));
      bytes.remove_prefix(take);
      state.body_left -= take;
      if (state.body_left == 0) state.phase = State::Phase::kChunkEnd;
      continue;
    }
    const char c = bytes.front();
    bytes.remove_prefix(1);
    if (c != '\n') {
      if (!state.buffer.empty() && state.buffer.back() == '\r') return Fail(400, "bare carriage return in a chunk");
      const bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
      const bool fits = hex && state.phase == State::Phase::kChunkSize && state.buffer.size() < kMaxChunkDigits;
      if (c != '\r' && !fits) return Fail(400, "invalid chunk");
      state.buffer += c;
      continue;
    }
    if (state.buffer.empty() || state.buffer.back() != '\r') return Fail(400, "bare line feed in a chunk");
    state.buffer.pop_back();
    if (state.phase == State::Phase::kLastLine) {
      state.phase = State::Phase::kComplete;
      return Result::kComplete;
    }
    if (state.phase == State::Phase::kChunkEnd) {
      state.phase = State::Phase::kChunkSize;
      continue;
    }
    if (state.buffer.empty()) return Fail(400, "invalid chunk");
    state.body_left = std::stoull(state.buffer, nullptr, 16);
    state.buffer.clear();
    if (state.request.body.size() + state.body_left > limits_->body_bytes) return Fail(413, "request body too large");
    state.phase = state.body_left == 0 ? State::Phase::kLastLine : State::Phase::kChunkData;
  }
  return Result::kNeedMore;
}

Request RequestParser::Take() {
  SESIOR_CHECK(state_ && state_->phase == State::Phase::kComplete);
  Request request = std::move(state_->request);
  state_.reset();
  return request;
}

bool RequestParser::head_complete() const { return state_ && !state_->request.method_text.empty(); }

const Request& RequestParser::request() const {
  SESIOR_CHECK(head_complete());
  return state_->request;
}

bool RequestParser::expects_continue() const {
  return state_ && state_->expects_continue && state_->request.body.empty() && state_->phase != State::Phase::kComplete;
}

}  // namespace sesior::http
