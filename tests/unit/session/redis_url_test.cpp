#include "gtest/gtest.h"
#include "services/session/redis/connection.hpp"

namespace sesior::session::redis {
namespace {

TEST(RedisUrl, IsReadInAllItsForms) {
  const Address plain = *ParseRedisUrl("redis://127.0.0.1");
  EXPECT_EQ(plain.host, "127.0.0.1");
  EXPECT_EQ(plain.port, 6379);
  EXPECT_EQ(plain.database, 0);
  const Address full = *ParseRedisUrl("redis://us%3Aer:p%40ss/w@redis.example:7000/3");
  EXPECT_EQ(full.user, "us:er");
  EXPECT_EQ(full.password, "p@ss/w");
  EXPECT_EQ(full.host, "redis.example");
  EXPECT_EQ(full.port, 7000);
  EXPECT_EQ(full.database, 3);
  const Address only_password = *ParseRedisUrl("redis://:secret@h/");
  EXPECT_EQ(only_password.user, "");
  EXPECT_EQ(only_password.password, "secret");
  EXPECT_EQ(ParseRedisUrl("redis://[::1]:7001")->host, "::1");
  EXPECT_EQ(ParseRedisUrl("redis://[::1]:7001")->port, 7001);
  const Address local = *ParseRedisUrl("unix:///run/redis.sock?db=2");
  EXPECT_EQ(local.unix_path, "/run/redis.sock");
  EXPECT_EQ(local.database, 2);
}

TEST(RedisUrl, NamesSentinels) {
  const Address one = *ParseRedisUrl("redis-sentinel://s1/mine");
  EXPECT_EQ(one.sentinels, (std::vector<HostPort>{{"s1", 26379}}));
  EXPECT_EQ(one.primary, "mine");
  EXPECT_EQ(one.database, 0);
  const Address all = *ParseRedisUrl("redis-sentinel://u:p%40@s1:1,[::1]:2,s3/mine/4");
  EXPECT_EQ(all.sentinels, (std::vector<HostPort>{{"s1", 1}, {"::1", 2}, {"s3", 26379}}));
  EXPECT_EQ(all.user, "u");
  EXPECT_EQ(all.password, "p@");
  EXPECT_EQ(all.database, 4);
  EXPECT_TRUE(ParseRedisUrl("redis://h")->sentinels.empty());
}

TEST(RedisUrl, IsRefusedWithoutRepeatingThePassword) {
  for (const char* bad : {
           "",
           "localhost:6379",
           "rediss://h",
           "redis://",
           "redis://:1",
           "redis://h:0",
           "redis://h:x",
           "redis://h:70000",
           "redis://h/x",
           "redis://hunter2@h",
           "unix://relative",
           "unix:///s?x=1",
           "redis://u:hunter2@h:x",
           "redis-sentinel://h",
           "redis-sentinel://h/",
           "redis-sentinel:///mine",
           "redis-sentinel://h,/mine",
           "redis-sentinel://h:x/mine",
           "redis-sentinel://u:hunter2@h/mine/x",
       }) {
    const auto address = ParseRedisUrl(bad);
    EXPECT_EQ(address.status().code(), absl::StatusCode::kInvalidArgument) << bad;
    EXPECT_EQ(std::string(address.status().message()).find("hunter2"), std::string::npos) << bad;
  }
}

}  // namespace
}  // namespace sesior::session::redis
