// What SessionService promises, on whatever store MakeSessionWorld gives: run in memory by the unit tests and on Redis
// by the integration tests.
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "sesior/base/error.hpp"
#include "sesior/base/error_metadata.hpp"
#include "sesior/base/ids.hpp"
#include "tests/support/session_world.hpp"

namespace sesior::testing {

using namespace session;  // the suite is about nothing else
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using std::chrono_literals::operator""h;
using std::chrono_literals::operator""min;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

namespace {

constexpr int kLogout = 1;
constexpr int kLogin = 2;
constexpr int kRotation = 3;

class SessionRules : public ::testing::Test {
 protected:
  SessionRules() { Use(TestSessionOptions()); }
  void Use(SessionOptions options) {
    world_.reset();
    world_ = MakeSessionWorld(std::move(options));
  }

  absl::StatusOr<SessionResult> Create(CreateRequest request) {
    return world_->Await<SessionResult>(
        [&](auto done) { world_->service().Create(std::move(request), std::move(done)); });
  }
  SessionId Created(std::string data_json = "") {
    CreateRequest request;
    request.data_json = std::move(data_json);
    const absl::StatusOr<SessionResult> result = Create(std::move(request));
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? result->session.id : SessionId();
  }
  absl::StatusOr<SessionResult> Get(const SessionId& id, bool touch = false) {
    return world_->Await<SessionResult>([&](auto done) { world_->service().Get({id, {}}, touch, std::move(done)); });
  }
  std::string Data(const SessionId& id) {
    const absl::StatusOr<SessionResult> result = Get(id);
    return result.ok() ? result->session.data_json : result.status().ToString();
  }
  absl::StatusOr<SessionResult> Update(UpdateRequest request, SessionService* service = nullptr) {
    if (service == nullptr) service = &world_->service();
    return world_->Await<SessionResult>([&](auto done) { service->Update(std::move(request), std::move(done)); });
  }
  absl::StatusOr<SessionResult> Patch(const SessionId& id, std::string patch) { return Update(PatchOf(id, patch)); }
  static UpdateRequest PatchOf(const SessionId& id, std::string patch) {
    UpdateRequest request;
    request.session.id = id;
    request.merge_patch_json = std::move(patch);
    return request;
  }
  static ClaimRequest Name(std::string value, std::string placeholder = "") {
    return {"userName", std::move(value), "userName", std::move(placeholder)};
  }
  static UpdateRequest NameOf(const SessionId& id, std::string value, std::string request_id = "") {
    UpdateRequest request;
    request.session.id = id;
    request.claims = {Name(std::move(value))};
    request.request_id = std::move(request_id);
    return request;
  }
  absl::StatusOr<SessionResult> Rename(const SessionId& id, std::string value) {
    return Update(NameOf(id, std::move(value)));
  }
  absl::StatusOr<bool> Destroy(const SessionId& id, std::string request_id = "", std::string etag = "") {
    DestroyRequest request;
    request.session.id = id;
    request.reason = kLogout;
    request.request_id = std::move(request_id);
    request.etag = std::move(etag);
    return world_->Await<bool>([&](auto done) { world_->service().Destroy(std::move(request), std::move(done)); });
  }
  absl::StatusOr<SessionResult> Regenerate(RegenerateRequest request) {
    return world_->Await<SessionResult>(
        [&](auto done) { world_->service().Regenerate(std::move(request), std::move(done)); });
  }
  absl::StatusOr<ResolveResult> Resolve(std::string header, bool touch = false) {
    return world_->Await<ResolveResult>(
        [&](auto done) { world_->service().Resolve(std::move(header), touch, std::move(done)); });
  }
  absl::StatusOr<TouchResult> Touch(const SessionId& id) {
    return world_->Await<TouchResult>([&](auto done) { world_->service().Touch({id, {}}, std::move(done)); });
  }
  static std::string Etag(const SessionResult& result) { return absl::StrCat("\"", result.session.stored.etag, "\""); }

  std::unique_ptr<SessionWorld> world_;
};

TEST_F(SessionRules, CreatesWhatConnectRedisWouldWrite) {
  CreateRequest request;
  request.data_json = R"({"n":1.10})";
  const absl::StatusOr<SessionResult> made = Create(std::move(request));
  ASSERT_TRUE(made.ok()) << made.status();
  const SessionView& session = made->session;
  EXPECT_EQ(session.id.text().size(), 32U);
  EXPECT_EQ(world_->ForeignGet(session.id.text()),
            R"({"cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"},"n":1.10})");
  EXPECT_EQ(session.data_json, R"({"n":1.10})");
  EXPECT_EQ(session.stored.etag, Sha1Hex(*world_->ForeignGet(session.id.text())));
  EXPECT_FALSE(session.stored.foreign_writer);
  EXPECT_NEAR(static_cast<double>(world_->ForeignTtl(session.id.text())), 86'400'000, 5000);
  EXPECT_THAT(made->set_cookie, HasSubstr("connect.sid=s%3A"));
  EXPECT_THAT(made->set_cookie, HasSubstr("; Path=/; HttpOnly"));
}

TEST_F(SessionRules, LetsInWhomTheCookieNames) {
  const absl::StatusOr<SessionResult> made = Create({});
  const std::string pair = made->set_cookie.substr(0, made->set_cookie.find(';'));
  const absl::StatusOr<ResolveResult> good = Resolve(absl::StrCat("a=b; ", pair));
  ASSERT_TRUE(good.ok()) << good.status();
  EXPECT_EQ(good->verdict, CookieVerdict::kGood);
  EXPECT_EQ(good->session->id, made->session.id);
  EXPECT_EQ(good->session->stored.revision, made->session.stored.revision);
  EXPECT_EQ(good->set_cookie, "");
  EXPECT_EQ(Resolve("")->verdict, CookieVerdict::kAbsent);
  EXPECT_EQ(Resolve(pair + "x")->verdict, CookieVerdict::kBadSignature);
  EXPECT_EQ(Resolve("connect.sid=x")->verdict, CookieVerdict::kMalformed);
  ASSERT_TRUE(*Destroy(made->session.id));
  EXPECT_EQ(Resolve(pair)->verdict, CookieVerdict::kUnknown);
  EXPECT_FALSE(Resolve(pair)->session.has_value());
}

TEST_F(SessionRules, ReissuesACookieOfARetiredSecretAtOnce) {
  const absl::StatusOr<SessionResult> made = Create({});
  const std::string pair = made->set_cookie.substr(0, made->set_cookie.find(';'));
  world_->service().SetSecrets({"new", "keyboard cat"});
  const absl::StatusOr<ResolveResult> result = Resolve(pair);
  EXPECT_EQ(result->verdict, CookieVerdict::kGood);
  const std::string fresh = result->set_cookie.substr(0, result->set_cookie.find(';'));
  EXPECT_NE(fresh, "");
  EXPECT_NE(fresh, pair);
  EXPECT_EQ(Resolve(fresh)->set_cookie, "");
  world_->service().SetSecrets({"new"});
  EXPECT_EQ(Resolve(pair)->verdict, CookieVerdict::kBadSignature);
}

TEST_F(SessionRules, SeesSessionsThatExpressMade) {
  const std::string record = R"({"cookie":{"originalMaxAge":60000,"path":"/x","odd":1},"n":12345678901234567890})";
  world_->ForeignSet("express-made", record, 50'000);
  const SessionId id("express-made");
  const absl::StatusOr<SessionResult> first = Get(id);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_TRUE(first->session.stored.foreign_writer);
  EXPECT_EQ(first->session.data_json, R"({"n":12345678901234567890})");
  ASSERT_TRUE(Patch(id, R"({"a":"b"})").ok());
  EXPECT_EQ(world_->ForeignGet("express-made"),
            R"({"cookie":{"originalMaxAge":60000,"path":"/x","odd":1},"n":12345678901234567890,"a":"b"})");
  EXPECT_NEAR(static_cast<double>(world_->ForeignTtl("express-made")), 50'000, 3000) << "the TTL stays";
}

TEST_F(SessionRules, CountsForeignWritesInTheRevision) {
  const SessionId id = Created();
  const absl::StatusOr<SessionResult> ours = Patch(id, R"({"a":1})");
  world_->ForeignSet(id.text(), R"({"cookie":{},"a":2})", 1000'000);
  const absl::StatusOr<SessionResult> theirs = Get(id);
  EXPECT_GT(theirs->session.stored.revision, ours->session.stored.revision);
  EXPECT_TRUE(theirs->session.stored.foreign_writer);
  EXPECT_EQ(Get(id)->session.stored.revision, theirs->session.stored.revision) << "counted once";
  const absl::StatusOr<SessionResult> again = Patch(id, R"({"b":3})");
  EXPECT_EQ(again->session.data_json, R"({"a":2,"b":3})") << "merged on top of the foreign write";
  EXPECT_GT(again->session.stored.revision, theirs->session.stored.revision);
  EXPECT_FALSE(again->session.stored.foreign_writer);
}

TEST_F(SessionRules, LosesNoUpdateOfConcurrentWriters) {
  const SessionId id = Created();
  constexpr int kWriters = 40;
  int finished = 0;
  // Where one replica has luck eight times, the other's caller is told WRITE_CONFLICT, and does as callers do then.
  std::function<void(int)> write = [&](int i) {
    SessionService& service = i % 2 == 0 ? world_->service() : world_->other_service();
    service.Update(PatchOf(id, absl::StrCat("{\"m", i, "\":", i, "}")), [&, i](absl::StatusOr<SessionResult> r) {
      if (!r.ok() && ReasonOf(r.status()) == "WRITE_CONFLICT") return write(i);
      EXPECT_TRUE(r.ok()) << r.status();
      ++finished;
    });
  };
  for (int i = 0; i < kWriters; ++i) write(i);
  world_->RunUntil([&] { return finished == kWriters; });
  const std::string data = Data(id);
  for (int i = 0; i < kWriters; ++i) EXPECT_THAT(data, HasSubstr(absl::StrCat("\"m", i, "\":", i)));
}

TEST_F(SessionRules, ChangesOneVersionOnlyWhenAskedTo) {
  const SessionId id = Created(R"({"a":1})");
  UpdateRequest request = PatchOf(id, R"({"a":2})");
  request.etag = Etag(*Get(id));
  ASSERT_TRUE(Update(request).ok());
  const absl::Status status = Update(request).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(ReasonOf(status), "ETAG_MISMATCH");
  EXPECT_EQ(MetadataOf(status)["current_etag"], Etag(*Get(id)));
  request.etag = "nonsense";
  EXPECT_EQ(DetailsOf(Update(request).status()).field, "etag");
  EXPECT_EQ(Data(id), R"({"a":2})");
  // Also when somebody else wrote behind the back of the cache.
  request.etag = Etag(*Get(id));
  world_->ForeignSet(id.text(), R"({"cookie":{},"a":9})", 1000'000);
  EXPECT_EQ(ReasonOf(Update(request).status()), "ETAG_MISMATCH");
}

TEST_F(SessionRules, WritesNothingWhenNothingChanges) {
  const SessionId id = Created(R"({"a":1})");
  const std::uint64_t revision = Get(id)->session.stored.revision;
  EXPECT_EQ(Patch(id, R"({"a":1})")->session.stored.revision, revision);
  EXPECT_EQ(Patch(id, "{}")->session.stored.revision, revision);
  EXPECT_EQ(Patch(id, "")->session.stored.revision, revision);
}

TEST_F(SessionRules, RefusesBadPatchesAndKeepsTheRecord) {
  const SessionId id = Created(R"({"a":1})");
  for (const auto& [patch, reason] :
       std::vector<std::pair<const char*, const char*>>{{"[]", "INVALID_PATCH"},
                                                        {R"({"cookie":{}})", "RESERVED_MEMBER"},
                                                        {R"({"userName":"x"})", "CLAIMED_MEMBER"}}) {
    EXPECT_EQ(ReasonOf(Patch(id, patch).status()), reason) << patch;
  }
  EXPECT_EQ(ReasonOf(Patch(id, absl::StrCat(R"({"a":")", std::string(70'000, 'x'), R"("})")).status()),
            "RECORD_TOO_LARGE");
  EXPECT_EQ(Data(id), R"({"a":1})");
}

TEST_F(SessionRules, DestroyIsForGood) {
  const SessionId id = Created(R"({"a":1})");
  ASSERT_TRUE(Patch(id, R"({"a":2})").ok());
  const std::string record = *world_->ForeignGet(id.text());
  EXPECT_TRUE(*Destroy(id));
  EXPECT_FALSE(*Destroy(id)) << "a second time there was none";
  EXPECT_EQ(ReasonOf(Get(id).status()), "SESSION_DESTROYED");
  EXPECT_EQ(ReasonOf(Patch(id, R"({"a":3})").status()), "SESSION_DESTROYED");
  // A late writer that knows nothing of us.
  world_->ForeignSet(id.text(), record, 1000'000);
  EXPECT_EQ(ReasonOf(Get(id).status()), "SESSION_DESTROYED");
  EXPECT_FALSE(world_->ForeignGet(id.text()).has_value()) << "the revived record is removed at first sight";
  EXPECT_EQ(world_->service().counts().revived, 1U);
  // Whatever sees it first: a write, a touch, the end itself.
  for (const auto& step : std::vector<std::function<absl::Status()>>{[&] { return Patch(id, R"({"a":3})").status(); },
                                                                     [&] { return Touch(id).status(); },
                                                                     [&] { return Destroy(id).status(); }}) {
    world_->ForeignSet(id.text(), record, 1000'000);
    step().IgnoreError();
    EXPECT_FALSE(world_->ForeignGet(id.text()).has_value());
  }
  EXPECT_EQ(world_->service().counts().revived, 4U);
  EXPECT_THAT(MetadataOf(Get(id).status()), ElementsAre(Pair("end_reason", "1"))) << "why, and no more";
}

TEST_F(SessionRules, DestroyCanDemandAVersion) {
  const SessionId id = Created();
  EXPECT_EQ(ReasonOf(Destroy(id, "", absl::StrCat("\"", std::string(40, 'a'), "\"")).status()), "ETAG_MISMATCH");
  EXPECT_TRUE(*Destroy(id, "", Etag(*Get(id))));
}

TEST_F(SessionRules, NeverMakesASessionByUpdatingOne) {
  EXPECT_EQ(ReasonOf(Patch(SessionId("nobody"), R"({"a":1})").status()), "SESSION_NOT_FOUND");
  EXPECT_FALSE(world_->ForeignGet("nobody").has_value());
  EXPECT_EQ(ReasonOf(Get(SessionId("bad id")).status()), "SESSION_NOT_FOUND");
}

TEST_F(SessionRules, CarriesOutARequestOnce) {
  const SessionId id = Created();
  const auto named = [&](std::string name) {
    UpdateRequest request = NameOf(id, std::move(name), "request-1");
    request.announcement = Announcement{"/", false, [](const auto&) { return std::string("renamed"); }};
    return request;
  };
  ASSERT_TRUE(Rename(id, "ann").ok());
  const absl::StatusOr<SessionResult> first = Update(named("bob"));
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_THAT(first->previous, ElementsAre(std::optional<std::string>("ann")));
  // Repeated to this replica and to another one: the same answer, nothing written or sent again.
  for (SessionService* service : {&world_->service(), &world_->other_service()}) {
    const absl::StatusOr<SessionResult> again = Update(named("bob"), service);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_THAT(again->previous, ElementsAre(std::optional<std::string>("ann")));
    EXPECT_EQ(again->session.stored.revision, first->session.stored.revision);
  }
  EXPECT_THAT(world_->Published(), ElementsAre("renamed"));
  // After a later change, a late repetition still changes nothing.
  ASSERT_TRUE(Rename(id, "cat").ok());
  const absl::StatusOr<SessionResult> late = Update(named("bob"));
  ASSERT_TRUE(late.ok()) << late.status();
  EXPECT_EQ(late->session.data_json, R"({"userName":"cat"})");
}

TEST_F(SessionRules, RemembersARequestHoweverManyCameAfterIt) {
  const SessionId id = Created();
  constexpr int kRequests = 300;
  for (int i = 0; i < kRequests; ++i) {
    UpdateRequest request = PatchOf(id, absl::StrCat("{\"n\":", i, "}"));
    request.request_id = absl::StrCat("r", i);
    ASSERT_TRUE(Update(std::move(request)).ok());
  }
  for (const char* known : {"r0", "r100", "r299"}) {
    UpdateRequest again = PatchOf(id, R"({"n":"again"})");
    again.request_id = known;
    EXPECT_EQ(Update(std::move(again))->session.data_json, R"({"n":299})") << known;
  }
}

TEST_F(SessionRules, CreatesOnceForOneRequest) {
  CreateRequest request;
  request.data_json = R"({"a":1})";
  request.request_id = "create-1";
  request.claims = {Name("ann")};
  const absl::StatusOr<SessionResult> first = Create(request);
  const absl::StatusOr<SessionResult> second =
      world_->Await<SessionResult>([&](auto done) { world_->other_service().Create(request, std::move(done)); });
  ASSERT_TRUE(first.ok() && second.ok()) << first.status() << second.status();
  EXPECT_EQ(first->session.id, second->session.id);
  EXPECT_EQ(first->set_cookie, second->set_cookie);
  request.request_id = "create-2";
  EXPECT_EQ(ReasonOf(Create(request).status()), "CLAIM_TAKEN");
}

TEST_F(SessionRules, RefusesBadRequestIdsAndClaims) {
  const SessionId id = Created();
  UpdateRequest request = PatchOf(id, "{}");
  request.request_id = "a b";
  EXPECT_EQ(DetailsOf(Update(request).status()).field, "request_id");
  request.request_id = "";
  for (const auto& [claim, field] :
       std::vector<std::pair<ClaimRequest, const char*>>{{{"", "v", "m", ""}, "claims.namespace"},
                                                         {{"a b", "v", "m", ""}, "claims.namespace"},
                                                         {{"n", "", "m", ""}, "claims.value"},
                                                         {{"n", "a\x1f", "m", ""}, "claims.value"},
                                                         {{"n", "\xff", "m", ""}, "claims.value"},
                                                         {{"n", std::string(1025, 'x'), "m", ""}, "claims.value"},
                                                         {{"n", "v", "cookie", ""}, "claims.member"},
                                                         {{"n", "v", "", ""}, "claims.member"}}) {
    request.claims = {claim};
    EXPECT_EQ(DetailsOf(Update(request).status()).field, field);
  }
  request.claims = {Name("a"), Name("b")};
  EXPECT_EQ(DetailsOf(Update(request).status()).field, "claims.namespace");
}

TEST_F(SessionRules, GivesAValueToOneSession) {
  const SessionId ann = Created();
  const SessionId bob = Created();
  ASSERT_TRUE(Rename(ann, "x").ok());
  const absl::Status taken = Rename(bob, "x").status();
  EXPECT_EQ(taken.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(ReasonOf(taken), "CLAIM_TAKEN");
  EXPECT_EQ(DetailsOf(taken).field, "userName");
  EXPECT_EQ(Data(bob), "{}") << "nothing was written";
  ASSERT_TRUE(Rename(ann, "y").ok());
  EXPECT_TRUE(Rename(bob, "x").ok()) << "released by the rename";
  EXPECT_EQ(ReasonOf(Rename(ann, "x").status()), "CLAIM_TAKEN");
  ASSERT_TRUE(*Destroy(bob));
  EXPECT_TRUE(Rename(ann, "x").ok()) << "released by the end of its session";
  EXPECT_EQ(Data(ann), R"({"userName":"x"})");
  EXPECT_TRUE(Rename(ann, "x").ok()) << "one's own value again";
}

TEST_F(SessionRules, HasOneWinnerWhenTwoRaceForAValue) {
  for (int round = 0; round < 20; ++round) {
    const SessionId a = Created();
    const SessionId b = Created();
    std::vector<absl::Status> results;
    const std::string name = absl::StrCat("name", round);
    world_->service().Update(NameOf(a, name), [&](absl::StatusOr<SessionResult> r) { results.push_back(r.status()); });
    world_->other_service().Update(NameOf(b, name),
                                   [&](absl::StatusOr<SessionResult> r) { results.push_back(r.status()); });
    world_->RunUntil([&] { return results.size() == 2; });
    EXPECT_EQ(results[0].ok() + results[1].ok(), 1);
    EXPECT_EQ((Data(a) != "{}") + (Data(b) != "{}"), 1);
  }
}

TEST_F(SessionRules, TakesOverAClaimOnlyWhenItIsVoid) {
  const SessionId ann = Created();
  const SessionId bob = Created();
  ASSERT_TRUE(Rename(ann, "x").ok());
  // Express changes another member: the claim stands. It renames the user: the claim is void.
  world_->ForeignSet(ann.text(), R"({"cookie":{},"userName":"x","other":1})", 1000'000);
  EXPECT_EQ(ReasonOf(Rename(bob, "x").status()), "CLAIM_TAKEN");
  world_->ForeignSet(ann.text(), R"({"cookie":{},"userName":"z"})", 1000'000);
  ASSERT_TRUE(Rename(bob, "x").ok());
  EXPECT_EQ(ReasonOf(Rename(ann, "x").status()), "CLAIM_TAKEN");
  // The loser's end does not release what is another's by now.
  ASSERT_TRUE(*Destroy(ann));
  const SessionId eve = Created();
  EXPECT_EQ(ReasonOf(Rename(eve, "x").status()), "CLAIM_TAKEN");
}

TEST_F(SessionRules, ClaimsANameThatExpressWroteAtFirstSight) {
  world_->ForeignSet("from-express", R"({"cookie":{},"userName":"ann"})", 1000'000);
  const SessionId id("from-express");
  const std::uint64_t revision = Get(id)->session.stored.revision;
  const absl::StatusOr<SessionResult> claimed = Rename(id, "ann");
  ASSERT_TRUE(claimed.ok()) << claimed.status();
  EXPECT_THAT(claimed->previous, ElementsAre(std::nullopt));
  EXPECT_GT(claimed->session.stored.revision, revision);
  EXPECT_EQ(world_->ForeignGet("from-express"), R"({"cookie":{},"userName":"ann"})") << "byte for byte";
  EXPECT_EQ(ReasonOf(Rename(Created(), "ann").status()), "CLAIM_TAKEN");
}

TEST_F(SessionRules, PutsThePreviousValueIntoTheBroadcast) {
  const SessionId id = Created();
  std::vector<std::string> seen;
  for (const char* name : {"a\"b", "c"}) {
    UpdateRequest request;
    request.session.id = id;
    request.claims = {Name(name, "TOKEN")};
    request.announcement = Announcement{"/", false, [&seen](const Announcement::Substitutions& substitutions) {
                                          seen.push_back(substitutions.at(0).first + "=" + substitutions.at(0).second);
                                          return seen.back();
                                        }};
    ASSERT_TRUE(Update(std::move(request)).ok());
  }
  EXPECT_THAT(world_->Published(), ElementsAre("TOKEN=null", R"(TOKEN="a\"b")"));
}

TEST_F(SessionRules, RegeneratesWithTheData) {
  CreateRequest create;
  create.data_json = R"({"cart":[1, 2]})";
  create.claims = {Name("ann")};
  const absl::StatusOr<SessionResult> made = Create(std::move(create));
  RegenerateRequest request;
  request.session.id = made->session.id;
  request.reason = kLogin;
  request.merge_patch_json = R"({"role":"admin"})";
  const absl::StatusOr<SessionResult> result = Regenerate(std::move(request));
  ASSERT_TRUE(result.ok()) << result.status();
  const SessionId id = result->session.id;
  EXPECT_NE(id, made->session.id);
  EXPECT_EQ(result->session.data_json, R"({"cart":[1, 2],"userName":"ann","role":"admin"})");
  EXPECT_NE(result->set_cookie, "");
  EXPECT_GT(result->session.stored.revision, made->session.stored.revision);
  EXPECT_EQ(ReasonOf(Get(made->session.id).status()), "SESSION_DESTROYED");
  EXPECT_FALSE(world_->ForeignGet(made->session.id.text()).has_value());
  EXPECT_EQ(ReasonOf(Rename(Created(), "ann").status()), "CLAIM_TAKEN") << "the claim moved along";
  EXPECT_TRUE(Rename(id, "bob").ok()) << "and belongs to the new id";
  EXPECT_TRUE(Rename(Created(), "ann").ok());
}

TEST_F(SessionRules, RegeneratesForALoginThatClaims) {
  const SessionId anonymous = Created(R"({"cart":1})");
  RegenerateRequest request;
  request.session.id = anonymous;
  request.reason = kLogin;
  request.claims = {Name("ann")};
  request.request_id = "login-1";
  const absl::StatusOr<SessionResult> result = Regenerate(request);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->session.data_json, R"({"cart":1,"userName":"ann"})");
  const absl::StatusOr<SessionResult> again = Regenerate(request);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->session.id, result->session.id) << "a repeated call finds what the first made";
  EXPECT_EQ(again->set_cookie, result->set_cookie);
  request.request_id = "login-2";
  EXPECT_EQ(ReasonOf(Regenerate(request).status()), "SESSION_DESTROYED");
}

TEST_F(SessionRules, RegeneratesWithoutTheDataAsExpressDoes) {
  CreateRequest create;
  create.data_json = R"({"a":1})";
  create.claims = {Name("ann")};
  RegenerateRequest request;
  request.session.id = Create(std::move(create))->session.id;
  request.keep_data = false;
  const absl::StatusOr<SessionResult> result = Regenerate(std::move(request));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->session.data_json, "{}");
  EXPECT_TRUE(Rename(Created(), "ann").ok()) << "the claim went with the data";
}

TEST_F(SessionRules, KeepsTheAbsoluteLimitOverARotationOnly) {
  CreateRequest create;
  create.absolute_ttl = 1h;
  const absl::StatusOr<SessionResult> made = Create(std::move(create));
  EXPECT_LE(world_->ForeignTtl(made->session.id.text()), 3'600'000) << "no TTL passes the absolute limit";
  RegenerateRequest rotate;
  rotate.session.id = made->session.id;
  rotate.rotation = true;
  rotate.reason = kRotation;
  const absl::StatusOr<SessionResult> rotated = Regenerate(std::move(rotate));
  EXPECT_EQ(rotated->session.stored.absolute_expiry_ms, made->session.stored.absolute_expiry_ms);
  EXPECT_EQ(rotated->session.stored.created_ms, made->session.stored.created_ms);
  RegenerateRequest login;
  login.session.id = rotated->session.id;
  login.reason = kLogin;
  EXPECT_GT(Regenerate(std::move(login))->session.stored.absolute_expiry_ms, made->session.stored.absolute_expiry_ms);
}

TEST_F(SessionRules, TouchesSeldomAndNeverPastTheAbsoluteLimit) {
  world_->ForeignSet("old", R"({"cookie":{"originalMaxAge":1000000}})", 500'000);
  ASSERT_TRUE(Get(SessionId("old")).ok());
  EXPECT_LE(world_->ForeignTtl("old"), 500'000) << "not asked to touch";
  const absl::StatusOr<SessionResult> touched = Get(SessionId("old"), true);
  EXPECT_NEAR(static_cast<double>(touched->session.stored.ttl->count()), 1'000'000, 3000);
  EXPECT_NEAR(static_cast<double>(world_->ForeignTtl("old")), 1'000'000, 3000);
  EXPECT_THAT(touched->set_cookie, HasSubstr("; Expires=")) << "the browser's date moves along";
  EXPECT_EQ(Get(SessionId("old"), true)->set_cookie, "") << "a moment ago";

  world_->ForeignSet("fresh", R"({"cookie":{"originalMaxAge":1000000}})", 990'000);
  Get(SessionId("fresh"), true).IgnoreError();
  EXPECT_LE(world_->ForeignTtl("fresh"), 990'000);

  world_->ForeignSet("eternal", R"({"cookie":{}})", -1);
  ASSERT_TRUE(Get(SessionId("eternal"), true).ok());
  EXPECT_EQ(world_->ForeignTtl("eternal"), -1) << "an application with disableTTL keeps it";

  CreateRequest create;
  create.absolute_ttl = 10min;
  const SessionId limited = Create(std::move(create))->session.id;
  UpdateRequest update = PatchOf(limited, R"({"a":1})");
  update.touch = true;
  ASSERT_TRUE(Update(std::move(update)).ok());
  EXPECT_LE(world_->ForeignTtl(limited.text()), 600'000);
}

TEST_F(SessionRules, NoTouchPassesTheAbsoluteLimit) {
  CreateRequest create;
  create.absolute_ttl = 10min;
  const SessionId id = Create(std::move(create))->session.id;
  EXPECT_FALSE(Touch(id)->touched) << "there is no more to give";
  EXPECT_LE(world_->ForeignTtl(id.text()), 600'000);
  // Not even when somebody else has set less, or the store is asked for more.
  world_->ForeignSet(id.text(), *world_->ForeignGet(id.text()), 300'000);
  EXPECT_TRUE(Touch(id)->touched);
  EXPECT_NEAR(static_cast<double>(world_->ForeignTtl(id.text())), 600'000, 3000);
  EXPECT_LE(world_->ForeignTtl(id.text()), 600'000);
  world_->ForeignSet(id.text(), *world_->ForeignGet(id.text()), 300'000);
  const absl::StatusOr<StoreReply> stored =
      world_->Await<StoreReply>([&](auto done) { world_->store().Touch(id, 24h, {}, std::move(done)); });
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_LE(stored->session.ttl->count(), 600'000);
  EXPECT_LE(world_->ForeignTtl(id.text()), 600'000);
}

TEST_F(SessionRules, EndsASessionAtItsAbsoluteLimit) {
  CreateRequest create;
  create.absolute_ttl = 1ms;
  const SessionId id = Create(std::move(create))->session.id;
  world_->RunUntil([&] { return !Get(id).ok(); });
  EXPECT_TRUE(absl::IsNotFound(Get(id).status()));
  // Express keeps the record alive: its time is up all the same.
  create.absolute_ttl = 500ms;
  const SessionId busy = Create(std::move(create))->session.id;
  world_->ForeignSet(busy.text(), *world_->ForeignGet(busy.text()), 1000'000);
  world_->RunUntil([&] { return !Get(busy).ok(); });
  EXPECT_EQ(ReasonOf(Get(busy).status()), "SESSION_EXPIRED");
  EXPECT_FALSE(world_->ForeignGet(busy.text()).has_value());
}

TEST_F(SessionRules, GivesANewCookieWithEveryTouchWhenRolling) {
  SessionOptions options = TestSessionOptions();
  options.rolling = true;
  Use(options);
  const SessionId id = Created();
  EXPECT_EQ(Get(id, true)->set_cookie, Get(id, true)->set_cookie);
  EXPECT_THAT(Get(id, true)->set_cookie, HasSubstr("connect.sid=s%3A"));
  EXPECT_EQ(Get(id, false)->set_cookie, "") << "not asked to touch";
}

TEST_F(SessionRules, AChangeThatTouchesMovesTheDateOfTheCookie) {
  SessionOptions options = TestSessionOptions();
  options.cookie.max_age = 60s;
  Use(options);
  const SessionId id = Created();
  UpdateRequest update = PatchOf(id, R"({"a":1})");
  EXPECT_EQ(Update(update)->set_cookie, "");
  update.touch = true;
  update.merge_patch_json = R"({"a":2})";
  EXPECT_THAT(Update(std::move(update))->set_cookie, HasSubstr("; Expires="));
}

TEST_F(SessionRules, MakesSessionsAtALimitedRate) {
  SessionOptions options = TestSessionOptions();
  options.create_limits = {.per_second = 20, .per_address_per_minute = 2, .max_addresses = 10};
  Use(options);
  CreateRequest request;
  request.client_address = "192.0.2.1";
  ASSERT_TRUE(Create(request).ok());
  ASSERT_TRUE(Create(request).ok());
  const absl::Status status = Create(request).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(status), "CREATE_RATE");
  EXPECT_EQ(DetailsOf(status).field, "device.address");
  EXPECT_GT(DetailsOf(status).retry_after, 20s);
  EXPECT_LE(DetailsOf(status).retry_after, 30s);
  request.client_address = "192.0.2.2";
  EXPECT_TRUE(Create(request).ok()) << "another address";
  EXPECT_EQ(world_->service().counts().creates_over_address_rate, 1U);
  int made = 0;
  int refused = 0;
  constexpr int kMany = 60;
  for (int i = 0; i < kMany; ++i) {
    world_->service().Create({}, [&](absl::StatusOr<SessionResult> result) {
      ++(result.ok() ? made : refused);
      if (!result.ok()) {
        EXPECT_EQ(ReasonOf(result.status()), "CREATE_RATE");
        EXPECT_EQ(DetailsOf(result.status()).field, "");
        EXPECT_LE(DetailsOf(result.status()).retry_after, 1s);
      }
    });
  }
  world_->RunUntil([&] { return made + refused == kMany; });
  EXPECT_GT(made, 0);
  EXPECT_GT(refused, 0);
  EXPECT_EQ(world_->service().counts().creates_over_rate, static_cast<std::uint64_t>(refused));
}

// Express loads a record, we rename, Express saves what it had loaded.
TEST_F(SessionRules, MendsAClaimedMemberThatAStaleCopySetBack) {
  const SessionId id = Created(R"({"cart":1})");
  ASSERT_TRUE(Rename(id, "ann").ok());
  const std::string loaded = *world_->ForeignGet(id.text());
  ASSERT_TRUE(Rename(id, "bob").ok());
  world_->ForeignSet(id.text(), loaded, 1000'000);
  const absl::StatusOr<SessionResult> seen = Get(id);
  EXPECT_EQ(seen->session.data_json, R"({"cart":1,"userName":"bob"})");
  EXPECT_EQ(
      world_->ForeignGet(id.text()),
      R"({"cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"},"cart":1,"userName":"bob"})");
  EXPECT_NEAR(static_cast<double>(world_->ForeignTtl(id.text())), 1000'000, 5000) << "the TTL is Express's";
  EXPECT_FALSE(seen->session.stored.foreign_writer);
  EXPECT_EQ(world_->service().counts().overwrites_mended, 1U);
  // The same slow request once more, and the answer to whoever comes first is a write.
  world_->ForeignSet(id.text(), loaded, 1000'000);
  EXPECT_EQ(Patch(id, R"({"cart":2})")->session.data_json, R"({"cart":2,"userName":"bob"})");
  EXPECT_EQ(world_->service().counts().overwrites_mended, 2U);
  // The name that was given up is free, the other is not.
  EXPECT_TRUE(Rename(Created(), "ann").ok());
  EXPECT_EQ(ReasonOf(Rename(Created(), "bob").status()), "CLAIM_TAKEN");
}

TEST_F(SessionRules, AStaleCopyMakesNoClaimVoid) {
  const SessionId id = Created();
  ASSERT_TRUE(Rename(id, "ann").ok());
  const std::string loaded = *world_->ForeignGet(id.text());
  ASSERT_TRUE(Rename(id, "bob").ok());
  world_->ForeignSet(id.text(), loaded, 1000'000);
  EXPECT_EQ(ReasonOf(Rename(Created(), "bob").status()), "CLAIM_TAKEN");
  EXPECT_EQ(Data(id), R"({"userName":"bob"})");
  // Nor does one from before there was a name, nor one of two renames ago.
  ASSERT_TRUE(Rename(id, "cat").ok());
  world_->ForeignSet(id.text(), loaded, 1000'000);
  EXPECT_EQ(Data(id), R"({"userName":"cat"})");
  world_->ForeignSet(id.text(), R"({"cookie":{}})", 1000'000);
  EXPECT_EQ(Data(id), R"({"userName":"cat"})");
  // A session that gets a new id takes along what is its own.
  world_->ForeignSet(id.text(), loaded, 1000'000);
  RegenerateRequest login;
  login.session.id = id;
  login.reason = kLogin;
  EXPECT_EQ(Regenerate(std::move(login))->session.data_json, R"({"userName":"cat"})");
}

TEST_F(SessionRules, LeavesWhatExpressMeantToWrite) {
  const SessionId id = Created();
  ASSERT_TRUE(Rename(id, "ann").ok());
  ASSERT_TRUE(Rename(id, "bob").ok());
  world_->ForeignSet(id.text(), R"({"cookie":{},"userName":"zoe"})", 1000'000);
  EXPECT_EQ(Data(id), R"({"userName":"zoe"})") << "a new name";
  EXPECT_EQ(world_->service().counts().overwrites_mended, 0U);
  world_->ForeignSet(id.text(), R"({"cookie":{},"userName":"bob","more":1})", 1000'000);
  EXPECT_EQ(Data(id), R"({"userName":"bob","more":1})");
  EXPECT_EQ(world_->service().counts().overwrites_reported, 0U);
}

TEST_F(SessionRules, OnlyCountsOtherMembersThatAStaleCopySetBack) {
  const SessionId id = Created(R"({"cart":1,"n":1})");
  const std::string loaded = *world_->ForeignGet(id.text());
  ASSERT_TRUE(Patch(id, R"({"cart":2,"new":true})").ok());
  world_->ForeignSet(id.text(), loaded, 1000'000);
  EXPECT_EQ(Data(id), R"({"cart":1,"n":1})");
  EXPECT_EQ(world_->service().counts().overwrites_reported, 2U);
  EXPECT_EQ(Data(id), R"({"cart":1,"n":1})");
  EXPECT_EQ(world_->service().counts().overwrites_reported, 2U) << "once";
}

TEST_F(SessionRules, OnlyReportsWhenToldSo) {
  SessionOptions options = TestSessionOptions();
  options.foreign_conflict = ForeignConflict::kReport;
  Use(options);
  const SessionId id = Created();
  ASSERT_TRUE(Rename(id, "ann").ok());
  const std::string loaded = *world_->ForeignGet(id.text());
  ASSERT_TRUE(Rename(id, "bob").ok());
  world_->ForeignSet(id.text(), loaded, 1000'000);
  EXPECT_EQ(Data(id), R"({"userName":"ann"})");
  EXPECT_EQ(world_->service().counts().overwrites_mended, 0U);
  EXPECT_EQ(world_->service().counts().overwrites_reported, 1U);
}

// Our sidecar was lost, somebody took the name, and then comes a stale copy.
TEST_F(SessionRules, MendsNothingThatIsAnothers) {
  const SessionId id = Created();
  ASSERT_TRUE(Rename(id, "ann").ok());
  const std::string loaded = *world_->ForeignGet(id.text());
  ASSERT_TRUE(Rename(id, "bob").ok());
  world_->ForeignSet(id.text(), R"({"cookie":{},"userName":"zoe"})", 1000'000);
  const SessionId thief = Created();
  ASSERT_TRUE(Rename(thief, "bob").ok()) << "void: Express had renamed its session";
  world_->ForeignSet(id.text(), loaded, 1000'000);
  EXPECT_EQ(Data(id), R"({"userName":"ann"})");
  EXPECT_EQ(world_->service().counts().overwrites_mended, 0U);
  EXPECT_EQ(ReasonOf(Rename(id, "bob").status()), "CLAIM_TAKEN");
  EXPECT_EQ(Data(thief), R"({"userName":"bob"})");
}

// What the store for express-session sends: see ExpressWrite.
constexpr char kExpressId[] = "8d88JCadsQco-apkDj-Z6Iu838GB5P40";
constexpr char kExpressCookie[] = R"({"originalMaxAge":60000,"expires":"2026-11-23T03:37:58.952Z","path":"/"})";

TEST_F(SessionRules, CreatesASessionUnderTheIdThatExpressMade) {
  CreateRequest request;
  request.data_json = R"({"userName":"ann","flash":{},"gone":"nullnullnullnull"})";
  request.request_id = "r1";
  request.express = {SessionId(kExpressId), kExpressCookie, std::nullopt, "nullnullnullnull"};
  const absl::StatusOr<SessionResult> made = Create(request);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(made->session.id.text(), kExpressId);
  EXPECT_EQ(made->session.cookie_json, kExpressCookie);
  EXPECT_EQ(world_->ForeignGet(kExpressId),
            absl::StrCat(R"({"cookie":)", kExpressCookie, R"(,"userName":"ann","flash":{},"gone":null})"));
  EXPECT_NEAR(static_cast<double>(world_->ForeignTtl(kExpressId)), 60'000, 3000);
  EXPECT_EQ(Create(request)->session.stored.revision, made->session.stored.revision) << "the same call again";
  request.request_id = "r2";
  EXPECT_EQ(ReasonOf(Create(request).status()), "SESSION_EXISTS");
  ASSERT_TRUE(*Destroy(SessionId(kExpressId)));
  EXPECT_EQ(ReasonOf(Create(request).status()), "SESSION_DESTROYED");
  EXPECT_EQ(world_->ForeignGet(kExpressId), std::nullopt);
}

TEST_F(SessionRules, ChangesCookieAndLimitOnlyForExpress) {
  const SessionId id = Created(R"({"a":1})");
  UpdateRequest request = PatchOf(id, R"({"userName":"ann","a":null,"b":{"c":"a-token-for-null"}})");
  request.touch = true;
  request.express = {SessionId(), kExpressCookie, std::nullopt, "a-token-for-null"};
  ASSERT_TRUE(Update(request).ok());
  EXPECT_EQ(world_->ForeignGet(id.text()),
            absl::StrCat(R"({"cookie":)", kExpressCookie, R"(,"userName":"ann","b":{"c":null}})"));
  EXPECT_NEAR(static_cast<double>(world_->ForeignTtl(id.text())), 60'000, 3000);
  // Its own limit, instead of the cookie's, and no more.
  request.express = {SessionId(), R"({"originalMaxAge":null})", 2min, ""};
  request.merge_patch_json = "";
  ASSERT_TRUE(Update(request).ok());
  EXPECT_NEAR(static_cast<double>(world_->ForeignTtl(id.text())), 120'000, 3000);
  EXPECT_NEAR(static_cast<double>(Get(id)->session.idle.count()), 120'000, 0);
  request.express->idle_ttl.reset();
  ASSERT_TRUE(Update(request).ok());
  EXPECT_NEAR(static_cast<double>(world_->ForeignTtl(id.text())), 86'400'000, 5000);
  // A member under a claim may be written as Express could; the claim is void by that.
  const SessionId bob = Created();
  ASSERT_TRUE(Rename(bob, "bob").ok());
  request = PatchOf(bob, R"({"userName":"robert"})");
  EXPECT_EQ(ReasonOf(Update(request).status()), "CLAIMED_MEMBER");
  request.express.emplace();
  ASSERT_TRUE(Update(request).ok());
  EXPECT_TRUE(Rename(Created(), "bob").ok());
  // And it revives nobody.
  ASSERT_TRUE(*Destroy(bob));
  EXPECT_EQ(ReasonOf(Update(request).status()), "SESSION_DESTROYED");
}

TEST_F(SessionRules, RefusesWhatExpressCannotHaveSaid) {
  CreateRequest create;
  for (const char* bad : {"", "short", "8d88JCadsQco-apkDj-Z6Iu838GB5P4 ", "8d88JCadsQco-apkDj-Z6Iu838GB5P4{"}) {
    create.express = {SessionId(bad), "", std::nullopt, ""};
    EXPECT_EQ(DetailsOf(Create(create).status()).field, "express.session_id") << bad;
  }
  const SessionId id = Created(R"({"a":1})");
  const auto field = [&](ExpressWrite express, std::string patch = "{}") {
    UpdateRequest request = PatchOf(id, std::move(patch));
    request.express = std::move(express);
    return DetailsOf(Update(std::move(request)).status()).field;
  };
  EXPECT_EQ(field({SessionId(kExpressId), "", std::nullopt, ""}), "express.session_id");
  for (const char* bad : {"[]", "1", "{", R"({"a":[[[[1]]]]})"}) {
    EXPECT_EQ(field({SessionId(), bad, std::nullopt, ""}), "express.cookie_json") << bad;
  }
  EXPECT_EQ(field({SessionId(), absl::StrCat(R"({"a":")", std::string(5000, 'x'), "\"}"), std::nullopt, ""}),
            "express.cookie_json");
  EXPECT_EQ(field({SessionId(), "", -1ms, ""}), "express.idle_ttl");
  EXPECT_EQ(field({SessionId(), "", 24h * 401, ""}), "express.idle_ttl");
  EXPECT_EQ(field({SessionId(), "", std::nullopt, "short"}), "express.null_placeholder");
  EXPECT_EQ(field({SessionId(), "", std::nullopt, "where-a-name-is-due"}, R"({"where-a-name-is-due":1})"),
            "express.null_placeholder");
  EXPECT_EQ(Data(id), R"({"a":1})");
}

TEST_F(SessionRules, ReportsDamagedRecords) {
  for (const char* bad : {"{}", "[]", "1", "\"x\"", R"({"userName":"u"})", R"({"cookie":null})", "not json", "\xff"}) {
    world_->ForeignSet("bad", bad, 1000'000);
    EXPECT_EQ(ReasonOf(Get(SessionId("bad")).status()), "RECORD_CORRUPT") << bad;
    EXPECT_EQ(ReasonOf(Patch(SessionId("bad"), R"({"a":1})").status()), "RECORD_CORRUPT") << bad;
    EXPECT_EQ(world_->ForeignGet("bad"), bad) << "left as it is";
  }
  for (const char* absent : {"null", ""}) {
    world_->ForeignSet("bad", absent, 1000'000);
    EXPECT_EQ(ReasonOf(Get(SessionId("bad")).status()), "SESSION_NOT_FOUND") << absent;
  }
  EXPECT_TRUE(*Destroy(SessionId("bad"))) << "and can be removed";
}

TEST_F(SessionRules, KeepsTheOrderOfCallsOnOneSession) {
  const SessionId id = Created();
  std::vector<int> order;
  std::vector<std::string> read;
  for (int i = 0; i < 10; ++i) {
    world_->service().Update(PatchOf(id, absl::StrCat("{\"n\":", i, "}")),
                             [&order, i](absl::StatusOr<SessionResult> r) {
                               EXPECT_TRUE(r.ok());
                               order.push_back(i);
                             });
    world_->service().Get({id, {}}, false, [&read](absl::StatusOr<SessionResult> r) {
      ASSERT_TRUE(r.ok());
      read.push_back(r->session.data_json);
    });
  }
  world_->RunUntil([&] { return order.size() == 10 && read.size() == 10; });
  EXPECT_THAT(order, ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9));
  for (std::size_t i = 0; i < read.size(); ++i) EXPECT_EQ(read[i], absl::StrCat("{\"n\":", i, "}"));
}

TEST_F(SessionRules, AReadDoesNotSeeAWriteThatCameAfterIt) {
  const SessionId id = Created(R"({"n":0})");
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Get(id).ok());  // by now it may be answered from memory
  std::vector<std::string> read;
  for (int i = 1; i <= 10; ++i) {
    world_->service().Get({id, {}}, false,
                          [&read](absl::StatusOr<SessionResult> r) { read.push_back(r->session.data_json); });
    std::optional<absl::StatusOr<SessionResult>> written;
    world_->service().Update(PatchOf(id, absl::StrCat("{\"n\":", i, "}")),
                             [&written](absl::StatusOr<SessionResult> r) { written = std::move(r); });
    world_->RunUntil([&] { return written.has_value(); });
    if (i % 2 == 0) {
      ASSERT_TRUE(Get(id).ok());
    }
  }
  world_->RunUntil([&] { return read.size() == 10; });
  for (std::size_t i = 0; i < read.size(); ++i) EXPECT_EQ(read[i], absl::StrCat("{\"n\":", i, "}"));
}

TEST_F(SessionRules, AReadSeesWhatAnotherReplicaHasAnswered) {
  const SessionId id = Created(R"({"n":0})");
  for (int i = 1; i <= 20; ++i) {
    for (int j = 0; j < 3; ++j) ASSERT_TRUE(Get(id).ok());
    ASSERT_TRUE(world_
                    ->Await<SessionResult>([&](auto done) {
                      world_->other_service().Update(PatchOf(id, absl::StrCat("{\"n\":", i, "}")), std::move(done));
                    })
                    .ok());
    EXPECT_EQ(Get(id)->session.data_json, absl::StrCat("{\"n\":", i, "}"));
  }
  const DestroyRequest logout{.session = {id, {}}, .etag = {}, .reason = kLogout, .request_id = {}};
  ASSERT_TRUE(*world_->Await<bool>([&](auto done) { world_->other_service().Destroy(logout, std::move(done)); }));
  EXPECT_EQ(ReasonOf(Get(id).status()), "SESSION_DESTROYED");
}

TEST_F(SessionRules, AReadSeesWhatOthersHaveWritten) {
  const SessionId id = Created(R"({"n":0})");
  for (int i = 1; i <= 20; ++i) {
    for (int j = 0; j < 3; ++j) ASSERT_TRUE(Get(id).ok());
    world_->ForeignSet(id.text(), absl::StrCat(R"({"cookie":{},"n":)", i, "}"), 100'000);
    EXPECT_EQ(Get(id)->session.data_json, absl::StrCat("{\"n\":", i, "}"));
  }
}

TEST_F(SessionRules, BoundsWhatWaitsForOneSession) {
  const SessionId id = Created();
  int refused = 0;
  int finished = 0;
  for (int i = 0; i < 1100; ++i) {
    world_->service().Update(PatchOf(id, absl::StrCat("{\"n\":", i, "}")), [&](absl::StatusOr<SessionResult> r) {
      ++finished;
      if (!r.ok()) {
        EXPECT_EQ(ReasonOf(r.status()), "TOO_MANY_CALLS");
        ++refused;
      }
    });
  }
  world_->RunUntil([&] { return finished == 1100; });
  EXPECT_EQ(refused, 1100 - 1025);
}

}  // namespace
}  // namespace sesior::testing
