#include "services/session/domain/expiry_sweeper.hpp"

#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "tests/support/manual_executor.hpp"

namespace sesior::session {
namespace {

using std::chrono_literals::operator""ms;

class FakeExpiryStore final : public ExpiryStore {
 public:
  explicit FakeExpiryStore(Executor& executor) : executor_(executor) {}

  void Sweep(int shard, std::string holder, std::chrono::milliseconds, int batch, Done<ExpirySweep> done) override {
    asked.push_back(shard);
    holders.insert(std::move(holder));
    ExpirySweep swept;
    swept.seen = swept.ended = std::min(batch, due[shard]);
    due[shard] -= swept.seen;
    executor_.Post([this, swept, done = std::move(done)]() mutable {
      if (is_away) return std::move(done)(absl::UnavailableError("away"));
      std::move(done)(swept);
    });
  }

  std::vector<int> asked;
  std::set<std::string> holders;
  std::map<int, int> due;
  bool is_away = false;

 private:
  Executor& executor_;
};

class ExpirySweeperTest : public ::testing::Test {
 protected:
  // Lets the fake time pass.
  void Pass(std::chrono::milliseconds time) {
    const std::int64_t end = clock_.WallMillis() + time.count();
    while (clock_.WallMillis() < end && executor_.RunOne()) {
    }
  }

  testing::FakeClock clock_;
  testing::ManualExecutor executor_{clock_};
  FakeExpiryStore store_{executor_};
  int ended_ = 0;
  ExpirySweeper sweeper_{
      store_, executor_, {.interval = 640ms, .lease = 1280ms, .batch = 100}, [this](const ExpirySweep& swept) {
        ended_ += swept.ended;
      }};
};

TEST_F(ExpirySweeperTest, AsksEveryShardOnceAnInterval) {
  sweeper_.Start();
  Pass(640ms);
  EXPECT_GE(store_.asked.size(), 63U);
  EXPECT_LE(store_.asked.size(), 65U);
  EXPECT_GE(std::set<int>(store_.asked.begin(), store_.asked.end()).size(), 63U);
  EXPECT_EQ(store_.holders.size(), 1U);
}

TEST_F(ExpirySweeperTest, TakesAFullShardBatchByBatchWithoutWaitingForTheNextRound) {
  store_.due[17] = 1'050;
  sweeper_.Start();
  Pass(700ms);
  EXPECT_EQ(ended_, 1'050);
}

TEST_F(ExpirySweeperTest, GoesOnAfterAnOutage) {
  store_.is_away = true;
  sweeper_.Start();
  Pass(6400ms);
  EXPECT_LE(store_.asked.size(), 12U) << "does not hammer a store that is away";
  store_.is_away = false;
  store_.due[3] = 1;
  Pass(1500ms);
  EXPECT_EQ(ended_, 1);
}

}  // namespace
}  // namespace sesior::session
