#include "services/rest/handlers/page.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/unit/rest/rest_world.hpp"

namespace sesior::rest {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class PageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "sesior-page-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
  }
  void TearDown() override { fs::remove_all(root_); }
  void Write(const std::string& path, const std::string& content) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << content;
  }

  fs::path root_;
};

TEST_F(PageTest, ServesFilesWithTypeAndETag) {
  Write("index.html", "<title>x</title>");
  Write("sub/main.js", "1");
  Write(".secret", "s");
  Write(".git/config", "s");
  RestWorld world({}, root_.string());
  for (const char* path : {"/", "/index.html"}) {
    const Answer answer = world.Ask("GET", path);
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, "<title>x</title>");
    EXPECT_EQ(answer.Header("Content-Type"), "text/html; charset=utf-8");
    EXPECT_EQ(answer.Header("Cache-Control"), "no-cache");
  }
  const Answer script = world.Ask("GET", "/sub/main.js");
  EXPECT_EQ(script.Header("Content-Type"), "text/javascript; charset=utf-8");
  EXPECT_EQ(script.Header("X-Content-Type-Options"), "nosniff");
  const Answer known = world.Ask("GET", "/sub/main.js", {{"If-None-Match", script.Header("ETag")}});
  EXPECT_EQ(known.status, 304);
  EXPECT_EQ(known.body, "");
  for (const char* path :
       {"/.secret", "/.git/config", "/sub", "/sub/", "/sub/../index.html", "/%2e%2e/x", "//index.html"}) {
    EXPECT_EQ(world.Ask("GET", path).status, 404) << path;
  }
  EXPECT_EQ(world.Ask("POST", "/sub/main.js").status, 405);
}

TEST_F(PageTest, TellsThePageWhereTheRealtimeReplicasAre) {
  Write("index.html", "");
  Config config;
  config.realtime_urls = {"http://127.0.0.1:1", "https://rt.test"};
  RestWorld world(config, root_.string());
  EXPECT_EQ(world.Ask("GET", "/config.json").body, R"({"realtime":["http://127.0.0.1:1","https://rt.test"]})");
  const std::string policy = world.Ask("GET", "/").Header("Content-Security-Policy");
  EXPECT_THAT(policy, HasSubstr("default-src 'none'"));
  EXPECT_THAT(policy, HasSubstr("script-src 'self' http://localhost:1 http://127.0.0.1:1 https://rt.test;"));
  EXPECT_THAT(policy, HasSubstr(" https://rt.test wss://rt.test;"));
  EXPECT_THAT(policy, HasSubstr(" ws://127.0.0.1:1 "));
}

TEST_F(PageTest, SaysWhatIsWrongWithItsFolder) {
  EXPECT_THAT(std::string(Page::Load((root_ / "none").string(), {}).status().message()), HasSubstr("none"));
  EXPECT_THAT(std::string(Page::Load(root_.string(), {}).status().message()), HasSubstr("index.html"));
}

TEST(Page, IsALineOfTextWithoutAFolder) {
  RestWorld world;
  const Answer answer = world.Ask("GET", "/");
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.Header("Content-Type"), HasSubstr("text/plain"));
}

}  // namespace
}  // namespace sesior::rest
