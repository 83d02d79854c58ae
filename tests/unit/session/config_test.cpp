#include "services/session/config.hpp"

#include <cstdio>
#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sesior::session {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

absl::StatusOr<config::Flags::Action> Load(std::vector<const char*> arguments, Config& config) {
  arguments.insert(arguments.begin(), "sesior-session");
  return LoadConfig(static_cast<int>(arguments.size()), arguments.data(), config);
}

std::string Problems(std::vector<const char*> arguments) {
  Config config;
  arguments.push_back("--cookie-secret=s");
  return std::string(Load(std::move(arguments), config).status().message());
}

TEST(SessionConfig, TellsAllProblemsAtOnce) {
  Config config;
  const absl::Status status = Load({"--check-config",
                                    "--redis-url",
                                    "http://x",
                                    "--cookie-same-site",
                                    "none",
                                    "--cookie-priority",
                                    "urgent",
                                    "--cookie-name",
                                    "__Host-sid",
                                    "--cookie-path",
                                    "x y",
                                    "--cookie-domain",
                                    "a b",
                                    "--cookie-partitioned",
                                    "--cookie-max-age",
                                    "999d",
                                    "--max-record-bytes",
                                    "1",
                                    "--max-patch-depth",
                                    "0",
                                    "--create-rate",
                                    "0",
                                    "--create-rate-per-address",
                                    "-1",
                                    "--foreign-conflict",
                                    "ignore",
                                    "--claimed-members",
                                    "userName,cookie",
                                    "--listen",
                                    "0.0.0.0:7100",
                                    "--log-level",
                                    "loud",
                                    "--log-format",
                                    "xml",
                                    "--touch-interval",
                                    "0s"},
                                   config)
                                  .status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  const std::string text(status.message());
  for (const char* flag : {"--redis-url:",
                           "--cookie-secret:",
                           "--cookie-same-site: none needs",
                           "--cookie-priority:",
                           "--cookie-name: __Host- needs",
                           "--cookie-path: holds",
                           "--cookie-path: must begin",
                           "--cookie-domain:",
                           "--cookie-partitioned: needs",
                           "--cookie-max-age:",
                           "--max-record-bytes:",
                           "--max-patch-depth:",
                           "--create-rate:",
                           "--create-rate-per-address:",
                           "--foreign-conflict:",
                           "--claimed-members:",
                           "--listen:",
                           "--log-level:",
                           "--log-format:",
                           "--touch-interval:"}) {
    EXPECT_THAT(text, HasSubstr(flag));
  }
}

TEST(SessionConfig, HoldsCookiesToTheRulesOfBrowsers) {
  const struct {
    std::vector<const char*> arguments;
    const char* problem;  // empty: fine
  } rows[] = {
      {{}, ""},
      {{"--cookie-same-site=none"}, "none needs --cookie-secure"},
      {{"--cookie-same-site=none", "--cookie-secure"}, ""},
      {{"--cookie-same-site=lax"}, ""},
      {{"--cookie-partitioned"}, "needs --cookie-secure"},
      {{"--cookie-partitioned", "--cookie-secure"}, ""},
      {{"--cookie-name=__Secure-sid"}, "__Secure- needs --cookie-secure"},
      {{"--cookie-name=__secure-sid"}, "__Secure- needs --cookie-secure"},
      {{"--cookie-name=__Secure-sid", "--cookie-secure"}, ""},
      {{"--cookie-name=__Host-sid"}, "__Host- needs"},
      {{"--cookie-name=__Host-sid", "--cookie-secure", "--cookie-path=/a"}, "__Host- needs"},
      {{"--cookie-name=__Host-sid", "--cookie-secure", "--cookie-domain=example.com"}, "__Host- needs"},
      {{"--cookie-name=__HOST-sid"}, "__Host- needs"},
      {{"--cookie-name=__Host-sid", "--cookie-secure"}, ""},
      {{"--cookie-name=a b"}, "must be a token"},
      {{"--cookie-name="}, "must be a token"},
      {{"--cookie-path=/a;b"}, "cannot stand in a cookie"},
      {{"--cookie-path=a"}, "must begin with /"},
      {{"--cookie-domain=.example.com"}, ""},
      {{"--cookie-domain=example.com; Secure"}, "must be a host name"},
  };
  for (const auto& row : rows) {
    const std::string problems = Problems(row.arguments);
    if (*row.problem == '\0') {
      EXPECT_EQ(problems, "");
    } else {
      EXPECT_THAT(problems, HasSubstr(row.problem));
    }
  }
}

TEST(SessionConfig, TakesEveryAttributeOfTheCookie) {
  Config config;
  ASSERT_TRUE(Load({"--cookie-secret=s", "--cookie-name=sid", "--cookie-path=/app", "--cookie-domain=example.com",
                    "--cookie-secure", "--cookie-http-only=false", "--cookie-partitioned", "--cookie-same-site=none",
                    "--cookie-priority=high", "--cookie-max-age=1m", "--cookie-rolling"},
                   config)
                  .ok());
  const CookieAttributes& cookie = config.sessions.cookie;
  EXPECT_EQ(cookie.max_age, std::chrono::minutes(1));
  EXPECT_TRUE(config.sessions.rolling);
  EXPECT_EQ(SetCookieText(cookie, "s:a.b", 1795405078952),
            "sid=s%3Aa.b; Domain=example.com; Path=/app; Expires=Mon, 23 Nov 2026 03:37:58 GMT; Secure; Partitioned; "
            "Priority=High; SameSite=None");
}

TEST(SessionConfig, RemembersTheFileOfTheSecrets) {
  const std::string path = ::testing::TempDir() + "/sesior_config_secret";
  std::ofstream(path) << "new\nold\n";
  Config config;
  ASSERT_TRUE(Load({"--cookie-secret-file", path.c_str()}, config).ok());
  EXPECT_THAT(config.sessions.secrets, ElementsAre("new", "old"));
  EXPECT_EQ(config.secret_file, path);
  Config by_flag;
  ASSERT_TRUE(Load({"--cookie-secret-file", path.c_str(), "--cookie-secret=other"}, by_flag).ok());
  EXPECT_THAT(by_flag.sessions.secrets, ElementsAre("other"));
  EXPECT_EQ(by_flag.secret_file, "") << "the last one counts";
  std::remove(path.c_str());
  EXPECT_THAT(Problems({"--cookie-secret-file", "/does/not/exist"}), HasSubstr("cannot read"));
  EXPECT_THAT(Problems({}), Not(HasSubstr("cannot")));
}

TEST(SessionConfig, LimitsAddressesOnlyWhenAsked) {
  Config config;
  ASSERT_TRUE(Load({"--cookie-secret=s"}, config).ok());
  EXPECT_FALSE(config.sessions.create_limits.per_address_per_minute);
  ASSERT_TRUE(Load({"--cookie-secret=s", "--create-rate-per-address=30"}, config).ok());
  EXPECT_EQ(config.sessions.create_limits.per_address_per_minute, 30);
}

TEST(SessionConfig, BeyondLoopbackCallersProveWhoTheyAre) {
  const char* token = "--edge-tokens=0123456789abcdef";
  EXPECT_THAT(Problems({"--listen=0.0.0.0:7100"}), HasSubstr("--listen: beyond loopback callers must prove"));
  EXPECT_THAT(Problems({"--listen=127.example.com:7100"}), HasSubstr("--listen:")) << "a name, of any machine";
  EXPECT_THAT(Problems({"--listen=0.0.0.0:7100", token}),
              HasSubstr("--listen: beyond loopback tokens travel encrypted"));
  EXPECT_EQ(Problems({"--listen=0.0.0.0:7100", token, "--network-encrypts"}), "");
  EXPECT_EQ(Problems({"--listen=127.0.0.1:7100", token}), "");
  EXPECT_THAT(Problems({"--admin-tokens=short"}), HasSubstr("--admin-tokens: at least 16 bytes"));
  EXPECT_THAT(Problems({"--tls-cert=/nowhere", "--tls-key=/nowhere"}), HasSubstr("--tls-cert: cannot read /nowhere"));
  EXPECT_THAT(Problems({"--tls-cert=/dev/null"}), HasSubstr("--tls-key: needed with --tls-cert"));
  EXPECT_THAT(Problems({"--tls-client-ca=/dev/null"}), HasSubstr("--tls-client-ca: needs --tls-cert"));
  EXPECT_THAT(Problems({"--tls-client-ca=/dev/null"}), HasSubstr("holds no certificate"));
}

}  // namespace
}  // namespace sesior::session
