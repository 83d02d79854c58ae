// What UserSessions promises, on whatever store MakeSessionWorld gives.
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/session/domain/user_sessions.hpp"
#include "sesior/base/clock.hpp"
#include "sesior/base/error.hpp"
#include "tests/support/session_world.hpp"

namespace sesior::testing {

using namespace session;  // the suite is about nothing else
using std::chrono_literals::operator""ms;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

namespace {

constexpr int kLogin = 2;
constexpr int kRotation = 3;
constexpr int kRevoked = 4;

class UserRules : public ::testing::Test {
 protected:
  UserRules() { Use(TestSessionOptions()); }
  void Use(SessionOptions options) {
    users_.reset();
    world_.reset();
    world_ = MakeSessionWorld(std::move(options));
    users_ = std::make_unique<UserSessions>(world_->service(), world_->store());
  }

  // Lets the clock go on, so that what is made next is newer: the world's own, and the one that the others go by.
  void Tick() {
    int rounds = 0;
    world_->RunUntil([&rounds] { return rounds++ > 3; });
    const std::int64_t before = SystemClock().WallMillis();
    while (SystemClock().WallMillis() == before) std::this_thread::sleep_for(1ms);
  }

  absl::StatusOr<SessionResult> TryCreate(std::string user_id, Device device = {}) {
    Tick();
    CreateRequest request;
    request.user_id = std::move(user_id);
    request.device = std::move(device);
    return world_->Await<SessionResult>(
        [&](auto done) { world_->service().Create(std::move(request), std::move(done)); });
  }
  SessionId Created(std::string user_id, Device device = {}) {
    const absl::StatusOr<SessionResult> made = TryCreate(std::move(user_id), std::move(device));
    EXPECT_TRUE(made.ok()) << made.status();
    return made.ok() ? made->session.id : SessionId();
  }
  absl::StatusOr<SessionResult> Get(const SessionId& id) {
    return world_->Await<SessionResult>([&](auto done) { world_->service().Get({id, {}}, false, std::move(done)); });
  }
  std::string UserOf(const SessionId& id) { return Get(id)->session.stored.user_id; }
  absl::StatusOr<SessionResult> Update(UpdateRequest request) {
    return world_->Await<SessionResult>(
        [&](auto done) { world_->service().Update(std::move(request), std::move(done)); });
  }
  absl::StatusOr<SessionResult> Regenerate(const SessionId& id, int reason, std::string user_id = "") {
    Tick();
    RegenerateRequest request;
    request.session.id = id;
    request.reason = reason;
    request.rotation = reason == kRotation;
    request.user_id = std::move(user_id);
    return world_->Await<SessionResult>(
        [&](auto done) { world_->service().Regenerate(std::move(request), std::move(done)); });
  }

  static UserRef Named(std::string user_id) { return {.user_id = std::move(user_id), .caller = {}}; }
  static UserRef Of(const SessionId& caller) { return {.user_id = {}, .caller = SessionRef{caller, {}}}; }
  absl::StatusOr<ListResult> List(UserRef user, int page_size = 0, std::string page_token = "") {
    return world_->Await<ListResult>([&](auto done) {
      users_->List({std::move(user), page_size, std::move(page_token)}, std::move(done));
    });
  }
  std::vector<std::string> Handles(UserRef user) {
    std::vector<std::string> handles;
    const absl::StatusOr<ListResult> list = List(std::move(user));
    EXPECT_TRUE(list.ok()) << list.status();
    if (!list.ok()) return handles;
    for (const ListedSession& session : list->sessions) handles.push_back(session.handle);
    return handles;
  }
  absl::StatusOr<EndResult> End(EndRequest request) {
    request.reason = kRevoked;
    return world_->Await<EndResult>([&](auto done) { users_->End(std::move(request), std::move(done)); });
  }
  absl::StatusOr<EndResult> EndOne(UserRef user, std::string handle) {
    EndRequest request;
    request.user = std::move(user);
    request.handle = std::move(handle);
    return End(std::move(request));
  }

  std::unique_ptr<SessionWorld> world_;
  std::unique_ptr<UserSessions> users_;
};

TEST_F(UserRules, ListsTheSessionsOfOneUserNewestFirst) {
  const SessionId first = Created("ann", {.address = "192.0.2.1", .user_agent = "curl/8", .label = "server"});
  const SessionId second = Created("ann");
  const SessionId other = Created("bob");
  const absl::StatusOr<ListResult> list = List(Named("ann"));
  ASSERT_TRUE(list.ok()) << list.status();
  ASSERT_THAT(list->sessions, SizeIs(2));
  EXPECT_EQ(list->sessions[0].handle, HandleOf(second));
  EXPECT_EQ(list->sessions[1].handle, HandleOf(first));
  EXPECT_EQ(list->current_handle, "");
  const StoredSession& stored = list->sessions[1].stored;
  EXPECT_EQ(stored.device, (Device{"192.0.2.1", "curl/8", "server"}));
  EXPECT_GT(stored.created_ms, 0);
  EXPECT_GE(stored.last_seen_ms, stored.created_ms);
  EXPECT_TRUE(stored.ttl.has_value());
  EXPECT_THAT(Handles(Named("bob")), ElementsAre(HandleOf(other)));
  EXPECT_THAT(Handles(Named("nobody")), IsEmpty());
}

TEST_F(UserRules, HandlesTellNothingOfTheId) {
  const SessionId id("8d88JCadsQco-apkDj-Z6Iu838GB5P40");
  EXPECT_EQ(HandleOf(id), "Xccmf8Mmmvv8H-ugE7f2-Q") << "SHA-256 of the id behind a prefix, 16 bytes of it";
  EXPECT_EQ(HandleOf(id), HandleOf(SessionId(id.text())));
  EXPECT_NE(HandleOf(id), HandleOf(SessionId(id.text() + "x")));
}

TEST_F(UserRules, ACallerMeansItsOwnUserOnly) {
  const SessionId ann = Created("ann");
  const SessionId phone = Created("ann");
  const SessionId bob = Created("bob");
  const absl::StatusOr<ListResult> list = List(Of(ann));
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_EQ(list->current_handle, HandleOf(ann));
  EXPECT_THAT(list->sessions, SizeIs(2));
  EXPECT_EQ(ReasonOf(EndOne(Of(ann), HandleOf(bob)).status()), "HANDLE_NOT_FOUND");
  EXPECT_TRUE(Get(bob).ok());
  EXPECT_EQ(ReasonOf(List(Of(SessionId("gone"))).status()), "SESSION_NOT_FOUND");
  EXPECT_TRUE(Get(phone).ok());
}

TEST_F(UserRules, ACallerWithoutAUserStandsForItself) {
  const SessionId lone = Created("");
  const SessionId other = Created("");
  EXPECT_THAT(Handles(Of(lone)), ElementsAre(HandleOf(lone)));
  EXPECT_EQ(ReasonOf(EndOne(Of(lone), HandleOf(other)).status()), "HANDLE_NOT_FOUND");
  EndRequest others;
  others.user = Of(lone);
  others.spare_caller = true;
  EXPECT_EQ(End(others)->count, 0);
  EXPECT_TRUE(Get(lone).ok());
  EndRequest all;
  all.user = Of(lone);
  const absl::StatusOr<EndResult> ended = End(all);
  EXPECT_EQ(ended->count, 1);
  EXPECT_TRUE(ended->caller_ended);
  EXPECT_EQ(ReasonOf(Get(lone).status()), "SESSION_DESTROYED");
  EXPECT_TRUE(Get(other).ok());
}

TEST_F(UserRules, ListsInPagesThatSurviveAnEndInBetween) {
  std::vector<SessionId> ids;
  for (int i = 0; i < 5; ++i) ids.push_back(Created("ann"));
  const absl::StatusOr<ListResult> first = List(Named("ann"), 2);
  ASSERT_THAT(first->sessions, SizeIs(2));
  EXPECT_EQ(first->sessions[1].handle, HandleOf(ids[3]));
  EXPECT_EQ(EndOne(Named("ann"), HandleOf(ids[3]))->count, 1) << "the one that the token names";
  const absl::StatusOr<ListResult> second = List(Named("ann"), 2, first->next_page_token);
  ASSERT_THAT(second->sessions, SizeIs(2));
  EXPECT_EQ(second->sessions[0].handle, HandleOf(ids[2]));
  EXPECT_EQ(second->sessions[1].handle, HandleOf(ids[1]));
  const absl::StatusOr<ListResult> third = List(Named("ann"), 2, second->next_page_token);
  ASSERT_THAT(third->sessions, SizeIs(1));
  EXPECT_EQ(third->sessions[0].handle, HandleOf(ids[0]));
  EXPECT_EQ(third->next_page_token, "");
  EXPECT_TRUE(absl::IsInvalidArgument(List(Named("ann"), 2, "x").status()));
}

TEST_F(UserRules, EndsOneByItsHandle) {
  const SessionId ann = Created("ann");
  const SessionId phone = Created("ann");
  const absl::StatusOr<EndResult> ended = EndOne(Of(ann), HandleOf(phone));
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->count, 1);
  EXPECT_FALSE(ended->caller_ended);
  EXPECT_EQ(ReasonOf(Get(phone).status()), "SESSION_DESTROYED");
  EXPECT_EQ(ReasonOf(EndOne(Of(ann), HandleOf(phone)).status()), "HANDLE_NOT_FOUND");
  EXPECT_THAT(Handles(Of(ann)), ElementsAre(HandleOf(ann)));
  EXPECT_TRUE(EndOne(Of(ann), HandleOf(ann))->caller_ended);
  EXPECT_THAT(Handles(Named("ann")), IsEmpty());
}

TEST_F(UserRules, EndsAllButTheCaller) {
  const SessionId ann = Created("ann");
  for (int i = 0; i < 3; ++i) Created("ann");
  const SessionId bob = Created("bob");
  Tick();
  EndRequest request;
  request.user = Of(ann);
  request.spare_caller = true;
  const absl::StatusOr<EndResult> ended = End(request);
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->count, 3);
  EXPECT_FALSE(ended->caller_ended);
  EXPECT_THAT(Handles(Of(ann)), ElementsAre(HandleOf(ann))) << "older than the mark, and spared";
  EXPECT_TRUE(Get(bob).ok());

  const absl::StatusOr<SessionResult> rotated = Regenerate(ann, kRotation);
  ASSERT_TRUE(rotated.ok()) << rotated.status();
  EXPECT_TRUE(Get(rotated->session.id).ok()) << "spared under its new id, too";
  const SessionId later = Created("ann");
  EXPECT_TRUE(Get(later).ok());

  EndRequest all;
  all.user = Named("ann");
  EXPECT_EQ(End(all)->count, 2);
  EXPECT_THAT(Handles(Named("ann")), IsEmpty());
}

TEST_F(UserRules, ASessionKeepsItsUser) {
  SessionId id = Created("");
  UpdateRequest join;
  join.session.id = id;
  join.user_id_if_none = "ann";
  const std::uint64_t before = Get(id)->session.stored.revision;
  ASSERT_TRUE(Update(join).ok());
  EXPECT_EQ(UserOf(id), "ann");
  EXPECT_GT(Get(id)->session.stored.revision, before) << "watchers are told";
  join.user_id_if_none = "eve";
  ASSERT_TRUE(Update(join).ok());
  EXPECT_EQ(UserOf(id), "ann");
  UpdateRequest rename;
  rename.session.id = id;
  rename.claims = {{"userName", "Ann Two", "userName", ""}};
  ASSERT_TRUE(Update(rename).ok());
  EXPECT_EQ(UserOf(id), "ann");
  for (const int reason : {kLogin, kRotation}) {
    const absl::StatusOr<SessionResult> next = Regenerate(id, reason);
    ASSERT_TRUE(next.ok()) << next.status();
    id = next->session.id;
    EXPECT_EQ(UserOf(id), "ann");
    EXPECT_THAT(Handles(Named("ann")), ElementsAre(HandleOf(id))) << "the old id is listed no more";
  }
  const absl::StatusOr<SessionResult> taken = Regenerate(id, kLogin, "bob");
  EXPECT_EQ(UserOf(taken->session.id), "bob");
  EXPECT_THAT(Handles(Named("ann")), IsEmpty());
}

TEST_F(UserRules, OneMoreThanAllowedEndsTheOldest) {
  SessionOptions options = TestSessionOptions();
  options.user_limit = {.sessions = 2, .end_oldest = true};
  Use(std::move(options));
  const SessionId first = Created("ann");
  const SessionId second = Created("ann");
  const SessionId third = Created("ann");
  EXPECT_EQ(ReasonOf(Get(first).status()), "SESSION_DESTROYED");
  EXPECT_THAT(Handles(Named("ann")), ElementsAre(HandleOf(third), HandleOf(second)));

  const absl::StatusOr<SessionResult> again = Regenerate(third, kLogin);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(Get(second).ok()) << "a session that goes makes room for the one it becomes";

  const SessionId lone = Created("");
  UpdateRequest join;
  join.session.id = lone;
  join.user_id_if_none = "ann";
  ASSERT_TRUE(Update(join).ok());
  EXPECT_EQ(ReasonOf(Get(second).status()), "SESSION_DESTROYED");
}

TEST_F(UserRules, OneMoreThanAllowedIsRefusedWhereThatIsAsked) {
  SessionOptions options = TestSessionOptions();
  options.user_limit = {.sessions = 1, .end_oldest = false};
  Use(std::move(options));
  const SessionId first = Created("ann");
  const absl::Status refused = TryCreate("ann").status();
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
  EXPECT_EQ(ReasonOf(refused), "TOO_MANY_SESSIONS");
  EXPECT_TRUE(Get(first).ok());
  const SessionId lone = Created("");
  UpdateRequest join;
  join.session.id = lone;
  join.user_id_if_none = "ann";
  EXPECT_EQ(ReasonOf(Update(join).status()), "TOO_MANY_SESSIONS");
  EXPECT_EQ(UserOf(lone), "");
  EXPECT_EQ(ReasonOf(Regenerate(lone, kLogin, "ann").status()), "TOO_MANY_SESSIONS");
  EXPECT_TRUE(Get(lone).ok());
  EXPECT_EQ(EndOne(Named("ann"), HandleOf(first))->count, 1);
  EXPECT_TRUE(TryCreate("ann").ok());
}

TEST_F(UserRules, SessionsThatExpiredMakeRoom) {
  SessionOptions options = TestSessionOptions();
  options.user_limit = {.sessions = 1, .end_oldest = false};
  Use(std::move(options));
  CreateRequest brief;
  brief.user_id = "ann";
  brief.idle_ttl = 20ms;
  const absl::StatusOr<SessionResult> made =
      world_->Await<SessionResult>([&](auto done) { world_->service().Create(std::move(brief), std::move(done)); });
  world_->RunUntil([&] { return !Get(made->session.id).ok(); });
  EXPECT_TRUE(TryCreate("ann").ok());
  EXPECT_THAT(Handles(Named("ann")), SizeIs(1));
}

TEST_F(UserRules, RemembersTheDeviceOfTheLastTouch) {
  SessionOptions options = TestSessionOptions();
  options.touch_interval = 10ms;
  Use(std::move(options));
  const absl::StatusOr<SessionResult> made = TryCreate("ann", {.address = "192.0.2.1", .user_agent = "A", .label = ""});
  const std::string cookie = made->set_cookie.substr(0, made->set_cookie.find(';'));
  Tick();
  world_->RunUntil([&] {
    const absl::StatusOr<ResolveResult> resolved = world_->Await<ResolveResult>([&](auto done) {
      world_->service().Resolve(cookie, true, {.address = "2001:db8::1", .user_agent = "B\r\n\x1f", .label = ""},
                                std::move(done));
    });
    return resolved.ok() && List(Named("ann"))->sessions[0].stored.device.user_agent == "B";
  });
  const StoredSession seen = List(Named("ann"))->sessions[0].stored;
  EXPECT_EQ(seen.device.address, "2001:db8::1");
  EXPECT_GT(seen.last_seen_ms, seen.created_ms);
}

TEST_F(UserRules, CutsWhatIsTooLongBetweenCharacters) {
  const Device device =
      Tidy({.address = std::string(100, '1'), .user_agent = std::string(255, 'a') + "é", .label = "ok"});
  EXPECT_EQ(device.address.size(), 64U);
  EXPECT_EQ(device.user_agent, std::string(255, 'a'));
  EXPECT_EQ(DecodeDevice(EncodeDevice(device)), device);
  EXPECT_EQ(DecodeDevice(""), Device());
}

TEST_F(UserRules, RefusesUserIdsThatCannotBeKeys) {
  for (const char* bad : {"a b", "{u}", "\x01", "é"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(TryCreate(bad).status())) << bad;
  }
  EXPECT_TRUE(absl::IsInvalidArgument(TryCreate(std::string(129, 'x')).status()));
  EXPECT_TRUE(TryCreate(std::string(128, 'x')).ok());
}

TEST_F(UserRules, ErasesAUser) {
  const SessionId ann = Created("ann");
  UpdateRequest name;
  name.session.id = ann;
  name.claims = {{"userName", "Erased", "userName", ""}};
  ASSERT_TRUE(Update(name).ok());
  Created("ann");
  const SessionId bob = Created("bob");
  Tick();
  const absl::StatusOr<int> erased = world_->Await<int>([&](auto done) { users_->Erase("ann", 7, std::move(done)); });
  EXPECT_EQ(*erased, 2);
  EXPECT_THAT(Handles(Named("ann")), IsEmpty());
  name.session.id = bob;
  EXPECT_TRUE(Update(name).ok()) << "the name is free";
}

}  // namespace
}  // namespace sesior::testing
