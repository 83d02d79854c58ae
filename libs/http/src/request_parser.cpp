#include "sesior/http/request_parser.hpp"

#include <http_parser.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "sesior/base/check.hpp"

namespace sesior::http {

namespace {

constexpr std::size_t kMaxChunkDigits = 8;
constexpr std::size_t kRequestLineExtra = 64;  // what a request line has beside the target: method, version, blanks

bool IsToken(std::string_view text) {
  if (text.empty()) return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

// The bytes of uri-host and port (RFC 3986, 3.2.2).
bool IsHost(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("-._~:[]%!$&'()*+;=").find(c) != std::string_view::npos;
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
    if (!IsHost(value)) return "invalid Host";
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

using Refusal = std::optional<RequestParser::Error>;

Refusal CheckRequestLine(std::string_view line) {
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return {{400, "invalid request line"}};
  if (!IsToken(line.substr(0, first))) return {{400, "invalid method"}};
  for (const char c : line.substr(first + 1, last - first - 1)) {
    const auto byte = static_cast<unsigned char>(c);
    // A fragment never leaves a client.
    if (byte <= 0x20 || byte >= 0x7f || c == '#') return {{400, "invalid request target"}};
  }
  const std::string_view version = line.substr(last + 1);
  if (version == "HTTP/1.1" || version == "HTTP/1.0") return std::nullopt;
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const bool is_version = version.size() == 8 && version.starts_with("HTTP/") && is_digit(version[5]) &&
                          version[6] == '.' && is_digit(version[7]);
  if (is_version) return {{505, "unsupported HTTP version"}};
  return {{400, "invalid request line"}};
}

// Checks the raw head, request line to the empty line exclusive. http-parser accepts some of what is refused here.
Refusal CheckHead(std::string_view head, std::size_t max_headers, Framing& framing) {
  std::size_t at = head.find("\r\n");
  const std::string_view request_line = head.substr(0, at);
  if (Refusal refusal = CheckRequestLine(request_line)) return refusal;
  std::size_t count = 0;
  while (at != std::string_view::npos) {
    const std::size_t begin = at + 2;
    at = head.find("\r\n", begin);
    const std::string_view line = head.substr(begin, at == std::string_view::npos ? at : at - begin);
    if (++count > max_headers) return {{431, "too many headers"}};
    if (const char* reason = CheckHeaderLine(line, framing)) return {{400, reason}};
  }
  const bool is_old = request_line.ends_with("HTTP/1.0");
  if (framing.hosts > 1) return {{400, "more than one Host"}};
  if (framing.hosts == 0 && !is_old) return {{400, "no Host"}};
  if (framing.lengths > 1) return {{400, "more than one Content-Length"}};
  if (framing.codings > 1) return {{400, "more than one Transfer-Encoding"}};
  if (framing.lengths > 0 && framing.codings > 0) return {{400, "both Content-Length and Transfer-Encoding"}};
  if (framing.codings > 0 && is_old) return {{400, "Transfer-Encoding in HTTP/1.0"}};
  return std::nullopt;
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
    const std::string_view scheme_name = target.substr(0, scheme);
    if (!EqualsIgnoreCase(scheme_name, "http") && !EqualsIgnoreCase(scheme_name, "https")) {
      return "invalid request target";
    }
    target.remove_prefix(scheme + 3);
    const std::size_t slash = target.find_first_of("/?");
    const std::string_view authority = target.substr(0, slash);
    const std::string* host = request.Find("host");
    if (authority.empty() || host == nullptr || !EqualsIgnoreCase(authority, *host)) return "target and Host differ";
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
  bool in_request_line = true;  // of the head
  bool head_complete = false;   // `request` has everything but the body
  bool waits_for_continue = false;
  std::string buffer;           // the head so far, or the chunk's size line so far
  std::uint64_t body_left = 0;  // of the body or chunk
  Request request;
};

RequestParser::RequestParser(const Limits& limits) : limits_(&limits) {}
RequestParser::~RequestParser() = default;
RequestParser::RequestParser(RequestParser&&) noexcept = default;
RequestParser& RequestParser::operator=(RequestParser&&) noexcept = default;

RequestParser::Result RequestParser::Fail(int status, const char* reason) {
  state_->phase = State::Phase::kFailed;
  state_->buffer = std::string();
  state_->request.body = std::string();
  error_ = {status, reason};
  return Result::kError;
}

RequestParser::Result RequestParser::Feed(std::string_view& bytes) {
  if (bytes.empty() && !state_) return Result::kNeedMore;
  if (!state_) state_ = std::make_unique<State>();
  switch (state_->phase) {
    case State::Phase::kHead:
      return FeedHead(bytes);
    case State::Phase::kFailed:
      return Result::kError;
    case State::Phase::kComplete:
      return Result::kComplete;
    default:
      return FeedBody(bytes);
  }
}

// Takes line by line. A wrong byte or a limit is noticed at that byte, however the bytes are cut.
RequestParser::Result RequestParser::FeedHead(std::string_view& bytes) {
  State& state = *state_;
  const std::size_t line_limit = std::min(limits_->head_bytes, limits_->target_bytes + kRequestLineExtra);
  while (!bytes.empty()) {
    const std::size_t line_end = bytes.find('\n');
    const std::size_t wanted = line_end == std::string_view::npos ? bytes.size() : line_end + 1;
    const std::size_t limit = state.in_request_line ? line_limit : limits_->head_bytes;
    const std::size_t taken = std::min(wanted, limit - state.buffer.size());
    char previous = state.buffer.empty() ? '\0' : state.buffer.back();
    for (const char c : bytes.substr(0, taken)) {
      if (previous == '\r' && c != '\n') return Fail(400, "bare carriage return in the head");
      if (previous != '\r' && c == '\n') return Fail(400, "bare line feed in the head");
      if (c == '\0') return Fail(400, "NUL in the head");
      previous = c;
    }
    state.buffer.append(bytes.substr(0, taken));
    bytes.remove_prefix(taken);
    if (taken < wanted) {
      if (state.in_request_line) return Fail(414, "request target too long");
      return Fail(431, "request head too large");
    }
    if (line_end == std::string_view::npos) break;
    if (state.buffer == "\r\n") {
      // Old clients send an empty line behind a body; RFC 9112, 2.2 asks to ignore it. A second one is not theirs.
      if (std::exchange(skipped_line_, true)) return Fail(400, "empty lines before a request");
      state.buffer.clear();
    } else if (state.in_request_line) {
      state.in_request_line = false;
    } else if (state.buffer.ends_with("\r\n\r\n")) {
      const Result result = FinishHead();
      return result == Result::kNeedMore ? FeedBody(bytes) : result;
    }
  }
  if (state.buffer.empty()) state_.reset();
  return Result::kNeedMore;
}

RequestParser::Result RequestParser::FinishHead() {
  State& state = *state_;
  Request& request = state.request;
  Framing framing;
  const std::string_view lines = std::string_view(state.buffer).substr(0, state.buffer.size() - 4);
  if (const Refusal refusal = CheckHead(lines, limits_->headers, framing)) {
    return Fail(refusal->status, refusal->reason);
  }
  if (!ParseHead(state.buffer, request)) return Fail(400, "malformed request head");
  if (request.target.size() > limits_->target_bytes) return Fail(414, "request target too long");
  if (const char* reason = SplitTarget(request)) return Fail(400, reason);
  // RFC 9110, 7.8 and 10.1.1: neither Upgrade nor Expect means anything in HTTP/1.0.
  const bool is_current = request.version_minor > 0;
  const std::optional<std::string> connection = request.Joined("connection", ",");
  request.upgrade = is_current && connection && HasToken(*connection, "upgrade") && request.Find("upgrade") != nullptr;
  const std::optional<std::string> expect = request.Joined("expect", ",");
  if (is_current && expect) {
    if (!EqualsIgnoreCase(*expect, "100-continue")) return Fail(417, "unknown expectation");
    state.waits_for_continue = true;
  }
  state.buffer = std::string();
  state.head_complete = true;
  if (framing.length > limits_->body_bytes) return Fail(413, "request body too large");
  state.body_left = framing.length;
  if (framing.chunked) {
    state.phase = State::Phase::kChunkSize;
  } else if (framing.length > 0) {
    state.phase = State::Phase::kBody;
  } else {
    state.phase = State::Phase::kComplete;
    return Result::kComplete;
  }
  return Result::kNeedMore;
}

RequestParser::Result RequestParser::FeedBody(std::string_view& bytes) {
  State& state = *state_;
  if (!bytes.empty()) state.waits_for_continue = false;
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
  skipped_line_ = false;
  return request;
}

bool RequestParser::head_complete() const { return state_ && state_->head_complete; }

const Request& RequestParser::request() const {
  SESIOR_CHECK(head_complete());
  return state_->request;
}

bool RequestParser::expects_continue() const {
  return state_ && state_->waits_for_continue &&
         (state_->phase == State::Phase::kBody || state_->phase == State::Phase::kChunkSize);
}

}  // namespace sesior::http
