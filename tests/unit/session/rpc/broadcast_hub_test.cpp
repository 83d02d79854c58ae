#include "services/session/rpc/broadcast_hub.hpp"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fake_event_bus.hpp"
#include "tests/support/in_memory_session_store.hpp"
#include "tests/support/manual_executor.hpp"

namespace sesior::session::rpc {
namespace {

using broadcast::v1::SubscribeResponse;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct Sink final : BroadcastHub::Sink {
  void Push(const grpc::Slice& part) override {
    slices.push_back(part);
    SubscribeResponse response;
    ASSERT_TRUE(response.ParseFromArray(part.begin(), static_cast<int>(part.size())));
    all.MergeFrom(response);
    for (const auto& gap : response.gaps()) {
      order.push_back("gap " + std::to_string(gap.first_offset()) + "-" + std::to_string(gap.last_offset()));
    }
    for (const auto& delivery : response.deliveries()) order.push_back(delivery.broadcast().packet().args_json());
  }
  std::size_t WaitingBytes() const override { return waiting; }
  std::vector<grpc::Slice> slices;
  std::vector<std::string> order;  // of events and gaps
  SubscribeResponse all;
  std::size_t waiting = 0;
};

class BroadcastHubTest : public ::testing::Test {
 protected:
  void Drain() { executor_.RunTasks(); }
  // Time passes, so that positions are checked `times` times.
  void Check(int times) {
    for (int i = 0; i < times; ++i) {
      while (executor_.RunOne() && clock_.WallMillis() < checked_ + BroadcastHub::kCheck.count()) {
      }
      checked_ = clock_.WallMillis();
      Drain();
    }
  }
  std::shared_ptr<Sink> Subscribed(const broadcast::v1::Position& after = {}) {
    auto sink = std::make_shared<Sink>();
    hub_.Add(sink, "/", after);
    Drain();
    return sink;
  }
  broadcast::v1::Position At(std::uint64_t offset, const std::string& epoch = "memory") {
    broadcast::v1::Position position;
    position.set_namespace_("/");
    position.set_epoch(epoch);
    position.set_offset(offset);
    return position;
  }
  static std::string Payload(const std::string& event) {
    broadcast::v1::Broadcast broadcast;
    broadcast.set_namespace_("/");
    broadcast.mutable_packet()->set_args_json(event);
    return broadcast.SerializeAsString();
  }
  // What the script does; the message may get lost on its way.
  void Publish(const std::string& event, bool arrives = true) {
    store_.Publish("/", Payload(event), "", false, [](auto) {});
    if (arrives) Arrive(store_.broadcasts["/"].size());
  }
  void Lose(const std::string& event) { Publish(event, false); }
  void Arrive(std::uint64_t offset) {
    const StoredBroadcast& stored = store_.broadcasts["/"][offset - 1];
    bus_.Send(BroadcastChannel("/"), stored.epoch + " " + std::to_string(offset) + "\n" + stored.payload);
  }

  testing::FakeClock clock_;
  testing::ManualExecutor executor_{clock_};
  testing::InMemorySessionStore store_{executor_, clock_};
  testing::FakeEventBus bus_{executor_};
  telemetry::Registry registry_;
  RpcMetrics metrics_{registry_};
  BroadcastHub hub_{store_, bus_, executor_, metrics_};
  std::int64_t checked_ = clock_.WallMillis();
};

TEST_F(BroadcastHubTest, SaysWhereTheSubscriptionStartsAndDeliversFromThere) {
  Publish("before");
  const auto sink = Subscribed();
  ASSERT_EQ(sink->all.started_size(), 1);
  EXPECT_EQ(sink->all.started(0).namespace_(), "/");
  EXPECT_EQ(sink->all.started(0).offset(), 1U);
  Publish("a");
  Publish("b");
  EXPECT_THAT(sink->order, ElementsAre("a", "b"));
  EXPECT_EQ(sink->all.deliveries(0).offset(), 2U);
  EXPECT_EQ(sink->all.deliveries(0).epoch(), "memory");
}

TEST_F(BroadcastHubTest, MissesNothingThatArrivesWhileItAsksForTheHead) {
  const auto sink = std::make_shared<Sink>();
  hub_.Add(sink, "/", {});
  executor_.RunOne();  // the subscription stands; the question for the head is under way
  Publish("a");
  Drain();
  EXPECT_EQ(sink->all.started(0).offset(), 0U);
  EXPECT_THAT(sink->order, ElementsAre("a"));
}

TEST_F(BroadcastHubTest, HandsTheSameBytesToEveryStream) {
  const auto first = Subscribed();
  const auto second = Subscribed();
  // Over what a slice keeps inside itself.
  Publish("[\"" + std::string(1000, 'x') + "\"]");
  EXPECT_EQ(first->slices.back().begin(), second->slices.back().begin());
}

TEST_F(BroadcastHubTest, HoldsBackAndFillsWhatIsMissingBetweenTwoNumbers) {
  const auto sink = Subscribed();
  Publish("a");
  Lose("b");
  Lose("c");
  Publish("d");
  EXPECT_THAT(sink->order, ElementsAre("a"));
  Publish("e");  // while the history is read
  Drain();
  EXPECT_THAT(sink->order, ElementsAre("a", "b", "c", "d", "e"));
  EXPECT_EQ(sink->all.deliveries(2).offset(), 3U);
  Publish("f");
  EXPECT_EQ(sink->order.back(), "f");
  EXPECT_EQ(metrics_.refetched.Value(), 3);
}

TEST_F(BroadcastHubTest, ReadsAgainWhatItCouldNotHold) {
  const auto sink = Subscribed();
  Lose("a");
  Publish("b");
  const std::string large(BroadcastHub::kMaxHeldBytes, 'x');
  Publish(large);
  Publish("c");
  Drain();
  EXPECT_THAT(sink->order, ElementsAre("a", "b", large, "c"));
}

TEST_F(BroadcastHubTest, AsksAgainWhileTheStoreIsAway) {
  const auto sink = Subscribed();
  Lose("a");
  Lose("b");
  Lose("c");
  Arrive(3);
  store_.outage = absl::UnavailableError("away");
  Drain();
  store_.outage = absl::OkStatus();
  while (sink->order.size() < 3 && executor_.RunOne()) {
  }
  EXPECT_THAT(sink->order, ElementsAre("a", "b", "c"));
}

TEST_F(BroadcastHubTest, AnnouncesWhatIsNoLongerKept) {
  const auto sink = Subscribed();
  Publish("a");
  for (const char* lost : {"b", "c", "d"}) Lose(lost);
  store_.kept_from = 4;
  Publish("e");
  Drain();
  EXPECT_THAT(sink->order, ElementsAre("a", "gap 2-3", "d", "e"));
  EXPECT_EQ(sink->all.gaps(0).epoch(), "memory");
  EXPECT_EQ(metrics_.gaps_announced.Value(), 1);
}

TEST_F(BroadcastHubTest, DeliversNothingTwice) {
  const auto sink = Subscribed();
  Publish("a");
  Arrive(1);
  Drain();
  EXPECT_THAT(sink->order, ElementsAre("a"));
}

TEST_F(BroadcastHubTest, FillsWhatWasSentDuringAnOutage) {
  const auto sink = Subscribed();
  Publish("a");
  Lose("b");
  bus_.ComeUp(BroadcastChannel("/"));
  Publish("c");
  Drain();
  EXPECT_THAT(sink->order, ElementsAre("a", "b", "c"));
}

TEST_F(BroadcastHubTest, FindsALostTail) {
  const auto sink = Subscribed();
  Publish("a");
  Lose("b");
  Check(1);
  EXPECT_THAT(sink->order, ElementsAre("a")) << "it may be under way";
  Check(1);
  EXPECT_THAT(sink->order, ElementsAre("a", "b"));
  Check(3);
  EXPECT_EQ(metrics_.refetched.Value(), 1) << "nothing is read when nothing is missing";
}

TEST_F(BroadcastHubTest, GoesOnInANewEpochBehindTheLastMessage) {
  const auto sink = Subscribed();
  Publish("a");
  Lose("b");
  store_.epoch = "next";
  Publish("c");
  Drain();
  EXPECT_THAT(sink->order, ElementsAre("a", "b", "c"));
  EXPECT_EQ(sink->all.deliveries(1).epoch(), "memory");
  EXPECT_EQ(sink->all.deliveries(2).epoch(), "next");
}

TEST_F(BroadcastHubTest, AnnouncesAGapWhenANewEpochDoesNotKnowTheLastMessage) {
  const auto sink = Subscribed();
  for (const char* event : {"a", "b", "c"}) Publish(event);
  store_.broadcasts["/"].resize(2);  // the new primary was behind
  store_.epoch = "next";
  Publish("d");
  Drain();
  EXPECT_THAT(sink->order, ElementsAre("a", "b", "c", "gap 4-0", "d"));
  EXPECT_EQ(sink->all.gaps(0).epoch(), "memory");
  EXPECT_EQ(sink->all.deliveries(3).epoch(), "next");
  EXPECT_EQ(sink->all.deliveries(3).offset(), 3U);
}

TEST_F(BroadcastHubTest, ServesAResumerFromTheHistory) {
  const auto before = Subscribed();
  for (const char* event : {"a", "b", "c"}) Publish(event);
  const auto late = Subscribed(At(1));
  EXPECT_EQ(late->all.started(0).offset(), 1U);
  EXPECT_THAT(late->order, ElementsAre("b", "c"));
  Publish("d");
  EXPECT_THAT(late->order, ElementsAre("b", "c", "d"));
  EXPECT_THAT(Subscribed(At(4))->order, IsEmpty());
}

TEST_F(BroadcastHubTest, ServesAResumerWhileBroadcastsArrive) {
  const auto before = Subscribed();
  for (int i = 0; i < 2500; ++i) Publish(std::to_string(i));  // more than a page
  auto late = std::make_shared<Sink>();
  hub_.Add(late, "/", At(1));
  for (int i = 2500; i < 2600; ++i) {
    executor_.RunOne();
    Publish(std::to_string(i));
  }
  while (late->order.size() < 2599 && executor_.RunOne()) {
  }
  Publish("last");
  ASSERT_EQ(late->order.size(), 2600U);
  for (std::size_t i = 0; i < 2599; ++i) EXPECT_EQ(late->order[i], std::to_string(i + 1));
  EXPECT_EQ(late->all.gaps_size(), 0);
}

TEST_F(BroadcastHubTest, GivesAResumerItsNextPageWhenTheFirstHasLeft) {
  const auto before = Subscribed();
  for (int i = 0; i < 1500; ++i) Publish(std::to_string(i));
  auto late = std::make_shared<Sink>();
  late->waiting = 100 << 20;
  hub_.Add(late, "/", At(0));
  for (int i = 0; i < 100; ++i) executor_.RunOne();
  EXPECT_THAT(late->order, IsEmpty());
  late->waiting = 0;
  while (late->order.size() < 1500 && executor_.RunOne()) {
  }
  EXPECT_EQ(late->order.size(), 1500U);
}

TEST_F(BroadcastHubTest, TellsAResumerWhatIsNoLongerKept) {
  const auto before = Subscribed();
  for (const char* event : {"a", "b", "c"}) Publish(event);
  store_.kept_from = 3;
  EXPECT_THAT(Subscribed(At(1))->order, ElementsAre("gap 2-2", "c"));
  store_.kept_from = 4;
  const auto late = Subscribed(At(1));
  EXPECT_THAT(late->order, ElementsAre("gap 2-3"));
  EXPECT_THAT(Subscribed(At(3))->order, IsEmpty()) << "an expired history is no gap for who has all";
  Publish("d");
  EXPECT_THAT(late->order, ElementsAre("gap 2-3", "d"));
  EXPECT_THAT(Subscribed(At(1, "other"))->order, ElementsAre("gap 2-0", "gap 1-3", "d"));
}

TEST_F(BroadcastHubTest, RepeatsNothingToAResumerWhoIsAheadOfIt) {
  const auto sink = Subscribed();
  Publish("a");
  Lose("b");
  Lose("c");
  const auto ahead = Subscribed(At(3));
  Publish("d");
  Drain();
  EXPECT_THAT(sink->order, ElementsAre("a", "b", "c", "d"));
  EXPECT_THAT(ahead->order, ElementsAre("d"));
}

TEST_F(BroadcastHubTest, LeavesNobodyWaitingForWhatItWillNeverDeliver) {
  const auto sink = Subscribed();
  Publish("a");
  Lose("b");
  Lose("c");
  const auto ahead = Subscribed(At(3));
  store_.kept_from = 4;
  Check(2);
  EXPECT_THAT(sink->order, ElementsAre("a", "gap 2-3"));
  Publish("d");
  Drain();
  EXPECT_THAT(ahead->order, ElementsAre("d"));
}

TEST_F(BroadcastHubTest, PassesOnWhatIsVolatileWithoutANumber) {
  const auto sink = Subscribed();
  Publish("a");
  bus_.Send(BroadcastChannel("/"), "v 0\n" + Payload("passing"));
  Publish("b");
  EXPECT_THAT(sink->order, ElementsAre("a", "passing", "b"));
  EXPECT_EQ(sink->all.deliveries(1).epoch(), "");
  EXPECT_EQ(sink->all.gaps_size(), 0);
}

TEST_F(BroadcastHubTest, IgnoresWhatIsNoBroadcast) {
  const auto sink = Subscribed();
  Publish("a");
  for (const char* garbage : {"", "x", "\n", "a\nb c", " \n", "x 5\n", "memory 9\nz", "memory -1\n"}) {
    bus_.Send(BroadcastChannel("/"), garbage);
    Drain();
  }
  Publish("b");
  Drain();
  EXPECT_THAT(sink->order, ElementsAre("a", "b"));
}

TEST_F(BroadcastHubTest, TellsNothingAfterRemoveOrDropSink) {
  const auto removed = Subscribed();
  const auto dropped = Subscribed();
  hub_.Remove(removed.get(), "/");
  hub_.DropSink(dropped.get());
  Publish("a");
  EXPECT_THAT(removed->order, IsEmpty());
  EXPECT_THAT(dropped->order, IsEmpty());
}

}  // namespace
}  // namespace sesior::session::rpc
