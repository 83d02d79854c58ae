// The sweep of expired sessions on Redis: what it ends, what it keeps, and that nothing stops it.
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/session/domain/expiry_sweeper.hpp"
#include "services/session/domain/session_service.hpp"
#include "sesior/base/error.hpp"
#include "tests/integration/session/redis_world.hpp"

namespace sesior::testing {
namespace {

using namespace session;
using std::chrono_literals::operator""h;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class Expiry : public ::testing::Test {
 protected:
  Expiry() : redis_(SharedRedis()), service_(redis_.store, redis_.executor, SystemClock(), TestSessionOptions()) {
    SharedRedis().Command({"FLUSHALL"});
    bool listening = false;
    hints_ = redis_.subscriber.Subscribe(kChangeChannel, {.on_message =
                                                              [this](std::string_view message) {
                                                                if (message.starts_with("end ")) {
                                                                  ended_.emplace_back(message.substr(4));
                                                                }
                                                                if (message.starts_with("gone ")) {
                                                                  ended_.emplace_back(message);
                                                                }
                                                              },
                                                          .on_up = [&listening] { listening = true; }});
    redis_.AwaitReady();
    redis_.RunUntil([&] { return listening; });
  }

  SessionId Create(std::chrono::milliseconds ttl, const std::string& name = {}) {
    CreateRequest request;
    request.idle_ttl = ttl;
    if (!name.empty()) request.claims.push_back({"user", name, "userName", ""});
    const auto made =
        redis_.Await<SessionResult>([&](auto done) { service_.Create(std::move(request), std::move(done)); });
    EXPECT_TRUE(made.ok()) << made.status();
    return made->session.id;
  }
  // Every shard until none has anything left.
  ExpirySweep Sweep(const std::string& holder = "me", int batch = 100) {
    ExpirySweep all;
    for (int shard = 0; shard < kExpiryShards; ++shard) {
      for (int seen = batch; seen == batch;) {
        const ExpirySweep swept = *redis_.Await<ExpirySweep>(
            [&](auto done) { redis_.expiry.Sweep(shard, holder, 1s, batch, std::move(done)); });
        seen = swept.seen;
        all.seen += swept.seen;
        all.ended += swept.ended;
      }
    }
    return all;
  }
  std::string Redis(const std::vector<std::string>& command) { return SharedRedis().Command(command); }
  void Await(const SessionId& id) {
    redis_.RunUntil([&] { return Redis({"PTTL", "sess:" + id.text()}) == "-2"; });
  }
  void AwaitEnds(std::size_t count) {
    redis_.RunUntil([&] { return ended_.size() >= count; });
  }
  // As if its time had come.
  void MakeDue(const std::string& id) {
    for (int shard = 0; shard < kExpiryShards; ++shard) {
      Redis({"ZADD", absl::StrCat("sesior:exp:{", shard, "}"), "XX", "1", id});
    }
  }
  // How many entries the shards hold.
  int Entries() {
    int count = 0;
    for (int shard = 0; shard < kExpiryShards; ++shard) {
      count += std::stoi(Redis({"ZCARD", absl::StrCat("sesior:exp:{", shard, "}")}));
    }
    return count;
  }

  RedisConnections redis_;
  SessionService service_;
  std::vector<std::string> ended_;
  std::unique_ptr<EventBus::Subscription> hints_;
};

TEST_F(Expiry, EndsWhatIsOverAndNothingElse) {
  const SessionId brief = Create(50ms, "ann");
  const SessionId lasting = Create(60s, "bob");
  EXPECT_EQ(Entries(), 2);
  Await(brief);
  EXPECT_EQ(Redis({"EXISTS", "sesior:claim:{user:ann}"}), "1") << "a claim outlives its record until it is swept";
  const ExpirySweep swept = Sweep();
  EXPECT_EQ(swept.seen, 1);
  EXPECT_EQ(swept.ended, 1);
  AwaitEnds(1);
  EXPECT_THAT(ended_, ElementsAre(brief.text() + " 6"));
  EXPECT_EQ(Redis({"EXISTS", "sesior:claim:{user:ann}"}), "0");
  EXPECT_EQ(Redis({"EXISTS", "sesior:claim:{user:bob}"}), "1");
  EXPECT_EQ(Redis({"EXISTS", absl::StrCat("sesior:meta:{sess:", brief.text(), "}")}), "0");
  EXPECT_EQ(Entries(), 1);
  EXPECT_EQ(Sweep().seen, 0) << "told once";
}

TEST_F(Expiry, KeepsWhatSomebodyElseKeptAliveAndItsClaimToo) {
  const SessionId id = Create(60s, "ann");
  Redis({"PEXPIRE", "sess:" + id.text(), "7200000"});
  MakeDue(id.text());
  EXPECT_EQ(Sweep().seen, 1);
  EXPECT_THAT(ended_, IsEmpty());
  EXPECT_EQ(Entries(), 1);
  EXPECT_EQ(Sweep().seen, 0) << "looked at again when its new time is up";
  EXPECT_GT(std::stoll(Redis({"PTTL", "sesior:claim:{user:ann}"})), 90'000'000) << "two hours and a day";
}

TEST_F(Expiry, TakesASessionOfExpressInAtFirstSight) {
  Redis({"SET", "sess:foreign", R"({"cookie":{}})", "PX", "60000"});
  EXPECT_EQ(Entries(), 0);
  ASSERT_TRUE(
      redis_.Await<SessionResult>([&](auto done) {
              service_.Get({SessionId("foreign"), {}}, false, std::move(done));
            })
          .ok());
  EXPECT_EQ(Entries(), 1);
  Redis({"DEL", "sess:foreign"});
  MakeDue("foreign");
  EXPECT_EQ(Sweep().ended, 1);
  AwaitEnds(1);
  EXPECT_THAT(ended_, ElementsAre("foreign 6"));
}

TEST_F(Expiry, NoticesATimeThatExpressMadeShorter) {
  const SessionId id = Create(60s);
  Redis({"SET", "sess:" + id.text(), R"({"cookie":{},"a":1})", "PX", "1500"});
  ASSERT_TRUE(redis_.Await<SessionResult>([&](auto done) { service_.Get({id, {}}, false, std::move(done)); }).ok());
  Await(id);
  EXPECT_EQ(Sweep().ended, 1);
}

TEST_F(Expiry, WhoFindsADeletedSessionClearsUpAfterIt) {
  const SessionId id = Create(60s, "ann");
  Redis({"DEL", "sess:" + id.text()});  // as Express logs out
  EXPECT_EQ(ReasonOf(redis_.Await<SessionResult>([&](auto done) {
                             service_.Get({id, {}}, false, std::move(done));
                           })
                         .status()),
            "SESSION_NOT_FOUND");
  AwaitEnds(1);
  EXPECT_THAT(ended_, ElementsAre("gone " + id.text())) << "before its time";
  EXPECT_EQ(Redis({"EXISTS", "sesior:claim:{user:ann}"}), "0");
  EXPECT_EQ(Entries(), 0);
}

TEST_F(Expiry, LeavesNothingOfASessionThatWasEnded) {
  const SessionId id = Create(60s);
  const DestroyRequest logout{.session = {id, {}}, .etag = {}, .reason = 1, .request_id = {}};
  ASSERT_TRUE(redis_.Await<bool>([&](auto done) { service_.Destroy(logout, std::move(done)); }).ok());
  EXPECT_EQ(Entries(), 0);
}

TEST_F(Expiry, TakesItsPresenceAlong) {
  const SessionId id = Create(60s);
  ASSERT_TRUE(redis_.Await<LeaseState>([&](auto done) {
                      redis_.presence.KeepLease({"r1", 60s}, std::move(done));
                    })
                  .ok());
  EnterRequest request{"r1", "/", id, "ann", "{}", "joined", "left", 1};
  ASSERT_TRUE(*redis_.Await<bool>([&](auto done) { redis_.presence.Enter(request, std::move(done)); }));
  Redis({"DEL", "sess:" + id.text()});
  MakeDue(id.text());
  Sweep();
  EXPECT_EQ(*redis_.Await<std::int64_t>([&](auto done) { redis_.presence.CountOnline("/", std::move(done)); }), 0);
}

TEST_F(Expiry, OneReplicaSweepsAShardAndAnotherTakesOverFromADeadOne) {
  std::vector<SessionId> ids;
  for (int i = 0; i < 300; ++i) ids.push_back(Create(30ms));
  for (const SessionId& id : ids) Await(id);
  int ended = 0;
  // "dead" takes a batch of one in every shard and is never heard of again.
  for (int shard = 0; shard < kExpiryShards; ++shard) {
    ended += redis_.Await<ExpirySweep>([&](auto done) { redis_.expiry.Sweep(shard, "dead", 1h, 1, std::move(done)); })
                 ->ended;
  }
  ASSERT_GT(ended, 0);
  ASSERT_LT(ended, 300);
  EXPECT_EQ(Sweep("alive").seen, 0) << "the lease holds";
  for (int shard = 0; shard < kExpiryShards; ++shard) Redis({"DEL", absl::StrCat("sesior:sweep:{", shard, "}")});
  EXPECT_EQ(ended + Sweep("alive").ended, 300) << "each once";
  EXPECT_EQ(Entries(), 0);
}

TEST_F(Expiry, IsNotHeldUpByWhatCannotBeEnded) {
  const SessionId bad = Create(30ms, "ann");
  Await(bad);
  Redis({"DEL", "sesior:claim:{user:ann}"});
  Redis({"HSET", "sesior:claim:{user:ann}", "a", "b"});  // a GET of it fails
  const SessionId good = Create(30ms);
  Await(good);
  EXPECT_EQ(Sweep().seen, 2);
  AwaitEnds(1);
  EXPECT_THAT(ended_, ElementsAre(good.text() + " 6"));
  EXPECT_EQ(Entries(), 1) << "tried again later";
}

TEST_F(Expiry, TheSweeperTellsEveryEndSoonAfterItsTime) {
  ExpirySweep total;
  ExpirySweeper first(redis_.expiry, redis_.executor, {.interval = 200ms, .lease = 400ms, .batch = 10},
                      [&](const ExpirySweep& swept) { total.ended += swept.ended; });
  ExpirySweeper second(redis_.expiry, redis_.executor, {.interval = 200ms, .lease = 400ms, .batch = 10},
                       [&](const ExpirySweep& swept) { total.ended += swept.ended; });
  first.Start();
  second.Start();
  for (int i = 0; i < 200; ++i) Create(50ms + i * 1ms);
  redis_.RunUntil([&] { return total.ended == 200; });
  EXPECT_EQ(Entries(), 0);
}

}  // namespace
}  // namespace sesior::testing
