// The memory of request ids in Redis: how long an id is known, and what happens to a session that is written to very
// often.
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "services/session/domain/session_service.hpp"
#include "tests/integration/session/redis_world.hpp"

namespace sesior::testing {
namespace {

using namespace session;

class Requests : public ::testing::Test {
 protected:
  Requests() : redis_(SharedRedis()), service_(redis_.store, redis_.executor, SystemClock(), TestSessionOptions()) {
    SharedRedis().Command({"FLUSHALL"});
    redis_.AwaitReady();
    id_ = redis_.Await<SessionResult>([&](auto done) { service_.Create({}, std::move(done)); })->session.id;
    key_ = absl::StrCat("sesior:req:{sess:", id_.text(), "}");
  }

  // True when the call was carried out, false when it was known.
  bool CarriesOut(const std::string& request_id) {
    const std::string value = absl::StrCat("\"", ++calls_, "\"");
    UpdateRequest request;
    request.session = {id_, {}};
    request.merge_patch_json = absl::StrCat("{\"n\":", value, "}");
    request.request_id = request_id;
    const absl::StatusOr<SessionResult> result =
        redis_.Await<SessionResult>([&](auto done) { service_.Update(std::move(request), std::move(done)); });
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() && result->session.data_json == absl::StrCat("{\"n\":", value, "}");
  }
  static std::int64_t Number(std::vector<std::string> command) {
    std::int64_t number = -99;
    EXPECT_TRUE(absl::SimpleAtoi(SharedRedis().Command(std::move(command)), &number));
    return number;
  }
  // As if so much of the time had passed that the ids of now were kept for.
  void LetKeep(std::int64_t ms) { SharedRedis().Command({"PEXPIRE", key_, std::to_string(ms)}); }

  RedisConnections redis_;
  SessionService service_;
  SessionId id_;
  std::string key_;
  int calls_ = 0;
};

TEST_F(Requests, AreKnownForAMinuteAtLeast) {
  ASSERT_TRUE(CarriesOut("first"));
  EXPECT_GT(Number({"PTTL", key_}), 110'000) << "who comes last in the first minute has another before it";
  ASSERT_TRUE(CarriesOut("second"));
  LetKeep(59'000);  // the first minute is over
  ASSERT_TRUE(CarriesOut("third"));
  EXPECT_GT(Number({"PTTL", key_}), 110'000);
  EXPECT_LE(Number({"PTTL", key_ + ":old"}), 59'000);
  for (const char* known : {"first", "second", "third"}) EXPECT_FALSE(CarriesOut(known)) << known;
  // What is known goes by itself.
  LetKeep(59'000);
  ASSERT_TRUE(CarriesOut("fourth"));
  EXPECT_TRUE(CarriesOut("first"));
  EXPECT_FALSE(CarriesOut("third"));
}

TEST_F(Requests, AreBoundedAndTheLastFourThousandKnown) {
  ASSERT_TRUE(CarriesOut("first"));
  std::vector<std::string> many = {"HSET", key_};
  for (int i = 0; i < 4095; ++i) many.insert(many.end(), {absl::StrCat("other", i), ""});
  SharedRedis().Command(many);
  ASSERT_TRUE(CarriesOut("begins-the-next"));
  EXPECT_EQ(Number({"HLEN", key_}), 2);
  EXPECT_FALSE(CarriesOut("first"));
  EXPECT_FALSE(CarriesOut("other0"));
  SharedRedis().Command(many);
  ASSERT_TRUE(CarriesOut("begins-one-more"));
  EXPECT_TRUE(CarriesOut("first")) << "forgotten within the minute";
  EXPECT_FALSE(CarriesOut("other0"));
  EXPECT_FALSE(CarriesOut("begins-the-next"));
}

}  // namespace
}  // namespace sesior::testing
