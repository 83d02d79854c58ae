#include "sesior/http/request_parser.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace sesior::http {
namespace {

using Result = RequestParser::Result;

constexpr Limits kLimits{.head_bytes = 1024, .headers = 8, .target_bytes = 128, .body_bytes = 64};

std::string Repeat(std::string_view text, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += text;
  return all;
}

// A whole request with these lines behind "Host: x".
std::string Get(std::string_view lines) { return "GET / HTTP/1.1\r\nHost: x\r\n" + std::string(lines) + "\r\n"; }
std::string Post(std::string_view lines, std::string_view body = "") {
  return "POST / HTTP/1.1\r\nHost: x\r\n" + std::string(lines) + "\r\n" + std::string(body);
}
std::string Chunked(std::string_view body) { return Post("Transfer-Encoding: chunked\r\n", body); }

// Everything that a parser says of some bytes until it wants more or refuses, as text.
class Transcript {
 public:
  explicit Transcript(const Limits& limits) : parser_(limits) {}

  void Feed(std::string_view bytes) {
    while (!failed_) {
      switch (parser_.Feed(bytes)) {
        case Result::kNeedMore:
          EXPECT_TRUE(bytes.empty());
          return;
        case Result::kComplete:
          Write(parser_.Take());
          EXPECT_TRUE(parser_.idle());
          break;
        case Result::kError:
          text_ << parser_.error().status << " " << parser_.error().reason << " head=" << parser_.head_complete()
                << "\n";
          failed_ = true;
      }
    }
  }

  std::string Finish() {
    if (!failed_) text_ << (parser_.idle() ? "idle" : parser_.head_complete() ? "in body" : "in head") << "\n";
    return text_.str();
  }

 private:
  void Write(const Request& request) {
    text_ << request.method_text << "/" << static_cast<int>(request.method) << " " << request.target
          << " path=" << request.path << " query=" << request.query << " 1." << request.version_minor
          << " keep=" << request.keep_alive << " upgrade=" << request.upgrade;
    for (const Header& header : request.headers) text_ << " [" << header.name << "|" << header.value << "]";
    text_ << " body=" << request.body << "\n";
  }

  RequestParser parser_;
  std::ostringstream text_;
  bool failed_ = false;
};

std::string WholeTranscript(std::string_view bytes, const Limits& limits = kLimits) {
  Transcript transcript(limits);
  transcript.Feed(bytes);
  return transcript.Finish();
}

// Feeds all at once, checks that every other way of cutting says the same, and returns what was said.
std::string Parse(std::string_view bytes, const Limits& limits = kLimits) {
  const std::string whole = WholeTranscript(bytes, limits);
  for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
    Transcript transcript(limits);
    transcript.Feed(bytes.substr(0, cut));
    transcript.Feed(bytes.substr(cut));
    if (const std::string said = transcript.Finish(); said != whole) {
      ADD_FAILURE() << "cut at " << cut << ": " << said << "instead of " << whole;
      break;
    }
  }
  for (const std::size_t step : {std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{7}}) {
    Transcript transcript(limits);
    for (std::size_t at = 0; at < bytes.size(); at += step) transcript.Feed(bytes.substr(at, step));
    EXPECT_EQ(transcript.Finish(), whole) << "in pieces of " << step;
  }
  return whole;
}

Request ParseOne(std::string_view bytes) {
  RequestParser parser(kLimits);
  EXPECT_EQ(parser.Feed(bytes), Result::kComplete) << parser.error().reason;
  return parser.Take();
}

TEST(RequestParser, ReadsARequest) {
  const Request request = ParseOne(
      "PATCH /session?a=1&b=%20 HTTP/1.1\r\nhost: example.com\r\nX-Empty:\r\nCookie: \t a=1 \r\nContent-Length: "
      "2\r\n\r\n{}");
  EXPECT_EQ(request.method, Method::kPatch);
  EXPECT_EQ(request.method_text, "PATCH");
  EXPECT_EQ(request.target, "/session?a=1&b=%20");
  EXPECT_EQ(request.path, "/session");
  EXPECT_EQ(request.query, "a=1&b=%20");
  EXPECT_EQ(request.version_minor, 1);
  EXPECT_TRUE(request.keep_alive);
  EXPECT_FALSE(request.upgrade);
  ASSERT_EQ(request.headers.size(), 4u);
  EXPECT_EQ(request.headers[0].name, "host");
  EXPECT_EQ(request.headers[1].value, "");
  EXPECT_EQ(request.headers[2].value, "a=1");
  EXPECT_EQ(request.body, "{}");
}

struct Accepted {
  const char* what;
  std::string bytes;
  std::string said;  // all requests and the state at the end
};

void PrintTo(const Accepted& row, std::ostream* out) { *out << row.what; }

class RequestParserAccepts : public ::testing::TestWithParam<Accepted> {};

TEST_P(RequestParserAccepts, HoweverItIsCut) { EXPECT_EQ(Parse(GetParam().bytes), GetParam().said); }

// How a plain request to "/" is told.
std::string Said(std::string_view method, std::string_view headers, std::string_view body = "",
                 std::string_view flags = "1.1 keep=1 upgrade=0") {
  return std::string(method) + " / path=/ query= " + std::string(flags) + " " + std::string(headers) +
         " body=" + std::string(body) + "\n";
}

INSTANTIATE_TEST_SUITE_P(
    Table, RequestParserAccepts,
    ::testing::ValuesIn(std::vector<Accepted>{
        {"nothing", "", "idle\n"},
        {"part of a head", "GET / HTT", "in head\n"},
        {"part of a body", Post("Content-Length: 5\r\n", "abc"), "in body\n"},
        {"HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n", "GET/0 / path=/ query= 1.0 keep=0 upgrade=0 body=\nidle\n"},
        {"HTTP/1.0 kept alive", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
         Said("GET/0", "[Connection|Keep-Alive]", "", "1.0 keep=1 upgrade=0") + "idle\n"},
        {"HTTP/1.0 ignores Upgrade and Expect",
         "POST / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\nExpect: x\r\nContent-Length: 1\r\n\r\na",
         Said("POST/2", "[Connection|upgrade] [Upgrade|websocket] [Expect|x] [Content-Length|1]", "a",
              "1.0 keep=0 upgrade=0") +
             "idle\n"},
        {"close", Get("Connection: close\r\n"),
         Said("GET/0", "[Host|x] [Connection|close]", "", "1.1 keep=0 upgrade=0") + "idle\n"},
        {"one empty line first", "\r\n" + Get(""), Said("GET/0", "[Host|x]") + "idle\n"},
        {"an empty line between requests", Get("") + "\r\n" + Get("") + "\r\n",
         Said("GET/0", "[Host|x]") + Said("GET/0", "[Host|x]") + "idle\n"},
        {"pipelined requests", Post("Content-Length: 2\r\n", "ab") + Get("") + Chunked("1\r\nx\r\n0\r\n\r\n") + "GET",
         Said("POST/2", "[Host|x] [Content-Length|2]", "ab") + Said("GET/0", "[Host|x]") +
             Said("POST/2", "[Host|x] [Transfer-Encoding|chunked]", "x") + "in head\n"},
        {"no body by length", Post("Content-Length: 0\r\n") + Get(""),
         Said("POST/2", "[Host|x] [Content-Length|0]") + Said("GET/0", "[Host|x]") + "idle\n"},
        {"chunks", Chunked("3\r\nabc\r\n0a\r\n\r\n23456\r\n9\r\n00000\r\n\r\n"),
         Said("POST/2", "[Host|x] [Transfer-Encoding|chunked]", "abc\r\n23456\r\n9") + "idle\n"},
        {"coding in capitals", Post("tRANSFER-eNCODING: CHUNKED\r\n", "A\r\n0123456789\r\n00000000\r\n\r\n"),
         Said("POST/2", "[Host|x] [tRANSFER-eNCODING|CHUNKED]", "0123456789") + "idle\n"},
        {"line feeds in data", Chunked("4\r\n\n\r\n0\r\n0\r\n\r\n"),
         Said("POST/2", "[Host|x] [Transfer-Encoding|chunked]", "\n\r\n0") + "idle\n"},
        {"all bytes in data", Post("Content-Length: 3\r\n", std::string_view("\0\n\xff", 3)),
         Said("POST/2", "[Host|x] [Content-Length|3]", std::string_view("\0\n\xff", 3)) + "idle\n"},
        {"other bytes in values", Get("A: \xc3\xa9\t\xff\r\n"),
         Said("GET/0", "[Host|x] [A|\xc3\xa9\t\xff]") + "idle\n"},
        {"absolute form", "GET http://Ex.com:81/a?b HTTP/1.1\r\nHost: eX.com:81\r\n\r\n",
         "GET/0 http://Ex.com:81/a?b path=/a query=b 1.1 keep=1 upgrade=0 [Host|eX.com:81] body=\nidle\n"},
        {"absolute form without a path", "GET HTTPS://x?b HTTP/1.1\r\nHost: x\r\n\r\n",
         "GET/0 HTTPS://x?b path=/ query=b 1.1 keep=1 upgrade=0 [Host|x] body=\nidle\n"},
        {"a path of two slashes", "GET //a/b HTTP/1.1\r\nHost: x\r\n\r\n",
         "GET/0 //a/b path=//a/b query= 1.1 keep=1 upgrade=0 [Host|x] body=\nidle\n"},
        {"OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
         "OPTIONS/6 * path=* query= 1.1 keep=1 upgrade=0 [Host|x] body=\nidle\n"},
        {"an IPv6 host", "HEAD / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", Said("HEAD/1", "[Host|[::1]:80]") + "idle\n"},
        {"an empty host", "PUT / HTTP/1.1\r\nHost:\r\n\r\n", Said("PUT/3", "[Host|]") + "idle\n"},
        {"another method", "PURGE / HTTP/1.1\r\nHost: x\r\n\r\n", Said("PURGE/7", "[Host|x]") + "idle\n"},
        {"as many headers as may be", Get(Repeat("A: b\r\n", 7)),
         Said("GET/0", "[Host|x]" + Repeat(" [A|b]", 7)) + "idle\n"},
        {"as much body as may be",
         Chunked("20\r\n" + Repeat("b", 32) + "\r\n20\r\n" + Repeat("b", 32) + "\r\n0\r\n\r\n"),
         Said("POST/2", "[Host|x] [Transfer-Encoding|chunked]", Repeat("b", 64)) + "idle\n"},
    }));

struct Refused {
  const char* what;
  std::string bytes;
  std::string said;
};

void PrintTo(const Refused& row, std::ostream* out) { *out << row.what; }

class RequestParserRefuses : public ::testing::TestWithParam<Refused> {};

TEST_P(RequestParserRefuses, HoweverItIsCut) { EXPECT_EQ(Parse(GetParam().bytes), GetParam().said + "\n"); }

std::string WithTarget(const std::string& target) { return "GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n"; }

INSTANTIATE_TEST_SUITE_P(
    Lines, RequestParserRefuses,
    ::testing::ValuesIn(std::vector<Refused>{
        {"bare LF behind the request line", "GET / HTTP/1.1\nHost: x\r\n\r\n", "400 bare line feed in the head head=0"},
        {"bare LF behind a header", "GET / HTTP/1.1\r\nHost: x\n\r\n", "400 bare line feed in the head head=0"},
        {"bare LF at the end", "GET / HTTP/1.1\r\nHost: x\r\n\n", "400 bare line feed in the head head=0"},
        {"LF first", "\nGET", "400 bare line feed in the head head=0"},
        {"bare CR in a value", Get("A: b\rc\r\n"), "400 bare carriage return in the head head=0"},
        {"CR CR LF", Get("A: b\r\r\n"), "400 bare carriage return in the head head=0"},
        {"two empty lines first", "\r\n\r\n" + Get(""), "400 empty lines before a request head=0"},
        {"NUL", Get(std::string_view("A: \0\r\n", 6)), "400 NUL in the head head=0"},
        {"a TLS hello", std::string("\x16\x03\x01\x00\xa5", 5), "400 NUL in the head head=0"},
        {"a folded line", Get("A: b\r\n c\r\n"), "400 folded header line head=0"},
        {"a folded line by tab", Get("A: b\r\n\tc\r\n"), "400 folded header line head=0"},
        {"a folded first header", "GET / HTTP/1.1\r\n Host: x\r\n\r\n", "400 folded header line head=0"},
        {"no colon", Get("abc\r\n"), "400 header line without a colon head=0"},
        {"a blank before the colon", Post("Content-Length : 1\r\n", "a"),
         "400 invalid character in a header name head=0"},
        {"a tab before the colon", Post("Transfer-Encoding\t: chunked\r\n"),
         "400 invalid character in a header name head=0"},
        {"no name", Get(": b\r\n"), "400 invalid character in a header name head=0"},
        {"a name beyond ASCII", Get("\xc3\xa9: b\r\n"), "400 invalid character in a header name head=0"},
        {"a control character in a value", Get("A: b\x01\r\n"), "400 control character in a header value head=0"},
        {"DEL in a value", Get("A: \x7f\r\n"), "400 control character in a header value head=0"},
        {"a vertical tab before a coding", Post("Transfer-Encoding: \vchunked\r\n"),
         "400 control character in a header value head=0"},
    }));

INSTANTIATE_TEST_SUITE_P(
    RequestLine, RequestParserRefuses,
    ::testing::ValuesIn(std::vector<Refused>{
        {"no version", "GET /\r\nHost: x\r\n\r\n", "400 invalid request line head=0"},
        {"only a word", "GET\r\nHost: x\r\n\r\n", "400 invalid request line head=0"},
        {"two blanks", "GET  / HTTP/1.1\r\nHost: x\r\n\r\n", "400 invalid request target head=0"},
        {"a blank at the end", "GET / HTTP/1.1 \r\nHost: x\r\n\r\n", "400 invalid request target head=0"},
        {"a blank first", " GET / HTTP/1.1\r\nHost: x\r\n\r\n", "400 invalid method head=0"},
        {"a blank in the target", WithTarget("/a b"), "400 invalid request target head=0"},
        {"a tab", "GET\t/ HTTP/1.1\r\nHost: x\r\n\r\n", "400 invalid request line head=0"},
        {"a target beyond ASCII", WithTarget("/\xc3\xa9"), "400 invalid request target head=0"},
        {"a control character in the target", WithTarget("/\x01"), "400 invalid request target head=0"},
        {"a fragment", WithTarget("/a#b"), "400 invalid request target head=0"},
        {"a relative target", WithTarget("a"), "400 malformed request head head=0"},
        {"* for GET", WithTarget("*"), "400 invalid request target head=0"},
        {"CONNECT", "CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n", "400 invalid request target head=0"},
        {"a foreign scheme", WithTarget("ftp://x/"), "400 invalid request target head=0"},
        {"absolute, another host", WithTarget("http://y/"), "400 target and Host differ head=0"},
        {"absolute, another port", WithTarget("http://x:80/"), "400 target and Host differ head=0"},
        {"absolute, with a user", WithTarget("http://x@x/"), "400 target and Host differ head=0"},
        {"absolute, no host", "GET http:/// HTTP/1.1\r\nHost:\r\n\r\n", "400 target and Host differ head=0"},
        {"absolute, HTTP/1.0 without Host", "GET http://x/ HTTP/1.0\r\n\r\n", "400 target and Host differ head=0"},
        {"an unknown method", "BREW / HTTP/1.1\r\nHost: x\r\n\r\n", "400 malformed request head head=0"},
        {"a method in small letters", "get / HTTP/1.1\r\nHost: x\r\n\r\n", "400 malformed request head head=0"},
        {"no method", "G\"T / HTTP/1.1\r\nHost: x\r\n\r\n", "400 invalid method head=0"},
        {"HTTP/2.0", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505 unsupported HTTP version head=0"},
        {"HTTP/1.2", "GET / HTTP/1.2\r\nHost: x\r\n\r\n", "505 unsupported HTTP version head=0"},
        {"HTTP/0.9", "GET / HTTP/0.9\r\n\r\n", "505 unsupported HTTP version head=0"},
        {"HTTP/1.10", "GET / HTTP/1.10\r\nHost: x\r\n\r\n", "400 invalid request line head=0"},
        {"small http", "GET / http/1.1\r\nHost: x\r\n\r\n", "400 invalid request line head=0"},
    }));

INSTANTIATE_TEST_SUITE_P(
    Framing, RequestParserRefuses,
    ::testing::ValuesIn(std::vector<Refused>{
        {"no Host", "GET / HTTP/1.1\r\n\r\n", "400 no Host head=0"},
        {"two Hosts", Get("host: x\r\n"), "400 more than one Host head=0"},
        {"two hosts in one", "GET / HTTP/1.1\r\nHost: x, y\r\n\r\n", "400 invalid Host head=0"},
        {"a Host with a path", "GET / HTTP/1.1\r\nHost: x/y\r\n\r\n", "400 invalid Host head=0"},
        {"a Host with a user", "GET / HTTP/1.1\r\nHost: u@x\r\n\r\n", "400 invalid Host head=0"},
        {"a Host with markup", "GET / HTTP/1.1\r\nHost: <x>\r\n\r\n", "400 invalid Host head=0"},
        {"two lengths, equal", Post("Content-Length: 1\r\nContent-Length: 1\r\n", "a"),
         "400 more than one Content-Length head=0"},
        {"two lengths in one", Post("Content-Length: 1, 1\r\n", "a"), "400 invalid Content-Length head=0"},
        {"a signed length", Post("Content-Length: +1\r\n", "a"), "400 invalid Content-Length head=0"},
        {"a negative length", Post("Content-Length: -1\r\n", "a"), "400 invalid Content-Length head=0"},
        {"a hexadecimal length", Post("Content-Length: 0x1\r\n", "a"), "400 invalid Content-Length head=0"},
        {"an empty length", Post("Content-Length:\r\n", "a"), "400 invalid Content-Length head=0"},
        {"a length in two words", Post("Content-Length: 1 1\r\n", "a"), "400 invalid Content-Length head=0"},
        {"a length beyond 64 bits", Post("Content-Length: 18446744073709551617\r\n", "a"),
         "400 invalid Content-Length head=0"},
        {"both, length first", Post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
         "400 both Content-Length and Transfer-Encoding head=0"},
        {"both, coding first", Post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"),
         "400 both Content-Length and Transfer-Encoding head=0"},
        {"two codings", Post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
         "400 more than one Transfer-Encoding head=0"},
        {"two codings in one", Post("Transfer-Encoding: gzip, chunked\r\n"),
         "400 transfer coding other than chunked head=0"},
        {"identity", Post("Transfer-Encoding: identity\r\n"), "400 transfer coding other than chunked head=0"},
        {"a quoted coding", Post("Transfer-Encoding: \"chunked\"\r\n"),
         "400 transfer coding other than chunked head=0"},
        {"xchunked", Post("Transfer-Encoding: xchunked\r\n"), "400 transfer coding other than chunked head=0"},
        {"an empty coding", Post("Transfer-Encoding:\r\n"), "400 transfer coding other than chunked head=0"},
        {"a coding with a parameter", Post("Transfer-Encoding: chunked;q=1\r\n"),
         "400 transfer coding other than chunked head=0"},
        {"a coding in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
         "400 Transfer-Encoding in HTTP/1.0 head=0"},
        {"a chunk extension", Chunked("1;a=b\r\nx\r\n0\r\n\r\n"), "400 invalid chunk head=1"},
        {"an extension with a bare LF", Chunked("1;\nx\r\n0\r\n\r\n"), "400 invalid chunk head=1"},
        {"a chunk without a size", Chunked("\r\n"), "400 invalid chunk head=1"},
        {"a signed chunk", Chunked("+1\r\nx\r\n"), "400 invalid chunk head=1"},
        {"a chunk of 0x", Chunked("0x1\r\nx\r\n"), "400 invalid chunk head=1"},
        {"a blank before the size", Chunked(" 1\r\nx\r\n"), "400 invalid chunk head=1"},
        {"a blank behind the size", Chunked("1 \r\nx\r\n"), "400 invalid chunk head=1"},
        {"a size of nine digits", Chunked("000000001\r\nx\r\n"), "400 invalid chunk head=1"},
        {"a size beyond 32 bits", Chunked("100000001\r\nx\r\n"), "400 invalid chunk head=1"},
        {"a bare LF behind the size", Chunked("1\nx\r\n"), "400 bare line feed in a chunk head=1"},
        {"a bare LF behind the data", Chunked("1\r\nx\n0\r\n\r\n"), "400 bare line feed in a chunk head=1"},
        {"a bare CR behind the size", Chunked("1\rx"), "400 bare carriage return in a chunk head=1"},
        {"CR CR LF behind the size", Chunked("1\r\r\nx"), "400 bare carriage return in a chunk head=1"},
        {"more data than the size", Chunked("1\r\nxy\r\n0\r\n\r\n"), "400 invalid chunk head=1"},
        {"a trailer", Chunked("0\r\nA: b\r\n\r\n"), "400 invalid chunk head=1"},
        {"a bare LF at the end", Chunked("0\r\n\n"), "400 bare line feed in a chunk head=1"},
        {"an unknown expectation", Post("Expect: 200-maybe\r\nContent-Length: 1\r\n", "a"),
         "417 unknown expectation head=0"},
        {"two expectations", Post("Expect: 100-continue\r\nExpect: x\r\nContent-Length: 1\r\n", "a"),
         "417 unknown expectation head=0"},
        {"a refusal behind a good request", Get("") + "x\n",
         Said("GET/0", "[Host|x]") + "400 bare line feed in the head head=0"},
    }));

INSTANTIATE_TEST_SUITE_P(
    Limits, RequestParserRefuses,
    ::testing::ValuesIn(std::vector<Refused>{
        {"target", WithTarget("/" + Repeat("a", 128)), "414 request target too long head=0"},
        {"request line, without an end", "GET /" + Repeat("a", 300), "414 request target too long head=0"},
        {"request line beyond the head", "GET /" + Repeat("a", 1100), "414 request target too long head=0"},
        {"request line, a wrong byte within", "GET /\n" + Repeat("a", 1100), "400 bare line feed in the head head=0"},
        {"request line, a wrong byte beyond", "GET /" + Repeat("a", 1100) + "\n", "414 request target too long head=0"},
        {"head in one line", Get("A: " + Repeat("a", 1024) + "\r\n"), "431 request head too large head=0"},
        {"head in many lines", Get(Repeat("A: 0123456789\r\n", 80)), "431 request head too large head=0"},
        {"head without an end", "GET / HTTP/1.1\r\n" + Repeat("a", 1009), "431 request head too large head=0"},
        {"headers", Get(Repeat("A: b\r\n", 8)), "431 too many headers head=0"},
        {"body by length", Post("Content-Length: 65\r\n"), "413 request body too large head=1"},
        {"body by a huge length", Post("Content-Length: 999999999999999999\r\n"), "413 request body too large head=1"},
        {"body in one chunk", Chunked("41\r\n"), "413 request body too large head=1"},
        {"body in a huge chunk", Chunked("ffffffff\r\n"), "413 request body too large head=1"},
        {"body in two chunks", Chunked("40\r\n" + Repeat("b", 64) + "\r\n1\r\n"), "413 request body too large head=1"},
    }));

TEST(RequestParser, TakesAHeadOfExactlyTheLimit) {
  const std::string frame = Get("A: \r\n");
  const std::string head = Get("A: " + Repeat("a", static_cast<int>(kLimits.head_bytes - frame.size())) + "\r\n");
  ASSERT_EQ(head.size(), kLimits.head_bytes);
  EXPECT_THAT(Parse(head), ::testing::EndsWith("\nidle\n"));
  EXPECT_THAT(Parse(WithTarget("/" + Repeat("a", 127))), ::testing::EndsWith("\nidle\n"));
}

TEST(RequestParser, LeavesUpgradedBytesToTheCaller) {
  std::string_view bytes =
      "GET /socket.io/ HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive\r\nConnection: "
      "Upgrade\r\n\r\n\x81\x00";
  RequestParser parser(kLimits);
  ASSERT_EQ(parser.Feed(bytes), Result::kComplete);
  EXPECT_TRUE(parser.Take().upgrade);
  EXPECT_EQ(bytes, "\x81");
}

TEST(RequestParser, SeesAnUpgradeOnlyWithBothHeaders) {
  EXPECT_FALSE(ParseOne(Get("Upgrade: websocket\r\n")).upgrade);
  EXPECT_FALSE(ParseOne(Get("Connection: Upgrade\r\n")).upgrade);
  EXPECT_FALSE(ParseOne(Get("Upgrade: websocket\r\nConnection: upgraded\r\n")).upgrade);
  EXPECT_TRUE(ParseOne(Get("Upgrade: websocket\r\nConnection: foo , UPGRADE\r\n")).upgrade);
}

TEST(RequestParser, SaysOnceThatTheClientWaitsForContinue) {
  for (const char* framing : {"Content-Length: 2\r\n", "Transfer-Encoding: chunked\r\n"}) {
    RequestParser parser(kLimits);
    const std::string head = Post("Expect: 100-Continue\r\n" + std::string(framing));
    std::string_view part = std::string_view(head).substr(0, 20);
    ASSERT_EQ(parser.Feed(part), Result::kNeedMore);
    EXPECT_FALSE(parser.expects_continue());
    part = std::string_view(head).substr(20);
    ASSERT_EQ(parser.Feed(part), Result::kNeedMore);
    EXPECT_TRUE(parser.head_complete());
    EXPECT_TRUE(parser.expects_continue());
    part = "1";
    ASSERT_EQ(parser.Feed(part), Result::kNeedMore);
    EXPECT_FALSE(parser.expects_continue());
  }
}

TEST(RequestParser, DoesNotAskForABodyThatIsHereOrAbsentOrRefused) {
  RequestParser parser(kLimits);
  for (const std::string& bytes :
       {Post("Expect: 100-continue\r\nContent-Length: 2\r\n", "a"), Get("Expect: 100-continue\r\n"),
        Post("Expect: 100-continue\r\nContent-Length: 65\r\n")}) {
    RequestParser fresh(kLimits);
    std::string_view rest = bytes;
    fresh.Feed(rest);
    EXPECT_TRUE(fresh.head_complete());
    EXPECT_FALSE(fresh.expects_continue()) << bytes;
  }
}

TEST(RequestParser, ShowsTheHeadBeforeTheBodyAndAfterARefusedOne) {
  RequestParser parser(kLimits);
  const std::string bytes = "POST /a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 65\r\n\r\n";
  std::string_view rest = bytes;
  ASSERT_EQ(parser.Feed(rest), Result::kError);
  ASSERT_TRUE(parser.head_complete());
  EXPECT_EQ(parser.request().path, "/a");
  EXPECT_EQ(parser.error().status, 413);
}

TEST(RequestParser, TakesNothingAfterARefusal) {
  RequestParser parser(kLimits);
  std::string_view bytes = "\n";
  ASSERT_EQ(parser.Feed(bytes), Result::kError);
  const std::string good = Get("");
  bytes = good;
  EXPECT_EQ(parser.Feed(bytes), Result::kError);
  EXPECT_EQ(bytes.size(), good.size());
  EXPECT_STREQ(parser.error().reason, "bare line feed in the head");
}

TEST(RequestParser, CompleteIsRepeatedUntilTaken) {
  RequestParser parser(kLimits);
  const std::string bytes = Get("") + "next";
  std::string_view rest = bytes;
  ASSERT_EQ(parser.Feed(rest), Result::kComplete);
  ASSERT_EQ(parser.Feed(rest), Result::kComplete);
  EXPECT_EQ(rest, "next");
}

TEST(RequestParser, HoldsNothingBetweenRequests) {
  EXPECT_LE(sizeof(RequestParser), 100u);
  RequestParser parser(kLimits);
  EXPECT_TRUE(parser.idle());
  const std::string bytes = Post("Content-Length: 2\r\n", "ab");
  std::string_view rest = bytes;
  ASSERT_EQ(parser.Feed(rest), Result::kComplete);
  EXPECT_FALSE(parser.idle());
  parser.Take();
  EXPECT_TRUE(parser.idle());
  rest = "\r\n";
  EXPECT_EQ(parser.Feed(rest), Result::kNeedMore);
  EXPECT_TRUE(parser.idle());
}

TEST(RequestParser, MovesInTheMiddleOfARequest) {
  RequestParser first(kLimits);
  std::string_view part = "GET / HTTP/1.1\r\nHo";
  ASSERT_EQ(first.Feed(part), Result::kNeedMore);
  RequestParser second(std::move(first));
  part = "st: x\r\n\r\n";
  ASSERT_EQ(second.Feed(part), Result::kComplete);
  EXPECT_EQ(*second.request().Find("host"), "x");
}

}  // namespace
}  // namespace sesior::http
