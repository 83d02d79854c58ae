#include "services/rest/config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sesior::rest {
namespace {

using ::testing::HasSubstr;

TEST(RestConfig, HasUsableDefaults) {
  const char* const argv[] = {"sesior-rest"};
  Config config;
  ASSERT_TRUE(LoadConfig(1, argv, config).ok());
  EXPECT_GE(config.threads, 1);
  EXPECT_GE(config.max_connections, 1);
}

TEST(RestConfig, TellsAllProblemsAtOnce) {
  const char* const argv[] = {
      "sesior-rest", "--allowed-origins", "http://a/b", "--realtime-urls",     "ws://x", "--trusted-proxies",
      "10.0.0.0/99", "--log-level",       "loud",       "--session-addresses", "",       "--max-connections",
      "1000000"};
  Config config;
  const absl::Status status = LoadConfig(static_cast<int>(std::size(argv)), argv, config).status();
  for (const char* flag : {"--allowed-origins", "--realtime-urls", "--trusted-proxies", "--log-level",
                           "--session-addresses", "--max-connections"}) {
    EXPECT_THAT(std::string(status.message()), HasSubstr(flag));
  }
}

}  // namespace
}  // namespace sesior::rest
