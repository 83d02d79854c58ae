#include "sesior/runtime/cores.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

namespace sesior::runtime {
namespace {

class Cores : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        std::filesystem::path(::testing::TempDir()) /
        ("cores-" + std::to_string(::getpid()) + "-" + ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(folder_ / "cpu");
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void Write(const char* name, const char* text) { std::ofstream(folder_ / name) << text; }

  std::filesystem::path folder_;
  const unsigned all_ = std::max(1U, std::thread::hardware_concurrency());
};

TEST_F(Cores, AreAllThatAffinityAllowsWithoutALimit) {
  EXPECT_EQ(UsableCores(folder_), all_);
  EXPECT_EQ(UsableCores(folder_ / "nothing"), all_);
  Write("cpu.max", "max 100000\n");
  EXPECT_EQ(UsableCores(folder_), all_);
}

TEST_F(Cores, FollowTheLimitOfControlGroupsVersion2) {
  Write("cpu.max", "100000 100000\n");
  EXPECT_EQ(UsableCores(folder_), 1U);
  Write("cpu.max", "50000 100000\n");
  EXPECT_EQ(UsableCores(folder_), 1U);
  Write("cpu.max", "150000 100000\n");
  EXPECT_EQ(UsableCores(folder_), std::min(all_, 2U));
  Write("cpu.max", "100000000 100000\n");
  EXPECT_EQ(UsableCores(folder_), all_);
}

TEST_F(Cores, FollowTheLimitOfControlGroupsVersion1) {
  Write("cpu/cpu.cfs_period_us", "100000\n");
  Write("cpu/cpu.cfs_quota_us", "-1\n");
  EXPECT_EQ(UsableCores(folder_), all_);
  Write("cpu/cpu.cfs_quota_us", "20000\n");
  EXPECT_EQ(UsableCores(folder_), 1U);
}

TEST_F(Cores, AreAllWhereTheLimitIsNoNumber) {
  Write("cpu.max", "much\n");
  EXPECT_EQ(UsableCores(folder_), all_);
  Write("cpu.max", "100000 0\n");
  EXPECT_EQ(UsableCores(folder_), all_);
}

}  // namespace
}  // namespace sesior::runtime
