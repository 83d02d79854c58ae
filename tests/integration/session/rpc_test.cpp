// The session service whole, in this process: real Redis, gRPC on a port of its own, our own client.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <mutex>

#include "sesior/base/error.hpp"
#include "sesior/session_client/grpc_session_client.hpp"
#include "tests/integration/session/replica.hpp"
#include "tests/support/redis_server.hpp"

namespace sesior::session {
namespace {

using session_client::CallOptions;
using session_client::SessionClient;
using session_client::WatchEvent;
using std::chrono::milliseconds;
using std::chrono::seconds;

using sesior::testing::Replica;

bool WaitUntil(const std::function<bool()>& condition, seconds limit = seconds(20)) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    usleep(2000);
  }
  return true;
}

// What arrives from other threads, in order.
template <typename T>
class Inbox {
 public:
  void Put(T item) {
    const std::lock_guard<std::mutex> lock(mutex_);
    items_.push_back(std::move(item));
    arrived_.notify_all();
  }
  std::optional<T> Next(seconds limit = seconds(20)) {
    std::unique_lock<std::mutex> lock(mutex_);
    if (!arrived_.wait_for(lock, limit, [this] { return !items_.empty(); })) return std::nullopt;
    T item = std::move(items_.front());
    items_.pop_front();
    return item;
  }
  bool empty() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return items_.empty();
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<T> items_;
};

class Events final : public session_client::SubscriptionHandler {
 public:
  void OnBroadcasts(const broadcast::v1::SubscribeResponse& response) override {
    for (const auto& delivery : response.deliveries()) deliveries.Put(delivery);
    for (const auto& gap : response.gaps()) gaps.Put(gap);
  }
  void OnConnected(bool connected) override { connections.Put(connected); }

  Inbox<broadcast::v1::Delivery> deliveries;
  Inbox<broadcast::v1::SubscribeResponse::Gap> gaps;
  Inbox<bool> connections;
};

// The response that a Done takes.
template <typename D>
struct ResponseOf;
template <typename Response>
struct ResponseOf<absl::AnyInvocable<void(absl::StatusOr<Response>) &&>> {
  using type = Response;
};

broadcast::v1::Broadcast Event(const std::string& args_json) {
  broadcast::v1::Broadcast broadcast;
  broadcast.set_namespace_("/");
  broadcast.mutable_packet()->set_args_json(args_json);
  return broadcast;
}

class SessionRpc : public ::testing::TestWithParam<session_client::Options::Transport> {
 protected:
  SessionRpc() {
    client_ = session_client::MakeSessionClient({.addresses = {replica_.address()}, .transport = GetParam()});
    EXPECT_TRUE(WaitUntil([this] { return client_->connected() && replica_.serving(); }));
  }

  template <typename Request, typename D>
  absl::StatusOr<typename ResponseOf<D>::type> Call(void (SessionClient::*method)(Request, CallOptions, D),
                                                    std::type_identity_t<Request> request,
                                                    milliseconds timeout = seconds(10)) {
    using Response = typename ResponseOf<D>::type;
    std::promise<absl::StatusOr<Response>> promise;
    ((*client_).*method)(std::move(request), {.timeout = timeout, .correlation_id = {}, .traceparent = {}},
                         [&promise](absl::StatusOr<Response> response) { promise.set_value(std::move(response)); });
    return promise.get_future().get();
  }

  // A session that holds `name`; its Cookie header goes to `cookie`.
  session::v1::Session Register(const std::string& name, std::string* cookie = nullptr) {
    session::v1::CreateSessionRequest request;
    session::v1::Claim& claim = *request.add_claims();
    claim.set_namespace_("userName");
    claim.set_value(name);
    claim.set_member("userName");
    auto response = Call(&SessionClient::CreateSession, std::move(request));
    EXPECT_TRUE(response.ok()) << response.status();
    if (cookie != nullptr) *cookie = response->set_cookie().substr(0, response->set_cookie().find(';'));
    return response->session();
  }

  session::v1::UpdateSessionRequest Rename(const std::string& session_id, const std::string& name) {
    session::v1::UpdateSessionRequest request;
    request.mutable_session()->set_session_id(session_id);
    session::v1::Claim& claim = *request.add_claims();
    claim.set_namespace_("userName");
    claim.set_value(name);
    claim.set_member("userName");
    claim.set_previous_placeholder("old-name-token");
    *request.mutable_announcement()->mutable_broadcast() =
        Event(R"(["user:renamed",{"oldUserName":"old-name-token","user":{"userName":")" + name + R"("}}])");
    return request;
  }

  sesior::testing::RedisServer redis_{true};
  Replica replica_{redis_.url()};
  std::unique_ptr<SessionClient> client_;
};

INSTANTIATE_TEST_SUITE_P(Transports, SessionRpc,
                         ::testing::Values(session_client::Options::Transport::kStream,
                                           session_client::Options::Transport::kUnary),
                         [](const auto& transport) {
                           return transport.param == session_client::Options::Transport::kStream ? "Stream" : "Unary";
                         });

TEST_P(SessionRpc, JudgesCookies) {
  std::string cookie;
  Register("ann", &cookie);
  session::v1::ResolveCookieRequest request;
  request.set_cookie_header(cookie);
  auto good = Call(&SessionClient::ResolveCookie, request);
  ASSERT_TRUE(good.ok()) << good.status();
  EXPECT_EQ(good->verdict(), session::v1::COOKIE_VERDICT_VALID);
  EXPECT_EQ(good->session().data_json(), R"({"userName":"ann"})");
  // A letter of the id, not of the signature, where it could be half of an escape.
  std::string forged = cookie;
  char& letter = forged[forged.find("s%3A") + 4];
  letter = letter == 'A' ? 'B' : 'A';
  request.set_cookie_header(forged);
  EXPECT_EQ(Call(&SessionClient::ResolveCookie, request)->verdict(), session::v1::COOKIE_VERDICT_FORGED);
  request.set_cookie_header("");
  EXPECT_EQ(Call(&SessionClient::ResolveCookie, request)->verdict(), session::v1::COOKIE_VERDICT_ABSENT);
}

TEST_P(SessionRpc, GivesANameToOneOfManyWhoAskAtOnce) {
  std::vector<std::future<absl::Status>> results;
  for (int i = 0; i < 20; ++i) {
    auto promise = std::make_shared<std::promise<absl::Status>>();
    results.push_back(promise->get_future());
    session::v1::CreateSessionRequest request;
    session::v1::Claim& claim = *request.add_claims();
    claim.set_namespace_("userName");
    claim.set_value("same");
    claim.set_member("userName");
    client_->CreateSession(std::move(request), {.timeout = seconds(10), .correlation_id = {}, .traceparent = {}},
                           [promise](absl::StatusOr<session::v1::CreateSessionResponse> response) {
                             promise->set_value(response.status());
                           });
  }
  int winners = 0;
  for (auto& result : results) {
    const absl::Status status = result.get();
    winners += status.ok() ? 1 : 0;
    EXPECT_EQ(ReasonOf(status), status.ok() ? "" : "CLAIM_TAKEN") << status;
  }
  EXPECT_EQ(winners, 1);
}

TEST_P(SessionRpc, TellsSubscribersOfARenameWithTheNameHeldBefore) {
  Events events;
  const auto subscription = client_->Subscribe("r1", "/", events);
  ASSERT_EQ(events.connections.Next(), true);
  const session::v1::Session session = Register("ann");
  auto renamed = Call(&SessionClient::UpdateSession, Rename(session.session_id(), "bob"));
  ASSERT_TRUE(renamed.ok()) << renamed.status();
  EXPECT_EQ(renamed->claims(0).previous_value(), "ann");
  EXPECT_GT(renamed->session().revision(), session.revision());
  const auto delivery = events.deliveries.Next();
  ASSERT_TRUE(delivery);
  EXPECT_EQ(delivery->broadcast().packet().args_json(),
            R"(["user:renamed",{"oldUserName":"ann","user":{"userName":"bob"}}])");
}

TEST_P(SessionRpc, CarriesOutARepeatedCallOnce) {
  Events events;
  const auto subscription = client_->Subscribe("r1", "/", events);
  ASSERT_EQ(events.connections.Next(), true);
  const session::v1::Session session = Register("ann");
  session::v1::UpdateSessionRequest request = Rename(session.session_id(), "bob");
  request.set_request_id("again");
  for (int i = 0; i < 3; ++i) {
    auto renamed = Call(&SessionClient::UpdateSession, request);
    ASSERT_TRUE(renamed.ok()) << renamed.status();
    EXPECT_EQ(renamed->claims(0).previous_value(), "ann");
  }
  ASSERT_TRUE(Call(&SessionClient::UpdateSession, Rename(session.session_id(), "cid")).ok());
  EXPECT_THAT(events.deliveries.Next()->broadcast().packet().args_json(), ::testing::HasSubstr("bob"));
  EXPECT_THAT(events.deliveries.Next()->broadcast().packet().args_json(), ::testing::HasSubstr("cid"));
}

TEST_P(SessionRpc, LosesNoUpdateOfManyAtOnce) {
  const std::string id = Register("ann").session_id();
  std::vector<std::future<absl::Status>> results;
  for (int i = 0; i < 50; ++i) {
    auto promise = std::make_shared<std::promise<absl::Status>>();
    results.push_back(promise->get_future());
    session::v1::UpdateSessionRequest request;
    request.mutable_session()->set_session_id(id);
    request.set_merge_patch_json("{\"f" + std::to_string(i) + "\":" + std::to_string(i) + "}");
    client_->UpdateSession(std::move(request), {.timeout = seconds(10), .correlation_id = {}, .traceparent = {}},
                           [promise](absl::StatusOr<session::v1::UpdateSessionResponse> response) {
                             promise->set_value(response.status());
                           });
  }
  for (auto& result : results) EXPECT_TRUE(result.get().ok());
  session::v1::GetSessionRequest get;
  get.mutable_session()->set_session_id(id);
  const auto session = Call(&SessionClient::GetSession, get);
  for (int i = 0; i < 50; ++i) {
    EXPECT_THAT(session->session().data_json(),
                ::testing::HasSubstr("\"f" + std::to_string(i) + "\":" + std::to_string(i)));
  }
}

TEST_P(SessionRpc, NamesWhatIsWrongWithARequest) {
  const std::string id = Register("ann").session_id();
  session::v1::UpdateSessionRequest request;
  request.mutable_session()->set_session_id(id);
  request.set_merge_patch_json(R"({"cookie":null})");
  auto status = Call(&SessionClient::UpdateSession, request).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(DetailsOf(status).field, "cookie");
  request.set_merge_patch_json("{}");
  *request.mutable_announcement()->mutable_broadcast() = Event(R"(["disconnect"])");
  EXPECT_EQ(Call(&SessionClient::UpdateSession, request).status().code(), absl::StatusCode::kInvalidArgument);
  request.clear_announcement();
  request.set_etag("\"0000000000000000000000000000000000000000\"");
  EXPECT_EQ(ReasonOf(Call(&SessionClient::UpdateSession, request).status()), "ETAG_MISMATCH");
}

TEST_P(SessionRpc, WatchersSeeTheStateThenChangesThenTheEnd) {
  std::string cookie;
  const session::v1::Session session = Register("ann", &cookie);
  Inbox<absl::StatusOr<WatchEvent>> inbox;
  session::v1::SessionRef ref;
  ref.set_cookie_header(cookie);
  const auto watch =
      client_->Watch(ref, seconds(10), [&inbox](absl::StatusOr<WatchEvent> event) { inbox.Put(std::move(event)); });
  auto event = inbox.Next();
  ASSERT_TRUE(event && event->ok());
  EXPECT_EQ((*event)->kind, WatchEvent::Kind::kCurrent);
  EXPECT_EQ((*event)->session->data_json(), R"({"userName":"ann"})");
  ASSERT_TRUE(Call(&SessionClient::UpdateSession, Rename(session.session_id(), "bob")).ok());
  event = inbox.Next();
  ASSERT_TRUE(event && event->ok());
  EXPECT_EQ((*event)->kind, WatchEvent::Kind::kUpdated);
  EXPECT_EQ((*event)->session->data_json(), R"({"userName":"bob"})");
  session::v1::DestroySessionRequest destroy;
  destroy.mutable_session()->set_session_id(session.session_id());
  destroy.set_reason(session::v1::END_REASON_LOGOUT);
  ASSERT_TRUE(Call(&SessionClient::DestroySession, destroy)->destroyed());
  event = inbox.Next();
  ASSERT_TRUE(event && event->ok());
  EXPECT_EQ((*event)->kind, WatchEvent::Kind::kEnded);
  EXPECT_EQ((*event)->reason, session::v1::END_REASON_LOGOUT);
}

TEST_P(SessionRpc, RefusesToWatchWhatIsNotThere) {
  Inbox<absl::StatusOr<WatchEvent>> inbox;
  session::v1::SessionRef ref;
  ref.set_cookie_header("connect.sid=s%3Anobody.AAAA");
  const auto forged =
      client_->Watch(ref, seconds(10), [&inbox](absl::StatusOr<WatchEvent> event) { inbox.Put(std::move(event)); });
  EXPECT_EQ((*inbox.Next())->kind, WatchEvent::Kind::kRefused);
  ref.set_session_id("nobody");
  const auto unknown =
      client_->Watch(ref, seconds(10), [&inbox](absl::StatusOr<WatchEvent> event) { inbox.Put(std::move(event)); });
  EXPECT_EQ((*inbox.Next())->kind, WatchEvent::Kind::kRefused);
}

TEST_P(SessionRpc, SaysUnavailableWhileRedisIsAwayAndRecovers) {
  std::string cookie;
  Register("ann", &cookie);
  session::v1::ResolveCookieRequest request;
  request.set_cookie_header(cookie);
  redis_.Kill();
  ASSERT_TRUE(WaitUntil([this] { return !replica_.serving(); }));
  const absl::Status away = Call(&SessionClient::ResolveCookie, request, seconds(3)).status();
  EXPECT_EQ(away.code(), absl::StatusCode::kUnavailable) << away;
  EXPECT_TRUE(DetailsOf(away).retry_after.has_value());
  redis_.Start();
  ASSERT_TRUE(WaitUntil([this] { return replica_.serving(); }));
  const auto back = Call(&SessionClient::ResolveCookie, request);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->verdict(), session::v1::COOKIE_VERDICT_VALID);
}

TEST_P(SessionRpc, AnnouncesTheFirstAndTheLastReplicaOfASession) {
  Events events;
  const auto subscription = client_->Subscribe("r1", "/", events);
  ASSERT_EQ(events.connections.Next(), true);
  const session::v1::Session session = Register("ann");
  for (const char* replica : {"r1", "r2"}) {
    presence::v1::KeepLeaseRequest lease;
    lease.set_replica_id(replica);
    ASSERT_TRUE(Call(&SessionClient::KeepLease, lease)->fresh());
    presence::v1::EnterRequest enter;
    enter.set_replica_id(replica);
    enter.set_namespace_("/");
    enter.set_session_id(session.session_id());
    enter.set_key("ann");
    enter.set_value_json(R"({"userName":"ann"})");
    *enter.mutable_joined() = Event(R"(["user:joined",{"userName":"ann"}])");
    *enter.mutable_left() = Event(R"(["user:left","ann"])");
    const auto entered = Call(&SessionClient::Enter, enter);
    ASSERT_TRUE(entered.ok()) << entered.status();
    EXPECT_EQ(entered->first(), std::string(replica) == "r1");
  }
  presence::v1::ListOnlineRequest list;
  list.set_namespace_("/");
  const auto online = Call(&SessionClient::ListOnline, list);
  ASSERT_EQ(online->entries_size(), 1);
  EXPECT_EQ(online->entries(0).value_json(), R"({"userName":"ann"})");
  for (const char* replica : {"r1", "r2"}) {
    presence::v1::LeaveRequest leave;
    leave.set_replica_id(replica);
    leave.set_namespace_("/");
    leave.set_session_id(session.session_id());
    EXPECT_EQ(Call(&SessionClient::Leave, leave)->last(), std::string(replica) == "r2");
  }
  EXPECT_EQ(events.deliveries.Next()->broadcast().packet().args_json(), R"(["user:joined",{"userName":"ann"}])");
  EXPECT_EQ(events.deliveries.Next()->broadcast().packet().args_json(), R"(["user:left","ann"])");
}

TEST_P(SessionRpc, KeepsWhatASocketNeedsToGoOnElsewhere) {
  presence::v1::KeepLeaseRequest lease;
  lease.set_replica_id("r1");
  ASSERT_TRUE(Call(&SessionClient::KeepLease, lease).ok());
  presence::v1::SaveRecoveryRequest save;
  presence::v1::RecoveryRecord& record = *save.add_records();
  record.set_private_id("a-private-id-of-22-chs");
  record.set_socket_id("socket-1");
  record.set_namespace_("/");
  record.set_session_id("ann");
  record.add_rooms("a room\nwith blanks");
  record.set_data_json(R"({"kept":true})");
  record.set_owner_replica_id("r1");
  ASSERT_TRUE(Call(&SessionClient::SaveRecovery, save).ok());

  presence::v1::TakeRecoveryRequest take;
  take.set_private_id(record.private_id());
  take.set_namespace_("/");
  take.set_session_id("bob");
  take.set_new_owner_replica_id("r2");
  EXPECT_EQ(ReasonOf(Call(&SessionClient::TakeRecovery, take).status()), "RECOVERY_NOT_FOUND");
  take.set_session_id("ann");
  const auto taken = Call(&SessionClient::TakeRecovery, take);
  ASSERT_TRUE(taken.ok()) << taken.status();
  record.set_owner_replica_id("r2");
  record.set_generation(1);
  record.set_state(presence::v1::RECOVERY_STATE_OPEN);
  EXPECT_EQ(taken->record().SerializeAsString(), record.SerializeAsString());
  EXPECT_EQ(taken->former_owner_replica_id(), "r1");

  const auto renewed = Call(&SessionClient::KeepLease, lease);
  ASSERT_EQ(renewed->taken_size(), 1);
  EXPECT_EQ(renewed->taken(0).socket_id(), "socket-1");
  record.set_owner_replica_id("r1");
  const auto late = Call(&SessionClient::SaveRecovery, save);
  ASSERT_EQ(late->taken_private_ids_size(), 1);
  EXPECT_EQ(late->taken_private_ids(0), record.private_id());
}

TEST_P(SessionRpc, BoundsRecoveryRecords) {
  presence::v1::SaveRecoveryRequest save;
  EXPECT_EQ(DetailsOf(Call(&SessionClient::SaveRecovery, save).status()).field, "records");
  presence::v1::RecoveryRecord record;
  record.set_private_id("a-private-id-of-22-chs");
  record.set_socket_id("socket-1");
  record.set_namespace_("/");
  record.set_session_id("ann");
  record.set_owner_replica_id("r1");
  for (int i = 0; i < 100; ++i) *save.add_records() = record;
  EXPECT_TRUE(Call(&SessionClient::SaveRecovery, save).ok());
  *save.add_records() = record;
  EXPECT_EQ(DetailsOf(Call(&SessionClient::SaveRecovery, save).status()).field, "records");
  const auto refused = [&](void (*spoil)(presence::v1::RecoveryRecord&)) {
    presence::v1::SaveRecoveryRequest one;
    *one.add_records() = record;
    spoil(*one.mutable_records(0));
    return Call(&SessionClient::SaveRecovery, one).status();
  };
  EXPECT_EQ(DetailsOf(refused([](auto& r) { r.set_private_id("short"); })).field, "records.private_id");
  EXPECT_EQ(DetailsOf(refused([](auto& r) { r.set_socket_id("a b"); })).field, "records.socket_id");
  EXPECT_EQ(DetailsOf(refused([](auto& r) { r.set_namespace_("a"); })).field, "records.namespace");
  EXPECT_EQ(DetailsOf(refused([](auto& r) { r.set_session_id("a b"); })).field, "records.session_id");
  EXPECT_EQ(DetailsOf(refused([](auto& r) { r.set_owner_replica_id(""); })).field, "records.owner_replica_id");
  EXPECT_EQ(ReasonOf(refused([](auto& r) { r.set_data_json(std::string(70'000, 'x')); })), "RECOVERY_TOO_LARGE");
}

TEST_P(SessionRpc, LosesNoBroadcastWhileItsLinkToRedisIsCut) {
  Events events;
  const auto subscription = client_->Subscribe("r1", "/", events);
  ASSERT_EQ(events.connections.Next(), true);
  broadcast::v1::PublishRequest publish;
  for (int i = 1; i <= 300; ++i) {
    if (i % 100 == 50) redis_.Command({"CLIENT", "KILL", "TYPE", "pubsub"});
    *publish.mutable_broadcast() = Event("[\"news\"," + std::to_string(i) + "]");
    ASSERT_TRUE(Call(&SessionClient::Publish, publish).ok());
  }
  for (int i = 1; i <= 300; ++i) {
    const auto delivery = events.deliveries.Next();
    ASSERT_TRUE(delivery) << i;
    ASSERT_EQ(delivery->broadcast().packet().args_json(), "[\"news\"," + std::to_string(i) + "]");
  }
  EXPECT_TRUE(events.gaps.empty());
}

TEST_P(SessionRpc, AnnouncesAGapAfterItsLinkToRedisWasCut) {
  Events events;
  const auto subscription = client_->Subscribe("r1", "/", events);
  ASSERT_EQ(events.connections.Next(), true);
  broadcast::v1::PublishRequest publish;
  *publish.mutable_broadcast() = Event(R"(["news",1])");
  const auto first = Call(&SessionClient::Publish, publish);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(events.deliveries.Next()->offset(), first->position().offset());
  // Somebody publishes while this replica's subscription is away.
  redis_.Command({"CLIENT", "KILL", "TYPE", "pubsub"});
  redis_.Command({"HINCRBY", "sesior:seq:{/}", "n", "3"});
  ASSERT_TRUE(WaitUntil([this] { return replica_.serving(); }));
  const auto gap = events.gaps.Next();
  ASSERT_TRUE(gap);
  EXPECT_EQ(gap->first_offset(), first->position().offset() + 1);
  EXPECT_EQ(gap->last_offset(), first->position().offset() + 3);
}

TEST_P(SessionRpc, SurvivesGarbageOnItsPort) {
  for (int i = 0; i < 20; ++i) {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(replica_.port()));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    const std::string garbage =
        i % 2 == 0 ? "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff" : "GET / HTTP/1.1\r\n\r\n";
    (void)!write(fd, garbage.data(), garbage.size());
    close(fd);
  }
  Register("ann");
}

TEST(SessionRpcTwoReplicas, CallsAndWatchesMoveToTheReplicaThatIsLeft) {
  sesior::testing::RedisServer redis{true};
  auto first = std::make_unique<Replica>(redis.url());
  auto second = std::make_unique<Replica>(redis.url());
  const auto client = session_client::MakeSessionClient({.addresses = {first->address(), second->address()}});
  ASSERT_TRUE(WaitUntil([&] { return client->connected() && first->serving() && second->serving(); }));
  const auto create = [&client] {
    std::promise<absl::StatusOr<session::v1::CreateSessionResponse>> promise;
    client->CreateSession({}, {.timeout = seconds(10), .correlation_id = {}, .traceparent = {}},
                          [&promise](auto response) { promise.set_value(std::move(response)); });
    return promise.get_future().get();
  };
  // Enough sessions that both replicas hold watches.
  std::vector<std::string> ids;
  std::vector<std::unique_ptr<session_client::Registration>> watches;
  Inbox<absl::StatusOr<WatchEvent>> inbox;
  for (int i = 0; i < 16; ++i) {
    const auto created = create();
    ASSERT_TRUE(created.ok()) << created.status();
    ids.push_back(created->session().session_id());
    session::v1::SessionRef ref;
    ref.set_session_id(ids.back());
    watches.push_back(
        client->Watch(ref, seconds(10), [&inbox](absl::StatusOr<WatchEvent> event) { inbox.Put(std::move(event)); }));
    ASSERT_TRUE(inbox.Next()->ok());
  }
  first.reset();
  for (const std::string& id : ids) {
    session::v1::UpdateSessionRequest request;
    request.mutable_session()->set_session_id(id);
    request.set_merge_patch_json(R"({"seen":true})");
    std::promise<absl::Status> promise;
    client->UpdateSession(std::move(request), {.timeout = seconds(10), .correlation_id = {}, .traceparent = {}},
                          [&promise](auto response) { promise.set_value(response.status()); });
    const absl::Status status = promise.get_future().get();
    EXPECT_TRUE(status.ok()) << status;
  }
  int seen = 0;
  while (seen < 16) {
    const auto event = inbox.Next();
    ASSERT_TRUE(event && event->ok());
    ASSERT_NE((*event)->session, nullptr);
    if ((*event)->session->data_json() == R"({"seen":true})") ++seen;
  }
}

}  // namespace
}  // namespace sesior::session
