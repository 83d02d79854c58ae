// What watchers are told and readers are answered when anybody changes a session in Redis: by either feed.
#include <chrono>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "sesior/base/error.hpp"
#include "tests/integration/session/feed_world.hpp"

namespace sesior::testing {
namespace {

using namespace session;
using Kind = FeedReplica::Kind;
using std::chrono::steady_clock;
using std::chrono_literals::operator""h;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

std::string Record(std::string_view n) {
  return absl::StrCat(R"({"cookie":{},"n":)", absl::string_view(n.data(), n.size()), "}");
}

// Both must tell everything; tracking at once, hints with the next look (here: each 100 ms).
class Feed : public ::testing::TestWithParam<Kind> {
 protected:
  Feed() {
    SharedRedis().Command({"FLUSHALL"});
    replica_.emplace(SharedRedis(), GetParam(), 100ms);
    other_.emplace(SharedRedis(), GetParam(), 100ms);
  }
  std::string Redis(const std::vector<std::string>& command) { return SharedRedis().Command(command); }
  void ForeignSet(const SessionId& id, const std::string& record, const std::string& ttl_ms = "3600000") {
    ASSERT_EQ(Redis({"SET", "sess:" + id.text(), record, "PX", ttl_ms}), "OK");
  }

  std::optional<FeedReplica> replica_;
  std::optional<FeedReplica> other_;
};

TEST_P(Feed, TellsOfEveryWriteByExpress) {
  const SessionId id = replica_->Create();
  const auto sink = replica_->Watch(id);
  std::uint64_t revision = sink->events.back().session().revision();
  for (const char* n : {"1", "2", "3"}) {
    ForeignSet(id, Record(n));
    ASSERT_TRUE(replica_->AwaitData(*sink, absl::StrCat("{\"n\":", n, "}")));
    EXPECT_EQ(sink->events.back().kind(), v1::WATCH_EVENT_KIND_UPDATED);
    EXPECT_GT(sink->events.back().session().revision(), revision);
    EXPECT_TRUE(sink->events.back().session().foreign_writer());
    revision = sink->events.back().session().revision();
  }
}

TEST_P(Feed, TellsOfWritesOfBothReplicas) {
  const SessionId id = replica_->Create();
  const auto here = replica_->Watch(id);
  const auto there = other_->Watch(id);
  for (int i = 0; i < 10; ++i) {
    FeedReplica& writer = i % 2 == 0 ? *replica_ : *other_;
    ASSERT_TRUE(writer.Patch(id, absl::StrCat("{\"n\":", i, "}")).ok());
    ASSERT_TRUE(replica_->AwaitData(*here, absl::StrCat("{\"n\":", i, "}")));
    ASSERT_TRUE(other_->AwaitData(*there, absl::StrCat("{\"n\":", i, "}")));
    EXPECT_EQ(here->events.back().session().revision(), there->events.back().session().revision());
  }
}

TEST_P(Feed, TellsOfATouchByExpress) {
  const SessionId id = replica_->Create(1h);
  const auto sink = replica_->Watch(id);
  Redis({"EXPIRE", "sess:" + id.text(), "7200"});
  const auto& event = replica_->AwaitKind(*sink, v1::WATCH_EVENT_KIND_TOUCHED);
  EXPECT_NEAR(static_cast<double>(event.session().expire_time().seconds()),
              static_cast<double>(SystemClock().WallMillis()) / 1000 + 7200, 5);
}

TEST_P(Feed, TellsOfALogoutByExpressAndReleasesWhatTheSessionHeld) {
  CreateRequest request;
  request.claims.push_back({"user", "ann", "userName", ""});
  const SessionId id =
      replica_->redis.Await<SessionResult>([&](auto done) { replica_->service->Create(request, std::move(done)); })
          ->session.id;
  const auto sink = replica_->Watch(id);
  Redis({"DEL", "sess:" + id.text()});
  EXPECT_EQ(replica_->AwaitKind(*sink, v1::WATCH_EVENT_KIND_ENDED).reason(), v1::END_REASON_LOGOUT);
  EXPECT_EQ(Redis({"EXISTS", "sesior:claim:{user:ann}"}), "0");
}

TEST_P(Feed, TellsEveryEndOfOursWithItsReasonOnEveryReplica) {
  for (const v1::EndReason reason : {v1::END_REASON_LOGOUT, v1::END_REASON_REVOKED, v1::END_REASON_BANNED}) {
    const SessionId id = replica_->Create();
    const auto here = replica_->Watch(id);
    const auto there = other_->Watch(id);
    const DestroyRequest destroy{.session = {id, {}}, .etag = {}, .reason = reason, .request_id = {}};
    ASSERT_TRUE(*replica_->redis.Await<bool>([&](auto done) { replica_->service->Destroy(destroy, std::move(done)); }));
    EXPECT_EQ(replica_->AwaitKind(*here, v1::WATCH_EVENT_KIND_ENDED).reason(), reason);
    EXPECT_EQ(other_->AwaitKind(*there, v1::WATCH_EVENT_KIND_ENDED).reason(), reason);
    EXPECT_EQ(replica_->hub->watched_sessions() + other_->hub->watched_sessions(), 0U);
  }
}

TEST_P(Feed, ANewIdEndsTheWatchesOfTheOldOneAndOnlyThose) {
  for (const v1::EndReason reason : {v1::END_REASON_LOGIN, v1::END_REASON_ROTATION}) {
    const SessionId old_id = replica_->Create();
    const SessionId bystander = replica_->Create();
    const auto here = replica_->Watch(old_id);
    const auto there = other_->Watch(old_id);
    const auto beside = other_->Watch(bystander);
    RegenerateRequest request;
    request.session.id = old_id;
    request.reason = reason;
    request.rotation = reason == v1::END_REASON_ROTATION;
    const auto made = replica_->redis.Await<SessionResult>(
        [&](auto done) { replica_->service->Regenerate(request, std::move(done)); });
    ASSERT_TRUE(made.ok()) << made.status();
    EXPECT_EQ(replica_->AwaitKind(*here, v1::WATCH_EVENT_KIND_ENDED).reason(), reason);
    const auto& told = other_->AwaitKind(*there, v1::WATCH_EVENT_KIND_ENDED);
    EXPECT_EQ(told.reason(), reason);
    EXPECT_FALSE(told.has_session()) << "nobody who holds the old id learns the new one";
    EXPECT_EQ(beside->events.size(), 1U);
  }
}

TEST_P(Feed, TellsOfTheEndByTimeSoonAfterIt) {
  const SessionId id = replica_->Create(300ms);
  const auto sink = replica_->Watch(id);
  const auto start = steady_clock::now();
  EXPECT_EQ(replica_->AwaitKind(*sink, v1::WATCH_EVENT_KIND_ENDED).reason(), v1::END_REASON_EXPIRED);
  EXPECT_GT(steady_clock::now() - start, 200ms);
}

TEST_P(Feed, NoticesATimeThatExpressMadeShorter) {
  const SessionId id = replica_->Create(1h);
  const auto sink = replica_->Watch(id);
  Redis({"PEXPIRE", "sess:" + id.text(), "400"});
  EXPECT_EQ(replica_->AwaitKind(*sink, v1::WATCH_EVENT_KIND_ENDED).reason(), v1::END_REASON_EXPIRED);
}

TEST_P(Feed, AWatchThatComesWithALogoutIsToldOfItOrRefused) {
  for (int i = 0; i < 30; ++i) {
    const SessionId id = replica_->Create();
    const DestroyRequest destroy{.session = {id, {}}, .etag = {}, .reason = 1, .request_id = {}};
    bool is_destroyed = false;
    other_->service->Destroy(destroy, [&](absl::StatusOr<bool>) { is_destroyed = true; });
    auto sink = std::make_shared<FeedReplica::Sink>();
    v1::SessionRef ref;
    ref.set_session_id(id.text());
    if (i % 2 == 0) other_->redis.RunUntil([&] { return is_destroyed; });
    replica_->hub->Add(sink, 1, ref, 0);
    if (i % 3 == 0) replica_->redis.RunUntil([&] { return !sink->events.empty(); });
    other_->redis.RunUntil([&] { return is_destroyed; });
    replica_->redis.RunUntil([&] {
      return !sink->events.empty() && (sink->events.back().kind() == v1::WATCH_EVENT_KIND_ENDED ||
                                       sink->events.back().kind() == v1::WATCH_EVENT_KIND_REFUSED);
    });
  }
}

TEST_P(Feed, AReadAfterAWriteByExpressSeesIt) {
  const SessionId id = replica_->Create();
  const auto sink = replica_->Watch(id);
  for (int i = 0; i < 100; ++i) {
    ForeignSet(id, Record(std::to_string(i)));
    ASSERT_EQ(replica_->Data(id), absl::StrCat("{\"n\":", i, "}"));
  }
}

TEST_P(Feed, AFlushedDatabaseEndsEverySession) {
  const SessionId id = replica_->Create();
  const auto sink = replica_->Watch(id);
  Redis({"FLUSHALL"});
  replica_->AwaitKind(*sink, v1::WATCH_EVENT_KIND_ENDED);
  EXPECT_EQ(replica_->Data(id), "SESSION_NOT_FOUND");
}

INSTANTIATE_TEST_SUITE_P(By, Feed, ::testing::Values(Kind::kTracking, Kind::kHints), [](const auto& kind) {
  return std::string(kind.param == Kind::kTracking ? "Tracking" : "Hints");
});

TEST(TrackingFeed, TellsOfAWriteWithoutLookingAgain) {
  SharedRedis().Command({"FLUSHALL"});
  FeedReplica replica(SharedRedis(), Kind::kTracking, 1h);
  ASSERT_TRUE(replica.tracks());
  std::vector<SessionId> ids;
  std::vector<std::shared_ptr<FeedReplica::Sink>> sinks;
  for (int i = 0; i < 50; ++i) {
    ids.push_back(replica.Create());
    sinks.push_back(replica.Watch(ids.back()));
  }
  for (int round = 0; round < 3; ++round) {
    for (const SessionId& id : ids) {
      SharedRedis().Command({"SET", "sess:" + id.text(), Record(std::to_string(round)), "EX", "100"});
    }
    for (const auto& sink : sinks) ASSERT_TRUE(replica.AwaitData(*sink, absl::StrCat("{\"n\":", round, "}")));
  }
}

TEST(TrackingFeed, AnswersFromMemoryWhatIsRight) {
  SharedRedis().Command({"FLUSHALL"});
  FeedReplica replica(SharedRedis(), Kind::kTracking, 1h);
  FeedReplica other(SharedRedis(), Kind::kTracking, 1h);
  std::vector<SessionId> ids;
  std::vector<std::string> truth;
  for (int i = 0; i < 5; ++i) {
    ids.push_back(replica.Create());
    truth.push_back("{}");
  }
  std::mt19937 random(7);
  const auto watch = replica.Watch(ids[0]);
  for (int step = 0; step < 3000; ++step) {
    const std::size_t i = random() % ids.size();
    const std::string data = absl::StrCat("{\"n\":", step, "}");
    switch (random() % 16) {
      case 0:
        SharedRedis().Command({"SET", "sess:" + ids[i].text(), Record(std::to_string(step)), "EX", "1000"});
        truth[i] = data;
        break;
      case 1:
        ASSERT_TRUE(other.Patch(ids[i], data).ok());
        truth[i] = data;
        break;
      case 2:
        ASSERT_TRUE(replica.Patch(ids[i], data).ok());
        truth[i] = data;
        break;
      case 3:
        SharedRedis().Command({"EXPIRE", "sess:" + ids[i].text(), std::to_string(900 + step)});
        break;
      case 4:
        if (random() % 8 != 0) break;
        if (random() % 2 == 0) {
          SharedRedis().Command({"DEL", "sess:" + ids[i].text()});
        } else {
          const DestroyRequest destroy{.session = {ids[i], {}}, .etag = {}, .reason = 1, .request_id = {}};
          ASSERT_TRUE(
              other.redis.Await<bool>([&](auto done) { other.service->Destroy(destroy, std::move(done)); }).ok());
        }
        ASSERT_NE(replica.Data(ids[i]).find("SESSION_"), std::string::npos) << "step " << step;
        ids[i] = other.Create();
        truth[i] = "{}";
        break;
      default:
        ASSERT_EQ(replica.Data(ids[i]), truth[i]) << "step " << step;
    }
  }
  const LiveSessions::Counts& counts = replica.service->read_counts();
  EXPECT_GT(counts.hits, 500U);
  EXPECT_GT(counts.misses, 500U);
}

TEST(TrackingFeed, ANearReadIsStaleUntilTheNoticeIsThereAndNoLonger) {
  SharedRedis().Command({"FLUSHALL"});
  SessionOptions options = TestSessionOptions();
  options.live.reads = LiveSessions::Reads::kNear;
  FeedReplica replica(SharedRedis(), Kind::kTracking, 1h, options);
  const SessionId id = replica.Create();
  for (int i = 0; i < 4; ++i) ASSERT_EQ(replica.Data(id), "{}");
  ASSERT_GT(replica.service->read_counts().hits, 0U);
  SharedRedis().Command({"SET", "sess:" + id.text(), Record("1"), "EX", "100"});
  EXPECT_EQ(replica.Data(id), "{}") << "this is what a fence prevents";
  bool is_noticed = false;
  replica.redis.RunUntil([&] { return (is_noticed = is_noticed || replica.Data(id) == R"({"n":1})"); });
}

}  // namespace
}  // namespace sesior::testing
