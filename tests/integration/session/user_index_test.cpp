// The list of a user's sessions in Redis: what it holds, how long, and that nothing is left behind.
#include <chrono>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "services/session/domain/session_service.hpp"
#include "services/session/domain/user_sessions.hpp"
#include "sesior/base/error.hpp"
#include "tests/integration/session/redis_world.hpp"

namespace sesior::testing {
namespace {

using namespace session;
using std::chrono_literals::operator""ms;

constexpr int kRevoked = 4;
constexpr int kErased = 7;

class UserIndex : public ::testing::Test {
 protected:
  UserIndex()
      : redis_(SharedRedis()),
        service_(redis_.store, redis_.executor, SystemClock(), Options()),
        users_(service_, redis_.store) {
    SharedRedis().Command({"FLUSHALL"});
    redis_.AwaitReady();
  }
  static SessionOptions Options() {
    SessionOptions options = TestSessionOptions();
    options.user_limit.sessions = 1000;
    return options;
  }

  SessionId Created(std::string user_id, std::optional<std::chrono::milliseconds> idle = std::nullopt) {
    CreateRequest request;
    request.user_id = std::move(user_id);
    request.idle_ttl = idle;
    return redis_.Await<SessionResult>([&](auto done) { service_.Create(std::move(request), std::move(done)); })
        ->session.id;
  }
  absl::StatusOr<SessionResult> Get(const SessionId& id) {
    return redis_.Await<SessionResult>([&](auto done) { service_.Get({id, {}}, false, std::move(done)); });
  }
  absl::StatusOr<int> EndAll(const std::string& user_id, bool erase = false) {
    StoreEndUser end;
    end.user_id = user_id;
    end.reason = erase ? kErased : kRevoked;
    end.erase = erase;
    return redis_.Await<int>([&](auto done) { redis_.store.EndUser(std::move(end), std::move(done)); });
  }
  std::size_t Listed(const std::string& user_id) {
    return redis_.Await<std::vector<UserSession>>([&](auto done) { redis_.store.ListUser(user_id, std::move(done)); })
        ->size();
  }
  static std::int64_t Number(std::vector<std::string> command) {
    std::int64_t number = -99;
    EXPECT_TRUE(absl::SimpleAtoi(SharedRedis().Command(std::move(command)), &number));
    return number;
  }

  RedisConnections redis_;
  SessionService service_;
  UserSessions users_;
};

TEST_F(UserIndex, LivesADayLongerThanItsLongestSession) {
  const SessionId id = Created("ann", 60'000ms);
  EXPECT_NEAR(static_cast<double>(Number({"PTTL", "sesior:user:{u:ann}"})), 86'460'000, 5000);
  const std::string score = SharedRedis().Command({"ZSCORE", "sesior:user:{u:ann}", id.text()});
  double expiry = 0;
  ASSERT_TRUE(absl::SimpleAtod(score, &expiry));
  EXPECT_NEAR(expiry, static_cast<double>(SystemClock().WallMillis() + 60'000), 5000);
  Created("ann", 600'000ms);
  EXPECT_NEAR(static_cast<double>(Number({"PTTL", "sesior:user:{u:ann}"})), 87'000'000, 5000);
  Created("ann", 1'000ms);
  EXPECT_NEAR(static_cast<double>(Number({"PTTL", "sesior:user:{u:ann}"})), 87'000'000, 5000) << "never shorter";
}

TEST_F(UserIndex, NothingIsLeftOfAnEndedSession) {
  const SessionId id = Created("ann");
  ASSERT_EQ(Number({"EXISTS", "sesior:user:{u:ann}"}), 1);
  ASSERT_TRUE(redis_.Await<bool>([&](auto done) { service_.Destroy({{id, {}}, "", 1, ""}, std::move(done)); }).ok());
  EXPECT_EQ(SharedRedis().Command({"KEYS", "sesior:user:*"}), "");
}

TEST_F(UserIndex, ForgetsSessionsThatExpiredBehindItsBack) {
  const SessionId id = Created("ann");
  const SessionId other = Created("ann");
  SharedRedis().Command({"DEL", "sess:" + id.text()});
  EXPECT_EQ(Listed("ann"), 1U);
  EXPECT_EQ(Number({"ZCARD", "sesior:user:{u:ann}"}), 1);
  EXPECT_EQ(Number({"EXISTS", absl::StrCat("sesior:meta:{sess:", id.text(), "}")}), 0);
  SharedRedis().Command({"DEL", "sess:" + other.text()});
  EXPECT_EQ(Listed("ann"), 0U);
  EXPECT_EQ(SharedRedis().Command({"KEYS", "sesior:*"}), "") << "neither list nor sidecars";
}

TEST_F(UserIndex, TheMarkEndsASessionThatWasNotListed) {
  const SessionId lost = Created("ann");
  SharedRedis().Command({"DEL", "sesior:user:{u:ann}"});
  redis_.RunUntil([at = SystemClock().WallMillis()] { return SystemClock().WallMillis() > at + 2; });
  EXPECT_EQ(*EndAll("ann"), 0);
  EXPECT_EQ(ReasonOf(Get(lost).status()), "SESSION_DESTROYED");
  EXPECT_EQ(SharedRedis().Command({"GET", absl::StrCat("sesior:tomb:{sess:", lost.text(), "}")}), "4 ");
  EXPECT_TRUE(Get(Created("ann")).ok()) << "one made later is good";
}

TEST_F(UserIndex, AMarkOfAClockThatIsAheadLetsNewSessionsLive) {
  SharedRedis().Command({"SET", "sesior:rev:{u:ann}", std::to_string(SystemClock().WallMillis() + 60'000)});
  EXPECT_TRUE(Get(Created("ann")).ok());
}

TEST_F(UserIndex, EndsManyInSteps) {
  for (int i = 0; i < 230; ++i) Created("ann");
  EXPECT_EQ(*EndAll("ann"), 230);
  EXPECT_EQ(SharedRedis().Command({"KEYS", "sess:*"}), "");
}

TEST_F(UserIndex, ErasingLeavesNoKeyThatNamesTheUser) {
  Created("ann");
  ASSERT_TRUE(EndAll("ann").ok());
  Created("ann");
  const SessionId expired = Created("ann");
  SharedRedis().Command({"DEL", "sess:" + expired.text()});
  EXPECT_EQ(*EndAll("ann", true), 1);
  EXPECT_EQ(SharedRedis().Command({"KEYS", "*ann*"}), "");
  EXPECT_EQ(SharedRedis().Command({"KEYS", "sesior:meta:*"}), "") << "devices are gone with the sidecars";
}

TEST_F(UserIndex, ATouchBringsALostListBack) {
  const SessionId id = Created("ann", 60'000ms);
  SharedRedis().Command({"DEL", "sesior:user:{u:ann}"});
  ASSERT_TRUE(redis_
                  .Await<StoreReply>([&](auto done) {
                    redis_.store.Touch(id, 60'000ms, {.address = "192.0.2.7", .user_agent = "", .label = ""},
                                       std::move(done));
                  })
                  .ok());
  EXPECT_EQ(Listed("ann"), 1U);
}

TEST_F(UserIndex, ASessionWithoutExpiryKeepsTheListWithoutOne) {
  const SessionId id = Created("ann");
  SharedRedis().Command({"PERSIST", "sess:" + id.text()});
  SharedRedis().Command({"DEL", "sesior:user:{u:ann}"});
  UpdateRequest join;
  const SessionId lone = Created("");
  SharedRedis().Command({"PERSIST", "sess:" + lone.text()});
  join.session.id = lone;
  join.user_id_if_none = "ann";
  ASSERT_TRUE(redis_.Await<SessionResult>([&](auto done) { service_.Update(std::move(join), std::move(done)); }).ok());
  EXPECT_EQ(Number({"PTTL", "sesior:user:{u:ann}"}), -1);
  Created("ann");
  EXPECT_EQ(Number({"PTTL", "sesior:user:{u:ann}"}), -1);
  EXPECT_EQ(Listed("ann"), 2U);
}

}  // namespace
}  // namespace sesior::testing
