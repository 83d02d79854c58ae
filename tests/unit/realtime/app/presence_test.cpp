#include "services/realtime/app/presence.hpp"

#include "gtest/gtest.h"
#include "scripted_session_client.hpp"
#include "services/realtime/app/users.hpp"
#include "tests/unit/realtime/hub/fakes.hpp"

namespace sesior::realtime::app {
namespace {

using std::chrono::milliseconds;

class PresenceTest : public testing::Test {
 protected:
  PresenceTest() {
    presence_->Start("host:1");
    loop_.Run();
  }

  void GetLease(bool fresh) {
    presence::v1::KeepLeaseResponse response;
    response.set_fresh(fresh);
    client_.leases.Take().Answer(response);
    loop_.Run();
  }
  // Counts a socket; what came of it stands in `entered_`.
  void Enter(const session_client::SessionPtr& session, std::string except = "") {
    presence_->Enter(session, std::move(except),
                     [this](absl::Status status) { entered_ += StatusCodeToString(status.code()) + " "; });
    loop_.Run();
  }
  void Leave(std::string id, bool linger) {
    presence_->Leave(std::move(id), linger);
    loop_.Run();
  }
  template <typename Calls>
  void Answer(Calls& calls) {
    calls.Take().Answer();
    loop_.Run();
  }
  template <typename Calls>
  void Fail(Calls& calls, absl::StatusCode code) {
    calls.Take().Fail(code);
    loop_.Run();
  }

  hub::FakeLoop loop_;
  ScriptedSessionClient client_;
  std::shared_ptr<Presence> presence_ = Presence::Make(client_, loop_, Users::FaceOf, {.replica_id = "r1"});
  session_client::SessionPtr ann_ = MakeSession("A", R"({"userName":"ann"})", 5);
  std::string entered_;
};

TEST_F(PresenceTest, KeepsItsLeaseAtAThirdOfItsTime) {
  auto call = client_.leases.Take();
  EXPECT_EQ(call.request.replica_id(), "r1");
  EXPECT_EQ(call.request.peer_address(), "host:1");
  EXPECT_EQ(call.request.ttl().seconds(), 10);
  call.Answer();
  loop_.Run();
  loop_.Advance(milliseconds(3332));
  EXPECT_TRUE(client_.leases.empty());
  loop_.Advance(milliseconds(1));
  Fail(client_.leases, absl::StatusCode::kUnavailable);  // tries again sooner
  loop_.Advance(milliseconds(50));
  EXPECT_EQ(client_.leases.size(), 1u);
}

// Somebody misses a replica in the last answer: the next one comes soon, but not at every call.
TEST_F(PresenceTest, RenewsSoonWhenAsked) {
  GetLease(true);
  presence_->RenewSoon();
  presence_->RenewSoon();
  loop_.Run();
  EXPECT_TRUE(client_.leases.empty());
  loop_.Advance(milliseconds(100));
  EXPECT_EQ(client_.leases.size(), 1u);
  presence_->RenewSoon();  // the one under way may be too old
  loop_.Run();
  EXPECT_EQ(client_.leases.size(), 1u);
  GetLease(false);
  loop_.Advance(milliseconds(100));
  EXPECT_EQ(client_.leases.size(), 1u);
  GetLease(false);
  loop_.Advance(milliseconds(1000));
  EXPECT_TRUE(client_.leases.empty());
}

// Redis was restarted or replaced: who is here is told again, and then that this was all.
TEST_F(PresenceTest, EntersAllAgainInANewEpoch) {
  const auto lease = [this](const std::string& epoch) {
    auto call = client_.leases.Take();
    presence::v1::KeepLeaseResponse response;
    response.set_epoch(epoch);
    call.Answer(response);
    loop_.Run();
    return call.request.entered_epoch();
  };
  EXPECT_EQ(lease("e1"), "");
  Enter(ann_);
  Answer(client_.enters);
  loop_.Advance(milliseconds(3334));
  EXPECT_EQ(lease("e1"), "e1");
  EXPECT_TRUE(client_.enters.empty());
  loop_.Advance(milliseconds(3334));
  EXPECT_EQ(lease("e2"), "e1") << "the service knows better";
  auto get = client_.gets.Take();
  session::v1::GetSessionResponse current;
  *current.mutable_session() = *ann_;
  get.Answer(current);
  loop_.Run();
  loop_.Advance(milliseconds(3334));
  EXPECT_EQ(lease("e2"), "") << "not all are told yet";
  Answer(client_.enters);
  loop_.Advance(milliseconds(3334));
  EXPECT_EQ(lease("e2"), "e2");
}

TEST_F(PresenceTest, EntersWithTheFirstSocketAndLeavesWithTheLast) {
  GetLease(true);
  Enter(ann_, "socket-1");
  auto enter = client_.enters.Take();
  EXPECT_EQ(enter.request.replica_id(), "r1");
  EXPECT_EQ(enter.request.namespace_(), "/");
  EXPECT_EQ(enter.request.session_id(), "A");
  EXPECT_EQ(enter.request.key(), "ann");
  EXPECT_EQ(enter.request.value_json(), R"({"userName":"ann"})");
  EXPECT_EQ(enter.request.session_revision(), 5u);
  EXPECT_EQ(enter.request.joined().packet().args_json(), R"(["user:joined",{"userName":"ann"}])");
  EXPECT_EQ(enter.request.joined().namespace_(), "/");
  ASSERT_EQ(enter.request.joined().except_size(), 1);
  EXPECT_EQ(enter.request.joined().except(0), "socket-1");
  EXPECT_EQ(enter.request.left().packet().args_json(), R"(["user:left","ann"])");
  EXPECT_EQ(enter.request.left().except_size(), 0);
  EXPECT_EQ(entered_, "");
  enter.Answer();
  loop_.Run();
  EXPECT_EQ(entered_, "OK ");

  Enter(ann_, "socket-2");  // nothing to tell
  EXPECT_EQ(entered_, "OK OK ");
  Leave("A", false);
  EXPECT_TRUE(client_.enters.empty() && client_.leaves.empty());
  Leave("A", false);
  auto leave = client_.leaves.Take();
  EXPECT_EQ(leave.request.session_id(), "A");
  EXPECT_EQ(leave.request.replica_id(), "r1");
  leave.Answer();
  loop_.Run();
  Leave("A", false);  // once too often
  EXPECT_TRUE(client_.leaves.empty());
}

TEST_F(PresenceTest, GivesABrokenConnectionTimeToComeBack) {
  GetLease(true);
  Enter(ann_);
  Answer(client_.enters);
  Leave("A", true);
  loop_.Advance(milliseconds(1999));
  EXPECT_TRUE(client_.leaves.empty());
  Enter(ann_);  // back in time
  EXPECT_EQ(entered_, "OK OK ");
  loop_.Advance(milliseconds(2000));
  EXPECT_TRUE(client_.leaves.empty());
  Leave("A", true);
  loop_.Advance(milliseconds(2000));
  EXPECT_EQ(client_.leaves.size(), 1u);
}

TEST_F(PresenceTest, ComesBackWhileItsLeavingIsUnderWay) {
  GetLease(true);
  Enter(ann_);
  Answer(client_.enters);
  Leave("A", false);
  Enter(ann_);
  EXPECT_TRUE(client_.enters.empty());  // one call a session at a time
  Answer(client_.leaves);
  Answer(client_.enters);
  EXPECT_EQ(entered_, "OK OK ");
}

TEST_F(PresenceTest, LeavesAgainWhenTheSocketWentWhileItsEnteringWasUnderWay) {
  GetLease(true);
  Enter(ann_);
  Leave("A", false);
  EXPECT_TRUE(client_.leaves.empty());
  Answer(client_.enters);
  Answer(client_.leaves);
}

TEST_F(PresenceTest, AnswersAtOnceWithoutALeaseAndMakesUpForItLater) {
  EXPECT_FALSE(presence_->has_lease());
  Enter(ann_);
  EXPECT_EQ(entered_, "UNAVAILABLE ");
  EXPECT_TRUE(client_.enters.empty());
  GetLease(true);
  EXPECT_TRUE(presence_->has_lease());
  EXPECT_EQ(client_.enters.size(), 1u);
}

TEST_F(PresenceTest, RepeatsUntilItHolds) {
  GetLease(true);
  Enter(ann_);
  Fail(client_.enters, absl::StatusCode::kUnavailable);
  EXPECT_EQ(entered_, "UNAVAILABLE ");
  loop_.Advance(milliseconds(200));
  Answer(client_.enters);
  Leave("A", false);
  Fail(client_.leaves, absl::StatusCode::kDeadlineExceeded);
  loop_.Advance(milliseconds(200));
  Answer(client_.leaves);
  loop_.Advance(milliseconds(3000));
  EXPECT_TRUE(client_.leaves.empty() && client_.enters.empty());
}

TEST_F(PresenceTest, LeavesAfterAnEnterThatMayHaveTakenEffect) {
  GetLease(true);
  Enter(ann_);
  Fail(client_.enters, absl::StatusCode::kDeadlineExceeded);
  Leave("A", false);
  EXPECT_EQ(client_.leaves.size(), 1u);
}

TEST_F(PresenceTest, ForgetsASessionThatIsGone) {
  GetLease(true);
  Enter(ann_);
  Fail(client_.enters, absl::StatusCode::kNotFound);
  EXPECT_EQ(entered_, "NOT_FOUND ");
  Leave("A", false);
  EXPECT_TRUE(client_.leaves.empty());
}

TEST_F(PresenceTest, SendsEverythingAgainWithTheNamesOfNowWhenTheServiceKnowsNothing) {
  GetLease(true);
  Enter(ann_);
  Answer(client_.enters);
  loop_.Advance(milliseconds(3400));
  GetLease(true);
  auto get = client_.gets.Take();
  EXPECT_EQ(get.request.session().session_id(), "A");
  session::v1::GetSessionResponse now;
  *now.mutable_session() = *MakeSession("A", R"({"userName":"anna"})", 9);
  get.Answer(now);
  loop_.Run();
  auto enter = client_.enters.Take();
  EXPECT_EQ(enter.request.key(), "anna");
  EXPECT_EQ(enter.request.session_revision(), 9u);
}

TEST_F(PresenceTest, DoesNothingWhenItsLeaseWasKnown) {
  GetLease(true);
  Enter(ann_);
  Answer(client_.enters);
  loop_.Advance(milliseconds(3400));
  GetLease(false);
  EXPECT_TRUE(client_.enters.empty() && client_.gets.empty());
}

TEST_F(PresenceTest, RenewsALeaseThatHasLapsed) {
  GetLease(true);
  Enter(ann_);
  Fail(client_.enters, absl::StatusCode::kFailedPrecondition);
  GetLease(true);
  Answer(client_.enters);
  Leave("A", false);
  EXPECT_EQ(client_.leaves.size(), 1u);
}

TEST_F(PresenceTest, GivesUpItsLeaseWhenItStops) {
  GetLease(true);
  Enter(ann_);
  bool stopped = false;
  presence_->Stop([&](absl::Status) { stopped = true; });
  loop_.Run();
  EXPECT_EQ(entered_, "CANCELLED ");
  EXPECT_EQ(client_.releases.Take().request.replica_id(), "r1");
  Answer(client_.enters);
  loop_.Advance(milliseconds(20'000));
  EXPECT_TRUE(client_.leases.empty());
  EXPECT_FALSE(stopped);
}

}  // namespace
}  // namespace sesior::realtime::app
