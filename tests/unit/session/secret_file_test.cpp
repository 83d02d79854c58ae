#include "services/session/secret_file.hpp"

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sesior::session {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Secrets = SecretFile::Secrets;

class SecretFileTest : public ::testing::Test {
 protected:
  SecretFileTest() { Write("old"); }
  ~SecretFileTest() override { std::remove(path_.c_str()); }
  void Write(const std::string& text) { std::ofstream(path_, std::ios::binary) << text; }

  const std::string path_ = ::testing::TempDir() + "/sesior_secret_file_" + std::to_string(getpid());
  telemetry::Registry registry_;
  telemetry::Counter& loaded_ = registry_.Counter("loaded", "x");
  telemetry::Counter& refused_ = registry_.Counter("refused", "x");
  std::vector<Secrets> applied_;
  SecretFile file_{path_, {"old"}, loaded_, refused_, [this](const Secrets& s) { applied_.push_back(s); }};
};

TEST_F(SecretFileTest, TakesNewContentThatStays) {
  file_.Look();
  file_.Look();
  EXPECT_THAT(applied_, IsEmpty()) << "as at the start";
  Write("new\nold\n");
  file_.Look();
  EXPECT_THAT(applied_, IsEmpty()) << "it may still be written";
  file_.Look();
  file_.Look();
  EXPECT_THAT(applied_, ElementsAre(Secrets{"new", "old"}));
  EXPECT_EQ(loaded_.Value(), 1);
}

TEST_F(SecretFileTest, WaitsUntilTheFileIsWritten) {
  for (const char* part : {"n", "ne", "new,o"}) {
    Write(part);
    file_.Look();
  }
  Write("new,old");
  file_.Look();
  EXPECT_THAT(applied_, IsEmpty());
  file_.Look();
  EXPECT_THAT(applied_, ElementsAre(Secrets{"new", "old"}));
}

TEST_F(SecretFileTest, SeesASwappedLink) {
  const std::string next = path_ + ".next";
  std::ofstream(next) << "new";
  std::filesystem::rename(next, path_);
  file_.Look();
  file_.Look();
  EXPECT_THAT(applied_, ElementsAre(Secrets{"new"}));
}

TEST_F(SecretFileTest, KeepsTheOldSecretsWhenTheContentIsBad) {
  std::string many;
  for (int i = 0; i < 17; ++i) many += "s" + std::to_string(i) + "\n";
  int refusals = 0;
  for (const std::string& bad : {std::string(), std::string(" \n,\n"), many, std::string((64 << 10) + 1, 'x')}) {
    Write(bad);
    for (int i = 0; i < 3; ++i) file_.Look();
    Write("old");
    file_.Look();
    EXPECT_EQ(refused_.Value(), ++refusals) << "once for each";
  }
  std::remove(path_.c_str());
  for (int i = 0; i < 3; ++i) file_.Look();
  EXPECT_EQ(refused_.Value(), ++refusals);
  EXPECT_THAT(applied_, IsEmpty());
  Write("new");
  file_.Look();
  file_.Look();
  EXPECT_THAT(applied_, ElementsAre(Secrets{"new"})) << "and goes on when it is good again";
}

}  // namespace
}  // namespace sesior::session
