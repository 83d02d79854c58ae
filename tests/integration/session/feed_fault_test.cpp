// The tracking feed when something breaks: connections killed, Redis restarted, hung, or refusing to track; with others
// writing in every moment of it.
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
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

std::string Record(int n) { return absl::StrCat(R"({"cookie":{},"n":)", n, "}"); }

struct FaultWorld {
  explicit FaultWorld(std::vector<std::string> arguments = {})
      : server(true, std::move(arguments)), replica(server, Kind::kTracking, 1h) {}

  void Set(const SessionId& id, int n) {
    ASSERT_EQ(server.Command({"SET", "sess:" + id.text(), Record(n), "PX", "3600000"}), "OK");
  }
  // Of the connections that bear such a name; how many there were.
  int Kill(const std::string& name) {
    int killed = 0;
    const std::string list = server.Command({"CLIENT", "LIST"});
    for (const absl::string_view line : absl::StrSplit(list, '\n')) {
      if (line.find(absl::StrCat("name=", name, " ")) == absl::string_view::npos) continue;
      const std::size_t at = line.find("id=") + 3;
      const std::string id(line.substr(at, line.find(' ') - at));
      if (server.Command({"CLIENT", "KILL", "ID", id}) == "1") ++killed;
    }
    return killed;
  }

  RedisServer server;
  FeedReplica replica;
};

TEST(FeedFault, LosesNothingWhoeverOfTheTwoConnectionsIsKilled) {
  FaultWorld world;
  const SessionId id = world.replica.Create();
  const auto sink = world.replica.Watch(id);
  int n = 0;
  for (int round = 0; round < 12; ++round) {
    const int times_up = world.replica.times_up;
    int killed = 0;
    if (round % 3 != 1) killed += world.Kill("sesior-session-listener");
    if (round % 3 != 0) killed += world.Kill("sesior-session-reader");
    ASSERT_EQ(killed, round % 3 == 2 ? 2 : 1);
    // A change before anything is noticed here, some while it mends, one after it.
    world.Set(id, ++n);
    EXPECT_EQ(world.replica.Data(id), absl::StrCat("{\"n\":", n, "}")) << "a read asks whom it can";
    int steps = 0;
    world.replica.redis.RunUntil([&] {
      if (world.replica.times_up > times_up && world.replica.tracks()) return true;
      if (++steps % 5 == 0) world.Set(id, ++n);
      return false;
    });
    ASSERT_TRUE(world.replica.AwaitData(*sink, absl::StrCat("{\"n\":", n, "}"))) << "round " << round;
    world.Set(id, ++n);
    ASSERT_TRUE(world.replica.AwaitData(*sink, absl::StrCat("{\"n\":", n, "}"))) << "round " << round;
  }
}

TEST(FeedFault, TellsAfterARestartOfRedisWhatHappenedAroundIt) {
  FaultWorld world;
  const SessionId id = world.replica.Create();
  const SessionId ended = world.replica.Create();
  const auto sink = world.replica.Watch(id);
  const auto sink_of_ended = world.replica.Watch(ended);
  for (int round = 1; round <= 2; ++round) {
    const int times_up = world.replica.times_up;
    world.server.Kill();
    world.replica.redis.RunUntil([&] { return !world.replica.tracks(); });
    EXPECT_EQ(world.replica.Get(id).status().code(), absl::StatusCode::kUnavailable);
    world.server.Start();
    world.Set(id, round);  // before the replica is back
    if (round == 2) world.server.Command({"DEL", "sess:" + ended.text()});
    world.replica.redis.RunUntil([&] { return world.replica.times_up > times_up; });
    ASSERT_TRUE(world.replica.AwaitData(*sink, absl::StrCat("{\"n\":", round, "}")));
  }
  EXPECT_EQ(world.replica.AwaitKind(*sink_of_ended, v1::WATCH_EVENT_KIND_ENDED).reason(), v1::END_REASON_LOGOUT);
}

TEST(FeedFault, AnswersNothingStaleFromMemoryWhileRedisHangs) {
  FaultWorld world;
  const SessionId id = world.replica.Create();
  for (int i = 0; i < 4; ++i) ASSERT_EQ(world.replica.Data(id), "{}");
  ASSERT_GT(world.replica.service->read_counts().hits, 0U);
  world.server.Pause();
  const auto start = steady_clock::now();
  EXPECT_EQ(world.replica.Get(id).status().code(), absl::StatusCode::kUnavailable)
      << "the fence fails, then the store does";
  EXPECT_LT(steady_clock::now() - start, 5s);
  world.server.Resume();
  bool is_back = false;
  world.replica.redis.RunUntil([&] { return (is_back = is_back || world.replica.Data(id) == "{}"); });
}

TEST(FeedFault, GoesOnWithHintsWhereTheServerRefusesToTrack) {
  RedisServer server;
  ASSERT_EQ(server.Command({"ACL", "SETUSER", "default", "-client|tracking"}), "OK");
  FeedReplica replica(server, Kind::kTracking, 100ms);
  EXPECT_FALSE(replica.tracks());
  EXPECT_EQ(replica.times_up, 0);
  FeedReplica other(server, Kind::kTracking, 100ms);
  const SessionId id = replica.Create();
  const auto sink = replica.Watch(id);
  ASSERT_TRUE(other.Patch(id, R"({"n":1})").ok());
  ASSERT_TRUE(replica.AwaitData(*sink, R"({"n":1})")) << "by a hint";
  server.Command({"SET", "sess:" + id.text(), Record(2), "PX", "3600000"});
  ASSERT_TRUE(replica.AwaitData(*sink, R"({"n":2})")) << "by looking again";
  EXPECT_EQ(replica.Data(id), R"({"n":2})");
  EXPECT_EQ(replica.service->read_counts().hits, 0U);
}

TEST(FeedFault, LooksAtManySessionsAgainAfterAnInterruption) {
  FaultWorld world;
  const auto set_all = [&world](int n) {
    std::vector<std::string> command{"MSET"};
    for (int i = 0; i < 1500; ++i) {
      command.push_back(absl::StrCat("sess:s", i));
      command.push_back(Record(n));
    }
    world.server.Command(command);
  };
  set_all(0);
  std::vector<std::shared_ptr<FeedReplica::Sink>> sinks;
  for (int i = 0; i < 1500; ++i) {
    sinks.push_back(std::make_shared<FeedReplica::Sink>());
    v1::SessionRef ref;
    ref.set_session_id(absl::StrCat("s", i));
    world.replica.hub->Add(sinks.back(), 1, ref, 0);
  }
  for (const auto& sink : sinks) ASSERT_TRUE(world.replica.AwaitData(*sink, R"({"n":0})"));
  world.Kill("sesior-session-listener");
  set_all(1);
  for (const auto& sink : sinks) ASSERT_TRUE(world.replica.AwaitData(*sink, R"({"n":1})"));
}

}  // namespace
}  // namespace sesior::testing
