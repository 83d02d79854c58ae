// The socket events of the example application, one case for each rule of their contract.
#include "services/realtime/app/users.hpp"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "scripted_session_client.hpp"
#include "tests/unit/realtime/hub/fakes.hpp"

namespace sesior::realtime::app {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::IsEmpty;

class UsersTest : public testing::Test {
 protected:
  UsersTest() {
    presence_->Start();
    loop_.Run();
    presence::v1::KeepLeaseResponse lease;
    lease.set_fresh(true);
    client_.leases.Take().Answer(lease);
    loop_.Run();
    ann_.session_ = MakeSession("A", R"({"userName":"ann"})", 1);
  }

  std::vector<std::string> Take(hub::FakeClient& client) {
    loop_.Run();
    return client.Take();
  }
  // Answers an UpdateSession that claims.
  void Claimed(const char* data_json, std::uint64_t revision, const char* previous) {
    session::v1::UpdateSessionResponse response;
    *response.mutable_session() = *MakeSession("A", data_json, revision);
    auto& claim = *response.add_claims();
    if (previous != nullptr) claim.set_previous_value(previous);
    client_.updates.Take().Answer(response);
    loop_.Run();
  }
  void Online(std::initializer_list<const char*> names) {
    presence::v1::ListOnlineResponse response;
    for (const char* name : names) {
      auto& entry = *response.add_entries();
      entry.set_key(name);
      entry.set_value_json(hub::Json::Object({{"userName", name}}).text());
    }
    client_.lists.Take().Answer(response);
    loop_.Run();
  }
  // All of a successful user:connected.
  void Announce() {
    ann_.Send(R"(21["user:connected","ann"])");
    loop_.Run();
    Claimed(R"({"userName":"ann"})", 1, "ann");
    client_.enters.Take().Answer();
    loop_.Run();
    Online({"ann"});
    ann_.Take();
  }

  hub::FakeLoop loop_;
  ScriptedSessionClient client_;
  hub::FakeBus bus_;
  hub::HubOptions options_;
  LoopTallies tallies_;
  hub::Hub hub_{options_, loop_, bus_, tallies_};
  std::shared_ptr<Presence> presence_ = Presence::Make(client_, loop_, Users::FaceOf, {.replica_id = "r1"});
  Users users_{client_, presence_};
  hub::FakeClient ann_{HubWithUsers(), "/", "socket-1"};

 private:
  hub::Hub& HubWithUsers() {
    users_.Setup(hub_.Of("/"));
    return hub_;
  }
};

TEST_F(UsersTest, AnnouncesASessionAndAnswersWithAllWhoAreOnline) {
  ann_.Send(R"(21["user:connected","ann"])");
  loop_.Run();
  Claimed(R"({"userName":"ann"})", 2, "ann");
  auto enter = client_.enters.Take();
  EXPECT_EQ(enter.request.key(), "ann");
  EXPECT_EQ(enter.request.joined().except(0), "socket-1");
  enter.Answer();
  loop_.Run();
  Online({"bob", "ann", "a\"b"});
  EXPECT_THAT(
      Take(ann_),
      ElementsAre(R"(431[null,{"ann":{"userName":"ann"},"bob":{"userName":"bob"},"a\"b":{"userName":"a\"b"}}])"));
}

TEST_F(UsersTest, ClaimsANameThatAnotherApplicationWrote) {
  ann_.Send(R"(21["user:connected","ann"])");
  loop_.Run();
  auto update = client_.updates.Take();
  EXPECT_EQ(update.request.session().session_id(), "A");
  EXPECT_EQ(update.request.merge_patch_json(), "{}");
  ASSERT_EQ(update.request.claims_size(), 1);
  EXPECT_EQ(update.request.claims(0).namespace_(), "userName");
  EXPECT_EQ(update.request.claims(0).value(), "ann");
  EXPECT_EQ(update.request.claims(0).member(), "userName");
  EXPECT_FALSE(update.request.has_announcement());
  update.Fail(absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(Take(ann_), ElementsAre(R"(431["User already exists"])"));
  EXPECT_TRUE(client_.enters.empty());
}

TEST_F(UsersTest, RefusesAnyOtherName) {
  for (const char* argument : {"\"bob\"", "\"\"", "\"ANN\""}) {
    ann_.Send("21[\"user:connected\"," + std::string(argument) + "]");
    loop_.Run();
    session::v1::GetSessionResponse current;
    *current.mutable_session() = *ann_.session_;
    client_.gets.Take().Answer(current);
    EXPECT_THAT(Take(ann_), ElementsAre(R"(431["userName is not the name of this session"])")) << argument;
  }
  for (const char* packet : {R"(21["user:connected",null])", R"(21["user:connected",5])", R"(21["user:connected"])",
                             R"(21["user:connected",{"userName":"ann"}])", R"(21["user:connected","\ud800"])"}) {
    ann_.Send(packet);
    EXPECT_THAT(Take(ann_), ElementsAre(R"(431["userName must be a string"])")) << packet;
  }
  EXPECT_TRUE(client_.enters.empty());
}

TEST_F(UsersTest, AsksTheServiceBeforeItRefusesANameThatMayBeNew) {
  ann_.Send(R"(21["user:connected","anna"])");  // renamed over REST a moment ago
  loop_.Run();
  session::v1::GetSessionResponse current;
  *current.mutable_session() = *MakeSession("A", R"({"userName":"anna"})", 2);
  client_.gets.Take().Answer(current);
  loop_.Run();
  Claimed(R"({"userName":"anna"})", 2, "anna");
  EXPECT_EQ(client_.enters.Take().request.key(), "anna");
}

TEST_F(UsersTest, AnswersAnErrorToASessionWithoutAName) {
  ann_.session_ = MakeSession("A", "{}", 1);
  ann_.Send(R"(21["user:connected","x"])");
  loop_.Run();
  session::v1::GetSessionResponse current;
  *current.mutable_session() = *ann_.session_;
  client_.gets.Take().Answer(current);
  EXPECT_THAT(Take(ann_), ElementsAre(R"(431["Register a name first"])"));
  ann_.Send(R"(22["user:rename","x"])");
  EXPECT_THAT(Take(ann_), ElementsAre(R"(432["Register a name first"])"));
}

TEST_F(UsersTest, CountsASocketOnceHoweverOftenItAnnounces) {
  Announce();
  ann_.Send(R"(22["user:connected","ann"])");
  loop_.Run();
  EXPECT_TRUE(client_.updates.empty() && client_.enters.empty());
  Online({"ann"});
  EXPECT_THAT(Take(ann_), ElementsAre(R"(432[null,{"ann":{"userName":"ann"}}])"));
  ann_.Leave(hub::CloseReason::kClientDisconnect);
  loop_.Run();
  EXPECT_EQ(client_.leaves.size(), 1u);
}

TEST_F(UsersTest, ListsTheCallerAndTheNewestOfMoreThanAThousand) {
  ann_.Send(R"(21["user:connected","ann"])");
  loop_.Run();
  Claimed(R"({"userName":"ann"})", 2, "ann");
  client_.enters.Take().Answer();
  loop_.Run();
  auto list = client_.lists.Take();
  EXPECT_EQ(list.request.order(), presence::v1::ONLINE_ORDER_NEWEST);
  EXPECT_EQ(list.request.limit(), 1000);
  presence::v1::ListOnlineResponse response;
  for (int i = 0; i < 1000; ++i) {
    response.add_entries()->set_key("u" + std::to_string(i));
    response.mutable_entries(i)->set_value_json("{}");
  }
  list.Answer(response);
  const std::vector<std::string> got = Take(ann_);
  ASSERT_EQ(got.size(), 1u);
  const auto users = hub::JsonValue::Parse(std::string_view(got[0]).substr(3))->Items();
  const auto members = hub::JsonValue(users[1]).Items();
  EXPECT_EQ(members.size(), 2000u);
  EXPECT_EQ(members[0], "\"ann\"");
  EXPECT_EQ(members[1998], "\"u998\"");
}

TEST_F(UsersTest, RenamesInOneStepWithWhatOthersHear) {
  ann_.Send(R"(21["user:rename","\u00a0 anna\n"])");
  loop_.Run();
  auto update = client_.updates.Take();
  const auto& request = update.request;
  EXPECT_EQ(request.session().session_id(), "A");
  EXPECT_EQ(request.claims(0).value(), "anna");
  EXPECT_EQ(request.claims(0).member(), "userName");
  const std::string token = request.claims(0).previous_placeholder();
  EXPECT_GE(token.size(), 20u);
  const auto& broadcast = request.announcement().broadcast();
  EXPECT_EQ(broadcast.namespace_(), "/");
  EXPECT_EQ(broadcast.packet().args_json(),
            R"(["user:renamed",{"oldUserName":")" + token + R"(","user":{"userName":"anna"}}])");
  EXPECT_THAT(broadcast.except(), ElementsAre("socket-1"));
  EXPECT_FALSE(request.announcement().only_if_online());
  EXPECT_EQ(request.presence().key(), "anna");
  EXPECT_EQ(request.presence().value_json(), R"({"userName":"anna"})");
  EXPECT_EQ(request.presence().left().packet().args_json(), R"(["user:left","anna"])");

  session::v1::UpdateSessionResponse response;
  response.add_claims()->set_previous_value("ann");
  update.Answer(response);
  EXPECT_THAT(Take(ann_), ElementsAre(R"(431[null,{"oldUserName":"ann","user":{"userName":"anna"}}])"));
}

TEST_F(UsersTest, RenamesInTheOrderSent) {
  ann_.Send(R"(21["user:rename","b"])");
  ann_.Send(R"(22["user:rename","c"])");
  loop_.Run();
  EXPECT_EQ(client_.updates.size(), 1u);
  Claimed(R"({"userName":"b"})", 2, "ann");
  EXPECT_EQ(client_.updates.size(), 1u);
  ann_.Leave();  // what was sent before still takes effect
  Claimed(R"({"userName":"c"})", 3, "b");
  EXPECT_TRUE(client_.updates.empty());
  EXPECT_THAT(Take(ann_), ElementsAre(R"(431[null,{"oldUserName":"ann","user":{"userName":"b"}}])"));
}

TEST_F(UsersTest, KnowsItsNewNameBeforeTheWatchDoes) {
  ann_.Send(R"(21["user:rename","anna"])");
  ann_.Send(R"(22["user:connected","anna"])");
  loop_.Run();
  Claimed(R"({"userName":"anna"})", 2, "ann");
  EXPECT_TRUE(client_.gets.empty() && client_.updates.empty());
  EXPECT_EQ(client_.enters.Take().request.key(), "anna");
}

TEST_F(UsersTest, RefusesTakenAndBadNames) {
  ann_.Send(R"(21["user:rename","bob"])");
  loop_.Run();
  client_.updates.Take().Fail(absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(Take(ann_), ElementsAre(R"(431["User already exists"])"));
  for (const char* argument : {"null", "5", "{\"userName\":\"x\"}", "[\"x\"]", "\"\"", "\" \"", "\"a\\u0000\""}) {
    ann_.Send("21[\"user:rename\"," + std::string(argument) + "]");
    const std::vector<std::string> got = Take(ann_);
    ASSERT_EQ(got.size(), 1u) << argument;
    EXPECT_TRUE(got[0].starts_with("431[\"userName must")) << got[0];
  }
  EXPECT_TRUE(client_.updates.empty());
}

TEST_F(UsersTest, TellsWhenTheServiceIsAway) {
  ann_.Send(R"(21["user:rename","bob"])");
  loop_.Run();
  client_.updates.Take().Fail(absl::StatusCode::kUnavailable);
  EXPECT_THAT(Take(ann_), ElementsAre(R"(431["Not available at the moment, please try again"])"));
}

TEST_F(UsersTest, LeavesAtOnceAfterAGoodbyeAndLaterAfterABrokenConnection) {
  struct Case {
    hub::CloseReason reason;
    bool at_once;
  };
  for (const Case& c : {Case{hub::CloseReason::kClientDisconnect, true},
                        {hub::CloseReason::kSessionEnded, true},
                        {hub::CloseReason::kServerDisconnect, true},
                        {hub::CloseReason::kTransportClose, false},
                        {hub::CloseReason::kPingTimeout, false}}) {
    hub::FakeClient client(hub_, "/", "x");
    client.session_ = MakeSession("X", R"({"userName":"x"})");
    client.Send(R"(2["user:connected","x"])");
    loop_.Run();
    client_.updates.Take().Answer();
    loop_.Run();
    client_.enters.Take().Answer();
    loop_.Run();
    Online({"x"});
    client.Leave(c.reason);
    loop_.Run();
    EXPECT_EQ(client_.leaves.size(), c.at_once ? 1u : 0u) << Text(c.reason);
    loop_.Advance(milliseconds(2000));
    ASSERT_EQ(client_.leaves.size(), 1u) << Text(c.reason);
    client_.leaves.Take().Answer();
    loop_.Run();
  }
}

TEST_F(UsersTest, LeavesWhenTheSocketWentWhileItWasAnnounced) {
  ann_.Send(R"(21["user:connected","ann"])");
  loop_.Run();
  Claimed(R"({"userName":"ann"})", 1, "ann");
  ann_.Leave(hub::CloseReason::kClientDisconnect);
  loop_.Run();
  client_.enters.Take().Answer();
  loop_.Run();
  EXPECT_EQ(client_.leaves.size(), 1u);
}

TEST_F(UsersTest, DoesNotAnnounceASocketThatHasLeftAlready) {
  ann_.Send(R"(21["user:connected","ann"])");
  loop_.Run();
  ann_.Leave();
  Claimed(R"({"userName":"ann"})", 1, "ann");
  EXPECT_TRUE(client_.enters.empty());
}

TEST_F(UsersTest, SaysNothingOfASocketThatNeverAnnounced) {
  ann_.Leave();
  loop_.Advance(milliseconds(5000));
  EXPECT_TRUE(client_.leaves.empty());
}

}  // namespace
}  // namespace sesior::realtime::app
