// Presence on Redis: who is first and last, what is announced, and what a dead replica leaves behind.
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/session/domain/session_service.hpp"
#include "sesior/base/error.hpp"
#include "tests/integration/session/redis_world.hpp"

namespace sesior::testing {
namespace {

using namespace session;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class Presence : public ::testing::Test {
 protected:
  Presence() : redis_(SharedRedis()), service_(redis_.store, redis_.executor, SystemClock(), TestSessionOptions()) {
    SharedRedis().Command({"FLUSHALL"});
    bool listening = false;
    subscription_ = redis_.subscriber.Subscribe(
        BroadcastChannel("/"),
        {.on_message = [this](std::string_view m) { published_.emplace_back(m.substr(m.find('\n') + 1)); },
         .on_up = [&listening] { listening = true; }});
    redis_.AwaitReady();
    redis_.RunUntil([&] { return listening; });
  }

  SessionId NewSession() {
    return redis_.Await<SessionResult>([&](auto done) { service_.Create({}, std::move(done)); })->session.id;
  }
  LeaseState Lease(const std::string& replica, std::chrono::milliseconds ttl = 10s, std::string entered = "") {
    return *redis_.Await<LeaseState>([&](auto done) {
      redis_.presence.KeepLease({replica, ttl, replica + ":1", std::move(entered)}, std::move(done));
    });
  }
  absl::StatusOr<bool> Enter(const std::string& replica, const SessionId& id, const std::string& key,
                             std::uint64_t revision = 1) {
    EnterRequest request{replica,         "/",           id,      key, absl::StrCat("{\"userName\":\"", key, "\"}"),
                         "joined " + key, "left " + key, revision};
    return redis_.Await<bool>([&](auto done) { redis_.presence.Enter(std::move(request), std::move(done)); });
  }
  bool Leave(const std::string& replica, const SessionId& id) {
    return *redis_.Await<bool>([&](auto done) { redis_.presence.Leave(replica, "/", id, std::move(done)); });
  }
  std::vector<std::string> Online(std::string after = "", int limit = 1000) {
    const OnlineList list = *redis_.Await<OnlineList>(
        [&](auto done) { redis_.presence.ListByKey("/", std::move(after), limit, std::move(done)); });
    std::vector<std::string> keys;
    for (const OnlineEntry& entry : list.entries) keys.push_back(entry.key);
    return keys;
  }
  int Sweep(std::chrono::milliseconds well_for) {
    int removed = 0;
    while (true) {
      const SweepResult result =
          *redis_.Await<SweepResult>([&](auto done) { redis_.presence.Sweep(well_for, std::move(done)); });
      removed += result.removed;
      if (!result.more) return removed;
    }
  }
  // Everything published so far; forgets it.
  std::vector<std::string> Published() {
    redis_.store.Publish("/", "marker", "", false, [](auto) {});
    redis_.RunUntil([&] { return !published_.empty() && published_.back() == "marker"; });
    published_.pop_back();
    return std::exchange(published_, {});
  }

  RedisConnections redis_;
  SessionService service_;
  std::vector<std::string> published_;
  std::unique_ptr<EventBus::Subscription> subscription_;
};

TEST_F(Presence, TellsOfTheFirstAndTheLastReplicaOnly) {
  const SessionId ann = NewSession();
  EXPECT_TRUE(Lease("r1").fresh);
  EXPECT_FALSE(Lease("r1").fresh);
  EXPECT_EQ(Lease("r2").replicas.size(), 2U);
  EXPECT_TRUE(*Enter("r1", ann, "ann"));
  EXPECT_FALSE(*Enter("r1", ann, "ann")) << "again";
  EXPECT_FALSE(*Enter("r2", ann, "ann"));
  EXPECT_THAT(Published(), ElementsAre("joined ann"));
  EXPECT_FALSE(Leave("r1", ann));
  EXPECT_FALSE(Leave("r1", ann)) << "again";
  EXPECT_THAT(Online(), ElementsAre("ann"));
  EXPECT_TRUE(Leave("r2", ann));
  EXPECT_FALSE(Leave("r2", ann));
  EXPECT_THAT(Published(), ElementsAre("left ann"));
  EXPECT_THAT(Online(), IsEmpty());
  EXPECT_EQ(SharedRedis().Command({"KEYS", "sesior:on:{/}:*"}), "") << "nothing is left behind";
}

TEST_F(Presence, NeedsALeaseAndASession) {
  EXPECT_EQ(ReasonOf(Enter("r1", NewSession(), "x").status()), "LEASE_EXPIRED");
  Lease("r1");
  EXPECT_EQ(ReasonOf(Enter("r1", SessionId("nobody"), "x").status()), "SESSION_NOT_FOUND");
  EXPECT_THAT(Online(), IsEmpty());
}

TEST_F(Presence, ListsByKeyInPagesAndByTime) {
  Lease("r1");
  for (const char* key : {"bob", "a", "ab", "zoe", "a\xc3\xa9"}) ASSERT_TRUE(*Enter("r1", NewSession(), key));
  EXPECT_THAT(Online(), ElementsAre("a", "ab", "a\xc3\xa9", "bob", "zoe"));
  EXPECT_THAT(Online("", 2), ElementsAre("a", "ab"));
  EXPECT_THAT(Online("ab", 2), ElementsAre("a\xc3\xa9", "bob"));
  EXPECT_THAT(Online("aaa"), ElementsAre("ab", "a\xc3\xa9", "bob", "zoe")) << "a name that is not there";
  EXPECT_THAT(Online("zoe"), IsEmpty());
  const OnlineList newest =
      *redis_.Await<OnlineList>([&](auto done) { redis_.presence.ListNewest("/", 3, std::move(done)); });
  EXPECT_EQ(newest.entries.size(), 3U);
  EXPECT_EQ(newest.total, 5);
  EXPECT_GT(newest.entries[0].since_ms, 0);
  EXPECT_EQ(newest.entries[0].value_json.substr(0, 13), "{\"userName\":\"");
  EXPECT_EQ(*redis_.Await<std::int64_t>([&](auto done) { redis_.presence.CountOnline("/", std::move(done)); }), 5);
}

TEST_F(Presence, ChangesItsFaceWithTheSessionInOneStep) {
  Lease("r1");
  const SessionId ann = NewSession();
  ASSERT_TRUE(*Enter("r1", ann, "ann"));
  UpdateRequest rename;
  rename.session.id = ann;
  rename.claims = {{"userName", "bob", "userName", ""}};
  rename.presence = StorePresenceChange{"/", "bob", "{\"userName\":\"bob\"}", "left bob"};
  rename.announcement = Announcement{"/", true, [](const auto&) { return std::string("renamed"); }};
  const absl::StatusOr<SessionResult> renamed =
      redis_.Await<SessionResult>([&](auto done) { service_.Update(rename, std::move(done)); });
  ASSERT_TRUE(renamed.ok()) << renamed.status();
  EXPECT_THAT(Online(), ElementsAre("bob"));
  // A late Enter that knows only the old name undoes nothing; one that knows a newer does.
  EXPECT_FALSE(*Enter("r1", ann, "ann"));
  EXPECT_THAT(Online(), ElementsAre("bob"));
  EXPECT_FALSE(*Enter("r1", ann, "cat", renamed->session.stored.revision + 1));
  EXPECT_THAT(Online(), ElementsAre("cat"));
  EXPECT_TRUE(Leave("r1", ann));
  EXPECT_THAT(Published(), ElementsAre("joined ann", "renamed", "left cat"));
  // Offline, nobody is told, and no entry appears.
  rename.claims[0].value = "dan";
  rename.presence->key = "dan";
  ASSERT_TRUE(redis_.Await<SessionResult>([&](auto done) { service_.Update(rename, std::move(done)); }).ok());
  EXPECT_THAT(Published(), IsEmpty());
  EXPECT_THAT(Online(), IsEmpty());
}

TEST_F(Presence, EndsWithItsSession) {
  Lease("r1");
  const SessionId ann = NewSession();
  ASSERT_TRUE(*Enter("r1", ann, "ann"));
  DestroyRequest destroy;
  destroy.session.id = ann;
  ASSERT_TRUE(*redis_.Await<bool>([&](auto done) { service_.Destroy(destroy, std::move(done)); }));
  EXPECT_THAT(Published(), ElementsAre("joined ann", "left ann"));
  EXPECT_THAT(Online(), IsEmpty());
  EXPECT_FALSE(Leave("r1", ann));
  EXPECT_EQ(ReasonOf(Enter("r1", ann, "ann").status()), "SESSION_DESTROYED") << "a late Enter brings nobody back";
  EXPECT_EQ(SharedRedis().Command({"KEYS", "sesior:on:{/}:*"}), "");
}

TEST_F(Presence, MovesWithARotationInSilenceAndEndsWithALogin) {
  Lease("r1");
  const SessionId ann = NewSession();
  ASSERT_TRUE(*Enter("r1", ann, "ann"));
  const auto regenerate = [&](const SessionId& id, bool rotation) {
    RegenerateRequest request;
    request.session.id = id;
    request.rotation = rotation;
    request.reason = rotation ? 3 : 2;
    return redis_.Await<SessionResult>([&](auto done) { service_.Regenerate(request, std::move(done)); })->session.id;
  };
  const SessionId rotated = regenerate(ann, true);
  EXPECT_THAT(Online(), ElementsAre("ann"));
  EXPECT_THAT(Published(), ElementsAre("joined ann"));
  regenerate(rotated, false);
  EXPECT_THAT(Online(), IsEmpty());
  EXPECT_THAT(Published(), ElementsAre("left ann"));
}

TEST_F(Presence, RemovesWhatADeadReplicaLeftOnce) {
  Lease("dead", 10s);
  Lease("alive", 10s);
  const SessionId both = NewSession();
  ASSERT_TRUE(*Enter("dead", both, "both"));
  ASSERT_FALSE(*Enter("alive", both, "both"));
  for (int i = 0; i < 250; ++i) ASSERT_TRUE(*Enter("dead", NewSession(), absl::StrCat("n", i)));
  Lease("dead", 100ms);  // its last words
  redis_.RunUntil([&] { return Lease("alive").replicas.size() == 1; });
  EXPECT_EQ(Sweep(50ms), 0) << "our connection has not been well for as long as the lease was";
  EXPECT_EQ(Online().size(), 251U);
  EXPECT_EQ(Sweep(100ms), 251);
  EXPECT_EQ(Sweep(100ms), 0);
  EXPECT_THAT(Online(), ElementsAre("both"));
  const std::vector<std::string> published = Published();
  EXPECT_EQ(std::count_if(published.begin(), published.end(), [](const auto& p) { return p.starts_with("left"); }),
            250);
  EXPECT_TRUE(Lease("dead").fresh) << "it has to send everything again";
}

TEST_F(Presence, TellsAReplicaThatCameBackInTheMiddleOfItsSweepToEnterAllAgain) {
  const std::string epoch = Lease("r1").epoch;
  for (int i = 0; i < 150; ++i) ASSERT_TRUE(*Enter("r1", NewSession(), absl::StrCat("n", i)));
  Lease("r1", 1ms);
  redis_.RunUntil([&] { return Lease("r2").replicas.size() == 1; });
  ASSERT_EQ(redis_.Await<SweepResult>([&](auto done) { redis_.presence.Sweep(1s, std::move(done)); })->removed, 100);
  EXPECT_FALSE(Lease("r2").fresh);
  const LeaseState back = Lease("r1");
  EXPECT_TRUE(back.fresh);
  EXPECT_NE(back.epoch, epoch);
  EXPECT_EQ(Lease("r1").epoch, back.epoch);
}

// A Redis that comes back without its last writes: what was lost is entered again, what is left over goes, and nothing
// is announced that others know already.
TEST_F(Presence, ComesRightAfterRedisHasLostWrites) {
  RedisServer server;
  RedisConnections redis(server);
  SessionService service(redis.store, redis.executor, SystemClock(), TestSessionOptions());
  redis.AwaitReady();
  const auto lease = [&](const std::string& entered) {
    return *redis.Await<LeaseState>([&](auto done) {
      redis.presence.KeepLease({"r1", 60s, "", entered}, std::move(done));
    });
  };
  const auto enter = [&](const SessionId& id, const std::string& key) {
    EnterRequest request{"r1", "/", id, key, "{}", "joined " + key, "left " + key, 1};
    return redis.Await<bool>([&](auto done) { redis.presence.Enter(request, std::move(done)); });
  };
  std::vector<SessionId> ids;
  for (int i = 0; i < 3; ++i) {
    ids.push_back(redis.Await<SessionResult>([&](auto done) { service.Create({}, std::move(done)); })->session.id);
  }
  const LeaseState first = lease("");
  EXPECT_TRUE(first.fresh);
  ASSERT_TRUE(*enter(ids[0], "stays"));
  ASSERT_TRUE(*enter(ids[1], "goes"));
  EXPECT_EQ(server.Command({"SAVE"}), "OK");
  ASSERT_TRUE(*redis.Await<bool>([&](auto done) { redis.presence.Leave("r1", "/", ids[1], std::move(done)); }));
  ASSERT_TRUE(*enter(ids[2], "comes"));
  EXPECT_FALSE(lease(first.epoch).fresh);

  std::vector<std::string> published;
  bool listening = false;
  server.Kill();
  redis.RunUntil([&] { return !redis.client.ready(); });
  server.Start();
  const auto subscription = redis.subscriber.Subscribe(
      BroadcastChannel("/"),
      {.on_message = [&](std::string_view m) { published.emplace_back(m.substr(m.find('\n') + 1)); },
       .on_up = [&listening] { listening = true; }});
  redis.AwaitReady();
  redis.RunUntil([&] { return listening; });
  const auto online = [&] {
    std::vector<std::string> keys;
    const auto list =
        redis.Await<OnlineList>([&](auto done) { redis.presence.ListByKey("/", "", 9, std::move(done)); });
    for (const OnlineEntry& entry : list->entries) keys.push_back(entry.key);
    return keys;
  };
  EXPECT_THAT(online(), ElementsAre("goes", "stays")) << "as it was when it was saved";

  const LeaseState second = lease(first.epoch);
  EXPECT_TRUE(second.fresh);
  EXPECT_EQ(lease(first.epoch).epoch, second.epoch) << "a repeated call makes no new one, and takes nothing";
  EXPECT_FALSE(*enter(ids[0], "stays"));
  EXPECT_TRUE(*enter(ids[2], "comes"));
  EXPECT_THAT(online(), ElementsAre("comes", "goes", "stays"));
  EXPECT_FALSE(lease(second.epoch).fresh);
  EXPECT_THAT(online(), ElementsAre("comes", "stays"));
  redis.RunUntil([&] { return published.size() == 2; });
  EXPECT_THAT(published, ElementsAre("joined comes", "left goes"));
  EXPECT_EQ(server.Command({"KEYS", "sesior:on:{/}:d:*"}), "");
}

TEST_F(Presence, LetsAReplicaGoAtOnceWhenItSaysSo) {
  Lease("r1");
  ASSERT_TRUE(*Enter("r1", NewSession(), "ann"));
  bool released = false;
  redis_.presence.ReleaseLease("r1", [&](absl::Status s) { released = s.ok(); });
  redis_.RunUntil([&] { return released; });
  EXPECT_EQ(Sweep(0ms), 1);
  EXPECT_THAT(Published(), ElementsAre("joined ann", "left ann"));
}

}  // namespace
}  // namespace sesior::testing
