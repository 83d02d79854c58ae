// What RecoveryStore promises, on whatever store MakeRecoveryWorld gives.
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "sesior/base/error.hpp"
#include "tests/support/recovery_world.hpp"

namespace sesior::testing {
namespace {

using session::RecoveryRecord;
using session::RecoveryState;
using session::TakenRecovery;
using session::TakenSocket;
using std::chrono_literals::operator""s;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::int64_t kByLease = -1;
constexpr std::int64_t kNone = -2;

class Recovery : public ::testing::Test {
 protected:
  static RecoveryRecord Record(const std::string& owner, RecoveryState state = RecoveryState::kOpen,
                               std::uint64_t generation = 0, const std::string& body = "rooms\nand data") {
    return {"private-1", "socket-1", "/", SessionId("ann"), owner, generation, state, body};
  }
  std::vector<std::string> Save(std::vector<RecoveryRecord> records) {
    const auto taken = world_->Await<std::vector<std::string>>(
        [&](auto done) { world_->store().Save(std::move(records), std::move(done)); });
    EXPECT_TRUE(taken.ok()) << taken.status();
    return taken.value_or(std::vector<std::string>());
  }
  absl::StatusOr<TakenRecovery> Take(const std::string& new_owner, const std::string& session = "ann",
                                     const std::string& name_space = "/", const std::string& id = "private-1") {
    return world_->Await<TakenRecovery>([&](auto done) {
      world_->store().Take({id, name_space, SessionId(session), new_owner}, std::move(done));
    });
  }
  void ExpectOneWindow() {
    const std::int64_t ttl = world_->TtlOf("private-1");
    EXPECT_GT(ttl, 0);
    EXPECT_LE(ttl, RecoveryWorld::kWindow.count());
  }

  std::unique_ptr<RecoveryWorld> world_ = MakeRecoveryWorld(10s);
};

TEST_F(Recovery, KeepsARecordAsLongAsItsOwnersLeaseAndOneWindowMore) {
  world_->KeepLease("r1");
  EXPECT_THAT(Save({Record("r1")}), IsEmpty());
  EXPECT_EQ(world_->TtlOf("private-1"), kByLease);
  world_->EndLease("r1");
  ExpectOneWindow();
  world_->KeepLease("r2");
  const auto taken = Take("r2");
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_EQ(taken->record.socket_id, "socket-1");
  EXPECT_EQ(taken->record.body, "rooms\nand data");
  EXPECT_EQ(taken->record.owner, "r2");
  EXPECT_EQ(taken->record.generation, 1U);
  EXPECT_EQ(taken->former_owner, "r1");
}

TEST_F(Recovery, GivesAClosedRecordOneWindowAndForgetsAnEndedOne) {
  world_->KeepLease("r1");
  Save({Record("r1")});
  Save({Record("r1", RecoveryState::kClosed)});
  ExpectOneWindow();
  Save({Record("r1", RecoveryState::kEnded)});
  EXPECT_EQ(world_->TtlOf("private-1"), kNone);
  EXPECT_EQ(ReasonOf(Take("r2").status()), "RECOVERY_NOT_FOUND");
}

TEST_F(Recovery, WithoutALeaseARecordLastsOneWindow) {
  Save({Record("r1")});
  ExpectOneWindow();
}

TEST_F(Recovery, FollowsChanges) {
  world_->KeepLease("r1");
  Save({Record("r1")});
  Save({Record("r1", RecoveryState::kOpen, 0, "more")});
  EXPECT_EQ(Take("r2")->record.body, "more");
}

TEST_F(Recovery, HasOneWinner) {
  world_->KeepLease("r1");
  Save({Record("r1")});
  ASSERT_TRUE(Take("r2").ok());
  EXPECT_EQ(ReasonOf(Take("r3").status()), "RECOVERY_NOT_FOUND");
  EXPECT_EQ(ReasonOf(Take("r2").status()), "RECOVERY_NOT_FOUND");
  world_->KeepLease("r2");
  EXPECT_THAT(Save({Record("r2", RecoveryState::kOpen, 1)}), IsEmpty());
  EXPECT_EQ(ReasonOf(Take("r3").status()), "RECOVERY_NOT_FOUND") << "a save makes it no older";
}

TEST_F(Recovery, MayBeTakenAgainOnceItsConnectionBroke) {
  world_->KeepLease("r2");
  Save({Record("r1", RecoveryState::kClosed)});
  ASSERT_TRUE(Take("r2").ok());
  ExpectOneWindow();
  Save({Record("r2", RecoveryState::kOpen, 1)});
  EXPECT_EQ(world_->TtlOf("private-1"), kByLease);
  Save({Record("r2", RecoveryState::kClosed, 1)});
  const auto again = Take("r2");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->record.generation, 2U);
}

TEST_F(Recovery, IsTakenFromAGhostThatIsNotNew) {
  world_ = MakeRecoveryWorld(0s);
  world_->KeepLease("r1");
  Save({Record("r1")});
  ASSERT_TRUE(Take("r2").ok());
  ASSERT_TRUE(Take("r1").ok());
}

TEST_F(Recovery, IsOfOneSessionAndNamespace) {
  Save({Record("r1")});
  EXPECT_EQ(ReasonOf(Take("r2", "bob").status()), "RECOVERY_NOT_FOUND");
  EXPECT_EQ(ReasonOf(Take("r2", "ann", "/other").status()), "RECOVERY_NOT_FOUND");
  EXPECT_EQ(ReasonOf(Take("r2", "ann", "/", "private-2").status()), "RECOVERY_NOT_FOUND");
  EXPECT_TRUE(Take("r2").ok()) << "the tries before took nothing";
}

TEST_F(Recovery, TellsALivingOwnerOnce) {
  world_->KeepLease("r1");
  Save({Record("r1")});
  ASSERT_TRUE(Take("r2").ok());
  const std::vector<TakenSocket> told = world_->KeepLease("r1");
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].private_id, "private-1");
  EXPECT_EQ(told[0].socket_id, "socket-1");
  EXPECT_EQ(told[0].name_space, "/");
  EXPECT_EQ(told[0].generation, 1U);
  EXPECT_THAT(world_->KeepLease("r1"), IsEmpty());
  EXPECT_THAT(world_->KeepLease("r2"), IsEmpty());
}

TEST_F(Recovery, TellsNobodyWhoSaidThatTheSocketIsGone) {
  world_->KeepLease("r1");
  Save({Record("r1", RecoveryState::kClosed)});
  ASSERT_TRUE(Take("r2").ok());
  EXPECT_THAT(world_->KeepLease("r1"), IsEmpty());
}

TEST_F(Recovery, RefusesWhatAFormerOwnerSaves) {
  world_->KeepLease("r1");
  world_->KeepLease("r2");
  Save({Record("r1")});
  ASSERT_TRUE(Take("r2").ok());
  RecoveryRecord other = Record("r1");
  other.private_id = "private-2";
  EXPECT_THAT(Save({Record("r1", RecoveryState::kClosed), other}), ElementsAre("private-1"));
  EXPECT_EQ(world_->TtlOf("private-2"), kByLease) << "one that was taken does not hold up the others";
  EXPECT_THAT(Save({Record("r1", RecoveryState::kEnded)}), ElementsAre("private-1"));
  ExpectOneWindow();
}

TEST_F(Recovery, RefusesWhatTheSameReplicaKnewBeforeItTookItAgain) {
  world_->KeepLease("r1");
  Save({Record("r1")});
  ASSERT_TRUE(Take("r1").ok());
  EXPECT_THAT(Save({Record("r1", RecoveryState::kEnded)}), ElementsAre("private-1"));
  EXPECT_THAT(Save({Record("r1", RecoveryState::kOpen, 1)}), IsEmpty());
}

TEST_F(Recovery, LeavesToADeadReplicaWhatOthersTookFromIt) {
  world_->KeepLease("r1");
  world_->KeepLease("r2");
  Save({Record("r1")});
  ASSERT_TRUE(Take("r2").ok());
  Save({Record("r2", RecoveryState::kOpen, 1)});
  world_->EndLease("r1");
  EXPECT_EQ(world_->TtlOf("private-1"), kByLease) << "it belongs to another that lives";
}

TEST_F(Recovery, GivesManyRecordsOfADeadReplicaTheirWindow) {
  world_->KeepLease("r1");
  for (int batch = 0; batch < 3; ++batch) {
    std::vector<RecoveryRecord> records;
    for (int i = 0; i < 100; ++i) {
      records.push_back(Record("r1"));
      records.back().private_id = absl::StrCat("private-", batch * 100 + i);
    }
    Save(std::move(records));
  }
  world_->EndLease("r1");
  for (int i = 0; i < 300; ++i) EXPECT_GT(world_->TtlOf(absl::StrCat("private-", i)), 0);
}

}  // namespace
}  // namespace sesior::testing
