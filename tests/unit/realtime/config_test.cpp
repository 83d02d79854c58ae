#include "services/realtime/config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace sesior::realtime {
namespace {

using ::testing::HasSubstr;

absl::Status Load(std::vector<const char*> arguments, Config& config) {
  arguments.insert(arguments.begin(), "sesior-realtime");
  return LoadConfig(static_cast<int>(arguments.size()), arguments.data(), config).status();
}

TEST(Config, HasTheDefaultsOfTheReferenceServer) {
  Config config;
  ASSERT_TRUE(Load({"--session-addresses=a:1,b:2"}, config).ok());
  EXPECT_EQ(config.session_addresses, (std::vector<std::string>{"a:1", "b:2"}));
  EXPECT_EQ(config.server.engine.ping_interval, std::chrono::milliseconds(25'000));
  EXPECT_EQ(config.server.engine.ping_timeout, std::chrono::milliseconds(20'000));
  EXPECT_EQ(config.server.engine.max_payload_bytes, 1'000'000u);
  EXPECT_EQ(config.server.front.path, "/socket.io");
  EXPECT_FALSE(config.replica_name.empty());
  EXPECT_TRUE(config.server.engine.allow_polling && config.server.engine.allow_websocket);
  EXPECT_TRUE(config.server.engine.allow_upgrades && config.server.front.http_compression);
}

TEST(Config, AppliesALimitWhereverItCounts) {
  Config config;
  ASSERT_TRUE(
      Load({"--session-addresses=a:1", "--max-payload=5000", "--threads=4", "--process-queue-bytes=4194304"}, config)
          .ok());
  EXPECT_EQ(config.server.channel.http.body_bytes, 5000u);
  EXPECT_EQ(config.server.channel.max_message_bytes, 5000u);
  EXPECT_EQ(config.server.channel.loop_queue_limit_bytes, std::size_t{1} << 20);
}

TEST(Config, SetsTheBoundsOfConnectionsAndSockets) {
  Config config;
  ASSERT_TRUE(Load({"--session-addresses=a:1", "--parser=msgpack", "--max-packet-bytes=2000",
                    "--max-packets-per-second=50", "--max-namespaces=2", "--max-rooms=3", "--max-pending-acks=4"},
                   config)
                  .ok());
  EXPECT_EQ(config.server.socketio.format, socketio::PacketFormat::kMsgpack);
  EXPECT_EQ(config.server.socketio.max_packet_bytes, 2000u);
  EXPECT_EQ(config.server.socketio.max_packets_per_second, 50u);
  EXPECT_EQ(config.server.socketio.max_namespaces, 2u);
  EXPECT_EQ(config.server.hub.max_rooms, 3u);
  EXPECT_EQ(config.server.hub.max_pending_acks, 4u);
}

TEST(Config, SetsThePaceOfComingAndGoing) {
  Config config;
  ASSERT_TRUE(Load({"--session-addresses=a:1", "--drain-rate=20", "--max-connection-age=2h",
                    "--max-handshakes-per-second=30", "--drain-delay=4s"},
                   config)
                  .ok());
  EXPECT_EQ(config.server.drain_rate, 20);
  EXPECT_EQ(config.server.max_connection_age, std::chrono::hours(2));
  EXPECT_EQ(config.server.handshakes_per_second, 30);
  EXPECT_EQ(config.server.drain_delay, std::chrono::seconds(4));
  EXPECT_THAT(std::string(Load({"--session-addresses=a:1", "--drain-rate=0"}, config).message()),
              HasSubstr("drain-rate"));
}

TEST(Config, TakesTheTransportsAndTheOptionsOfTheReference) {
  Config config;
  ASSERT_TRUE(Load({"--session-addresses=a:1", "--transports=websocket", "--allow-upgrades=false",
                    "--http-compression=false", "--ping-interval=300ms", "--ping-timeout=200ms"},
                   config)
                  .ok());
  EXPECT_FALSE(config.server.engine.allow_polling);
  EXPECT_TRUE(config.server.engine.allow_websocket);
  EXPECT_FALSE(config.server.engine.allow_upgrades);
  EXPECT_FALSE(config.server.front.http_compression);
  EXPECT_THAT(std::string(Load({"--session-addresses=a:1", "--transports=polling,pigeon"}, config).message()),
              HasSubstr("transports"));
}

TEST(Config, ChecksWhatReplicasNeedToReachEachOther) {
  Config config;
  EXPECT_THAT(std::string(Load({"--session-addresses=a:1", "--peer-listen=127.0.0.1:0"}, config).message()),
              HasSubstr("peer-secret"));
  Config short_secret;
  EXPECT_THAT(
      std::string(
          Load({"--session-addresses=a:1", "--peer-listen=0.0.0.0:7", "--peer-secret=short"}, short_secret).message()),
      HasSubstr("peer-address"));
  Config good;
  EXPECT_TRUE(Load({"--session-addresses=a:1", "--peer-listen=0.0.0.0:7", "--peer-address=10.0.0.1:7",
                    "--peer-secret=sixteen bytes at least"},
                   good)
                  .ok());
}

TEST(Config, NamesEveryProblemAtOnce) {
  Config config;
  const absl::Status status = Load({"--listen=nowhere", "--allowed-origins=http://a.example/path", "--replica-name=a b",
                                    "--path=socket.io/", "--log-level=loud", "--threads=0", "--parser=xml"},
                                   config);
  ASSERT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  for (const char* flag :
       {"listen", "allowed-origins", "replica-name", "path", "log-level", "threads", "parser", "session-addresses"}) {
    EXPECT_THAT(std::string(status.message()), HasSubstr(flag));
  }
}

}  // namespace
}  // namespace sesior::realtime
