// The contract of the REST routes, against a session service that does what the test says.
#include "services/rest/app.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sesior/base/error.hpp"
#include "sesior/base/error_metadata.hpp"
#include "tests/unit/rest/rest_world.hpp"

namespace sesior::rest {
namespace {

namespace v1 = session::v1;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

constexpr char kCookie[] = "connect.sid=s%3Aid.signature";
const RestWorld::Headers kWithCookie = {{"Cookie", kCookie}};
const RestWorld::Headers kJson = {{"Content-Type", "application/json"}};
const RestWorld::Headers kJsonWithCookie = {{"Content-Type", "application/json"}, {"Cookie", kCookie}};

v1::ResolveCookieResponse Resolved(const std::string& data_json) {
  v1::ResolveCookieResponse response;
  response.set_verdict(v1::COOKIE_VERDICT_VALID);
  response.mutable_session()->set_session_id("id");
  response.mutable_session()->set_data_json(data_json);
  response.mutable_session()->set_etag("\"v1\"");
  return response;
}

v1::ResolveCookieResponse Judged(v1::CookieVerdict verdict) {
  v1::ResolveCookieResponse response;
  response.set_verdict(verdict);
  return response;
}

absl::Status Status(absl::StatusCode code, const std::string& reason) {
  return Error(code, "said", {.reason = reason, .field = {}, .retry_after = {}});
}

TEST(Register, MakesASessionForOneWhoHasNone) {
  RestWorld world;
  world.Send("POST", "/register", kJson, R"({"userName":"  ann "})");
  auto call = world.sessions.create_session.Take();
  ASSERT_EQ(call.request.claims_size(), 1);
  EXPECT_EQ(call.request.claims(0).namespace_(), "userName");
  EXPECT_EQ(call.request.claims(0).value(), "ann");
  EXPECT_EQ(call.request.claims(0).member(), "userName");
  EXPECT_EQ(call.request.device().address(), "192.0.2.1");
  v1::CreateSessionResponse response;
  response.set_set_cookie("connect.sid=new");
  call.Answer(response);
  const Answer answer = world.Take();
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, R"({"membershipResolved":true,"user":{"userName":"ann"}})");
  EXPECT_EQ(answer.Header("Set-Cookie"), "connect.sid=new");
  EXPECT_THAT(answer.Header("Content-Type"), HasSubstr("application/json"));
}

TEST(Register, TreatsABadCookieAsNone) {
  for (const v1::CookieVerdict verdict : {v1::COOKIE_VERDICT_ABSENT, v1::COOKIE_VERDICT_MALFORMED,
                                          v1::COOKIE_VERDICT_FORGED, v1::COOKIE_VERDICT_UNKNOWN}) {
    RestWorld world;
    world.Send("POST", "/register", kJsonWithCookie, R"({"userName":"ann"})");
    auto call = world.sessions.resolve_cookie.Take();
    EXPECT_EQ(call.request.cookie_header(), kCookie);
    call.Answer(Judged(verdict));
    EXPECT_EQ(world.sessions.create_session.size(), 1u);
  }
}

TEST(Register, GivesAnAnonymousSessionANewIdAndKeepsItsData) {
  RestWorld world;
  world.Send("POST", "/register", kJsonWithCookie, R"({"userName":"ann"})");
  world.sessions.resolve_cookie.Take().Answer(Resolved(R"({"basket":[1]})"));
  auto call = world.sessions.regenerate_session.Take();
  EXPECT_EQ(call.request.session().session_id(), "id");
  EXPECT_TRUE(call.request.keep_data());
  EXPECT_EQ(call.request.reason(), v1::END_REASON_LOGIN);
  EXPECT_EQ(call.request.claims(0).value(), "ann");
  v1::RegenerateSessionResponse response;
  response.set_set_cookie("connect.sid=new");
  call.Answer(response);
  EXPECT_EQ(world.Take().Header("Set-Cookie"), "connect.sid=new");
}

TEST(Register, RenamesASessionThatHasAName) {
  RestWorld world;
  world.Send("POST", "/register", kJsonWithCookie, R"({"userName":"b\"c"})");
  world.sessions.resolve_cookie.Take().Answer(Resolved(R"({"userName":"ann"})"));
  auto call = world.sessions.update_session.Take();
  EXPECT_EQ(call.request.session().session_id(), "id");
  EXPECT_EQ(call.request.claims(0).value(), "b\"c");
  const std::string placeholder = call.request.claims(0).previous_placeholder();
  EXPECT_GE(placeholder.size(), 20u);
  const v1::Announcement& announcement = call.request.announcement();
  EXPECT_TRUE(announcement.only_if_online());
  EXPECT_EQ(announcement.broadcast().namespace_(), "/");
  EXPECT_EQ(announcement.broadcast().rooms_size(), 0);
  EXPECT_EQ(announcement.broadcast().packet().args_json(),
            R"(["user:renamed",{"oldUserName":")" + placeholder + R"(","user":{"userName":"b\"c"}}])");
  EXPECT_EQ(call.request.presence().namespace_(), "/");
  EXPECT_EQ(call.request.presence().key(), "b\"c");
  EXPECT_EQ(call.request.presence().value_json(), R"({"userName":"b\"c"})");
  EXPECT_EQ(call.request.presence().left().packet().args_json(), R"(["user:left","b\"c"])");
  call.Answer(v1::UpdateSessionResponse());
  const Answer answer = world.Take();
  EXPECT_EQ(answer.body, R"({"membershipResolved":true,"user":{"userName":"b\"c"}})");
  EXPECT_EQ(answer.Header("Set-Cookie"), "");
}

TEST(Register, TellsNobodyWhenTheNameStays) {
  RestWorld world;
  world.Send("POST", "/register", kJsonWithCookie, R"({"userName":"ann"})");
  world.sessions.resolve_cookie.Take().Answer(Resolved(R"({"userName":"ann"})"));
  auto call = world.sessions.update_session.Take();
  EXPECT_FALSE(call.request.has_announcement());
  EXPECT_FALSE(call.request.has_presence());
  EXPECT_EQ(call.request.claims(0).value(), "ann");
  call.Answer(v1::UpdateSessionResponse());
  EXPECT_EQ(world.Take().status, 200);
}

TEST(Register, StartsAfreshWhenTheSessionEndsMeanwhile) {
  RestWorld world;
  world.Send("POST", "/register", kJsonWithCookie, R"({"userName":"bob"})");
  world.sessions.resolve_cookie.Take().Answer(Resolved(R"({"userName":"ann"})"));
  world.sessions.update_session.Take().Fail(Status(absl::StatusCode::kNotFound, "SESSION_DESTROYED"));
  EXPECT_EQ(world.sessions.create_session.size(), 1u);
}

TEST(Register, RefusesATakenName) {
  RestWorld world;
  world.Send("POST", "/register", kJson, R"({"userName":"ann"})");
  world.sessions.create_session.Take().Fail(Status(absl::StatusCode::kAlreadyExists, "CLAIM_TAKEN"));
  const Answer answer = world.Take();
  EXPECT_EQ(answer.status, 409);
  EXPECT_EQ(answer.body, R"({"membershipResolved":false,"error":"User already exists"})");
  EXPECT_EQ(answer.Header("Set-Cookie"), "");
}

TEST(Register, LeavesTheCookieAloneInAnOutage) {
  RestWorld world;
  world.Send("POST", "/register", kJsonWithCookie, R"({"userName":"ann"})");
  world.sessions.resolve_cookie.Take().Fail(absl::UnavailableError("away"));
  const Answer answer = world.Take();
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.Header("Retry-After"), "1");
  EXPECT_EQ(answer.Header("Set-Cookie"), "");
  EXPECT_TRUE(world.sessions.idle());
}

TEST(Register, SaysWhenToComeBackToWhoMakesTooManySessions) {
  RestWorld world;
  world.Send("POST", "/register", kJson, R"({"userName":"ann"})");
  auto call = world.sessions.create_session.Take();
  EXPECT_FALSE(call.request.device().address().empty()) << "the service counts by it";
  call.Fail(
      Error(absl::StatusCode::kResourceExhausted, "too many new sessions",
            {.reason = "CREATE_RATE", .field = "device.address", .retry_after = std::chrono::milliseconds(20'500)}));
  const Answer answer = world.Take();
  EXPECT_EQ(answer.status, 429);
  EXPECT_EQ(answer.Header("Retry-After"), "21");
  EXPECT_EQ(answer.Header("Set-Cookie"), "");
}

TEST(Register, TakesAForm) {
  RestWorld world;
  world.Send("POST", "/register", {{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}},
             "userName=ann+%26+%C3%A9");
  EXPECT_EQ(world.sessions.create_session.Take().request.claims(0).value(), "ann & \xc3\xa9");
}

TEST(Register, NamesTheFieldInEveryBadRequest) {
  const std::string bodies[] = {
      R"({"userName":)",
      "",
      "[]",
      "null",
      "{}",
      R"({"userName":5})",
      R"({"userName":null})",
      R"({"userName":["ann"]})",
      R"({"userName":""})",
      R"({"userName":" "})",
      R"({"userName":"a\u0007"})",
      R"({"userName":"a\ud800b"})",
      "{\"userName\":\"\xff\"}",
      R"({"userName":")" + std::string(65, 'x') + R"("})",
      R"({"userName":"ann","userName":5})",
      std::string(100'000 / 2, '['),
  };
  for (const std::string& body : bodies) {
    RestWorld world;
    const Answer answer = world.Ask("POST", "/register", kJson, body);
    EXPECT_EQ(answer.status, 400) << body;
    EXPECT_THAT(answer.body, MatchesRegex(R"(\{"membershipResolved":false,"error":"[^"]*userName[^"]*"\})")) << body;
    EXPECT_TRUE(world.sessions.idle());
  }
}

TEST(VerifySession, KnowsASessionWithAName) {
  RestWorld world;
  world.Send("GET", "/verify-session", kWithCookie);
  auto call = world.sessions.resolve_cookie.Take();
  EXPECT_EQ(call.request.cookie_header(), kCookie);
  EXPECT_TRUE(call.request.touch());
  call.Answer(Resolved(R"({"a":{"userName":"no"},"user\u004eame":"Zo\u00eb"})"));
  const Answer answer = world.Take();
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "{\"sessionVerified\":true,\"user\":{\"userName\":\"Zo\xc3\xab\"}}");
  EXPECT_EQ(answer.Header("Set-Cookie"), "");
  EXPECT_EQ(answer.Header("Cache-Control"), "no-store");
}

TEST(VerifySession, JoinsCookieLinesAndPassesADueCookieOn) {
  RestWorld world;
  world.Send("GET", "/verify-session", {{"Cookie", "a=1"}, {"Cookie", kCookie}});
  auto call = world.sessions.resolve_cookie.Take();
  EXPECT_EQ(call.request.cookie_header(), std::string("a=1; ") + kCookie);
  v1::ResolveCookieResponse response = Resolved(R"({"userName":"ann"})");
  response.set_set_cookie("connect.sid=again");
  call.Answer(response);
  EXPECT_EQ(world.Take().Header("Set-Cookie"), "connect.sid=again");
}

TEST(VerifySession, KnowsNobodyElse) {
  RestWorld world;
  EXPECT_EQ(world.Ask("GET", "/verify-session").body, R"({"sessionVerified":false})");
  EXPECT_TRUE(world.sessions.idle());  // nothing to ask
  for (const v1::ResolveCookieResponse& response :
       {Judged(v1::COOKIE_VERDICT_FORGED), Judged(v1::COOKIE_VERDICT_UNKNOWN), Resolved("{}"),
        Resolved(R"({"userName":5})"), Resolved(R"({"userName":""})")}) {
    world.Send("GET", "/verify-session", kWithCookie);
    world.sessions.resolve_cookie.Take().Answer(response);
    const Answer answer = world.Take();
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, R"({"sessionVerified":false})");
    EXPECT_EQ(answer.Header("Set-Cookie"), "");
  }
}

TEST(VerifySession, ClaimsANameThatExpressWroteOnce) {
  RestWorld world;
  v1::ResolveCookieResponse response = Resolved(R"({"userName":"ann"})");
  response.mutable_session()->set_foreign_writer(true);
  world.Send("GET", "/verify-session", kWithCookie);
  world.sessions.resolve_cookie.Take().Answer(response);
  auto call = world.sessions.update_session.Take();
  EXPECT_EQ(call.request.session().session_id(), "id");
  EXPECT_EQ(call.request.merge_patch_json(), "{}");
  EXPECT_EQ(call.request.claims(0).value(), "ann");
  EXPECT_FALSE(call.request.has_announcement());
  call.Fail(Status(absl::StatusCode::kAlreadyExists, "CLAIM_TAKEN"));
  EXPECT_EQ(world.Take().body, R"({"sessionVerified":true,"user":{"userName":"ann"}})");

  world.Send("GET", "/verify-session", kWithCookie);
  world.sessions.resolve_cookie.Take().Answer(response);
  EXPECT_TRUE(world.sessions.idle());
  EXPECT_EQ(world.Take().status, 200);
}

TEST(VerifySession, LeavesAForeignNameThatIsNoneOfOurs) {
  RestWorld world;
  v1::ResolveCookieResponse response = Resolved(R"({"userName":" padded "})");
  response.mutable_session()->set_foreign_writer(true);
  world.Send("GET", "/verify-session", kWithCookie);
  world.sessions.resolve_cookie.Take().Answer(response);
  EXPECT_TRUE(world.sessions.idle());
  EXPECT_EQ(world.Take().body, R"({"sessionVerified":true,"user":{"userName":" padded "}})");
}

TEST(VerifySession, NeverTakesAnOutageForALogout) {
  for (const absl::Status& status : {absl::UnavailableError(""), absl::DeadlineExceededError("")}) {
    RestWorld world;
    world.Send("GET", "/verify-session", kWithCookie);
    world.sessions.resolve_cookie.Take().Fail(status);
    const Answer answer = world.Take();
    EXPECT_EQ(answer.status, 503);
    EXPECT_EQ(answer.Header("Retry-After"), "1");
    EXPECT_EQ(answer.Header("Set-Cookie"), "");
  }
}

TEST(Users, ListsAPage) {
  RestWorld world;
  world.Send("GET", "/users?after=a%26b&limit=2");
  auto call = world.sessions.list_online.Take();
  EXPECT_EQ(call.request.namespace_(), "/");
  EXPECT_EQ(call.request.order(), presence::v1::ONLINE_ORDER_BY_KEY);
  EXPECT_EQ(call.request.after(), "a&b");
  EXPECT_EQ(call.request.limit(), 2);
  presence::v1::ListOnlineResponse response;
  for (const char* name : {"b\"", "c"}) {
    response.add_entries()->set_key(name);
    response.mutable_entries()->rbegin()->set_value_json(R"({"userName":"x"})");
  }
  response.set_total_count(7);
  call.Answer(response);
  const Answer answer = world.Take();
  EXPECT_EQ(answer.body, R"({"users":{"b\"":{"userName":"x"},"c":{"userName":"x"}}})");
  EXPECT_EQ(answer.Header("X-Total-Count"), "7");
}

TEST(Users, ListsNobody) {
  RestWorld world;
  world.Send("GET", "/users");
  auto call = world.sessions.list_online.Take();
  EXPECT_EQ(call.request.limit(), 1000);
  call.Answer(presence::v1::ListOnlineResponse());
  EXPECT_EQ(world.Take().body, R"({"users":{}})");
}

TEST(Users, NamesABadParameter) {
  RestWorld world;
  for (const char* limit : {"0", "1001", "-1", "x", "", "1x", "99999999999999999999"}) {
    const Answer answer = world.Ask("GET", std::string("/users?limit=") + limit);
    EXPECT_EQ(answer.status, 400) << limit;
    EXPECT_THAT(answer.body, HasSubstr("limit must be a number from 1 to 1000"));
  }
  EXPECT_THAT(world.Ask("GET", "/users?after=%ff").body, HasSubstr("after"));
}

TEST(Session, ShowsTheOwnRecordWithItsETag) {
  RestWorld world;
  world.Send("GET", "/session", kWithCookie);
  world.sessions.resolve_cookie.Take().Answer(Resolved(R"({"n":1.10})"));
  Answer answer = world.Take();
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, R"({"n":1.10})");
  EXPECT_EQ(answer.Header("ETag"), "\"v1\"");

  world.Send("GET", "/session", {{"Cookie", kCookie}, {"If-None-Match", "\"v0\", W/\"v1\""}});
  world.sessions.resolve_cookie.Take().Answer(Resolved("{}"));
  answer = world.Take();
  EXPECT_EQ(answer.status, 304);
  EXPECT_EQ(answer.Header("ETag"), "\"v1\"");

  world.Send("GET", "/session", {{"Cookie", kCookie}, {"If-None-Match", "\"v1\""}});
  v1::ResolveCookieResponse due = Resolved("{}");
  due.set_set_cookie("connect.sid=new");
  world.sessions.resolve_cookie.Take().Answer(due);
  answer = world.Take();
  EXPECT_EQ(answer.status, 304);
  EXPECT_EQ(answer.Header("Set-Cookie"), "connect.sid=new") << "a cookie that is due waits for no change";
}

TEST(Session, Is401WithoutOne) {
  RestWorld world;
  EXPECT_EQ(world.Ask("GET", "/session").status, 401);
  EXPECT_EQ(world.Ask("PATCH", "/session", kJson, "{}").status, 401);
  world.Send("GET", "/session", kWithCookie);
  world.sessions.resolve_cookie.Take().Answer(Judged(v1::COOKIE_VERDICT_FORGED));
  EXPECT_EQ(world.Take().status, 401);
}

TEST(Session, PatchesWithoutTouchingTheText) {
  RestWorld world;
  world.Send("PATCH", "/session", kJsonWithCookie, R"( {"big":12345678901234567890,"f":1.10} )");
  world.sessions.resolve_cookie.Take().Answer(Resolved("{}"));
  auto call = world.sessions.update_session.Take();
  EXPECT_EQ(call.request.merge_patch_json(), R"({"big":12345678901234567890,"f":1.10})");
  EXPECT_EQ(call.request.session().session_id(), "id");
  EXPECT_EQ(call.request.etag(), "");
  v1::UpdateSessionResponse response;
  response.mutable_session()->set_data_json(R"({"a":1})");
  response.mutable_session()->set_etag("\"v2\"");
  call.Answer(response);
  const Answer answer = world.Take();
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, R"({"a":1})");
  EXPECT_EQ(answer.Header("ETag"), "\"v2\"");
}

TEST(Session, HonoursIfMatch) {
  const struct {
    std::string if_match;
    int status;  // 0: goes on to the service
    std::string etag;
  } cases[] = {{"\"v1\"", 0, "\"v1\""},
               {"\"v0\", \"v1\"", 0, "\"v1\""},
               {"*", 0, ""},
               {"\"v0\"", 412, ""},
               {"W/\"v1\"", 412, ""}};
  for (const auto& c : cases) {
    RestWorld world;
    world.Send("PATCH", "/session", {{"Cookie", kCookie}, {"If-Match", c.if_match}}, "{}");
    world.sessions.resolve_cookie.Take().Answer(Resolved("{}"));
    EXPECT_EQ(world.Take().status, c.status) << c.if_match;
    if (c.status == 0) {
      EXPECT_EQ(world.sessions.update_session.Take().request.etag(), c.etag);
    }
  }
}

TEST(Session, TellsWhyAPatchFailed) {
  const struct {
    absl::Status status;
    int answered;
  } cases[] = {
      {Status(absl::StatusCode::kAborted, "ETAG_MISMATCH"), 412},
      {Status(absl::StatusCode::kAborted, "WRITE_CONFLICT"), 409},
      {Status(absl::StatusCode::kInvalidArgument, "CLAIMED_MEMBER"), 400},
      {Status(absl::StatusCode::kNotFound, "SESSION_DESTROYED"), 401},
      {Status(absl::StatusCode::kResourceExhausted, "RECORD_TOO_LARGE"), 413},
      {absl::UnavailableError(""), 503},
  };
  for (const auto& c : cases) {
    RestWorld world;
    world.Send("PATCH", "/session", kWithCookie, "{}");
    world.sessions.resolve_cookie.Take().Answer(Resolved("{}"));
    world.sessions.update_session.Take().Fail(c.status);
    EXPECT_EQ(world.Take().status, c.answered);
  }
}

TEST(Session, RefusesABadPatchBeforeAsking) {
  RestWorld world;
  for (const char* body : {"[1]", "1", R"({"a":)", "", R"({"userName":"x"})", R"({"user\u004eame":null})"}) {
    EXPECT_EQ(world.Ask("PATCH", "/session", kWithCookie, body).status, 400) << body;
  }
  EXPECT_THAT(world.Ask("PATCH", "/session", kWithCookie, R"({"userName":"x"})").body, HasSubstr("userName"));
  EXPECT_TRUE(world.sessions.idle());
}

TEST(Logout, DestroysAndClears) {
  RestWorld world;
  world.Send("POST", "/logout", kWithCookie);
  auto call = world.sessions.destroy_session.Take();
  EXPECT_EQ(call.request.session().cookie_header(), kCookie);
  EXPECT_EQ(call.request.reason(), v1::END_REASON_LOGOUT);
  v1::DestroySessionResponse response;
  response.set_clear_cookie("connect.sid=; gone");
  call.Answer(response);
  const Answer answer = world.Take();
  EXPECT_EQ(answer.status, 204);
  EXPECT_EQ(answer.Header("Set-Cookie"), "connect.sid=; gone");
  EXPECT_EQ(answer.Header("Content-Length"), "");
}

TEST(Logout, ClearsABadCookieAndNoneToo) {
  constexpr char kForget[] = "connect.sid=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly";
  RestWorld world;
  world.Send("POST", "/logout", kWithCookie);
  world.sessions.destroy_session.Take().Fail(Status(absl::StatusCode::kUnauthenticated, "SIGNATURE_INVALID"));
  Answer answer = world.Take();
  EXPECT_EQ(answer.status, 204);
  EXPECT_EQ(answer.Header("Set-Cookie"), kForget);

  world.Send("POST", "/logout", kWithCookie);
  world.sessions.destroy_session.Take().Fail(
      WithMetadata(Status(absl::StatusCode::kUnauthenticated, "SIGNATURE_INVALID"), "clear_cookie", "sid=; Path=/app"));
  EXPECT_EQ(world.Take().Header("Set-Cookie"), "sid=; Path=/app") << "as the service has it";

  answer = world.Ask("POST", "/logout");
  EXPECT_EQ(answer.status, 204);
  EXPECT_EQ(answer.Header("Set-Cookie"), kForget);
  EXPECT_TRUE(world.sessions.idle());
}

TEST(Logout, TouchesNoCookieInAnOutage) {
  RestWorld world;
  world.Send("POST", "/logout", kWithCookie);
  world.sessions.destroy_session.Take().Fail(absl::UnavailableError(""));
  const Answer answer = world.Take();
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.Header("Set-Cookie"), "");
}

TEST(Requests, CarryTheirIdsThroughAllServices) {
  constexpr char kTrace[] = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01";
  RestWorld world;
  world.Send("GET", "/users", {{"X-Request-Id", "abc-1.2_3"}, {"Traceparent", kTrace}});
  auto call = world.sessions.list_online.Take();
  EXPECT_EQ(call.options.correlation_id, "abc-1.2_3");
  EXPECT_EQ(call.options.traceparent, kTrace);
  call.Answer(presence::v1::ListOnlineResponse());
  EXPECT_EQ(world.Take().Header("X-Request-Id"), "abc-1.2_3");
}

TEST(Requests, GetAnIdWhereTheirOwnIsNoGood) {
  for (const std::string& id : {std::string(""), std::string("a b"), std::string(65, 'x'), std::string("a=\"")}) {
    RestWorld world;
    world.Send("GET", "/users", {{"X-Request-Id", id}, {"Traceparent", "00-zz"}});
    auto call = world.sessions.list_online.Take();
    EXPECT_THAT(call.options.correlation_id, MatchesRegex("[A-Za-z0-9_-]{22}")) << id;
    EXPECT_EQ(call.options.traceparent, "");
    call.Answer(presence::v1::ListOnlineResponse());
    EXPECT_EQ(world.Take().Header("X-Request-Id").size(), 22u);
  }
}

TEST(Routes, AnswerWhatIsNotThere) {
  RestWorld world;
  EXPECT_EQ(world.Ask("GET", "/nothing").status, 404);
  EXPECT_EQ(world.Ask("GET", "/users/").status, 404);
  EXPECT_EQ(world.Ask("GET", "/../main.cpp").status, 404);
  Answer answer = world.Ask("DELETE", "/session");
  EXPECT_EQ(answer.status, 405);
  EXPECT_EQ(answer.Header("Allow"), "OPTIONS, GET, HEAD, PATCH");
  answer = world.Ask("OPTIONS", "/register");
  EXPECT_EQ(answer.status, 204);
  EXPECT_EQ(answer.Header("Allow"), "OPTIONS, POST");
}

TEST(Routes, AnswerHeadAsGetWithoutABody) {
  RestWorld world;
  const Answer answer = world.Ask("HEAD", "/verify-session");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.Header("Content-Length"), "25");
}

Config Listing(const std::string& origin) {
  Config config;
  config.allowed_origins = {origin};
  return config;
}

TEST(Origins, AListedOneMayReadWithCredentials) {
  RestWorld world(Listing("https://app.test"));
  const Answer answer = world.Ask("GET", "/verify-session", {{"Origin", "https://app.test"}});
  EXPECT_EQ(answer.Header("Access-Control-Allow-Origin"), "https://app.test");
  EXPECT_EQ(answer.Header("Access-Control-Allow-Credentials"), "true");
  EXPECT_THAT(answer.Header("Access-Control-Expose-Headers"), HasSubstr("X-Total-Count"));
  EXPECT_THAT(answer.Header("Vary"), HasSubstr("Origin"));
}

TEST(Origins, APreflightIsAnsweredOnce) {
  RestWorld world(Listing("https://app.test"));
  const RestWorld::Headers headers = {{"Origin", "https://app.test"}, {"Access-Control-Request-Method", "PATCH"}};
  const Answer answer = world.Ask("OPTIONS", "/session", headers);
  EXPECT_EQ(answer.status, 204);
  EXPECT_EQ(answer.Header("Access-Control-Allow-Origin"), "https://app.test");
  EXPECT_EQ(answer.Header("Access-Control-Allow-Methods"), "GET,PUT,PATCH,POST,DELETE");
}

TEST(Origins, AnyOtherMayChangeNothing) {
  for (const char* origin : {"https://evil.test", "null", "https://sesior.test", "https://app.test.evil.test"}) {
    RestWorld world(Listing("https://app.test"));
    const Answer answer = world.Ask("POST", "/register", {{"Origin", origin}}, R"({"userName":"ann"})");
    EXPECT_EQ(answer.status, 403) << origin;
    EXPECT_EQ(answer.Header("Access-Control-Allow-Origin"), "");
    EXPECT_EQ(world.Ask("POST", "/logout", {{"Origin", origin}}).status, 403);
    EXPECT_EQ(world.Ask("PATCH", "/session", {{"Origin", origin}}, "{}").status, 403);
    EXPECT_TRUE(world.sessions.idle());
    EXPECT_EQ(world.Ask("GET", "/verify-session", {{"Origin", origin}}).status, 200);
  }
}

TEST(Origins, TheSameOneMayAlsoBehindATrustedProxy) {
  RestWorld direct;
  direct.Send("POST", "/register", {{"Origin", "http://sesior.test"}}, R"({"userName":"ann"})");
  EXPECT_EQ(direct.sessions.create_session.size(), 1u);

  const RestWorld::Headers forwarded = {{"Origin", "https://public.test"},
                                        {"X-Forwarded-Proto", "https"},
                                        {"X-Forwarded-Host", "public.test"},
                                        {"X-Forwarded-For", "203.0.113.9"}};
  Config config;
  config.trusted_proxies = {"192.0.2.0/24"};
  RestWorld proxied(config);
  proxied.Send("POST", "/register", forwarded, R"({"userName":"ann"})");
  EXPECT_EQ(proxied.sessions.create_session.Take().request.device().address(), "203.0.113.9");

  RestWorld untrusted;
  EXPECT_EQ(untrusted.Ask("POST", "/register", forwarded, R"({"userName":"ann"})").status, 403);
}

v1::ListSessionsResponse TwoSessions() {
  v1::ListSessionsResponse list;
  v1::Session& phone = *list.add_sessions();
  phone.set_handle("phone");
  phone.mutable_device()->set_user_agent("Fire\"fox");
  phone.mutable_device()->set_address("192.0.2.9");
  phone.mutable_create_time()->set_seconds(1'700'000'000);
  phone.mutable_last_seen_time()->set_seconds(1'700'000'060);
  phone.mutable_last_seen_time()->set_nanos(5'000'000);
  list.add_sessions()->set_handle("own");
  list.set_current_handle("own");
  return list;
}

TEST(Sessions, AreListedByHandleForTheCallersUser) {
  RestWorld world;
  world.Send("GET", "/sessions?limit=2&after=t", kWithCookie);
  auto call = world.sessions.list_sessions.Take();
  EXPECT_EQ(call.request.caller().cookie_header(), kCookie);
  EXPECT_EQ(call.request.user_id(), "") << "an edge never chooses the user";
  EXPECT_EQ(call.request.page_size(), 2);
  EXPECT_EQ(call.request.page_token(), "t");
  v1::ListSessionsResponse list = TwoSessions();
  list.set_next_page_token("more");
  call.Answer(list);
  const Answer answer = world.Take();
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(
      answer.body,
      R"({"sessions":[{"handle":"phone","device":{"userAgent":"Fire\"fox","label":""},"address":"192.0.2.9",)"
      R"("created":"2023-11-14T22:13:20.000Z","lastSeen":"2023-11-14T22:14:20.005Z","current":false},)"
      R"({"handle":"own","device":{"userAgent":"","label":""},"address":"",)"
      R"("created":"1970-01-01T00:00:00.000Z","lastSeen":"1970-01-01T00:00:00.000Z","current":true}],"next":"more"})");
  EXPECT_EQ(answer.Header("Cache-Control"), "no-store");
}

TEST(Sessions, AreEndedOneByOneAllOthersOrAll) {
  struct Case {
    const char* target;
    const char* handle;
    bool except_caller;
  };
  for (const Case& c : {Case{"/sessions/phone", "phone", false}, Case{"/sessions?except=current", "", true},
                        Case{"/sessions", "", false}}) {
    RestWorld world;
    world.Send("DELETE", c.target, kWithCookie);
    auto call = world.sessions.destroy_user_sessions.Take();
    EXPECT_EQ(call.request.caller().cookie_header(), kCookie);
    EXPECT_EQ(call.request.user_id(), "");
    EXPECT_EQ(call.request.handle(), c.handle);
    EXPECT_EQ(call.request.except_caller(), c.except_caller);
    EXPECT_EQ(call.request.reason(), v1::END_REASON_REVOKED);
    v1::DestroyUserSessionsResponse response;
    if (!c.except_caller) response.set_clear_cookie("connect.sid=; gone");
    call.Answer(response);
    const Answer answer = world.Take();
    EXPECT_EQ(answer.status, 204) << c.target;
    EXPECT_EQ(answer.Header("Set-Cookie"), c.except_caller ? "" : "connect.sid=; gone");
  }
}

TEST(Sessions, ErrorsAreThoseOfTheContract) {
  const std::vector<std::pair<absl::Status, int>> cases = {
      {Status(absl::StatusCode::kNotFound, "HANDLE_NOT_FOUND"), 404},
      {Status(absl::StatusCode::kNotFound, "SESSION_DESTROYED"), 401},
      {Status(absl::StatusCode::kUnauthenticated, "SIGNATURE_INVALID"), 401},
      {Status(absl::StatusCode::kUnavailable, "REDIS_UNAVAILABLE"), 503}};
  for (const auto& [status, expected] : cases) {
    RestWorld world;
    world.Send("DELETE", "/sessions/x", kWithCookie);
    world.sessions.destroy_user_sessions.Take().Fail(status);
    EXPECT_EQ(world.Take().status, expected) << status;
  }
  for (const char* target : {"/sessions", "/sessions/x", "/sessions?except=current"}) {
    RestWorld world;
    world.Send("DELETE", target);
    EXPECT_EQ(world.Take().status, 401) << target;
    world.Send("DELETE", target, {{"Cookie", kCookie}, {"Origin", "http://evil.example"}});
    EXPECT_EQ(world.Take().status, 403) << target;
    EXPECT_TRUE(world.sessions.idle());
  }
  RestWorld world;
  world.Send("GET", "/sessions");
  EXPECT_EQ(world.Take().status, 401);
  for (const char* target : {"/sessions?limit=0", "/sessions?limit=201", "/sessions?limit=x"}) {
    world.Send("GET", target, kWithCookie);
    EXPECT_EQ(world.Take().status, 400) << target;
  }
  world.Send("DELETE", "/sessions?except=me", kWithCookie);
  EXPECT_EQ(world.Take().status, 400);
  for (const char* target : {"/sessions/", "/sessions/a/b"}) {
    world.Send("DELETE", target, kWithCookie);
    EXPECT_EQ(world.Take().status, 404) << target;
  }
  world.Send("POST", "/sessions/x", kWithCookie);
  EXPECT_EQ(world.Take().status, 405);
}

TEST(Sessions, ALinkIsASessionOfTheSameUserThatWaits) {
  RestWorld world;
  world.Send("POST", "/sessions/link", kWithCookie);
  v1::ResolveCookieResponse resolved = Resolved(R"({"userName":"ann"})");
  world.sessions.resolve_cookie.Take().Answer(resolved);
  EXPECT_EQ(world.Take().status, 409) << "a session without a user has nothing to give";
  world.Send("POST", "/sessions/link", kWithCookie);
  resolved.mutable_session()->set_user_id("u-1");
  world.sessions.resolve_cookie.Take().Answer(resolved);
  auto call = world.sessions.create_session.Take();
  EXPECT_EQ(call.request.user_id(), "u-1");
  EXPECT_EQ(call.request.absolute_ttl().seconds(), 300);
  EXPECT_EQ(call.request.claims_size(), 0);
  v1::CreateSessionResponse response;
  response.set_set_cookie("connect.sid=s%3Alink.sig; Path=/; HttpOnly");
  call.Answer(response);
  const Answer answer = world.Take();
  EXPECT_EQ(answer.body, R"({"link":"connect.sid=s%3Alink.sig","seconds":300})");
  EXPECT_EQ(answer.Header("Set-Cookie"), "") << "it is for another device";
}

TEST(Sessions, ADeviceRegistersWithALinkOnce) {
  RestWorld world;
  const std::string body = R"({"userName":"phone","link":"connect.sid=s%3Alink.sig"})";
  world.Send("POST", "/register", kJson, body);
  auto call = world.sessions.regenerate_session.Take();
  EXPECT_EQ(call.request.session().cookie_header(), "connect.sid=s%3Alink.sig");
  EXPECT_EQ(call.request.user_id(), "") << "the link's own";
  EXPECT_EQ(call.request.claims(0).value(), "phone");
  v1::RegenerateSessionResponse response;
  response.set_set_cookie("connect.sid=new");
  call.Answer(response);
  EXPECT_EQ(world.Take().Header("Set-Cookie"), "connect.sid=new");
  world.Send("POST", "/register", kJson, body);
  world.sessions.regenerate_session.Take().Fail(Status(absl::StatusCode::kNotFound, "SESSION_DESTROYED"));
  EXPECT_EQ(world.Take().status, 400);
}

TEST(Register, GivesASessionItsUserOnceAndForAll) {
  RestWorld world;
  world.Send("POST", "/register", kJson, R"({"userName":"ann"})");
  auto made = world.sessions.create_session.Take();
  EXPECT_THAT(made.request.user_id(), MatchesRegex("u-.{22}"));
  made.Answer(v1::CreateSessionResponse());
  world.Take();
  world.Send("POST", "/register", kJsonWithCookie, R"({"userName":"ann"})");
  v1::ResolveCookieResponse resolved = Resolved("{}");
  resolved.mutable_session()->set_user_id("u-1");
  world.sessions.resolve_cookie.Take().Answer(resolved);
  auto signed_in = world.sessions.regenerate_session.Take();
  EXPECT_EQ(signed_in.request.user_id(), "") << "as before";
  signed_in.Answer(v1::RegenerateSessionResponse());
  world.Take();
  world.Send("POST", "/register", kJsonWithCookie, R"({"userName":"bea"})");
  world.sessions.resolve_cookie.Take().Answer(Resolved(R"({"userName":"ann"})"));
  EXPECT_THAT(world.sessions.update_session.Take().request.user_id_if_none(), MatchesRegex("u-.{22}"));
}

}  // namespace
}  // namespace sesior::rest
