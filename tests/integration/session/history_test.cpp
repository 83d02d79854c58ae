// The history of broadcasts in Redis: what it keeps, how long, and what it says about what it does not keep any more.
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/session/redis_world.hpp"

namespace sesior::testing {
namespace {

using namespace std::chrono_literals;
using session::MissingIn;
using session::StoredBroadcast;
using session::StoreHistory;
using session::StorePosition;
using session::StoreReply;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class History : public ::testing::Test {
 protected:
  explicit History(session::redis::HistoryLimits limits = {}) : redis_(server_, {}, "", limits) { redis_.AwaitReady(); }

  absl::StatusOr<StoreReply> TryPublish(const std::string& payload, bool is_volatile = false,
                                        const std::string& request_id = "") {
    return redis_.Await<StoreReply>(
        [&](auto done) { redis_.store.Publish("/", payload, request_id, is_volatile, std::move(done)); });
  }
  StorePosition Publish(const std::string& payload, bool is_volatile = false) {
    const absl::StatusOr<StoreReply> reply = TryPublish(payload, is_volatile);
    EXPECT_TRUE(reply.ok()) << reply.status();
    return reply.ok() ? reply->position : StorePosition();
  }
  StoreHistory Read(const StorePosition& after, int limit = 1000) {
    absl::StatusOr<StoreHistory> history =
        redis_.Await<StoreHistory>([&](auto done) { redis_.store.ReadHistory(after, limit, std::move(done)); });
    EXPECT_TRUE(history.ok()) << history.status();
    return history.ok() ? *std::move(history) : StoreHistory();
  }
  StorePosition Head() {
    return redis_.Await<std::vector<StorePosition>>([&](auto done) { redis_.store.Positions({"/"}, std::move(done)); })
        ->front();
  }
  void RestartRedis() {
    server_.Kill();
    redis_.RunUntil([&] { return !redis_.client.ready(); });
    server_.Start();
    redis_.AwaitReady();
  }

  RedisServer server_{true};
  RedisConnections redis_;
};

std::vector<std::string> Payloads(const StoreHistory& history) {
  std::vector<std::string> payloads;
  for (const StoredBroadcast& stored : history.broadcasts) payloads.push_back(stored.payload);
  return payloads;
}

TEST_F(History, GivesWhatCameBehindAPosition) {
  const StorePosition none = Head();
  EXPECT_EQ(none.offset, 0U);
  const StorePosition a = Publish("a");
  Publish("b");
  const StorePosition c = Publish("c");
  StoreHistory history = Read(a);
  EXPECT_THAT(Payloads(history), ElementsAre("b", "c"));
  EXPECT_EQ(history.broadcasts[0].epoch, a.epoch);
  EXPECT_EQ(history.broadcasts[0].offset, a.offset + 1);
  EXPECT_TRUE(history.found);
  EXPECT_FALSE(MissingIn(history));
  EXPECT_EQ(history.head.epoch, c.epoch);
  EXPECT_EQ(history.head.offset, c.offset);
  EXPECT_THAT(Payloads(Read(c)), IsEmpty());
  EXPECT_FALSE(MissingIn(Read(c)));
  // From before the first one, and from the oldest.
  EXPECT_THAT(Payloads(Read(none)), ElementsAre("a", "b", "c"));
  EXPECT_THAT(Payloads(Read({.name_space = "/", .epoch = "", .offset = 0})), ElementsAre("a", "b", "c"));
}

TEST_F(History, GivesPages) {
  const StorePosition none = Head();
  for (int i = 0; i < 30; ++i) Publish(std::to_string(i));
  StoreHistory page = Read(none, 20);
  ASSERT_EQ(page.broadcasts.size(), 20U);
  EXPECT_EQ(page.head.offset, 30U);
  page = Read({.name_space = "/", .epoch = page.broadcasts[19].epoch, .offset = page.broadcasts[19].offset}, 20);
  ASSERT_EQ(page.broadcasts.size(), 10U);
  EXPECT_EQ(page.broadcasts[0].payload, "20");
  // A page of large ones is shorter.
  for (int i = 0; i < 8; ++i) Publish(std::string(400'000, 'x'));
  EXPECT_EQ(Read({.name_space = "/", .epoch = page.head.epoch, .offset = 30}, 20).broadcasts.size(), 3U);
}

TEST_F(History, NumbersAndKeepsNoVolatileBroadcast) {
  const StorePosition a = Publish("a");
  const StorePosition passing = Publish("passing", true);
  EXPECT_EQ(passing.offset, a.offset);
  EXPECT_EQ(passing.epoch, a.epoch);
  EXPECT_EQ(Publish("b").offset, a.offset + 1);
  EXPECT_THAT(Payloads(Read(a)), ElementsAre("b"));
}

TEST_F(History, ThatHasExpiredIsNoGapForWhoMissedNothing) {
  const StorePosition before = Publish("a");
  const StorePosition last = Publish("b");
  EXPECT_GT(std::stoll(server_.Command({"PTTL", "sesior:hist:{/}"})), 100'000);
  server_.Command({"DEL", "sesior:hist:{/}"});
  EXPECT_TRUE(Read(last).found);
  EXPECT_FALSE(MissingIn(Read(last)));
  const StoreHistory history = Read(before);
  EXPECT_EQ(history.from, 2U);
  EXPECT_EQ(MissingIn(history), 2U);
  // Numbers go on, and so does the history.
  EXPECT_EQ(Publish("c").offset, 3U);
  EXPECT_THAT(Payloads(Read(last)), ElementsAre("c"));
}

TEST_F(History, FindsAPositionByItsEpochAfterAFailover) {
  Publish("a");
  const StorePosition old = Publish("b");
  RestartRedis();
  EXPECT_EQ(Head().offset, old.offset);
  EXPECT_EQ(Head().epoch, old.epoch) << "the newest broadcast is still the old one";
  EXPECT_TRUE(Read(old).found);
  const StorePosition next = Publish("c");
  EXPECT_EQ(next.offset, old.offset + 1);
  EXPECT_NE(next.epoch, old.epoch);
  const StoreHistory history = Read({.name_space = "/", .epoch = old.epoch, .offset = 1});
  EXPECT_TRUE(history.found);
  EXPECT_THAT(Payloads(history), ElementsAre("b", "c"));
  EXPECT_EQ(history.broadcasts[0].epoch, old.epoch);
  EXPECT_EQ(history.broadcasts[1].epoch, next.epoch);
  // What the new primary never had: the number is used again.
  StoreHistory lost = Read({.name_space = "/", .epoch = old.epoch, .offset = 3});
  EXPECT_FALSE(lost.found);
  EXPECT_THAT(Payloads(lost), ElementsAre("c"));
  lost = Read({.name_space = "/", .epoch = "other", .offset = 1});
  EXPECT_FALSE(lost.found);
  EXPECT_EQ(lost.from, 1U);
}

TEST_F(History, BeginsAnewWithItsCounters) {
  const StorePosition old = Publish("a");
  Publish("b");
  server_.Command({"DEL", "sesior:seq:{/}"});
  const StorePosition anew = Publish("c");
  EXPECT_EQ(anew.offset, 1U);
  EXPECT_NE(anew.epoch, old.epoch);
  const StoreHistory history = Read(old);
  EXPECT_FALSE(history.found);
  EXPECT_THAT(Payloads(history), ElementsAre("c"));
}

TEST_F(History, IsNotHalfWrittenByARedisThatIsFull) {
  const StorePosition a = Publish("a");
  const std::string counters = server_.Command({"HGET", "sesior:seq:{/}", "b"});
  server_.Command({"CONFIG", "SET", "maxmemory", "1"});
  const absl::Status refused = TryPublish("b").status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnavailable) << refused;
  EXPECT_FALSE(TryPublish("b", true, "r1").ok()) << "a volatile one whose request cannot be remembered";
  EXPECT_EQ(server_.Command({"HGET", "sesior:seq:{/}", "b"}), counters);
  EXPECT_EQ(server_.Command({"XLEN", "sesior:hist:{/}"}), "1");
  server_.Command({"CONFIG", "SET", "maxmemory", "0"});
  EXPECT_EQ(Publish("b").offset, a.offset + 1);
}

class SmallHistory : public History {
 protected:
  SmallHistory() : History({.window = 60s, .entries = 1000, .bytes = 4 << 20}) {}
};

TEST_F(SmallHistory, KeepsNoMoreBroadcastsThanAllowed) {
  const StorePosition first = Publish("a");
  int answered = 0;
  for (int i = 0; i < 1500; ++i) redis_.store.Publish("/", "x", "", false, [&](auto) { ++answered; });
  redis_.RunUntil([&] { return answered == 1500; });
  const std::int64_t kept = std::stoll(server_.Command({"XLEN", "sesior:hist:{/}"}));
  EXPECT_LE(kept, 1000);
  EXPECT_GE(kept, 800);
  const StoreHistory history = Read(first);
  EXPECT_TRUE(history.found);
  EXPECT_EQ(history.from, 2U);
  EXPECT_EQ(MissingIn(history), 1501U - static_cast<std::uint64_t>(kept));
}

TEST_F(SmallHistory, KeepsNoMoreBytesThanAllowed) {
  int answered = 0;
  for (int i = 0; i < 40; ++i) {
    redis_.store.Publish("/", std::string(500'000, 'x'), "", false, [&](auto) { ++answered; });
  }
  redis_.RunUntil([&] { return answered == 40; });
  const std::int64_t kept = std::stoll(server_.Command({"XLEN", "sesior:hist:{/}"}));
  EXPECT_LE(kept * 500'000, 4 << 20);
  EXPECT_GE(kept, 4);
  EXPECT_LE(std::stoll(server_.Command({"LLEN", "sesior:marks:{/}"})), kept);
}

class ShortHistory : public History {
 protected:
  ShortHistory() : History({.window = 100ms}) {}
};

TEST_F(ShortHistory, ForgetsWhatIsOlderThanTheWindow) {
  const StorePosition first = Publish("a");
  const auto kept_from = [&] { return Read({.name_space = "/", .epoch = "", .offset = 0}, 1).from; };
  // Under traffic by the marks.
  redis_.RunUntil([&] {
    for (int i = 0; i < 64; ++i) Publish("x");
    return kept_from() > 64;
  });
  EXPECT_EQ(server_.Command({"EXISTS", "sesior:hist:{/}"}), "1");
  EXPECT_TRUE(MissingIn(Read(first)));
  // Idle by itself; the numbers stay.
  redis_.RunUntil([&] { return server_.Command({"EXISTS", "sesior:hist:{/}"}) == "0"; });
  EXPECT_FALSE(MissingIn(Read(Head())));
  EXPECT_GT(Head().offset, 64U);
}

}  // namespace
}  // namespace sesior::testing
