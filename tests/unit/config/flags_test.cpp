#include "sesior/config/flags.hpp"

#include <cstdio>
#include <fstream>
#include <map>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sesior::config {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;

struct Settings {
  std::string listen = "127.0.0.1:0";
  std::int64_t threads = 2;
  milliseconds timeout{5000};
  bool verbose = false;
  std::vector<std::string> origins;
  std::vector<std::string> secrets;
};

class FlagsTest : public testing::Test {
 protected:
  FlagsTest() : flags_("sesior-test", "SESIOR_TEST_", "Tests.") {
    flags_.Add("listen", &settings_.listen, "address");
    flags_.Add("threads", &settings_.threads, "threads", {1, 64});
    flags_.Add("stop-timeout", &settings_.timeout, "timeout", {milliseconds(10), milliseconds(60000)});
    flags_.Add("verbose", &settings_.verbose, "verbose");
    flags_.Add("allowed-origins", &settings_.origins, "origins");
    flags_.AddSecret("cookie-secret", &settings_.secrets, "secrets");
  }
  absl::StatusOr<Flags::Action> Parse(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "sesior-test");
    return flags_.Parse(static_cast<int>(arguments.size()), arguments.data(), [this](const char* name) {
      const auto found = environment_.find(name);
      return found == environment_.end() ? nullptr : found->second.c_str();
    });
  }
  std::map<std::string, std::string> environment_;
  Settings settings_;
  Flags flags_;
};

TEST_F(FlagsTest, ReadsBothSpellingsOfAFlag) {
  ASSERT_TRUE(Parse({"--listen=[::1]:80", "--threads", "4", "--verbose", "--stop-timeout=2s"}).ok());
  EXPECT_EQ(settings_.listen, "[::1]:80");
  EXPECT_EQ(settings_.threads, 4);
  EXPECT_TRUE(settings_.verbose);
  EXPECT_EQ(settings_.timeout, milliseconds(2000));
}

TEST_F(FlagsTest, FlagsWinOverTheEnvironment) {
  environment_ = {{"SESIOR_TEST_THREADS", "7"}, {"SESIOR_TEST_STOP_TIMEOUT", "70ms"}};
  ASSERT_TRUE(Parse({"--threads=3"}).ok());
  EXPECT_EQ(settings_.threads, 3);
  EXPECT_EQ(settings_.timeout, milliseconds(70));
}

TEST_F(FlagsTest, SplitsLists) {
  ASSERT_TRUE(Parse({"--allowed-origins", "http://a, http://b,,"}).ok());
  EXPECT_THAT(settings_.origins, ElementsAre("http://a", "http://b"));
}

TEST_F(FlagsTest, ReportsEveryProblemAtOnceAndNeverTheText) {
  environment_ = {{"SESIOR_TEST_STOP_TIMEOUT", "5"}};
  const absl::Status status =
      Parse({"--threads=99", "--nope", "stray", "--verbose=maybe", "--cookie-secret-file=/does/not/exist", "--listen"})
          .status();
  const std::string text(status.message());
  for (const char* part :
       {"SESIOR_TEST_STOP_TIMEOUT: must be a duration", "--threads: must be a whole number from 1 to 64",
        "unknown flag --nope", "unexpected argument \"stray\"", "--verbose: must be true or false",
        "--cookie-secret-file: cannot read", "--listen: needs a value"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  EXPECT_EQ(text.find("99"), std::string::npos);
}

TEST_F(FlagsTest, ReadsSecretsFromFilesAndMasksThem) {
  const std::string path = testing::TempDir() + "/sesior_flags_secret";
  std::ofstream(path) << "new,old\n";
  ASSERT_TRUE(Parse({"--cookie-secret-file", path.c_str()}).ok());
  std::remove(path.c_str());
  EXPECT_THAT(settings_.secrets, ElementsAre("new", "old"));
  EXPECT_THAT(flags_.Print(), HasSubstr("cookie-secret=***\n"));
  EXPECT_EQ(flags_.Print().find("new"), std::string::npos);
}

TEST_F(FlagsTest, RunsChecksOverSeveralSettings) {
  flags_.AddCheck([this]() -> std::vector<std::string> {
    if (settings_.threads > 2 && !settings_.verbose) return {"--threads: over 2 needs --verbose"};
    return {};
  });
  EXPECT_TRUE(Parse({"--threads=2"}).ok());
  EXPECT_THAT(std::string(Parse({"--threads=3"}).status().message()), HasSubstr("over 2 needs"));
}

}  // namespace
}  // namespace sesior::config
