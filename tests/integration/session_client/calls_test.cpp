#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <optional>
#include <vector>

#include "sesior/grpc_status/grpc_status.hpp"
#include "tests/integration/session_client/client_test.hpp"

namespace sesior::session_client {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Gt;
using ::testing::HasSubstr;
using ::testing::Le;
using ::testing::SizeIs;
using Call = internal::v1::Call;
using Reply = internal::v1::Reply;

std::optional<Reply> Hold(const Call&) { return std::nullopt; }

TEST(SessionClientCalls, CarryTheRequestAndItsContext) {
  FakeSessionServer server;
  const auto client = Connect({&server});
  server.With([&] {
    server.answer = [](const Call& call) {
      Reply reply;
      reply.mutable_get_session()->mutable_session()->set_session_id(call.get_session().session().session_id());
      reply.mutable_get_session()->set_set_cookie("c");
      return reply;
    };
  });
  session::v1::GetSessionRequest request;
  request.mutable_session()->set_session_id("a");
  Pending<session::v1::GetSessionResponse> pending;
  client->GetSession(request, {.timeout = milliseconds(1500), .correlation_id = "r-1", .traceparent = "00-t"},
                     pending.MakeDone());
  const auto response = pending.Get();
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->session().session_id(), "a");
  EXPECT_EQ(response->set_cookie(), "c");
  server.With([&] {
    ASSERT_THAT(server.calls, SizeIs(1));
    EXPECT_EQ(server.calls[0].correlation_id(), "r-1");
    EXPECT_EQ(server.calls[0].traceparent(), "00-t");
    EXPECT_THAT(server.calls[0].timeout_ms(), AllOf(Gt(500u), Le(1500u)));
  });
}

TEST(SessionClientCalls, HaveAnAnswerForEveryOperation) {
  FakeSessionServer server;
  const auto client = Connect({&server});
  std::vector<std::function<absl::Status()>> ends;
  const auto add = [&](auto method, auto request, auto response) {
    auto pending = std::make_shared<Pending<decltype(response)>>();
    (client.get()->*method)(request, {}, pending->MakeDone());
    ends.push_back([pending] { return pending->Get().status(); });
  };
  using C = SessionClient;
  add(&C::ResolveCookie, session::v1::ResolveCookieRequest(), session::v1::ResolveCookieResponse());
  add(&C::CreateSession, session::v1::CreateSessionRequest(), session::v1::CreateSessionResponse());
  add(&C::GetSession, session::v1::GetSessionRequest(), session::v1::GetSessionResponse());
  add(&C::UpdateSession, session::v1::UpdateSessionRequest(), session::v1::UpdateSessionResponse());
  add(&C::TouchSession, session::v1::TouchSessionRequest(), session::v1::TouchSessionResponse());
  add(&C::RegenerateSession, session::v1::RegenerateSessionRequest(), session::v1::RegenerateSessionResponse());
  add(&C::DestroySession, session::v1::DestroySessionRequest(), session::v1::DestroySessionResponse());
  add(&C::Publish, broadcast::v1::PublishRequest(), broadcast::v1::PublishResponse());
  add(&C::KeepLease, presence::v1::KeepLeaseRequest(), presence::v1::KeepLeaseResponse());
  add(&C::Enter, presence::v1::EnterRequest(), presence::v1::EnterResponse());
  add(&C::Leave, presence::v1::LeaveRequest(), presence::v1::LeaveResponse());
  add(&C::ListOnline, presence::v1::ListOnlineRequest(), presence::v1::ListOnlineResponse());
  for (const auto& end : ends) EXPECT_TRUE(end().ok());
  server.With([&] {
    std::set<Call::OpCase> seen;
    for (const Call& call : server.calls) seen.insert(call.op_case());
    EXPECT_THAT(seen, SizeIs(11));
    EXPECT_THAT(server.list_requests, SizeIs(1));
  });
}

TEST(SessionClientCalls, GiveMutationsARequestIdUnlessTheyHaveOne) {
  FakeSessionServer server;
  const auto client = Connect({&server});
  ASSERT_TRUE(Update(*client, "a").Get().ok());
  ASSERT_TRUE(Update(*client, "a").Get().ok());
  session::v1::DestroySessionRequest request;
  request.set_request_id("mine");
  Pending<session::v1::DestroySessionResponse> pending;
  client->DestroySession(request, {}, pending.MakeDone());
  ASSERT_TRUE(pending.Get().ok());
  server.With([&] {
    ASSERT_THAT(server.calls, SizeIs(3));
    EXPECT_THAT(server.calls[0].update_session().request_id(), SizeIs(22));
    EXPECT_NE(server.calls[0].update_session().request_id(), server.calls[1].update_session().request_id());
    EXPECT_EQ(server.calls[2].destroy_session().request_id(), "mine");
  });
}

TEST(SessionClientCalls, PassErrorsOnWithTheirDetails) {
  FakeSessionServer server;
  const auto client = Connect({&server});
  server.With([&] {
    server.answer = [](const Call&) {
      Reply reply;
      *reply.mutable_status() =
          grpc_status::ToProto(Error(absl::StatusCode::kNotFound, "no such session",
                                     {.reason = "SESSION_NOT_FOUND", .field = "session", .retry_after = {}}));
      return reply;
    };
  });
  const absl::Status status = Get(*client, "a").Get().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message(), "no such session");
  EXPECT_EQ(DetailsOf(status).reason, "SESSION_NOT_FOUND");
  EXPECT_EQ(DetailsOf(status).field, "session");
}

TEST(SessionClientCalls, TakeNoOtherOperationsResult) {
  FakeSessionServer server;
  const auto client = Connect({&server});
  server.With([&] {
    server.answer = [](const Call&) {
      Reply reply;
      reply.mutable_touch_session();
      return reply;
    };
  });
  EXPECT_EQ(Get(*client, "a").Get().status().code(), absl::StatusCode::kInternal);
  server.With([&] { server.answer = [](const Call&) { return Reply(); }; });
  EXPECT_EQ(Get(*client, "a").Get().status().code(), absl::StatusCode::kInternal);
}

TEST(SessionClientCalls, GoTogetherWhenTheyWait) {
  FakeSessionServer server;
  const auto client = Connect({&server});
  std::vector<Pending<session::v1::GetSessionResponse>> pending;
  for (int i = 0; i < 1000; ++i) pending.push_back(Get(*client, "s" + std::to_string(i)));
  for (auto& call : pending) EXPECT_TRUE(call.Get().ok());
  server.With([&] {
    EXPECT_THAT(server.calls, SizeIs(1000));
    EXPECT_LT(server.batches.size(), 500u);
    for (std::size_t i = 0; i < server.calls.size(); ++i) {
      EXPECT_EQ(server.calls[i].get_session().session().session_id(), "s" + std::to_string(i));
    }
  });
}

TEST(SessionClientCalls, EndAtTheirDeadlineAndTheServerHearsOfIt) {
  FakeSessionServer server;
  const auto client = Connect({&server});
  server.With([&] { server.answer = Hold; });
  const auto begin = steady_clock::now();
  EXPECT_EQ(Get(*client, "a", milliseconds(100)).Get().status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_GE(steady_clock::now() - begin, milliseconds(100));
  EXPECT_TRUE(server.WaitFor([&] { return !server.cancelled.empty(); }));
  server.With([&] {
    EXPECT_THAT(server.cancelled, ElementsAre(server.calls.back().id()));
    server.answer = nullptr;
  });
  server.AnswerHeld();  // an answer that nobody waits for any more
  EXPECT_TRUE(Get(*client, "a").Get().ok());
}

TEST(SessionClientCalls, AreAtMostATousandAndTwentyFour) {
  FakeSessionServer server;
  const auto client = Connect({&server});
  server.With([&] { server.answer = Hold; });
  std::vector<Pending<session::v1::GetSessionResponse>> pending;
  for (int i = 0; i < 1024; ++i) pending.push_back(Get(*client, "a", seconds(20)));
  const absl::Status refused = Get(*client, "a").Get().status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(refused.ToString(), HasSubstr("1024"));
  EXPECT_TRUE(DetailsOf(refused).retry_after.has_value());
  EXPECT_TRUE(server.WaitFor([&] { return server.calls.size() == 1024; }));
  server.With([&] { server.answer = nullptr; });
  server.AnswerHeld();
  for (auto& call : pending) EXPECT_TRUE(call.Get().ok());
  EXPECT_TRUE(Get(*client, "a").Get().ok());
}

TEST(SessionClientCalls, AreAtMostFourMebibytes) {
  FakeSessionServer server;
  const auto client = Connect({&server});
  EXPECT_EQ(Update(*client, "a", std::string(std::size_t{4} << 20, 'x')).Get().status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(Update(*client, "a", std::string(std::size_t{3} << 20, 'x')).Get().ok());
}

TEST(SessionClientCalls, FailAtOnceWithoutAReplica) {
  std::string nowhere;
  {
    FakeSessionServer server;
    nowhere = server.address();
  }
  const auto client = MakeSessionClient({.addresses = {nowhere}});
  EXPECT_FALSE(client->connected());
  const auto begin = steady_clock::now();
  for (const absl::Status& status : {Get(*client, "a").Get().status(), [&] {
                                       Pending<presence::v1::ListOnlineResponse> pending;
                                       client->ListOnline({}, {}, pending.MakeDone());
                                       return pending.Get().status();
                                     }()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(DetailsOf(status).reason, "SESSION_SERVICE_UNAVAILABLE");
    EXPECT_EQ(DetailsOf(status).retry_after, milliseconds(1000));
  }
  EXPECT_LT(steady_clock::now() - begin, seconds(1));
}

TEST(SessionClientCalls, AreRepeatedInOrderWithTheirRequestIdsWhenAReplicaIsKilled) {
  FakeSessionServer first;
  FakeSessionServer second;
  const auto client = Connect({&first, &second});
  const std::string id = SessionOf(*client, first);
  second.With([&] { second.calls.clear(); });
  first.With([&] { first.answer = Hold; });
  std::vector<Pending<session::v1::UpdateSessionResponse>> pending;
  for (int i = 0; i < 20; ++i) pending.push_back(Update(*client, id, std::to_string(i)));
  ASSERT_TRUE(first.WaitFor([&] { return first.calls.size() == 20; }));
  first.Kill();
  for (auto& call : pending) {
    const auto response = call.Get();
    EXPECT_TRUE(response.ok()) << response.status();
  }
  second.With([&] {
    ASSERT_THAT(second.calls, SizeIs(20));
    for (std::size_t i = 0; i < 20; ++i) {
      EXPECT_EQ(second.calls[i].update_session().request_id(), first.calls[i].update_session().request_id());
      EXPECT_EQ(second.calls[i].update_session().merge_patch_json(), std::to_string(i));
    }
  });
  EXPECT_TRUE(client->connected());
}

TEST(SessionClientCalls, AreUnavailableWhenTheOnlyReplicaIsKilledAndWorkWhenItIsBack) {
  auto server = std::make_unique<FakeSessionServer>();
  const auto client = Connect({server.get()});
  server->With([&] { server->answer = Hold; });
  auto pending = Get(*client, "a");
  ASSERT_TRUE(server->WaitFor([&] { return server->calls.size() == 1; }));
  server->Kill();
  EXPECT_EQ(pending.Get().status().code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(Eventually([&] { return !client->connected(); }));
  const int port = server->port();
  server.reset();
  FakeSessionServer again(port);
  EXPECT_TRUE(Eventually([&] { return client->connected(); }));
  EXPECT_TRUE(Get(*client, "a").Get().ok());
}

TEST(SessionClientCalls, NeverFailWhileReplicasAreKilledInTurn) {
  auto first = std::make_unique<FakeSessionServer>();
  auto second = std::make_unique<FakeSessionServer>();
  const auto client = Connect({first.get(), second.get()});
  std::atomic<bool> stop{false};
  std::atomic<int> done{0};
  std::vector<std::string> failures;
  std::thread caller([&] {
    while (!stop) {
      std::vector<Pending<session::v1::UpdateSessionResponse>> pending;
      for (int i = 0; i < 50; ++i) pending.push_back(Update(*client, "s" + std::to_string(i)));
      for (auto& call : pending) {
        const auto response = call.Get();
        if (!response.ok()) failures.push_back(response.status().ToString());
        ++done;
      }
    }
  });
  for (int round = 0; round < 3; ++round) {
    for (auto* server : {&first, &second}) {
      const int before = done;
      EXPECT_TRUE(Eventually([&] { return done > before + 100; }));
      const int port = (*server)->port();
      server->reset();
      *server = std::make_unique<FakeSessionServer>(port);
      EXPECT_TRUE((*server)->WaitFor([&] { return !(*server)->calls.empty(); }));
    }
  }
  stop = true;
  caller.join();
  EXPECT_THAT(failures, SizeIs(0)) << failures.front();
}

TEST(SessionClientGoAway, TheNextStreamStandsBeforeTheOldOneIsLeft) {
  FakeSessionServer server;
  const auto client = Connect({&server});
  server.With([&] { server.answer = Hold; });
  auto open = Get(*client, "open");
  ASSERT_TRUE(server.WaitFor([&] { return server.calls.size() == 1; }));
  server.With([&] { server.answer = nullptr; });
  server.ExchangeGoAway();
  bool moved = false;
  while (!moved) {
    ASSERT_TRUE(Get(*client, "a").Get().ok());
    server.With([&] { moved = server.exchange_half_closed == 1; });
  }
  server.With([&] { EXPECT_EQ(server.exchange_streams, 2); });
  EXPECT_FALSE(open.ready());
  server.AnswerHeld();
  EXPECT_TRUE(open.Get().ok());
  EXPECT_TRUE(Get(*client, "a").Get().ok());
}

TEST(SessionClientGoAway, ADrainingReplicaIsLeftAtOnceAndNoCallFails) {
  FakeSessionServer first;
  FakeSessionServer second;
  const auto client = Connect({&first, &second});
  const std::string id = SessionOf(*client, first);
  first.With([&] { first.answer = Hold; });
  auto open = Get(*client, id);
  ASSERT_TRUE(first.WaitFor([&] { return first.calls.size() == 1; }));
  first.With([&] { first.answer = nullptr; });
  first.GoAway();
  std::thread drain([&] { EXPECT_TRUE(first.FinishDrain(seconds(10))); });
  bool left = false;
  while (!left) {
    EXPECT_TRUE(Get(*client, id).Get().ok());
    first.With([&] { left = first.exchange_half_closed == 1; });
  }
  EXPECT_FALSE(open.ready());
  first.AnswerHeld();
  EXPECT_TRUE(open.Get().ok());
  drain.join();
  EXPECT_TRUE(Get(*client, id).Get().ok());
}

TEST(SessionClientGoAway, TheOnlyReplicaIsLeftAfterASecond) {
  FakeSessionServer server;
  const auto client = Connect({&server});
  server.GoAway();
  EXPECT_TRUE(server.FinishDrain(seconds(10)));
  EXPECT_EQ(Get(*client, "a").Get().status().code(), absl::StatusCode::kUnavailable);
}

TEST(SessionClientUnary, CarriesTheCorrelationIdAndEndsAtItsDeadline) {
  FakeSessionServer server;
  const auto client = Connect({&server});
  Pending<presence::v1::ListOnlineResponse> quick;
  client->ListOnline({}, {.correlation_id = "r-1"}, quick.MakeDone());
  EXPECT_TRUE(quick.Get().ok());
  server.With([&] {
    EXPECT_THAT(server.correlation_ids, ElementsAre("r-1"));
    server.on_list = [](const auto&, auto&) { return std::nullopt; };
  });
  Pending<presence::v1::ListOnlineResponse> late;
  client->ListOnline({}, {.timeout = milliseconds(50)}, late.MakeDone());
  EXPECT_EQ(late.Get().status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST(SessionClientUnary, IsRepeatedElsewhereWhenTheReplicaIsKilledButNotWhenTheServiceRefuses) {
  FakeSessionServer first;
  FakeSessionServer second;
  const auto client = Connect({&first, &second});
  first.With([&] { first.on_list = [](const auto&, auto&) { return std::nullopt; }; });
  // Namespaces until one belongs to the first.
  Pending<presence::v1::ListOnlineResponse> pending;
  for (int i = 0; first.list_requests.empty(); ++i) {
    presence::v1::ListOnlineRequest request;
    request.set_namespace_("/" + std::to_string(i));
    pending = {};
    client->ListOnline(request, {.timeout = seconds(10)}, pending.MakeDone());
    ASSERT_TRUE(Eventually([&] {
      bool arrived = false;
      first.With([&] { arrived = !first.list_requests.empty(); });
      return arrived || pending.ready();
    }));
  }
  first.Kill();
  const auto response = pending.Get();
  EXPECT_TRUE(response.ok()) << response.status();

  second.With([&] {
    second.list_requests.clear();
    second.on_list = [](const auto&, auto&) {
      return grpc_status::ToGrpc(Error(absl::StatusCode::kUnavailable, "no Redis",
                                       {.reason = "STORE_UNAVAILABLE", .field = {}, .retry_after = {}}));
    };
  });
  Pending<presence::v1::ListOnlineResponse> refused;
  client->ListOnline({}, {}, refused.MakeDone());
  EXPECT_EQ(DetailsOf(refused.Get().status()).reason, "STORE_UNAVAILABLE");
  second.With([&] { EXPECT_THAT(second.list_requests, SizeIs(1)); });
}

TEST(SessionClientUnary, CanCarryEverything) {
  FakeSessionServer server;
  const auto client = Connect({&server}, Options::Transport::kUnary);
  const auto response = Get(*client, "a").Get();
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->session().session_id(), "a");
  server.With([&] { EXPECT_THAT(server.calls, SizeIs(0)); });
}

TEST(SessionClientAddresses, ANameStandsForItsAddresses) {
  FakeSessionServer server;
  const auto client = MakeSessionClient({.addresses = {"localhost:" + std::to_string(server.port())}});
  EXPECT_TRUE(Eventually([&] { return client->connected(); }));
  EXPECT_TRUE(Get(*client, "a").Get().ok());
}

TEST(SessionClientShutdown, FailsEveryOpenCallWithCancelled) {
  FakeSessionServer server;
  auto client = Connect({&server});
  server.With([&] {
    server.answer = Hold;
    server.on_list = [](const auto&, auto&) { return std::nullopt; };
  });
  std::vector<Pending<session::v1::GetSessionResponse>> pending;
  for (int i = 0; i < 100; ++i) pending.push_back(Get(*client, std::to_string(i), seconds(20)));
  Pending<presence::v1::ListOnlineResponse> list;
  client->ListOnline({}, {.timeout = seconds(20)}, list.MakeDone());
  // A call made while its client ends has an end too.
  Pending<session::v1::GetSessionResponse> inner;
  session::v1::GetSessionRequest request;
  client->GetSession(request, {.timeout = seconds(20)},
                     [&, raw = client.get(), done = inner.MakeDone()](auto response) mutable {
                       EXPECT_EQ(response.status().code(), absl::StatusCode::kCancelled);
                       raw->GetSession(request, {}, std::move(done));
                     });
  ASSERT_TRUE(server.WaitFor([&] { return server.calls.size() == 101 && server.list_requests.size() == 1; }));
  const auto begin = steady_clock::now();
  client.reset();
  EXPECT_LT(steady_clock::now() - begin, seconds(2));
  for (auto& call : pending) {
    ASSERT_TRUE(call.ready());
    EXPECT_EQ(call.Get().status().code(), absl::StatusCode::kCancelled);
  }
  ASSERT_TRUE(list.ready() && inner.ready());
  EXPECT_EQ(list.Get().status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(inner.Get().status().code(), absl::StatusCode::kCancelled);
}

TEST(SessionClientShutdown, IsQuickAtAnyMoment) {
  FakeSessionServer server;
  for (int i = 0; i < 50; ++i) {
    auto client = MakeSessionClient({.addresses = {server.address()}});
    if (i % 2 == 1) {
      EXPECT_TRUE(Eventually([&] { return client->connected(); }));
    }
    const auto begin = steady_clock::now();
    client.reset();
    EXPECT_LT(steady_clock::now() - begin, seconds(2));
  }
}

TEST(SessionClientShutdown, IsQuickWhenAServerAcceptsAndSaysNothing) {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(listener, reinterpret_cast<const sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(listener, 8), 0);
  ASSERT_EQ(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
  auto client = MakeSessionClient({.addresses = {"127.0.0.1:" + std::to_string(ntohs(address.sin_port))}});
  const int accepted = ::accept(listener, nullptr, nullptr);
  EXPECT_FALSE(client->connected());
  const auto begin = steady_clock::now();
  client.reset();
  EXPECT_LT(steady_clock::now() - begin, seconds(2));
  ::close(accepted);
  ::close(listener);
}

}  // namespace
}  // namespace sesior::session_client
