#include "services/session/rpc/watch_hub.hpp"

#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/fake_event_bus.hpp"
#include "tests/support/in_memory_session_store.hpp"
#include "tests/support/manual_executor.hpp"

namespace sesior::session::rpc {
namespace {

using session::v1::SessionRef;
using Event = session::v1::WatchSessionsResponse::Event;

struct Sink final : WatchHub::Sink {
  void Push(Event event) override { events.push_back(std::move(event)); }
  std::vector<Event> events;
};

SessionOptions Options() {
  SessionOptions options;
  options.secrets = {"keyboard cat"};
  return options;
}

SessionRef ById(const std::string& id) {
  SessionRef ref;
  ref.set_session_id(id);
  return ref;
}

class WatchHubTest : public ::testing::Test {
 protected:
  void Drain() { executor_.RunTasks(); }
  std::string Created() {
    std::string id;
    service_.Create({}, [&](absl::StatusOr<SessionResult> result) { id = result->session.id.text(); });
    Drain();
    return id;
  }
  std::uint64_t Changed(const std::string& id, const std::string& patch) {
    UpdateRequest update;
    update.session.id = SessionId(id);
    update.merge_patch_json = patch;
    std::uint64_t revision = 0;
    service_.Update(std::move(update),
                    [&](absl::StatusOr<SessionResult> result) { revision = result->session.stored.revision; });
    Drain();
    return revision;
  }
  void Hint(const std::string& message) {
    bus_.Send(kChangeChannel, message);
    Drain();
  }

  testing::FakeClock clock_;
  testing::ManualExecutor executor_{clock_};
  testing::InMemorySessionStore store_{executor_, clock_};
  testing::FakeEventBus bus_{executor_};
  HintFeed feed_{bus_};
  SessionService service_{store_, executor_, clock_, Options(), &feed_};
  WatchHub hub_{service_, executor_, clock_};
  std::shared_ptr<Sink> sink_ = std::make_shared<Sink>();
};

TEST_F(WatchHubTest, AnswersThePresentStateFirstThenChanges) {
  const std::string id = Created();
  hub_.Add(sink_, 7, ById(id), 0);
  Drain();
  ASSERT_EQ(sink_->events.size(), 1U);
  EXPECT_EQ(sink_->events[0].kind(), session::v1::WATCH_EVENT_KIND_CURRENT);
  EXPECT_EQ(sink_->events[0].watch_id(), 7U);
  EXPECT_EQ(sink_->events[0].session().session_id(), id);

  const std::uint64_t revision = Changed(id, R"({"a":1})");
  Hint("up " + id + " " + std::to_string(revision));
  ASSERT_EQ(sink_->events.size(), 2U);
  EXPECT_EQ(sink_->events[1].kind(), session::v1::WATCH_EVENT_KIND_UPDATED);
  EXPECT_EQ(sink_->events[1].session().data_json(), R"({"a":1})");
  EXPECT_EQ(sink_->events[1].session().revision(), revision);
}

TEST_F(WatchHubTest, LeavesOutWhatTheClientKnows) {
  const std::string id = Created();
  const std::uint64_t revision = Changed(id, R"({"a":1})");
  hub_.Add(sink_, 1, ById(id), revision);
  Drain();
  ASSERT_EQ(sink_->events.size(), 1U);
  EXPECT_EQ(sink_->events[0].kind(), session::v1::WATCH_EVENT_KIND_CURRENT);
  EXPECT_FALSE(sink_->events[0].has_session());
}

TEST_F(WatchHubTest, RefusesAForgedCookieAndHoldsNoWatchForIt) {
  SessionRef ref;
  ref.set_cookie_header("connect.sid=s%3Aabc.forged");
  hub_.Add(sink_, 1, ref, 0);
  ASSERT_EQ(sink_->events.size(), 1U);
  EXPECT_EQ(sink_->events[0].kind(), session::v1::WATCH_EVENT_KIND_REFUSED);
  EXPECT_EQ(sink_->events[0].verdict(), session::v1::COOKIE_VERDICT_FORGED);
  EXPECT_EQ(hub_.WatchesOf(sink_.get()), 0U);
}

TEST_F(WatchHubTest, RefusesASessionThatIsNotThere) {
  hub_.Add(sink_, 1, ById("nobody"), 0);
  Drain();
  ASSERT_EQ(sink_->events.size(), 1U);
  EXPECT_EQ(sink_->events[0].kind(), session::v1::WATCH_EVENT_KIND_REFUSED);
  EXPECT_EQ(hub_.WatchesOf(sink_.get()), 0U);
  EXPECT_EQ(hub_.watched_sessions(), 0U);
}

TEST_F(WatchHubTest, TellsTheEndWithItsReasonAndForgetsTheWatch) {
  const std::string id = Created();
  hub_.Add(sink_, 1, ById(id), 0);
  Drain();
  EXPECT_EQ(hub_.WatchesOf(sink_.get()), 1U);
  Hint("end " + id + " 1");
  ASSERT_EQ(sink_->events.size(), 2U);
  EXPECT_EQ(sink_->events[1].kind(), session::v1::WATCH_EVENT_KIND_ENDED);
  EXPECT_EQ(sink_->events[1].reason(), session::v1::END_REASON_LOGOUT);
  EXPECT_EQ(hub_.WatchesOf(sink_.get()), 0U);
  EXPECT_EQ(hub_.watched_sessions(), 0U);
}

TEST_F(WatchHubTest, ReadsABurstOfHintsOnce) {
  const std::string id = Created();
  hub_.Add(sink_, 1, ById(id), 0);
  Drain();
  const std::uint64_t revision = Changed(id, R"({"a":1})");
  for (int i = 0; i < 50; ++i) bus_.Send(kChangeChannel, "up " + id + " " + std::to_string(revision));
  Drain();
  EXPECT_EQ(sink_->events.size(), 2U);
}

TEST_F(WatchHubTest, TellsNothingAfterRemoveOrDropSink) {
  const std::string id = Created();
  hub_.Add(sink_, 1, ById(id), 0);
  hub_.Add(sink_, 2, ById(id), 0);
  Drain();
  sink_->events.clear();
  hub_.Remove(sink_.get(), 1);
  Changed(id, R"({"a":1})");
  Hint("up " + id + " 1");
  ASSERT_EQ(sink_->events.size(), 1U);
  EXPECT_EQ(sink_->events[0].watch_id(), 2U);
  hub_.DropSink(sink_.get());
  Changed(id, R"({"a":2})");
  Hint("up " + id + " 2");
  EXPECT_EQ(sink_->events.size(), 1U);
  EXPECT_EQ(hub_.watched_sessions(), 0U);
}

TEST_F(WatchHubTest, AWatchIdUsedAgainReplacesTheWatch) {
  const std::string first = Created();
  const std::string second = Created();
  hub_.Add(sink_, 1, ById(first), 0);
  hub_.Add(sink_, 1, ById(second), 0);
  Drain();
  EXPECT_EQ(hub_.WatchesOf(sink_.get()), 1U);
  EXPECT_EQ(hub_.watched_sessions(), 1U);
  hub_.Remove(sink_.get(), 1);
  EXPECT_EQ(hub_.watched_sessions(), 0U);
}

TEST_F(WatchHubTest, TellsNothingUntrueDuringAnOutageAndCatchesUpAfterIt) {
  const std::string id = Created();
  hub_.Add(sink_, 1, ById(id), 0);
  Drain();
  sink_->events.clear();
  Changed(id, R"({"a":1})");
  store_.outage = absl::UnavailableError("away");
  Hint("up " + id + " 1");
  EXPECT_TRUE(sink_->events.empty());
  store_.outage = absl::OkStatus();
  bus_.ComeUp(kChangeChannel);
  Drain();
  ASSERT_EQ(sink_->events.size(), 1U);
  EXPECT_EQ(sink_->events[0].session().data_json(), R"({"a":1})");
}

}  // namespace
}  // namespace sesior::session::rpc
