// What is answered from memory, and that it is what the store holds.
#include "services/session/domain/live_sessions.hpp"

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/session/domain/session_service.hpp"
#include "sesior/base/error.hpp"
#include "tests/support/fake_change_feed.hpp"
#include "tests/support/manual_executor.hpp"

namespace sesior::session {
namespace {

using Reads = LiveSessions::Reads;
using std::chrono_literals::operator""h;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

SessionOptions Options(Reads reads, std::size_t max_sessions = 100) {
  SessionOptions options;
  options.secrets = {"keyboard cat"};
  options.live.reads = reads;
  options.live.max_sessions = max_sessions;
  return options;
}

UpdateRequest Patch(const SessionId& id, int n) {
  UpdateRequest update;
  update.session.id = id;
  update.merge_patch_json = absl::StrCat("{\"n\":", n, "}");
  return update;
}

// One replica under test, and another that changes sessions behind its back.
struct World {
  explicit World(SessionOptions options = Options(Reads::kExact))
      : service(store, executor, clock, options, &feed), other(store, executor, clock, options, &other_feed) {}

  SessionId Create(std::chrono::milliseconds ttl = 1h) {
    CreateRequest request;
    request.data_json = R"({"n":0})";
    request.idle_ttl = ttl;
    std::optional<SessionId> id;
    service.Create(std::move(request), [&](absl::StatusOr<SessionResult> result) { id = result->session.id; });
    executor.RunTasks();
    return *id;
  }
  absl::StatusOr<SessionResult> Read(const SessionId& id, bool touch = false) {
    std::optional<absl::StatusOr<SessionResult>> result;
    service.Get({id, {}}, touch, [&](absl::StatusOr<SessionResult> r) { result = std::move(r); });
    executor.RunTasks();
    return result ? *std::move(result) : absl::DeadlineExceededError("waits");
  }
  std::string Data(const SessionId& id) {
    const absl::StatusOr<SessionResult> result = Read(id);
    return result.ok() ? result->session.data_json : ReasonOf(result.status());
  }
  // So that the next read is answered from memory.
  SessionId Known(std::chrono::milliseconds ttl = 1h) {
    const SessionId id = Create(ttl);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(Data(id), R"({"n":0})");
    EXPECT_GT(Counts().hits, 0U);
    return id;
  }
  void Change(SessionService& by, const SessionId& id, int n) {
    by.Update(Patch(id, n), [](absl::StatusOr<SessionResult> result) { EXPECT_TRUE(result.ok()); });
    executor.RunTasks();
  }
  void Destroy(SessionService& by, const SessionId& id) {
    by.Destroy({.session = {id, {}}, .etag = {}, .reason = 1, .request_id = {}}, [](absl::StatusOr<bool>) {});
    executor.RunTasks();
  }
  const LiveSessions::Counts& Counts() { return service.read_counts(); }

  testing::FakeClock clock;
  testing::ManualExecutor executor{clock};
  testing::InMemorySessionStore store{executor, clock};
  testing::FakeChangeFeed feed{store, executor, clock};
  testing::FakeChangeFeed other_feed{store, executor, clock};
  SessionService service;
  SessionService other;
};

TEST(LiveSessions, AnswersFromMemoryOnceASessionIsTracked) {
  World world;
  const SessionId id = world.Create();
  world.Destroy(world.other, SessionId("none"));
  world.store.ForeignSet(SessionId("foreign"), {R"({"cookie":{}})", -1});
  const SessionId foreign("foreign");
  EXPECT_EQ(world.Data(foreign), "{}");
  EXPECT_EQ(world.feed.reads, 0) << "what is read once is not tracked";
  EXPECT_EQ(world.Data(foreign), "{}");
  EXPECT_EQ(world.feed.reads, 1);
  EXPECT_EQ(world.Counts().misses, 2U);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(world.Data(foreign), "{}");
  EXPECT_EQ(world.Counts().misses, 2U);
  EXPECT_EQ(world.Counts().hits, 10U);
  EXPECT_EQ(world.feed.reads, 1);
  (void)id;
}

TEST(LiveSessions, AnExactReadWaitsForNoticesThatAreUnderWay) {
  World world;
  const SessionId id = world.Known();
  world.feed.Hold(true);
  world.Change(world.other, id, 1);
  std::optional<std::string> read;
  world.service.Get({id, {}}, false, [&](absl::StatusOr<SessionResult> r) { read = r->session.data_json; });
  world.executor.RunTasks();
  EXPECT_FALSE(read) << "answered without knowing";
  world.feed.Hold(false);
  world.executor.RunTasks();
  EXPECT_EQ(read, R"({"n":1})");
}

TEST(LiveSessions, ANearReadIsStaleByANoticeAtMost) {
  World world(Options(Reads::kNear));
  const SessionId id = world.Known();
  const int fences = world.feed.fences;
  world.feed.Hold(true);
  world.Change(world.other, id, 1);
  EXPECT_EQ(world.Data(id), R"({"n":0})");
  world.feed.Hold(false);
  world.executor.RunTasks();
  EXPECT_EQ(world.Data(id), R"({"n":1})");
  EXPECT_EQ(world.feed.fences, fences);
}

TEST(LiveSessions, ANearReadSeesTheWritesOfItsOwnReplicaAtOnce) {
  World world(Options(Reads::kNear));
  const SessionId id = world.Known();
  world.feed.Hold(true);
  world.Change(world.service, id, 1);
  EXPECT_EQ(world.Data(id), R"({"n":1})");
  world.Destroy(world.service, id);
  EXPECT_EQ(world.Data(id), "SESSION_DESTROYED");
}

TEST(LiveSessions, ALogoutElsewhereIsSeenAtOnceAlsoWhenExpressWritesTheSameBytesAgain) {
  World world;
  const SessionId id = world.Known();
  const std::string record = world.store.records[id.text()].text;
  world.feed.Hold(true);
  world.Destroy(world.other, id);
  world.store.ForeignSet(id, {record, -1});  // a late save: neither bytes nor hash differ
  std::optional<std::string> read;
  world.service.Get({id, {}}, false, [&](absl::StatusOr<SessionResult> r) { read = ReasonOf(r.status()); });
  world.executor.RunTasks();
  EXPECT_FALSE(read);
  world.feed.Hold(false);
  world.executor.RunTasks();
  EXPECT_EQ(read, "SESSION_DESTROYED");
}

TEST(LiveSessions, SameBytesAloneDoNotConfirmASession) {
  World world;
  const SessionId id = world.Known();
  const testing::InMemorySessionStore::Value value = world.store.records[id.text()];
  world.store.ForeignSet(id, value);  // as a touch: from now on known, but to be confirmed
  world.executor.RunTasks();
  world.feed.Hold(true);
  world.Destroy(world.other, id);
  world.store.ForeignSet(id, value);
  std::optional<std::string> read;
  world.service.Get({id, {}}, false, [&](absl::StatusOr<SessionResult> r) { read = ReasonOf(r.status()); });
  world.executor.RunTasks();
  EXPECT_FALSE(read);
  world.feed.Hold(false);
  world.executor.RunTasks();
  EXPECT_EQ(read, "SESSION_DESTROYED");
}

TEST(LiveSessions, SeesAChangeOfTheSidecarAlone) {
  World world;
  const SessionId id("foreign");
  world.store.ForeignSet(id, {R"({"cookie":{},"userName":"ann"})", -1});
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(world.Read(id).ok());
  UpdateRequest claim;
  claim.session.id = id;
  claim.claims.push_back({"user", "ann", "userName", ""});  // the member says so already
  std::uint64_t revision = 0;
  world.other.Update(claim, [&](absl::StatusOr<SessionResult> r) { revision = r->session.stored.revision; });
  world.executor.RunTasks();
  EXPECT_EQ(world.Read(id)->session.stored.revision, revision);
}

TEST(LiveSessions, AsksTheStoreAgainAfterTheLongestAge) {
  World world;
  const SessionId id = world.Known();
  const int reads = world.feed.reads;
  world.clock.Advance(4900ms);
  EXPECT_EQ(world.Data(id), R"({"n":0})");
  EXPECT_EQ(world.feed.reads, reads);
  world.clock.Advance(200ms);
  EXPECT_EQ(world.Data(id), R"({"n":0})");
  EXPECT_EQ(world.feed.reads, reads + 1);
}

TEST(LiveSessions, NeverAnswersPastTheEndOfASession) {
  World world;
  const SessionId id = world.Known(1s);
  world.clock.Advance(400ms);
  EXPECT_EQ(*world.Read(id)->session.stored.ttl, 600ms);
  world.clock.Advance(601ms);
  EXPECT_EQ(world.Data(id), "SESSION_NOT_FOUND");
}

TEST(LiveSessions, TouchesAsOftenAsBefore) {
  World world;
  const SessionId id = world.Known(100s);
  for (int second = 1; second <= 30; ++second) {
    world.clock.Advance(1s);
    ASSERT_TRUE(world.Read(id, true).ok());
    const auto left = std::chrono::milliseconds(world.store.records[id.text()].expires_ms - world.clock.WallMillis());
    EXPECT_GT(left, 89s) << "each tenth of its TTL";
  }
}

TEST(LiveSessions, KnowsNothingAnyMoreOnceTheFeedIsLost) {
  World world;
  const SessionId id = world.Known();
  world.feed.Lose();
  EXPECT_EQ(world.Counts().flushes, 1U);
  world.store.ForeignSet(id, {R"({"cookie":{},"n":5})", -1});
  EXPECT_EQ(world.Data(id), R"({"n":5})");
  world.store.ForeignSet(id, {R"({"cookie":{},"n":6})", -1});
  world.feed.ComeUp();
  EXPECT_EQ(world.Data(id), R"({"n":6})");
  for (int i = 0; i < 3; ++i) world.Data(id);
  const auto hits = world.Counts().hits;
  EXPECT_EQ(world.Data(id), R"({"n":6})");
  EXPECT_EQ(world.Counts().hits, hits + 1) << "and remembers again";
}

TEST(LiveSessions, AReadUnderWayWhenTheFeedIsLostIsAnsweredByTheStore) {
  World world;
  const SessionId id = world.Known();
  world.feed.Hold(true);
  std::optional<std::string> read;
  world.service.Get({id, {}}, false, [&](absl::StatusOr<SessionResult> r) { read = r->session.data_json; });
  world.store.ForeignSet(id, {R"({"cookie":{},"n":5})", -1});
  world.executor.RunTasks();
  EXPECT_FALSE(read);
  world.feed.Lose();
  world.executor.RunTasks();
  EXPECT_EQ(read, R"({"n":5})");
}

TEST(LiveSessions, AsksTheStoreForEveryReadWhenSwitchedOff) {
  for (SessionOptions options : {Options(Reads::kOff), Options(Reads::kExact, 0), Options(Reads::kNear, 0)}) {
    World world(options);
    const SessionId id = world.Create();
    for (int i = 0; i < 5; ++i) EXPECT_EQ(world.Data(id), R"({"n":0})");
    EXPECT_EQ(world.Counts().hits, 0U);
    EXPECT_EQ(world.Counts().misses, 5U);
    EXPECT_EQ(world.feed.reads + world.feed.fences, 0);
  }
}

TEST(LiveSessions, IsBounded) {
  World world(Options(Reads::kExact, 10));
  std::vector<SessionId> ids;
  for (int i = 0; i < 50; ++i) ids.push_back(world.Create());
  for (int round = 0; round < 3; ++round) {
    for (const SessionId& id : ids) EXPECT_EQ(world.Data(id), R"({"n":0})");
  }
  EXPECT_EQ(world.Counts().hits, 0U) << "fifty in turn do not fit into ten";
  for (int i = 0; i < 5; ++i) EXPECT_EQ(world.Data(ids[0]), R"({"n":0})");
  EXPECT_EQ(world.Counts().hits, 3U);
}

// Both replicas and Express at once, notices late by chance: what an exact read answers is something that the store
// held between the call and the answer.
TEST(LiveSessions, AnExactReadIsNeverStaleWhateverHappens) {
  std::uint64_t hits = 0;
  for (unsigned seed = 1; seed <= 200; ++seed) {
    std::mt19937 random(seed);
    const auto pick = [&random](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
    World world(Options(Reads::kExact, seed % 5 == 0 ? 1 : 100));
    std::vector<SessionId> ids{world.Create(), world.Create()};
    // What the store has held, newest last, per session.
    std::vector<std::vector<std::string>> history(ids.size());
    const auto held = [&](std::size_t i) {
      const auto found = world.store.records.find(ids[i].text());
      if (found == world.store.records.end()) return std::string("gone");
      return found->second.text.substr(found->second.text.find(",\"n\""));
    };
    bool is_over = false;
    std::vector<bool> is_destroyed(ids.size(), false);
    const auto note = [&] {
      for (std::size_t i = 0; i < ids.size(); ++i) {
        const std::string now = is_destroyed[i] ? "gone" : held(i);
        if (history[i].empty() || history[i].back() != now) history[i].push_back(now);
      }
    };
    world.store.observers.push_back([&](const SessionId& id, const std::string& hint) {
      if (is_over) return;
      if (hint.starts_with("end ")) {
        for (std::size_t i = 0; i < ids.size(); ++i) is_destroyed[i] = is_destroyed[i] || ids[i] == id;
      }
      note();
    });
    note();
    int answered = 0;
    int asked = 0;
    int n = 0;
    for (int step = 0; step < 300; ++step) {
      const auto i = static_cast<std::size_t>(pick(static_cast<int>(ids.size())));
      switch (pick(12)) {
        case 0:
          if (!is_destroyed[i]) world.store.ForeignSet(ids[i], {absl::StrCat(R"({"cookie":{},"n":)", ++n, "}"), -1});
          break;
        case 1:
          world.other.Update(Patch(ids[i], ++n), [](absl::StatusOr<SessionResult>) {});
          break;
        case 2:
          world.service.Update(Patch(ids[i], ++n), [](absl::StatusOr<SessionResult>) {});
          break;
        case 3:
          if (pick(40) == 0) {
            world.other.Destroy({.session = {ids[i], {}}, .etag = {}, .reason = 1, .request_id = {}},
                                [](absl::StatusOr<bool>) {});
          }
          break;
        case 4:
          world.feed.Hold(pick(2) == 0);
          break;
        case 5:
          world.feed.DeliverOne();
          break;
        case 6:
          if (pick(20) == 0) world.feed.Lose();
          if (!world.feed.tracks()) world.feed.ComeUp();
          break;
        default: {
          ++asked;
          const std::size_t since = history[i].size() - 1;
          world.service.Get({ids[i], {}}, false, [&, i, since](absl::StatusOr<SessionResult> result) {
            ++answered;
            const std::string got = result.ok() ? "," + result->session.data_json.substr(1) : std::string("gone");
            const bool is_right = std::find(history[i].begin() + static_cast<std::ptrdiff_t>(since), history[i].end(),
                                            got) != history[i].end();
            EXPECT_TRUE(is_right) << "seed " << seed << ": " << got
                                  << ", held since: " << ::testing::PrintToString(history[i]) << " from " << since;
          });
        }
      }
      for (int tasks = pick(6); tasks > 0; --tasks) world.executor.RunOne();
    }
    world.feed.Hold(false);
    while (answered < asked && world.executor.RunOne()) {  // a write that was in conflict waits for a moment
    }
    EXPECT_EQ(answered, asked) << "seed " << seed;
    hits += world.Counts().hits;
    is_over = true;
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_GT(hits, 1000U) << "or nothing was tried";
}

}  // namespace
}  // namespace sesior::session
