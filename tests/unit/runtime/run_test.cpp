#include "sesior/runtime/run.hpp"

#include <signal.h>
#include <unistd.h>

#include <string>

#include "gtest/gtest.h"

namespace sesior::runtime {
namespace {

using std::chrono::milliseconds;

class FakePart final : public Part {
 public:
  FakePart(std::string name, std::string& log, absl::Status start = absl::OkStatus())
      : name_(std::move(name)), log_(log), start_(std::move(start)) {}
  absl::Status Start() override {
    log_ += "+" + name_;
    if (name_ == "last") kill(getpid(), SIGTERM);  // waits in the mask until Run asks for it
    return start_;
  }
  void Drain(std::chrono::steady_clock::time_point) override { log_ += "~" + name_; }
  void Stop() override { log_ += "-" + name_; }

 private:
  std::string name_;
  std::string& log_;
  absl::Status start_;
};

TEST(Run, StartsInOrderDrainsAndStopsInReverse) {
  BlockSignals();
  std::string log;
  FakePart first("first", log);
  FakePart last("last", log);
  EXPECT_EQ(runtime::Run({&first, &last}, milliseconds(1000)), 0);
  EXPECT_EQ(log, "+first+last~last~first-last-first");
}

TEST(Run, StopsWhatHadStartedWhenAPartFails) {
  std::string log;
  FakePart first("first", log);
  FakePart bad("bad", log, absl::UnavailableError("port taken"));
  FakePart never("never", log);
  EXPECT_EQ(runtime::Run({&first, &bad, &never}, milliseconds(1000)), 1);
  EXPECT_EQ(log, "+first+bad-first");
}

class StuckPart final : public Part {
 public:
  absl::Status Start() override {
    kill(getpid(), SIGTERM);
    return absl::OkStatus();
  }
  void Stop() override { pause(); }
};

TEST(RunDeathTest, EndsTheProcessWhenStoppingTakesTooLong) {
  EXPECT_EXIT(
      {
        BlockSignals();
        StuckPart stuck;
        runtime::Run({&stuck}, milliseconds(50));
      },
      testing::ExitedWithCode(1), "event=stop_forced reason=timeout");
}

}  // namespace
}  // namespace sesior::runtime
