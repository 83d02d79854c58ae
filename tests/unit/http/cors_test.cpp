#include "sesior/http/cors.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sesior::http {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Request Asked(std::vector<Header> headers, Method method = Method::kGet) {
  Request request;
  request.method = method;
  request.headers = std::move(headers);
  return request;
}

std::string HeadOf(const Response& response) { return response.Serialize(Request(), false); }

struct OwnRow {
  std::vector<Header> headers;
  const char* direct;   // from a peer that is not trusted
  const char* proxied;  // from a trusted proxy
};

TEST(OwnOrigin, FollowsForwardedHeadersOfTrustedProxiesOnly) {
  for (const OwnRow& row : {
           OwnRow{{{"Host", "a.example"}}, "http://a.example", "http://a.example"},
           OwnRow{{{"host", "A.Example:80"}}, "http://a.example", "http://a.example"},
           OwnRow{{{"Host", "a:8080"}}, "http://a:8080", "http://a:8080"},
           OwnRow{{{"Host", "[::1]:80"}}, "http://[::1]", "http://[::1]"},
           OwnRow{{{"Host", "a:443"}}, "http://a:443", "http://a:443"},
           OwnRow{{{"Host", "a"}, {"X-Forwarded-Proto", "https"}}, "http://a", "https://a"},
           OwnRow{{{"Host", "a:443"}, {"X-Forwarded-Proto", "HTTPS"}}, "http://a:443", "https://a"},
           OwnRow{{{"Host", "a:80"}, {"X-Forwarded-Proto", "https"}}, "http://a", "https://a:80"},
           OwnRow{{{"Host", "a"}, {"X-Forwarded-Proto", "wss"}}, "http://a", "https://a"},
           OwnRow{{{"Host", "a"}, {"X-Forwarded-Proto", "ws"}}, "http://a", "http://a"},
           OwnRow{{{"Host", "a"}, {"X-Forwarded-Host", "b"}}, "http://a", "http://b"},
           OwnRow{{{"Host", "a"}, {"X-Forwarded-Host", "b , c"}, {"X-Forwarded-Proto", "https,http"}},
                  "http://a",
                  "https://b"},
           OwnRow{{{"Host", "a"}, {"X-Forwarded-Host", ""}, {"X-Forwarded-Proto", ""}}, "http://a", "http://a"},
           OwnRow{{{"X-Forwarded-Host", "b"}}, "", "http://b"},
           OwnRow{{{"Host", ""}}, "", ""},
           OwnRow{{}, "", ""},
       }) {
    EXPECT_EQ(OwnOrigin(Asked(row.headers), false), row.direct);
    EXPECT_EQ(OwnOrigin(Asked(row.headers), true), row.proxied);
  }
}

struct JudgeRow {
  std::vector<Header> headers;
  const char* own;
  OriginVerdict verdict;
};

TEST(CorsPolicy, JudgesOrigins) {
  const CorsPolicy policy({"https://app.example", "http://localhost:3000"});
  for (const JudgeRow& row : {
           JudgeRow{{}, "http://a", OriginVerdict::kAbsent},
           JudgeRow{{}, "", OriginVerdict::kAbsent},
           JudgeRow{{{"Origin", "http://a"}}, "http://a", OriginVerdict::kSame},
           JudgeRow{{{"Origin", "https://a"}}, "http://a", OriginVerdict::kForeign},
           JudgeRow{{{"Origin", "http://a:8080"}}, "http://a", OriginVerdict::kForeign},
           JudgeRow{{{"Origin", "http://b.a"}}, "http://a", OriginVerdict::kForeign},
           JudgeRow{{{"Origin", "http://a.b"}}, "http://a", OriginVerdict::kForeign},
           JudgeRow{{{"Origin", "https://app.example"}}, "http://a", OriginVerdict::kListed},
           JudgeRow{{{"Origin", "https://app.example"}}, "https://app.example", OriginVerdict::kSame},
           JudgeRow{{{"Origin", "http://localhost:3000"}}, "", OriginVerdict::kListed},
           JudgeRow{{{"Origin", "http://app.example"}}, "http://a", OriginVerdict::kForeign},
           JudgeRow{{{"Origin", "https://app.example.evil"}}, "http://a", OriginVerdict::kForeign},
           JudgeRow{{{"Origin", "null"}}, "http://a", OriginVerdict::kForeign},
           JudgeRow{{{"Origin", ""}}, "http://a", OriginVerdict::kForeign},
           JudgeRow{{{"Origin", ""}}, "", OriginVerdict::kForeign},
           JudgeRow{{{"Origin", "http://a"}, {"Origin", "http://evil"}}, "http://a", OriginVerdict::kForeign},
       }) {
    EXPECT_EQ(policy.Judge(Asked(row.headers), row.own), row.verdict)
        << (row.headers.empty() ? "absent" : row.headers[0].value) << " at " << row.own;
  }
}

TEST(CorsPolicy, ValidatesOrigins) {
  EXPECT_TRUE(CorsPolicy::Validate({}).ok());
  EXPECT_TRUE(CorsPolicy::Validate({"https://a.example", "http://[::1]:8080", "app://local", "http://a:443"}).ok());
  for (const char* wrong :
       {"", "null", "*", "a.example", "https://", "://a", "https://a/", "https://a?b", "https://A", "HTTPS://a",
        "https://*.a", "https://u@a", "https://a, https://b", "https://a:443", "http://a:80"}) {
    const absl::Status status = CorsPolicy::Validate({"https://good", wrong});
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << wrong;
    EXPECT_THAT(status.ToString(), HasSubstr("\"" + std::string(wrong) + "\"")) << wrong;
  }
}

TEST(CorsPolicy, LetsOnlyListedOriginsReadAnswers) {
  const CorsPolicy policy({"https://app.example"});
  const Request listed = Asked({{"Origin", "https://app.example"}});
  Response response(200);
  policy.AddHeaders(listed, policy.Judge(listed, "http://a"), response);
  EXPECT_EQ(HeadOf(response),
            "HTTP/1.1 200 OK\r\nVary: Origin\r\nAccess-Control-Allow-Origin: https://app.example\r\n"
            "Access-Control-Allow-Credentials: true\r\nContent-Length: 0\r\n\r\n");
  for (const char* origin : {"https://evil", "null", "http://a"}) {
    const Request other = Asked({{"Origin", origin}});
    Response plain(200);
    policy.AddHeaders(other, policy.Judge(other, "http://a"), plain);
    EXPECT_EQ(HeadOf(plain), "HTTP/1.1 200 OK\r\nVary: Origin\r\nContent-Length: 0\r\n\r\n") << origin;
  }
}

TEST(CorsPolicy, AddsNothingWhenNoOriginIsListed) {
  const CorsPolicy policy({});
  const Request request = Asked({{"Origin", "https://evil"}});
  Response response(200);
  policy.AddHeaders(request, policy.Judge(request, "http://a"), response);
  EXPECT_TRUE(response.headers().empty());
}

TEST(CorsPolicy, KnowsAPreflight) {
  const std::vector<Header> headers = {{"Origin", "https://a"}, {"Access-Control-Request-Method", "PATCH"}};
  EXPECT_TRUE(CorsPolicy::IsPreflight(Asked(headers, Method::kOptions)));
  EXPECT_FALSE(CorsPolicy::IsPreflight(Asked(headers, Method::kGet)));
  EXPECT_FALSE(CorsPolicy::IsPreflight(Asked({headers[0]}, Method::kOptions)));
  EXPECT_FALSE(CorsPolicy::IsPreflight(Asked({headers[1]}, Method::kOptions)));
}

TEST(CorsPolicy, AnswersPreflights) {
  const CorsPolicy policy({"https://app.example"});
  const Request request = Asked({{"Origin", "https://app.example"},
                                 {"Access-Control-Request-Method", "PATCH"},
                                 {"Access-Control-Request-Headers", "content-type,if-match"}},
                                Method::kOptions);
  const std::string allowed = HeadOf(policy.Preflight(request, OriginVerdict::kListed));
  EXPECT_THAT(allowed, ::testing::StartsWith("HTTP/1.1 204 No Content\r\n"));
  EXPECT_THAT(allowed, HasSubstr("Access-Control-Allow-Origin: https://app.example\r\n"));
  EXPECT_THAT(allowed, HasSubstr("Access-Control-Allow-Credentials: true\r\n"));
  EXPECT_THAT(allowed, HasSubstr("Access-Control-Allow-Methods: GET,PUT,PATCH,POST,DELETE\r\n"));
  EXPECT_THAT(allowed, HasSubstr("Access-Control-Allow-Headers: content-type,if-match\r\n"));
  EXPECT_THAT(HeadOf(policy.Preflight(request, OriginVerdict::kForeign)), Not(HasSubstr("Access-Control")));
}

}  // namespace
}  // namespace sesior::http
