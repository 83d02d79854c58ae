#include "services/session/rpc/broadcast_hub.hpp"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/fake_event_bus.hpp"
#include "tests/support/in_memory_session_store.hpp"
#include "tests/support/manual_executor.hpp"

namespace sesior::session::rpc {
namespace {

using broadcast::v1::SubscribeResponse;

struct Sink final : BroadcastHub::Sink {
  void Push(const grpc::Slice& part) override {
    slices.push_back(part);
    SubscribeResponse response;
    ASSERT_TRUE(response.ParseFromArray(part.begin(), static_cast<int>(part.size())));
    all.MergeFrom(response);
  }
  std::vector<grpc::Slice> slices;
  SubscribeResponse all;
};

class BroadcastHubTest : public ::testing::Test {
 protected:
  void Drain() { executor_.RunTasks(); }
  std::shared_ptr<Sink> Subscribed(const broadcast::v1::Position& after = {}) {
    auto sink = std::make_shared<Sink>();
    hub_.Add(sink, "/", after);
    Drain();
    return sink;
  }
  // What the script publishes.
  void Send(std::uint64_t offset, const std::string& args, const std::string& of_epoch = "") {
    broadcast::v1::Broadcast broadcast;
    broadcast.set_namespace_("/");
    broadcast.mutable_packet()->set_args_json(args);
    const std::string epoch = of_epoch.empty() ? epoch_ : of_epoch;
    bus_.Send(BroadcastChannel("/"), epoch + " " + std::to_string(offset) + "\n" + broadcast.SerializeAsString());
  }

  testing::FakeClock clock_;
  testing::ManualExecutor executor_{clock_};
  testing::InMemorySessionStore store_{executor_, clock_};
  testing::FakeEventBus bus_{executor_};
  BroadcastHub hub_{store_, bus_, executor_};
  std::string epoch_ = [this] {
    std::string epoch;
    store_.Positions({"/"}, [&](absl::StatusOr<std::vector<StorePosition>> at) { epoch = at->front().epoch; });
    Drain();
    return epoch;
  }();
};

TEST_F(BroadcastHubTest, SaysWhereTheSubscriptionStartsAndDeliversFromThere) {
  const auto sink = Subscribed();
  ASSERT_EQ(sink->all.started_size(), 1);
  EXPECT_EQ(sink->all.started(0).namespace_(), "/");
  Send(1, R"(["a"])");
  Send(2, R"(["b"])");
  ASSERT_EQ(sink->all.deliveries_size(), 2);
  EXPECT_EQ(sink->all.deliveries(0).offset(), 1U);
  EXPECT_EQ(sink->all.deliveries(0).epoch(), epoch_);
  EXPECT_EQ(sink->all.deliveries(1).broadcast().packet().args_json(), R"(["b"])");
  EXPECT_EQ(sink->all.gaps_size(), 0);
}

TEST_F(BroadcastHubTest, HandsTheSameBytesToEveryStream) {
  const auto first = Subscribed();
  const auto second = Subscribed();
  // Over what a slice keeps inside itself.
  Send(1, "[\"" + std::string(1000, 'x') + "\"]");
  EXPECT_EQ(first->slices.back().begin(), second->slices.back().begin());
}

TEST_F(BroadcastHubTest, AnnouncesWhatIsMissingBetweenTwoNumbers) {
  const auto sink = Subscribed();
  Send(1, R"(["a"])");
  Send(5, R"(["b"])");
  ASSERT_EQ(sink->all.gaps_size(), 1);
  EXPECT_EQ(sink->all.gaps(0).first_offset(), 2U);
  EXPECT_EQ(sink->all.gaps(0).last_offset(), 4U);
  EXPECT_EQ(sink->all.deliveries_size(), 2);
}

TEST_F(BroadcastHubTest, DeliversNothingTwice) {
  const auto sink = Subscribed();
  Send(1, R"(["a"])");
  Send(1, R"(["a"])");
  EXPECT_EQ(sink->all.deliveries_size(), 1);
}

TEST_F(BroadcastHubTest, AnnouncesAGapToAResumerItCannotServe) {
  const auto before = Subscribed();
  Send(1, R"(["a"])");
  Send(2, R"(["b"])");
  broadcast::v1::Position after;
  after.set_namespace_("/");
  after.set_epoch(epoch_);
  after.set_offset(1);
  const auto late = Subscribed(after);
  ASSERT_EQ(late->all.gaps_size(), 1);
  EXPECT_EQ(late->all.gaps(0).first_offset(), 2U);
  EXPECT_EQ(late->all.gaps(0).last_offset(), 2U);
  EXPECT_EQ(late->all.started(0).offset(), 2U);
  after.set_offset(2);
  EXPECT_EQ(Subscribed(after)->all.gaps_size(), 0);
}

TEST_F(BroadcastHubTest, IgnoresWhatIsNoBroadcast) {
  const auto sink = Subscribed();
  for (const char* garbage : {"", "x", "\n", "a\nb c", " \n"}) bus_.Send(BroadcastChannel("/"), garbage);
  EXPECT_EQ(sink->all.deliveries_size(), 0);
}

TEST_F(BroadcastHubTest, TellsNothingAfterRemoveOrDropSink) {
  const auto removed = Subscribed();
  const auto dropped = Subscribed();
  hub_.Remove(removed.get(), "/");
  hub_.DropSink(dropped.get());
  Send(1, R"(["a"])");
  EXPECT_EQ(removed->all.deliveries_size(), 0);
  EXPECT_EQ(dropped->all.deliveries_size(), 0);
}

}  // namespace
}  // namespace sesior::session::rpc
