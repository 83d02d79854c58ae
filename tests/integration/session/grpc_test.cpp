// The service as other languages meet it: the generated stubs, two replicas on one Redis. Our own client: rpc_test.cpp.
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/session/core.hpp"
#include "services/session/rpc/broadcast_hub.hpp"
#include "services/session/rpc/operations.hpp"
#include "services/session/rpc/rpc_metrics.hpp"
#include "services/session/rpc/rpc_server.hpp"
#include "services/session/rpc/watch_hub.hpp"
#include "sesior/base/error.hpp"
#include "sesior/broadcast/v1/broadcast.grpc.pb.h"
#include "sesior/grpc_status/grpc_status.hpp"
#include "sesior/internal/v1/exchange.grpc.pb.h"
#include "sesior/presence/v1/presence.grpc.pb.h"
#include "sesior/session/v1/session.grpc.pb.h"
#include "tests/support/redis_server.hpp"

namespace sesior::testing {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// One replica of the service, put together as main.cpp does.
class Replica {
 public:
  explicit Replica(const RedisServer& redis)
      : config_(MakeConfig(redis)),
        metrics_(registry_),
        rpc_metrics_(registry_),
        core_(config_, metrics_),
        operations_(core_.sessions(), core_.store(), core_.presence(), core_.recovery(), SystemClock()),
        watches_(core_.sessions(), core_.executor(), SystemClock()),
        broadcasts_(core_.store(), core_.bus(), core_.executor(), rpc_metrics_),
        server_("127.0.0.1:0", {operations_, core_.executor(), rpc_metrics_}, watches_, broadcasts_) {
    core_.OnServing([this](bool serving) { server_.SetServing(serving); });
    EXPECT_TRUE(core_.Start().ok());
    EXPECT_TRUE(server_.Start().ok());
    channel_ = grpc::CreateChannel(absl::StrCat("127.0.0.1:", server_.port()), grpc::InsecureChannelCredentials());
    sessions = session::v1::SessionService::NewStub(channel_);
    broadcasts = broadcast::v1::BroadcastService::NewStub(channel_);
    presence = presence::v1::PresenceService::NewStub(channel_);
    exchange = internal::v1::ExchangeService::NewStub(channel_);
  }
  ~Replica() { Stop(); }
  void Stop() {
    server_.Drain(std::chrono::steady_clock::now() + 1s);
    server_.Stop();
    core_.Stop();
  }
  bool serving() const { return core_.serving(); }
  std::shared_ptr<grpc::Channel> channel() { return channel_; }
  session::rpc::RpcServer& server() { return server_; }

  std::unique_ptr<session::v1::SessionService::Stub> sessions;
  std::unique_ptr<broadcast::v1::BroadcastService::Stub> broadcasts;
  std::unique_ptr<presence::v1::PresenceService::Stub> presence;
  std::unique_ptr<internal::v1::ExchangeService::Stub> exchange;

 private:
  static session::Config MakeConfig(const RedisServer& redis) {
    session::Config config;
    config.redis.address = *session::redis::ParseRedisUrl(redis.url());
    config.redis.backoff = {.initial = 5ms, .max = 50ms};
    config.redis.stall_timeout = 1s;
    config.sessions.secrets = {"keyboard cat"};
    config.lease_sweep = 50ms;
    return config;
  }

  session::Config config_;
  telemetry::Registry registry_;
  session::Metrics metrics_;
  session::rpc::RpcMetrics rpc_metrics_;
  session::Core core_;
  session::rpc::Operations operations_;
  session::rpc::WatchHub watches_;
  session::rpc::BroadcastHub broadcasts_;
  session::rpc::RpcServer server_;
  std::shared_ptr<grpc::Channel> channel_;
};

// Every call and stream of the tests ends, whatever goes wrong.
void Limit(grpc::ClientContext& context, std::chrono::seconds limit = 10s) {
  context.set_deadline(std::chrono::system_clock::now() + limit);
}

template <typename Stub, typename Request, typename Response>
absl::StatusOr<Response> Call(Stub& stub, grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                              const Request& request) {
  grpc::ClientContext context;
  Limit(context);
  Response response;
  const grpc::Status status = (stub.*method)(&context, request, &response);
  if (!status.ok()) return grpc_status::FromGrpc(status);
  return response;
}

void WaitUntil(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (!condition() && std::chrono::steady_clock::now() < deadline) std::this_thread::sleep_for(5ms);
  EXPECT_TRUE(condition());
}

class OverGrpc : public ::testing::Test {
 protected:
  using Sessions = session::v1::SessionService::Stub;

  session::v1::CreateSessionResponse Create(std::string data = "") {
    session::v1::CreateSessionRequest request;
    request.set_data_json(std::move(data));
    auto response = Call(*a_.sessions, &Sessions::CreateSession, request);
    EXPECT_TRUE(response.ok()) << response.status();
    return *response;
  }
  absl::StatusOr<session::v1::UpdateSessionResponse> Patch(Replica& replica, const std::string& id, std::string patch) {
    session::v1::UpdateSessionRequest request;
    request.mutable_session()->set_session_id(id);
    request.set_merge_patch_json(std::move(patch));
    return Call(*replica.sessions, &Sessions::UpdateSession, request);
  }
  static std::string Cookie(const session::v1::CreateSessionResponse& created) {
    return created.set_cookie().substr(0, created.set_cookie().find(';'));
  }
  static broadcast::v1::Broadcast Event(const std::string& args) {
    broadcast::v1::Broadcast event;
    event.set_namespace_("/");
    event.mutable_packet()->set_args_json(args);
    return event;
  }

  RedisServer redis_{true};
  Replica a_{redis_};
  Replica b_{redis_};
};

TEST_F(OverGrpc, TheSameSessionIsThereOnEveryReplica) {
  const auto created = Create(R"({"n":1.10})");
  EXPECT_EQ(created.session().data_json(), R"({"n":1.10})");
  EXPECT_EQ(created.session().etag().size(), 42U);
  EXPECT_TRUE(created.session().has_expire_time());
  session::v1::ResolveCookieRequest resolve;
  resolve.set_cookie_header(Cookie(created));
  const auto resolved = Call(*b_.sessions, &Sessions::ResolveCookie, resolve);
  ASSERT_TRUE(resolved.ok()) << resolved.status();
  EXPECT_EQ(resolved->verdict(), session::v1::COOKIE_VERDICT_VALID);
  EXPECT_EQ(resolved->session().session_id(), created.session().session_id());
  resolve.set_if_none_match(created.session().etag());
  EXPECT_TRUE(Call(*b_.sessions, &Sessions::ResolveCookie, resolve)->not_modified());
  EXPECT_EQ(Patch(b_, created.session().session_id(), R"({"a":1})")->session().data_json(), R"({"n":1.10,"a":1})");
  EXPECT_EQ(Patch(a_, created.session().session_id(), R"({"b":1})")->session().data_json(),
            R"({"n":1.10,"a":1,"b":1})");
  session::v1::BatchGetSessionsRequest batch;
  batch.add_session_ids(created.session().session_id());
  batch.add_session_ids("nobody");
  const auto many = Call(*a_.sessions, &Sessions::BatchGetSessions, batch);
  EXPECT_EQ(many->sessions_size(), 1);
  EXPECT_THAT(many->missing_ids(), ElementsAre("nobody"));
}

TEST_F(OverGrpc, ErrorsCarryReasonAndField) {
  const std::string id = Create().session().session_id();
  const absl::Status reserved = Patch(a_, id, R"({"cookie":{}})").status();
  EXPECT_EQ(reserved.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(DetailsOf(reserved).reason, "RESERVED_MEMBER");
  EXPECT_EQ(DetailsOf(reserved).field, "cookie");
  EXPECT_EQ(ReasonOf(Patch(a_, "nobody", "{}").status()), "SESSION_NOT_FOUND");
  session::v1::GetSessionRequest by_cookie;
  by_cookie.mutable_session()->set_cookie_header("connect.sid=s%3Ax.y");
  const absl::Status forged = Call(*a_.sessions, &Sessions::GetSession, by_cookie).status();
  EXPECT_EQ(forged.code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(ReasonOf(forged), "SIGNATURE_INVALID");
  const absl::Status nobody = Call(*a_.sessions, &Sessions::ListSessions, {}).status();
  EXPECT_EQ(nobody.code(), absl::StatusCode::kInvalidArgument) << "neither a user nor a caller";
  EXPECT_EQ(DetailsOf(nobody).field, "user_id");
}

TEST_F(OverGrpc, AUsersSessionsAreListedEndedExportedAndErasedWithoutIds) {
  session::v1::CreateSessionRequest create;
  create.set_user_id("u-ann");
  create.mutable_device()->set_user_agent("Laptop/1");
  const auto laptop = Call(*a_.sessions, &Sessions::CreateSession, create);
  ASSERT_TRUE(laptop.ok()) << laptop.status();
  create.set_data_json(R"({"n":1})");
  const auto phone = Call(*b_.sessions, &Sessions::CreateSession, create);
  const auto tablet = Call(*b_.sessions, &Sessions::CreateSession, create);
  Create();

  session::v1::ListSessionsRequest list;
  list.mutable_caller()->set_cookie_header(Cookie(*laptop));
  const auto listed = Call(*b_.sessions, &Sessions::ListSessions, list);
  ASSERT_TRUE(listed.ok()) << listed.status();
  ASSERT_EQ(listed->sessions_size(), 3);
  EXPECT_EQ(listed->current_handle(), laptop->session().handle());
  for (const session::v1::Session& session : listed->sessions()) {
    EXPECT_EQ(session.session_id(), "");
    EXPECT_EQ(session.data_json(), "");
    EXPECT_EQ(session.handle().size(), 22U);
    EXPECT_EQ(session.device().user_agent(), "Laptop/1");
    EXPECT_TRUE(session.has_last_seen_time());
  }
  list.set_user_id("u-ann");
  EXPECT_EQ(Call(*a_.sessions, &Sessions::ListSessions, list).status().code(), absl::StatusCode::kInvalidArgument);

  session::v1::DestroyUserSessionsRequest end;
  end.mutable_caller()->set_cookie_header(Cookie(*laptop));
  end.set_handle(phone->session().handle());
  end.set_reason(session::v1::END_REASON_REVOKED);
  const auto ended = Call(*a_.sessions, &Sessions::DestroyUserSessions, end);
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->destroyed_count(), 1);
  EXPECT_EQ(ended->clear_cookie(), "");
  EXPECT_EQ(ReasonOf(Call(*a_.sessions, &Sessions::DestroyUserSessions, end).status()), "HANDLE_NOT_FOUND");

  session::v1::ExportUserRequest export_user;
  export_user.set_user_id("u-ann");
  grpc::ClientContext context;
  Limit(context);
  const auto reader = a_.sessions->ExportUser(&context, export_user);
  std::vector<std::string> exported;
  session::v1::ExportUserResponse part;
  while (reader->Read(&part)) {
    EXPECT_EQ(part.session().session_id(), "");
    exported.push_back(part.session().data_json());
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_THAT(exported, ::testing::UnorderedElementsAre(R"({"n":1})", "{}"));
  export_user.set_user_id("not a user id");
  grpc::ClientContext refused;
  Limit(refused);
  EXPECT_EQ(a_.sessions->ExportUser(&refused, export_user)->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);

  session::v1::EraseUserRequest erase;
  erase.set_user_id("u-ann");
  EXPECT_EQ(Call(*b_.sessions, &Sessions::EraseUser, erase)->destroyed_count(), 2);
  EXPECT_EQ(redis_.Command({"KEYS", "*u-ann*"}), "");
}

TEST_F(OverGrpc, AnEndIsSeenByWhoWatchesOnAnotherReplica) {
  const auto created = Create(R"({"a":0})");
  grpc::ClientContext context;
  Limit(context);
  const auto stream = b_.sessions->WatchSessions(&context);
  session::v1::WatchSessionsRequest add;
  auto& by_cookie = *add.add_add();
  by_cookie.set_watch_id(1);
  by_cookie.mutable_session()->set_cookie_header(Cookie(created));
  auto& known = *add.add_add();
  known.set_watch_id(2);
  known.mutable_session()->set_session_id(created.session().session_id());
  known.set_known_revision(created.session().revision());
  auto& forged = *add.add_add();
  forged.set_watch_id(3);
  forged.mutable_session()->set_cookie_header("connect.sid=s%3Ax.y");
  auto& nobody = *add.add_add();
  nobody.set_watch_id(4);
  nobody.mutable_session()->set_session_id("nobody");
  ASSERT_TRUE(stream->Write(add));

  std::map<std::uint64_t, std::vector<session::v1::WatchSessionsResponse::Event>> told;
  session::v1::WatchSessionsResponse response;
  const auto read_until = [&](const std::function<bool()>& enough) {
    while (!enough() && stream->Read(&response)) {
      for (const auto& event : response.events()) told[event.watch_id()].push_back(event);
    }
    EXPECT_TRUE(enough());
  };
  read_until([&] { return told.size() == 4; });
  EXPECT_EQ(told[1][0].kind(), session::v1::WATCH_EVENT_KIND_CURRENT);
  EXPECT_EQ(told[1][0].session().data_json(), R"({"a":0})");
  EXPECT_EQ(told[2][0].kind(), session::v1::WATCH_EVENT_KIND_CURRENT);
  EXPECT_FALSE(told[2][0].has_session()) << "known already";
  EXPECT_EQ(told[3][0].kind(), session::v1::WATCH_EVENT_KIND_REFUSED);
  EXPECT_EQ(told[3][0].verdict(), session::v1::COOKIE_VERDICT_FORGED);
  EXPECT_EQ(told[4][0].kind(), session::v1::WATCH_EVENT_KIND_REFUSED);

  ASSERT_TRUE(Patch(a_, created.session().session_id(), R"({"a":1})").ok());
  read_until([&] { return told[1].size() == 2 && told[2].size() == 2; });
  EXPECT_EQ(told[1][1].kind(), session::v1::WATCH_EVENT_KIND_UPDATED);
  EXPECT_EQ(told[1][1].session().data_json(), R"({"a":1})");

  session::v1::DestroySessionRequest destroy;
  destroy.mutable_session()->set_session_id(created.session().session_id());
  destroy.set_reason(session::v1::END_REASON_LOGOUT);
  const auto destroyed = Call(*a_.sessions, &Sessions::DestroySession, destroy);
  EXPECT_TRUE(destroyed->destroyed());
  EXPECT_THAT(destroyed->clear_cookie(), HasSubstr("1970"));
  read_until([&] { return told[1].size() == 3 && told[2].size() == 3; });
  EXPECT_EQ(told[1][2].kind(), session::v1::WATCH_EVENT_KIND_ENDED);
  EXPECT_EQ(told[1][2].reason(), session::v1::END_REASON_LOGOUT);
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(OverGrpc, ATouchAndAnExpiryAreTold) {
  redis_.Command({"SET", "sess:short", R"({"cookie":{"originalMaxAge":1000}})", "PX", "600"});
  grpc::ClientContext context;
  Limit(context);
  const auto stream = b_.sessions->WatchSessions(&context);
  session::v1::WatchSessionsRequest add;
  add.add_add()->set_watch_id(1);
  add.mutable_add(0)->mutable_session()->set_session_id("short");
  ASSERT_TRUE(stream->Write(add));
  std::vector<session::v1::WatchSessionsResponse::Event> told;
  session::v1::WatchSessionsResponse response;
  while (told.size() < 3 && stream->Read(&response)) {
    for (const auto& event : response.events()) told.push_back(event);
    if (told.size() != 1) continue;
    session::v1::TouchSessionRequest touch;
    touch.mutable_session()->set_session_id("short");
    EXPECT_TRUE(Call(*a_.sessions, &Sessions::TouchSession, touch)->touched());
  }
  ASSERT_EQ(told.size(), 3U);
  EXPECT_EQ(told[0].kind(), session::v1::WATCH_EVENT_KIND_CURRENT);
  EXPECT_EQ(told[1].kind(), session::v1::WATCH_EVENT_KIND_TOUCHED);
  EXPECT_GT(told[1].session().expire_time().seconds() * 1000 + told[1].session().expire_time().nanos() / 1000000,
            told[0].session().expire_time().seconds() * 1000 + told[0].session().expire_time().nanos() / 1000000);
  EXPECT_EQ(told[2].kind(), session::v1::WATCH_EVENT_KIND_ENDED);
  EXPECT_EQ(told[2].reason(), session::v1::END_REASON_EXPIRED);
  context.TryCancel();
  stream->Finish();
}

TEST_F(OverGrpc, ABroadcastReachesEverySubscriberInOneOrder) {
  const std::string id = Create().session().session_id();
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<
      std::unique_ptr<grpc::ClientReaderWriter<broadcast::v1::SubscribeRequest, broadcast::v1::SubscribeResponse>>>
      streams;
  for (Replica* replica : {&a_, &b_, &b_}) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    Limit(*contexts.back());
    streams.push_back(replica->broadcasts->Subscribe(contexts.back().get()));
    broadcast::v1::SubscribeRequest subscribe;
    subscribe.set_replica_id(absl::StrCat("r", streams.size()));
    subscribe.add_add()->set_namespace_("/");
    ASSERT_TRUE(streams.back()->Write(subscribe));
    broadcast::v1::SubscribeResponse started;
    ASSERT_TRUE(streams.back()->Read(&started));
    ASSERT_EQ(started.started_size(), 1);
  }
  session::v1::UpdateSessionRequest rename;
  rename.mutable_session()->set_session_id(id);
  auto& claim = *rename.add_claims();
  claim.set_namespace_("userName");
  claim.set_member("userName");
  claim.set_previous_placeholder("PREVIOUS");
  constexpr int kRenames = 20;
  for (int i = 0; i < kRenames; ++i) {
    claim.set_value(absl::StrCat("n", i));
    *rename.mutable_announcement()->mutable_broadcast() =
        Event(absl::StrCat(R"(["user:renamed",{"oldUserName":"PREVIOUS","user":")", i, R"("}])"));
    const auto renamed = Call(i % 2 == 0 ? *a_.sessions : *b_.sessions, &Sessions::UpdateSession, rename);
    ASSERT_TRUE(renamed.ok()) << renamed.status();
    EXPECT_EQ(renamed->claims(0).has_previous_value(), i > 0);
  }
  for (auto& stream : streams) {
    std::uint64_t offset = 0;
    broadcast::v1::SubscribeResponse response;
    int seen = 0;
    while (seen < kRenames && stream->Read(&response)) {
      EXPECT_EQ(response.gaps_size(), 0);
      for (const auto& delivery : response.deliveries()) {
        EXPECT_EQ(delivery.offset(), offset + 1);
        offset = delivery.offset();
        const std::string previous = seen == 0 ? "null" : absl::StrCat("\"n", seen - 1, "\"");
        EXPECT_EQ(delivery.broadcast().packet().args_json(),
                  absl::StrCat(R"(["user:renamed",{"oldUserName":)", previous, R"(,"user":")", seen, R"("}])"));
        ++seen;
      }
    }
    EXPECT_EQ(seen, kRenames);
    stream->WritesDone();
  }
  for (auto& context : contexts) context->TryCancel();
  for (auto& stream : streams) stream->Finish();
}

TEST_F(OverGrpc, ABatchAnswersEveryCallAndKeepsTheOrderOfOneSession) {
  const std::string id = Create().session().session_id();
  grpc::ClientContext context;
  Limit(context);
  const auto stream = a_.exchange->Exchange(&context);
  internal::v1::ExchangeRequest batch;
  constexpr int kCalls = 200;
  for (int i = 0; i < kCalls; ++i) {
    auto& call = *batch.add_calls();
    call.set_id(static_cast<std::uint64_t>(i + 1));
    call.set_timeout_ms(5000);
    if (i % 2 == 0) {
      call.mutable_update_session()->mutable_session()->set_session_id(id);
      call.mutable_update_session()->set_merge_patch_json(absl::StrCat("{\"n\":", i, "}"));
    } else {
      call.mutable_get_session()->mutable_session()->set_session_id(id);
    }
  }
  auto& late = *batch.add_calls();
  late.set_id(1000);
  late.mutable_get_session()->mutable_session()->set_session_id(id);
  late.set_timeout_ms(0);
  auto& unknown = *batch.add_calls();
  unknown.set_id(1001);
  unknown.set_timeout_ms(5000);
  ASSERT_TRUE(stream->Write(batch));
  ASSERT_TRUE(stream->WritesDone());
  std::map<std::uint64_t, internal::v1::Reply> replies;
  internal::v1::ExchangeResponse response;
  while (stream->Read(&response)) {
    for (const auto& reply : response.replies()) EXPECT_TRUE(replies.emplace(reply.id(), reply).second);
  }
  EXPECT_TRUE(stream->Finish().ok());
  ASSERT_EQ(replies.size(), static_cast<std::size_t>(kCalls + 2));
  for (int i = 1; i < kCalls; i += 2) {
    EXPECT_EQ(replies[static_cast<std::uint64_t>(i + 1)].get_session().session().data_json(),
              absl::StrCat("{\"n\":", i - 1, "}"))
        << "a read sees the write before it, and none behind it";
  }
  EXPECT_EQ(replies[1000].status().code(), static_cast<int>(absl::StatusCode::kDeadlineExceeded));
  EXPECT_EQ(replies[1001].status().code(), static_cast<int>(absl::StatusCode::kUnimplemented));
}

TEST_F(OverGrpc, PresenceIsOneListForAllReplicas) {
  using Presence = presence::v1::PresenceService::Stub;
  presence::v1::EnterRequest enter;
  enter.set_replica_id("r1");
  enter.set_namespace_("/");
  enter.set_session_id(Create().session().session_id());
  enter.set_key("ann");
  enter.set_value_json(R"({"userName":"ann"})");
  *enter.mutable_left() = Event(R"(["user:left","ann"])");
  EXPECT_EQ(ReasonOf(Call(*a_.presence, &Presence::Enter, enter).status()), "LEASE_EXPIRED");
  presence::v1::KeepLeaseRequest lease;
  lease.set_replica_id("r1");
  lease.mutable_ttl()->set_seconds(1);
  EXPECT_TRUE(Call(*a_.presence, &Presence::KeepLease, lease)->fresh());
  EXPECT_TRUE(Call(*a_.presence, &Presence::Enter, enter)->first());
  presence::v1::ListOnlineRequest list;
  list.set_namespace_("/");
  const auto online = Call(*b_.presence, &Presence::ListOnline, list);
  ASSERT_EQ(online->entries_size(), 1);
  EXPECT_EQ(online->entries(0).value_json(), R"({"userName":"ann"})");
  EXPECT_EQ(online->total_count(), 1);
  // The replica dies: nobody renews its lease, and the service takes its entries down by itself.
  presence::v1::CountOnlineRequest count;
  count.set_namespace_("/");
  WaitUntil([&] { return Call(*b_.presence, &Presence::CountOnline, count)->total_count() == 0; });
}

TEST_F(OverGrpc, TheHistoryOfBroadcastsIsReadOnAnyReplica) {
  using Broadcasts = broadcast::v1::BroadcastService::Stub;
  broadcast::v1::PublishRequest publish;
  std::vector<broadcast::v1::Position> positions;
  for (const char* args : {R"(["news",1])", R"(["news",2])", R"(["news",3])"}) {
    *publish.mutable_broadcast() = Event(args);
    const auto published = Call(*a_.broadcasts, &Broadcasts::Publish, publish);
    ASSERT_TRUE(published.ok()) << published.status();
    positions.push_back(published->position());
  }
  broadcast::v1::GetPositionsRequest ask;
  ask.add_namespaces("/");
  ask.add_namespaces("/none");
  const auto heads = Call(*b_.broadcasts, &Broadcasts::GetPositions, ask);
  ASSERT_EQ(heads->positions_size(), 2);
  EXPECT_EQ(heads->positions(0).offset(), positions[2].offset());
  EXPECT_EQ(heads->positions(0).epoch(), positions[2].epoch());
  EXPECT_EQ(heads->positions(1).offset(), 0U);
  broadcast::v1::ReadHistoryRequest read;
  *read.mutable_after() = positions[0];
  read.set_limit(1);
  auto page = Call(*b_.broadcasts, &Broadcasts::ReadHistory, read);
  ASSERT_EQ(page->deliveries_size(), 1);
  EXPECT_EQ(page->deliveries(0).broadcast().packet().args_json(), R"(["news",2])");
  EXPECT_EQ(page->deliveries(0).offset(), positions[1].offset());
  EXPECT_EQ(page->head().offset(), positions[2].offset());
  EXPECT_TRUE(page->complete());
  redis_.Command({"XTRIM", "sesior:hist:{/}", "MAXLEN", "1"});
  page = Call(*b_.broadcasts, &Broadcasts::ReadHistory, read);
  EXPECT_EQ(page->deliveries(0).broadcast().packet().args_json(), R"(["news",3])");
  EXPECT_FALSE(page->complete());
  // What is wrong is named.
  read.set_limit(1001);
  EXPECT_EQ(DetailsOf(Call(*a_.broadcasts, &Broadcasts::ReadHistory, read).status()).field, "limit");
  read.mutable_after()->set_namespace_("none");
  EXPECT_EQ(DetailsOf(Call(*a_.broadcasts, &Broadcasts::ReadHistory, read).status()).field, "after.namespace");
  ask.add_namespaces("none");
  EXPECT_EQ(DetailsOf(Call(*a_.broadcasts, &Broadcasts::GetPositions, ask).status()).field, "namespaces");
}

TEST_F(OverGrpc, StopsWithOpenStreams) {
  grpc::ClientContext context;
  Limit(context);
  const auto stream = a_.exchange->Exchange(&context);
  internal::v1::ExchangeRequest batch;
  auto& call = *batch.add_calls();
  call.set_id(1);
  call.set_timeout_ms(5000);
  call.mutable_get_session()->mutable_session()->set_session_id("nobody");
  ASSERT_TRUE(stream->Write(batch));
  internal::v1::ExchangeResponse response;
  ASSERT_TRUE(stream->Read(&response));
  const auto start = std::chrono::steady_clock::now();
  std::thread stopping([&] { a_.Stop(); });
  bool told = false;
  while (stream->Read(&response)) told = told || response.go_away();
  EXPECT_TRUE(told);
  stream->Finish();
  stopping.join();
  EXPECT_LT(std::chrono::steady_clock::now() - start, 5s);
}

}  // namespace
}  // namespace sesior::testing
