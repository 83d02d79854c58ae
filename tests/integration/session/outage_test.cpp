// What happens when Redis goes away, hangs, is full, read-only or of the wrong kind; and that it comes back by itself.
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "sesior/base/error.hpp"
#include "tests/integration/session/redis_world.hpp"

namespace sesior::testing {
namespace {

using namespace session;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

// One Redis, and everything that talks to it.
struct World {
  explicit World(bool persistent = true, std::vector<std::string> arguments = {})
      : server(persistent, std::move(arguments)),
        redis(server),
        service(redis.store, redis.executor, SystemClock(), TestSessionOptions()) {}

  absl::StatusOr<SessionResult> Create() {
    return redis.Await<SessionResult>([&](auto done) { service.Create({}, std::move(done)); });
  }
  absl::StatusOr<SessionResult> Get(const SessionId& id) {
    return redis.Await<SessionResult>([&](auto done) { service.Get({id, {}}, false, std::move(done)); });
  }
  absl::StatusOr<SessionResult> Patch(const SessionId& id, std::string patch, std::string request_id = "") {
    UpdateRequest request;
    request.session.id = id;
    request.merge_patch_json = std::move(patch);
    request.request_id = std::move(request_id);
    return redis.Await<SessionResult>([&](auto done) { service.Update(std::move(request), std::move(done)); });
  }

  RedisServer server;
  RedisConnections redis;
  SessionService service;
};

void ExpectUnavailable(const absl::Status& status) {
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_EQ(DetailsOf(status).reason, "REDIS_UNAVAILABLE");
  EXPECT_TRUE(DetailsOf(status).retry_after.has_value());
}

TEST(Outage, FailsFastWhileRedisIsAwayAndRecoversByItself) {
  World world;
  world.redis.AwaitReady();
  const SessionId id = world.Create()->session.id;
  ASSERT_TRUE(world.Patch(id, R"({"a":1})", "before").ok());
  int messages = 0;
  int ups = 0;
  const auto subscription = world.redis.subscriber.Subscribe(
      "test:channel", {.on_message = [&](std::string_view) { ++messages; }, .on_up = [&] { ++ups; }});
  world.redis.RunUntil([&] { return ups == 1; });

  for (int round = 0; round < 3; ++round) {
    world.server.Kill();
    world.redis.RunUntil([&] { return !world.redis.client.ready() && !world.redis.subscriber.ready(); });
    const auto start = std::chrono::steady_clock::now();
    ExpectUnavailable(world.Get(id).status());
    ExpectUnavailable(world.Patch(id, R"({"a":2})").status());
    EXPECT_LT(std::chrono::steady_clock::now() - start, 200ms) << "fails at once";
    world.server.Start();
    world.redis.RunUntil([&] { return ups == 2 + round; });
    world.redis.AwaitReady();
    EXPECT_EQ(world.Get(id)->session.data_json, R"({"a":1})") << "nothing half written";
    const int before = messages;
    world.server.Command({"PUBLISH", "test:channel", "x"});
    world.redis.RunUntil([&] { return messages == before + 1; });
  }
  EXPECT_EQ(world.Patch(id, R"({"a":3})", "before")->session.data_json, R"({"a":1})")
      << "request ids outlive a restart of Redis";
}

TEST(Outage, LearnsScriptsAgainWhenRedisHasLostThem) {
  World world;
  world.redis.AwaitReady();
  const SessionId id = world.Create()->session.id;
  world.server.Command({"SCRIPT", "FLUSH"});
  EXPECT_TRUE(world.Get(id).ok());
  EXPECT_TRUE(world.Patch(id, R"({"a":1})").ok());
  world.server.Command({"SCRIPT", "FLUSH"});
  std::vector<std::string> seen;
  for (int i = 0; i < 5; ++i) {
    UpdateRequest request;
    request.session.id = id;
    request.merge_patch_json = absl::StrCat("{\"n\":", i, "}");
    world.service.Update(std::move(request), [&](absl::StatusOr<SessionResult> r) {
      seen.push_back(r.ok() ? r->session.data_json : r.status().ToString());
    });
  }
  world.redis.RunUntil([&] { return seen.size() == 5; });
  EXPECT_EQ(seen.back(), R"({"a":1,"n":4})");
}

TEST(Outage, GivesUpAConnectionThatAnswersNothing) {
  World world;
  world.redis.AwaitReady();
  const SessionId id = world.Create()->session.id;
  world.server.Pause();
  ExpectUnavailable(world.Get(id).status());
  world.server.Resume();
  world.redis.AwaitReady();
  world.redis.RunUntil([&] { return world.Get(id).ok(); });
}

TEST(Outage, StartsBeforeRedisDoes) {
  auto server = std::make_unique<RedisServer>();
  server->Kill();
  RedisConnections redis(*server);
  SessionService service(redis.store, redis.executor, SystemClock(), TestSessionOptions());
  ExpectUnavailable(redis.Await<SessionResult>([&](auto done) { service.Create({}, std::move(done)); }).status());
  server->Start();
  redis.AwaitReady();
  EXPECT_TRUE(redis.Await<SessionResult>([&](auto done) { service.Create({}, std::move(done)); }).ok());
}

TEST(Outage, NotesASubscriptionThatWentSilent) {
  World world(false);
  world.redis.AwaitReady();
  int ups = 0;
  const auto subscription = world.redis.subscriber.Subscribe(
      "test:channel", {.on_message = [](std::string_view) {}, .on_up = [&] { ++ups; }});
  world.redis.RunUntil([&] { return ups == 1; });
  // Redis forgets the subscription but keeps the connection: only the missing heartbeat tells.
  world.server.Command({"CLIENT", "KILL", "TYPE", "pubsub"});
  world.redis.RunUntil([&] { return ups == 2; });
}

TEST(Outage, WritesNothingIntoAFullRedis) {
  World world(false, {"--maxmemory-policy", "noeviction"});
  world.redis.AwaitReady();
  const SessionId id = world.Create()->session.id;
  ASSERT_TRUE(world.Patch(id, R"({"a":1})").ok());
  world.server.Command({"CONFIG", "SET", "maxmemory", "1"});
  ExpectUnavailable(world.Patch(id, R"({"a":2})").status());
  ExpectUnavailable(world.Create().status());
  EXPECT_EQ(world.Get(id)->session.data_json, R"({"a":1})") << "reading goes on";
  world.server.Command({"CONFIG", "SET", "maxmemory", "0"});
  EXPECT_EQ(world.Patch(id, R"({"a":3})")->session.data_json, R"({"a":3})");
}

TEST(Outage, TreatsAReadOnlyReplicaAsAway) {
  World world(false);
  world.redis.AwaitReady();
  const SessionId id = world.Create()->session.id;
  ASSERT_TRUE(world.Patch(id, R"({"a":1})").ok());
  // Points nowhere: enough to make it read-only.
  world.server.Command({"REPLICAOF", "127.0.0.1", "1"});
  ExpectUnavailable(world.Patch(id, R"({"a":2})").status());
  world.redis.RunUntil([&] { return !world.redis.client.ready(); });
  ExpectUnavailable(world.Patch(id, R"({"a":2})").status());
  world.server.Command({"REPLICAOF", "NO", "ONE"});
  world.redis.AwaitReady();
  EXPECT_TRUE(world.Patch(id, R"({"a":3})").ok());
}

TEST(Outage, RefusesACluster) {
  World world(false, {"--cluster-enabled", "yes"});
  world.redis.RunUntil([&] { return world.redis.fatal; });
  EXPECT_THAT(std::string(world.redis.last_error.message()), ::testing::HasSubstr("is a cluster"));
  EXPECT_FALSE(world.redis.client.ready());
}

TEST(Outage, NeedsTheRightPassword) {
  RedisServer server(false, {"--requirepass", "sesame"});
  RedisConnections wrong(server);
  wrong.RunUntil([&] { return !wrong.last_error.ok(); });
  EXPECT_FALSE(wrong.client.ready());
  EXPECT_EQ(std::string(wrong.last_error.message()).find("sesame"), std::string::npos);
  RedisConnections right(server, {}, "sesame");
  right.AwaitReady();
}

TEST(Outage, ReportsAKeyOfAnotherType) {
  World world(false);
  world.redis.AwaitReady();
  world.server.Command({"HSET", "sess:odd", "a", "b"});
  for (const absl::Status& status :
       {world.Get(SessionId("odd")).status(), world.Patch(SessionId("odd"), R"({"a":1})").status()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
    EXPECT_EQ(ReasonOf(status), "RECORD_CORRUPT");
  }
  EXPECT_EQ(world.server.Command({"HGET", "sess:odd", "a"}), "b");
}

TEST(Outage, ReportsARecordTooLongToBeReadButEndsIt) {
  World world(false);
  world.redis.AwaitReady();
  const SessionId id("long");
  const auto record = [](std::size_t bytes) {
    const std::string head = R"({"cookie":{},"pad":")";
    return head + std::string(bytes - head.size() - 2, 'x') + "\"}";
  };
  world.server.Command({"SET", "sess:long", record(3 << 20)});
  EXPECT_TRUE(world.Get(id).ok());
  world.server.Command({"SET", "sess:long", record((3 << 20) + 1)});
  for (const absl::Status& status : {world.Get(id).status(), world.Patch(id, R"({"pad":null})").status()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
    EXPECT_EQ(ReasonOf(status), "RECORD_CORRUPT");
  }
  EXPECT_EQ(world.server.Command({"STRLEN", "sess:long"}), std::to_string((3 << 20) + 1));
  const DestroyRequest logout{.session = {id, {}}, .etag = {}, .reason = 1, .request_id = {}};
  const absl::StatusOr<bool> ended =
      world.redis.Await<bool>([&](auto done) { world.service.Destroy(logout, std::move(done)); });
  EXPECT_TRUE(ended.ok() && *ended) << ended.status();
  EXPECT_EQ(world.server.Command({"EXISTS", "sess:long"}), "0");
}

TEST(Outage, ChangesTheEpochOfBroadcastsWithEveryNewPrimary) {
  World world(false);
  world.redis.AwaitReady();
  const auto publish = [&] {
    return world.redis
        .Await<StoreReply>([&](auto done) { world.redis.store.Publish("/", "x", "", false, std::move(done)); })
        ->position;
  };
  const StorePosition first = publish();
  const StorePosition second = publish();
  EXPECT_EQ(first.epoch, second.epoch);
  EXPECT_EQ(second.offset, first.offset + 1);
  world.server.Kill();
  world.redis.RunUntil([&] { return !world.redis.client.ready(); });
  world.server.Start();
  world.redis.AwaitReady();
  const StorePosition third = publish();
  EXPECT_NE(third.epoch, first.epoch) << "the counter started anew: numbers are used again";
  const auto positions = world.redis.Await<std::vector<StorePosition>>([&](auto done) {
    world.redis.store.Positions({"/", "/none"}, std::move(done));
  });
  EXPECT_EQ((*positions)[0].epoch, third.epoch);
  EXPECT_EQ((*positions)[0].offset, third.offset);
  EXPECT_EQ((*positions)[1].offset, 0U);
}

TEST(Outage, PublishesOnceForOneRequest) {
  World world(false);
  world.redis.AwaitReady();
  const auto publish = [&](std::string request_id) {
    return *world.redis.Await<StoreReply>(
        [&](auto done) { world.redis.store.Publish("/", "x", std::move(request_id), false, std::move(done)); });
  };
  const StoreReply first = publish("r1");
  const StoreReply again = publish("r1");
  EXPECT_EQ(again.outcome, StoreOutcome::kReplay);
  EXPECT_EQ(again.position.offset, first.position.offset);
  EXPECT_EQ(again.position.epoch, first.position.epoch);
  EXPECT_EQ(publish("r2").position.offset, first.position.offset + 1);
}

}  // namespace
}  // namespace sesior::testing
