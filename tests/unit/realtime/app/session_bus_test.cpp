#include "services/realtime/bus/session_bus.hpp"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "scripted_session_client.hpp"
#include "tests/unit/realtime/hub/fakes.hpp"

namespace sesior::realtime {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class SessionBusTest : public testing::Test {
 protected:
  telemetry::Registry registry_;
  BusMetrics metrics_{registry_};
  ScriptedSessionClient client_;
  SessionBus bus_{client_, "r1", metrics_};
  hub::HubOptions options_;
  hub::FakeLoop loops_[2];
  LoopTallies tallies_;
  hub::Hub hubs_[2] = {{options_, loops_[0], bus_, tallies_}, {options_, loops_[1], bus_, tallies_}};
};

TEST_F(SessionBusTest, BringsABroadcastToEveryHubOnItsLoop) {
  for (hub::Hub& hub : hubs_) hub.Of("/");
  bus_.Start({&hubs_[0], &hubs_[1]});
  hub::FakeClient here(hubs_[0], "/", "here");
  hub::FakeClient there(hubs_[1], "/", "there");
  hub::FakeClient sender(hubs_[1], "/", "sender");

  broadcast::v1::SubscribeResponse response;
  broadcast::v1::Broadcast& broadcast = *response.add_deliveries()->mutable_broadcast();
  broadcast.set_namespace_("/");
  broadcast.add_except("sender");
  broadcast.mutable_packet()->set_args_json(R"(["news",{"_placeholder":true,"num":0}])");
  broadcast.mutable_packet()->add_attachments("\1");
  client_.subscriptions["/"]->OnBroadcasts(response);
  EXPECT_THAT(here.Take(), IsEmpty());
  for (hub::FakeLoop& loop : loops_) loop.Run();
  const char* expected =
      "451-[\"news\",{\"_placeholder\":true,\"num\":0}]\x1e"
      "bAQ==";
  EXPECT_THAT(here.Take(), ElementsAre(expected));
  EXPECT_THAT(there.Take(), ElementsAre(expected));
  EXPECT_THAT(sender.Take(), IsEmpty());
  EXPECT_EQ(metrics_.received.Value(), 1);
}

TEST_F(SessionBusTest, PublishesWhatSocketsEmit) {
  bus_.Start({&hubs_[0]});
  hub::FakeClient client(hubs_[0].Of("/room").hub(), "/room", "me");
  client.socket->To("red").Volatile().Emit("hi", 1);
  auto call = client_.publishes.Take();
  EXPECT_EQ(call.request.broadcast().namespace_(), "/room");
  EXPECT_THAT(call.request.broadcast().rooms(), ElementsAre("red"));
  EXPECT_THAT(call.request.broadcast().except(), ElementsAre("me"));
  EXPECT_EQ(call.request.broadcast().packet().args_json(), R"(["hi",1])");
  EXPECT_TRUE(call.request.broadcast().volatile_());
  call.Fail(absl::StatusCode::kUnavailable);
  EXPECT_EQ(metrics_.published.Value(), 1);
  EXPECT_EQ(metrics_.publish_failed.Value(), 1);
}

TEST_F(SessionBusTest, SubscribesOnceToEachNamespace) {
  hubs_[0].Of("/");
  EXPECT_TRUE(client_.subscriptions.empty());
  bus_.Start({&hubs_[0], &hubs_[1]});
  EXPECT_EQ(client_.subscriptions.size(), 1u);
  hubs_[1].Of("/");
  hubs_[1].Of("/late");
  EXPECT_EQ(client_.subscriptions.size(), 2u);
  EXPECT_FALSE(bus_.connected());
  client_.subscriptions["/"]->OnConnected(true);
  EXPECT_TRUE(bus_.connected());  // what clients have begun meanwhile does not count yet
  client_.subscriptions["/late"]->OnConnected(true);
  EXPECT_TRUE(bus_.connected());
  client_.subscriptions["/late"]->OnConnected(false);
  EXPECT_FALSE(bus_.connected());
  bus_.Stop();
  EXPECT_TRUE(client_.subscriptions.empty());
}

TEST_F(SessionBusTest, UnsubscribesWithTheLastHub) {
  bus_.Start({&hubs_[0], &hubs_[1]});
  hubs_[0].Of("/");
  hubs_[1].Of("/");
  bus_.Close("/");
  EXPECT_EQ(client_.subscriptions.size(), 1u);
  bus_.Close("/");
  EXPECT_TRUE(client_.subscriptions.empty());
  bus_.Close("/");  // nothing is left to close
  bus_.Open("/");
  EXPECT_EQ(client_.subscriptions.size(), 1u);
}

TEST_F(SessionBusTest, CountsWhatIsLostAndTellsTheSocketsOfTheNamespace) {
  for (const char* nsp : {"/", "/other"}) hubs_[0].Of(nsp);
  hubs_[1].Of("/");
  bus_.Start({&hubs_[0], &hubs_[1]});
  hub::FakeClient here(hubs_[0], "/", "here");
  hub::FakeClient there(hubs_[1], "/", "there");
  hub::FakeClient elsewhere(hubs_[0], "/other", "elsewhere");
  const auto gap = [this](std::uint64_t first, std::uint64_t last) {
    broadcast::v1::SubscribeResponse response;
    response.add_gaps()->set_namespace_("/");
    response.mutable_gaps(0)->set_epoch("e");
    response.mutable_gaps(0)->set_first_offset(first);
    response.mutable_gaps(0)->set_last_offset(last);
    client_.subscriptions["/"]->OnBroadcasts(response);
    for (hub::FakeLoop& loop : loops_) loop.Run();
  };
  gap(5, 7);
  EXPECT_EQ(metrics_.lost.Value(), 3);
  EXPECT_THAT(here.Take(), ElementsAre(R"(42["sesior:gap",{"epoch":"e","first":5,"last":7}])"));
  EXPECT_THAT(there.Take(), ElementsAre(R"(42["sesior:gap",{"epoch":"e","first":5,"last":7}])"));
  gap(8, 0);
  EXPECT_EQ(metrics_.lost.Value(), 4) << "at least one";
  EXPECT_THAT(here.Take(), ElementsAre(R"(42["sesior:gap",{"epoch":"e","first":8,"last":null}])"));
  EXPECT_THAT(elsewhere.Take(), IsEmpty());
}

}  // namespace
}  // namespace sesior::realtime
