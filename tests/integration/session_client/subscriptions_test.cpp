#include <deque>
#include <optional>

#include "absl/synchronization/mutex.h"
#include "tests/integration/session_client/client_test.hpp"

namespace sesior::session_client {
namespace {

using broadcast::v1::SubscribeRequest;
using broadcast::v1::SubscribeResponse;
using ::testing::ElementsAre;
using ::testing::SizeIs;

// Keeps what a subscription tells, as text: "up", "down", "e:11" for a delivery, "gap 3-5".
class Heard final : public SubscriptionHandler {
 public:
  void OnBroadcasts(const SubscribeResponse& response) override {
    absl::MutexLock lock(&mutex_);
    for (const auto& gap : response.gaps()) {
      told_.push_back("gap " + std::to_string(gap.first_offset()) + "-" + std::to_string(gap.last_offset()));
    }
    for (const auto& delivery : response.deliveries()) {
      told_.push_back(delivery.epoch() + ":" + std::to_string(delivery.offset()));
    }
  }
  void OnConnected(bool connected) override {
    absl::MutexLock lock(&mutex_);
    told_.push_back(connected ? "up" : "down");
  }

  // Waits until so much was told, and takes it.
  std::vector<std::string> Take(std::size_t count) {
    absl::MutexLock lock(&mutex_);
    const auto enough = [this, count] { return told_.size() >= count; };
    mutex_.AwaitWithTimeout(absl::Condition(&enough), absl::Seconds(10));
    return std::exchange(told_, {});
  }

 private:
  absl::Mutex mutex_;
  std::vector<std::string> told_;
};

void Add(SubscribeResponse& response, const std::string& epoch, std::uint64_t offset) {
  broadcast::v1::Delivery& delivery = *response.add_deliveries();
  delivery.set_epoch(epoch);
  delivery.set_offset(offset);
  delivery.mutable_broadcast()->set_namespace_("/");
}

SubscribeResponse Deliveries(const std::string& epoch, std::uint64_t first, std::uint64_t last) {
  SubscribeResponse response;
  for (std::uint64_t offset = first; offset <= last; ++offset) Add(response, epoch, offset);
  return response;
}

SubscribeResponse Started(const std::string& epoch, std::uint64_t offset) {
  SubscribeResponse response;
  broadcast::v1::Position& position = *response.add_started();
  position.set_namespace_("/");
  position.set_epoch(epoch);
  position.set_offset(offset);
  return response;
}

// Two replicas, and a subscription that stands on one of them.
class SessionClientSubscription : public ::testing::Test {
 protected:
  void SetUp() override {
    client_ = Connect({&servers_[0], &servers_[1]});
    registration_ = client_->Subscribe("r1", "/", heard_);
    ASSERT_THAT(heard_.Take(1), ElementsAre("up"));
    if (servers_[0].subscribes.empty()) std::swap(first_, second_);
  }

  FakeSessionServer servers_[2];
  FakeSessionServer* first_ = &servers_[0];
  FakeSessionServer* second_ = &servers_[1];
  Heard heard_;
  std::unique_ptr<SessionClient> client_;
  std::unique_ptr<Registration> registration_;
};

TEST_F(SessionClientSubscription, AsksForWhatIsNewAndTellsItInOrder) {
  ASSERT_THAT(first_->subscribes, SizeIs(1));
  EXPECT_EQ(first_->subscribes[0].replica_id(), "r1");
  ASSERT_EQ(first_->subscribes[0].add_size(), 1);
  EXPECT_EQ(first_->subscribes[0].add(0).namespace_(), "/");
  EXPECT_FALSE(first_->subscribes[0].add(0).has_after());
  first_->Deliver(Deliveries("e", 11, 12));
  first_->Deliver(Deliveries("e", 13, 13));
  EXPECT_THAT(heard_.Take(3), ElementsAre("e:11", "e:12", "e:13"));
}

TEST_F(SessionClientSubscription, IsTakenUpBehindTheLastDeliveryOnAnotherReplica) {
  first_->Deliver(Deliveries("e", 11, 12));
  EXPECT_THAT(heard_.Take(2), ElementsAre("e:11", "e:12"));
  // The other replica lags behind: it repeats what has been told.
  second_->With([&] {
    second_->on_subscribe = [](const SubscribeRequest&) {
      SubscribeResponse response = Started("e", 10);
      response.MergeFrom(Deliveries("e", 11, 14));
      return response;
    };
  });
  first_->Kill();
  EXPECT_THAT(heard_.Take(4), ElementsAre("down", "up", "e:13", "e:14"));
  ASSERT_THAT(second_->subscribes, SizeIs(1));
  EXPECT_EQ(second_->subscribes[0].replica_id(), "r1");
  EXPECT_EQ(second_->subscribes[0].add(0).after().epoch(), "e");
  EXPECT_EQ(second_->subscribes[0].add(0).after().offset(), 12u);
}

TEST_F(SessionClientSubscription, AsksAgainForABacklogThatNeverCame) {
  second_->With([&] { second_->on_subscribe = [](const SubscribeRequest&) { return Started("e", 20); }; });
  first_->Kill();
  EXPECT_THAT(heard_.Take(2), ElementsAre("down", "up"));
  const int port = first_->port();
  FakeSessionServer again(port);
  SessionOf(*client_, again);  // it stands
  second_->Kill();
  ASSERT_TRUE(again.WaitFor([&] { return again.subscribes.size() == 1; }));
  EXPECT_EQ(again.subscribes[0].add(0).after().offset(), 10u);
  registration_.reset();
}

TEST_F(SessionClientSubscription, GoesOnBehindAGapAndInANewEpoch) {
  SubscribeResponse gap;
  gap.add_gaps()->set_epoch("e");
  gap.mutable_gaps(0)->set_first_offset(11);
  gap.mutable_gaps(0)->set_last_offset(15);
  first_->Deliver(gap);
  first_->Deliver(Deliveries("e", 15, 16));
  EXPECT_THAT(heard_.Take(2), ElementsAre("gap 11-15", "e:16"));
  first_->Deliver(Deliveries("f", 1, 2));
  EXPECT_THAT(heard_.Take(2), ElementsAre("f:1", "f:2"));
  first_->Kill();
  ASSERT_TRUE(second_->WaitFor([&] { return second_->subscribes.size() == 1; }));
  EXPECT_EQ(second_->subscribes[0].add(0).after().epoch(), "f");
  EXPECT_EQ(second_->subscribes[0].add(0).after().offset(), 2u);
}

TEST_F(SessionClientSubscription, TellsWhatCameBeforeAGapInTheSameMessage) {
  SubscribeResponse response = Deliveries("e", 11, 12);
  response.add_gaps()->set_epoch("e");
  response.mutable_gaps(0)->set_first_offset(13);
  response.mutable_gaps(0)->set_last_offset(15);
  Add(response, "e", 16);
  first_->Deliver(response);
  EXPECT_THAT(heard_.Take(4), ElementsAre("gap 13-15", "e:11", "e:12", "e:16"));
}

TEST_F(SessionClientSubscription, WhatIsForThisReplicaAloneMovesNoPosition) {
  SubscribeResponse command;
  command.add_deliveries()->mutable_command()->set_command_id("c");
  first_->Deliver(command);
  EXPECT_THAT(heard_.Take(1), ElementsAre(":0"));
  first_->Kill();
  ASSERT_TRUE(second_->WaitFor([&] { return second_->subscribes.size() == 1; }));
  EXPECT_EQ(second_->subscribes[0].add(0).after().epoch(), "e");
  EXPECT_EQ(second_->subscribes[0].add(0).after().offset(), 10u);
}

TEST_F(SessionClientSubscription, LeavesADrainingReplicaWithoutAWord) {
  first_->Deliver(Deliveries("e", 11, 11));
  EXPECT_THAT(heard_.Take(1), ElementsAre("e:11"));
  first_->GoAway();
  EXPECT_TRUE(first_->FinishDrain(seconds(10)));
  ASSERT_TRUE(second_->WaitFor([&] { return second_->subscribes.size() == 1; }));
  EXPECT_EQ(second_->subscribes[0].add(0).after().offset(), 11u);
  second_->Deliver(Deliveries("e", 12, 12));
  EXPECT_THAT(heard_.Take(1), ElementsAre("e:12"));
}

TEST_F(SessionClientSubscription, SaysOnceThatItIsLostAndStandsAgainWhenAReplicaIsBack) {
  first_->Kill();
  EXPECT_THAT(heard_.Take(2), ElementsAre("down", "up"));
  second_->Kill();
  EXPECT_THAT(heard_.Take(1), ElementsAre("down"));
  EXPECT_TRUE(Eventually([&] { return !client_->connected(); }));
  const int port = first_->port();
  FakeSessionServer again(port);
  EXPECT_THAT(heard_.Take(1), ElementsAre("up"));
  registration_.reset();
}

TEST_F(SessionClientSubscription, IsSilentAfterItsRegistration) {
  registration_.reset();
  first_->Deliver(Deliveries("e", 11, 12));
  const auto begin = steady_clock::now();
  client_.reset();
  EXPECT_LT(steady_clock::now() - begin, seconds(2));
  EXPECT_THAT(heard_.Take(0), SizeIs(0));
}

}  // namespace
}  // namespace sesior::session_client
