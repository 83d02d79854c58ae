#include "services/realtime/connection/session_watches.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/realtime/app/scripted_session_client.hpp"
#include "tests/unit/realtime/hub/fakes.hpp"

namespace sesior::realtime {
namespace {

TEST(SessionWatches, AsksOnlyForCookiesThatCanHoldASession) {
  const std::string value = "s%3Aabc." + std::string(43, 'x');
  auto plausible = [](const std::string& header) { return SessionWatches::IsPlausible(header, "connect.sid"); };
  EXPECT_TRUE(plausible("connect.sid=" + value));
  EXPECT_TRUE(plausible("a=b; connect.sid=" + value + "; c=d"));
  EXPECT_TRUE(plausible(";; connect.sid =" + value));
  EXPECT_TRUE(plausible("connect.sid=short; connect.sid=" + value));
  EXPECT_FALSE(plausible(""));
  EXPECT_FALSE(plausible("connect.sid"));
  EXPECT_FALSE(plausible("connect.sid=short"));
  EXPECT_FALSE(plausible("Connect.sid=" + value));
  EXPECT_FALSE(plausible("xconnect.sid=" + value));
  EXPECT_FALSE(plausible("a=connect.sid=" + value));
}

using Kind = session_client::WatchEvent::Kind;
using std::chrono::milliseconds;

// One client of one session, which is current.
class AfterAStandstill : public ::testing::Test {
 protected:
  AfterAStandstill() {
    hold_ = watches_.Open("cookie", [this](SessionVerdict verdict) { verdicts_.push_back(verdict); });
    Tell(Kind::kCurrent, MakeSession("one", "{}"));
    verdicts_.clear();
  }
  ~AfterAStandstill() override { hold_.reset(); }

  void Tell(Kind kind, SessionPtr session = nullptr) {
    session_client::WatchEvent event;
    event.kind = kind;
    event.session = std::move(session);
    client_.watches.front()(std::move(event));
    loop_.Run();
  }
  // The service's answer to the oldest question.
  void Answer(const std::string& data_json, std::uint64_t revision = 1) {
    session::v1::GetSessionResponse response;
    *response.mutable_session() = *MakeSession("one", data_json, revision);
    client_.gets.Take().Answer(std::move(response));
    loop_.Run();
  }
  void Fail(absl::StatusCode code) {
    client_.gets.Take().Fail(code);
    loop_.Run();
  }
  using Verdicts = std::vector<SessionVerdict>;

  hub::FakeLoop loop_;
  ScriptedSessionClient client_;
  LoopTallies tallies_;
  SessionWatches watches_{client_, loop_, milliseconds(1000), tallies_};
  std::unique_ptr<SessionHold> hold_;
  Verdicts verdicts_;
};

TEST_F(AfterAStandstill, ALoopWithNothingToDoDoesNotStandStill) {
  loop_.Advance(milliseconds(60'000));
  EXPECT_TRUE(hold_->MayHandle());
  loop_.StandStill(milliseconds(149));
  EXPECT_TRUE(hold_->MayHandle());
  EXPECT_EQ(tallies_.standstills.value(), 0u);
  EXPECT_TRUE(client_.gets.empty());
}

TEST_F(AfterAStandstill, AsksForTheSessionBeforeItsEventsAreHandled) {
  loop_.StandStill(milliseconds(1000));
  EXPECT_FALSE(hold_->MayHandle());
  EXPECT_FALSE(hold_->MayHandle());
  ASSERT_EQ(client_.gets.size(), 1u) << "one question for all";
  Answer("{}");
  EXPECT_EQ(verdicts_, Verdicts{SessionVerdict::kConfirmed});
  EXPECT_TRUE(hold_->MayHandle());
}

TEST_F(AfterAStandstill, NoticesItAlsoWhenTheTimerCameFirst) {
  loop_.StandStill(milliseconds(1000));
  loop_.Advance(milliseconds(0));  // the tick that was due
  EXPECT_FALSE(hold_->MayHandle());
  EXPECT_EQ(tallies_.standstills.value(), 1u);
}

TEST_F(AfterAStandstill, HandlersSeeTheStateThatWasAskedFor) {
  loop_.StandStill(milliseconds(1000));
  EXPECT_FALSE(hold_->MayHandle());
  Answer(R"({"a":1})", 2);
  EXPECT_EQ(verdicts_, (Verdicts{SessionVerdict::kChanged, SessionVerdict::kConfirmed}));
  EXPECT_EQ(hold_->session()->data_json(), R"({"a":1})");
}

TEST_F(AfterAStandstill, WhatWasAskedBeforeTheNextOneSaysNothing) {
  loop_.StandStill(milliseconds(1000));
  EXPECT_FALSE(hold_->MayHandle());
  loop_.StandStill(milliseconds(1000));
  EXPECT_FALSE(hold_->MayHandle());
  Answer("{}");
  EXPECT_FALSE(hold_->MayHandle());
  ASSERT_EQ(client_.gets.size(), 1u);
  Answer("{}");
  EXPECT_TRUE(hold_->MayHandle());
}

TEST_F(AfterAStandstill, ASessionThatIsGoneStaysHeldUntilTheWatchSaysWhy) {
  loop_.StandStill(milliseconds(1000));
  EXPECT_FALSE(hold_->MayHandle());
  Fail(absl::StatusCode::kNotFound);
  EXPECT_FALSE(hold_->MayHandle());
  EXPECT_TRUE(verdicts_.empty());
  EXPECT_TRUE(client_.gets.empty());
  loop_.Advance(SessionWatches::kAskAgain);
  ASSERT_EQ(client_.gets.size(), 1u) << "asked again, should the watch say nothing";
  Tell(Kind::kEnded);
  EXPECT_EQ(verdicts_, Verdicts{SessionVerdict::kEnded});
}

TEST_F(AfterAStandstill, GoesOnWhenTheServiceCannotBeAsked) {
  loop_.StandStill(milliseconds(1000));
  EXPECT_FALSE(hold_->MayHandle());
  Fail(absl::StatusCode::kUnavailable);
  EXPECT_EQ(verdicts_, Verdicts{SessionVerdict::kConfirmed});
  EXPECT_TRUE(hold_->MayHandle());
  EXPECT_EQ(tallies_.not_confirmed.value(), 1u);
}

TEST_F(AfterAStandstill, ASessionOpenedBeforeItIsAskedForToo) {
  hold_.reset();
  hold_ = watches_.Open("cookie", [this](SessionVerdict verdict) { verdicts_.push_back(verdict); });
  loop_.StandStill(milliseconds(1000));  // its answer waits meanwhile
  session_client::WatchEvent event;
  event.kind = Kind::kCurrent;
  event.session = MakeSession("one", "{}");
  client_.watches.back()(std::move(event));
  loop_.Advance(milliseconds(0));
  EXPECT_EQ(verdicts_, Verdicts{SessionVerdict::kCurrent});
  EXPECT_FALSE(hold_->MayHandle());
}

}  // namespace
}  // namespace sesior::realtime
