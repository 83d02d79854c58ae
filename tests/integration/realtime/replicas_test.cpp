// Three servers in this process that pass requests on to each other, met by raw sockets. The lease table is this
// test's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "services/realtime/bus/local_bus.hpp"
#include "services/realtime/server.hpp"
#include "tests/integration/realtime/raw_client.hpp"

namespace sesior::realtime {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr const char* kPolling = "/socket.io/?EIO=4&transport=polling";
constexpr const char* kUnknown = "{\"code\":1,\"message\":\"Session ID unknown\"}";

std::string Random() { return "0123456789abcdef0123456789abcdef"; }

template <typename Condition>
bool Wait(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(milliseconds(1));
  }
  return true;
}

class Replica {
 public:
  Replica(std::string id, ServerOptions options) : server_(Complete(std::move(id), std::move(options)), nullptr, bus_) {
    bus_.Start(server_.hubs());
    for (hub::Hub* hub : server_.hubs()) {
      hub->Of("/").On("echo", [](hub::Socket& socket, const hub::Event& event) { socket.EmitArgs(event.As("echo")); });
    }
    const absl::Status started = server_.Start();
    EXPECT_TRUE(started.ok()) << started;
  }
  ~Replica() { server_.Stop(); }

  Server& server() { return server_; }
  std::uint64_t Sum(Tally LoopTallies::*tally) const { return server_.Sum(tally); }

 private:
  static ServerOptions Complete(std::string id, ServerOptions options) {
    options.front.replica_id = std::move(id);
    options.peers.listen = "127.0.0.1:0";
    if (options.peers.secrets.empty()) options.peers.secrets = {"the secret of these replicas"};
    return options;
  }

  LocalBus bus_;
  Server server_;
};

class Replicas : public ::testing::Test {
 protected:
  Replica& Start(ServerOptions options = {}, std::string id = {}) {
    options.threads = 2;
    if (id.empty()) id = "r" + std::to_string(all_.size());
    all_.push_back(std::make_unique<Replica>(id, std::move(options)));
    addresses_[id] = all_.back()->server().peer_address();
    for (const auto& replica : all_) Tell(*replica);
    return *all_.back();
  }
  void Tell(Replica& replica) { replica.server().peers().Update(addresses_); }
  std::string At(std::size_t index) { return all_[index]->server().address(); }

  // A polling session on the first replica; its target.
  std::string Open() {
    RawClient client(At(0));
    client.SendGet(kPolling);
    const std::optional<HttpAnswer> answer = client.ReadAnswer();
    if (!answer || answer->status != 200) return "";
    const std::size_t begin = answer->body.find("\"sid\":\"") + 7;
    return std::string(kPolling) + "&sid=" + answer->body.substr(begin, answer->body.find('"', begin) - begin);
  }
  // The same, connected to "/".
  std::string Connect() {
    const std::string target = Open();
    RawClient client(At(0));
    client.SendPost(target, "40");
    EXPECT_EQ(client.ReadAnswer()->body, "ok");
    client.SendGet(target);
    EXPECT_THAT(client.ReadAnswer()->body, StartsWith("40{"));
    return target;
  }
  std::string Get(std::size_t index, const std::string& target, std::string_view headers = {}) {
    RawClient client(At(index));
    client.SendGet(target, headers);
    const std::optional<HttpAnswer> answer = client.ReadAnswer();
    return answer ? std::to_string(answer->status) + " " + answer->body : "none";
  }

  PeerTable::Addresses addresses_;
  std::vector<std::unique_ptr<Replica>> all_;
};

TEST_F(Replicas, ServeASessionOfOneOfThem) {
  for (int i = 0; i < 3; ++i) Start();
  const std::string target = Connect();
  RawClient poster(At(1));
  RawClient poller(At(2));
  for (int i = 0; i < 20; ++i) {
    const std::string echo = "42[\"echo\"," + std::to_string(i) + "]";
    poster.SendPost(target, echo);
    EXPECT_EQ(poster.ReadAnswer()->body, "ok");
    poller.SendGet(target);
    EXPECT_EQ(poller.ReadAnswer()->body, echo);
  }
  // Binary, in both directions.
  poster.SendPost(target,
                  "451-[\"echo\",{\"_placeholder\":true,\"num\":0}]\x1e"
                  "bAQID");
  EXPECT_EQ(poster.ReadAnswer()->body, "ok");
  poller.SendGet(target);
  EXPECT_EQ(poller.ReadAnswer()->body,
            "451-[\"echo\",{\"_placeholder\":true,\"num\":0}]\x1e"
            "bAQID");
  // The links are kept for the next request.
  EXPECT_LE(all_[1]->Sum(&LoopTallies::peer_links), 1u);
  EXPECT_EQ(all_[1]->Sum(&LoopTallies::passed_on), 21u);
  EXPECT_EQ(all_[0]->Sum(&LoopTallies::passed_on), 0u);
}

TEST_F(Replicas, CarryBodiesAndAnswersOfTheFullSize) {
  for (int i = 0; i < 2; ++i) Start();
  const std::string target = Connect();
  const std::string echo = "42[\"echo\",\"" + std::string(900'000, 'x') + "\"]";
  RawClient client(At(1));
  client.SendPost(target, echo);
  EXPECT_EQ(client.ReadAnswer()->body, "ok");
  client.SendGet(target);
  EXPECT_EQ(client.ReadAnswer()->body, echo);
  // A chunked body is passed on whole.
  client.Send(
      "POST " + target +
      " HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n42\r\nb\r\n[\"echo\",12]\r\n0\r\n\r\n");
  EXPECT_EQ(client.ReadAnswer()->body, "ok");
  client.SendGet(target);
  EXPECT_EQ(client.ReadAnswer()->body, "42[\"echo\",12]");
  client.SendPost(target, std::string(1'100'000, 'x'));
  EXPECT_EQ(client.ReadAnswer()->status, 413);
}

TEST_F(Replicas, RelayAnUpgrade) {
  for (int i = 0; i < 2; ++i) Start();
  const std::string target = Connect();
  RawClient client(At(1));
  const std::string upgrade = "/socket.io/?EIO=4&transport=websocket" + target.substr(target.find("&sid="));
  ASSERT_EQ(client.Upgrade(upgrade), 101);
  client.SendText("2probe");
  EXPECT_EQ(client.ReadText(), "3probe");
  client.SendText("5");
  for (int i = 0; i < 10; ++i) {
    const std::string echo = "42[\"echo\"," + std::to_string(i) + ",\"" + std::string(100'000, 'x') + "\"]";
    client.SendText(echo);
    EXPECT_EQ(client.ReadText(), echo);
  }
  EXPECT_EQ(all_[1]->Sum(&LoopTallies::relays), 1u);
  // After the upgrade the session is polled no more.
  EXPECT_EQ(Get(1, target), "400 {\"code\":3,\"message\":\"Bad request\"}");
  client.SendFrame(0x88, "\x03\xe8");
  EXPECT_EQ(client.ReadFrame()->opcode, 8);
  EXPECT_TRUE(client.WaitClosed());
  EXPECT_TRUE(Wait([&] { return all_[1]->Sum(&LoopTallies::relays) == 0; }));
  EXPECT_TRUE(Wait([&] { return all_[0]->Sum(&LoopTallies::clients) == 0; }));
  EXPECT_TRUE(Wait([&] { return all_[1]->Sum(&LoopTallies::connections) == 0; }));
}

TEST_F(Replicas, RelayFramesSentTogetherWithTheUpgrade) {
  for (int i = 0; i < 2; ++i) Start();
  const std::string target = Connect();
  RawClient client(At(1));
  client.Send("GET /socket.io/?EIO=4&transport=websocket" + target.substr(target.find("&sid=")) +
              " HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" +
              std::string("\x81\x86\0\0\0\0", 6) + "2probe");
  EXPECT_EQ(client.ReadAnswer()->status, 101);
  EXPECT_EQ(client.ReadText(), "3probe");
}

// The one who reads slowly blocks neither replica, and is closed by the owner as if it were there.
TEST_F(Replicas, KeepBackPressureThroughARelay) {
  ServerOptions options;
  options.engine.send_queue_limit_bytes = 256 * 1024;
  for (int i = 0; i < 2; ++i) Start(options);
  const std::string target = Connect();
  RawClient client(At(1), 4096);
  ASSERT_EQ(client.Upgrade("/socket.io/?EIO=4&transport=websocket" + target.substr(target.find("&sid="))), 101);
  client.SendText("2probe");
  EXPECT_EQ(client.ReadText(), "3probe");
  client.SendText("5");
  const std::string echo = "42[\"echo\",\"" + std::string(50'000, 'x') + "\"]";
  for (int i = 0; i < 1'000 && all_[0]->Sum(&LoopTallies::slow_closed) == 0; ++i) client.SendText(echo);
  EXPECT_TRUE(Wait([&] { return all_[0]->Sum(&LoopTallies::slow_closed) == 1; }));
  EXPECT_TRUE(client.WaitClosed());
}

TEST_F(Replicas, NoticeAnAbortedPollAndPost) {
  for (int i = 0; i < 2; ++i) Start();
  {
    const std::string target = Open();
    RawClient poller(At(1));
    poller.SendGet(target);
    ASSERT_TRUE(Wait([&] { return all_[0]->Sum(&LoopTallies::http_requests) == 2; }));
  }
  EXPECT_TRUE(Wait([&] { return all_[0]->Sum(&LoopTallies::clients) == 0; }));
  {
    const std::string target = Open();
    RawClient poster(At(1));
    poster.Send("POST " + target + " HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\n4");
    ASSERT_TRUE(Wait([&] { return all_[1]->Sum(&LoopTallies::passed_on) == 2; }));
    // The owner has the head when it refuses a second one.
    EXPECT_TRUE(Wait([&] { return all_[0]->Sum(&LoopTallies::peer_connections) >= 1; }));
    poster.Abort();
  }
  EXPECT_TRUE(Wait([&] { return all_[0]->Sum(&LoopTallies::clients) == 0; }));
}

TEST_F(Replicas, AbortNoPollOfOthersWhenOneOfThemLeaves) {
  ServerOptions options;
  options.drain_delay = milliseconds(1);
  for (int i = 0; i < 2; ++i) Start(options);
  const std::string target = Connect();
  RawClient poller(At(1));
  poller.SendGet(target);
  ASSERT_TRUE(Wait([&] { return all_[0]->Sum(&LoopTallies::http_requests) == 4; }));
  EXPECT_EQ(all_[1]->Sum(&LoopTallies::passing_on), 1u);
  all_[1]->server().Drain(std::chrono::steady_clock::now() + std::chrono::minutes(1));
  const std::optional<HttpAnswer> answer = poller.ReadAnswer();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->body, "6");
  EXPECT_EQ(answer->headers.at("connection"), "close");
  all_.pop_back();
  // The session goes on, by whoever is left.
  RawClient client(At(0));
  client.SendPost(target, "42[\"echo\",1]");
  EXPECT_EQ(client.ReadAnswer()->body, "ok");
  EXPECT_EQ(Get(0, target), "200 42[\"echo\",1]");
}

TEST_F(Replicas, CloseRelaysInADrainAsTheirOwnClients) {
  ServerOptions options;
  options.drain_delay = milliseconds(1);
  for (int i = 0; i < 2; ++i) Start(options);
  const std::string target = Connect();
  RawClient client(At(1));
  ASSERT_EQ(client.Upgrade("/socket.io/?EIO=4&transport=websocket" + target.substr(target.find("&sid="))), 101);
  client.SendText("2probe");
  EXPECT_EQ(client.ReadText(), "3probe");
  client.SendText("5");
  client.SendText("42[\"echo\",1]");  // the owner has completed the upgrade when it answers
  EXPECT_EQ(client.ReadText(), "42[\"echo\",1]");
  all_[1]->server().Drain(std::chrono::steady_clock::now() + std::chrono::minutes(1));
  EXPECT_TRUE(client.WaitClosed());
  EXPECT_EQ(all_[1]->Sum(&LoopTallies::drain_closed), 1u);
  EXPECT_EQ(all_[1]->Sum(&LoopTallies::relays), 0u);
  EXPECT_TRUE(Wait([&] { return all_[0]->Sum(&LoopTallies::clients) == 0; }));
}

TEST_F(Replicas, EndASessionThatIsPolledTwiceAtOnce) {
  for (int i = 0; i < 3; ++i) Start();
  const std::string target = Open();
  RawClient one(At(1));
  one.SendGet(target);
  ASSERT_TRUE(Wait([&] { return all_[0]->Sum(&LoopTallies::http_requests) == 2; }));
  EXPECT_EQ(Get(2, target), "400 ");
  EXPECT_EQ(one.ReadAnswer()->body, "1");
  EXPECT_EQ(Get(1, target), std::string("400 ") + kUnknown);
}

TEST_F(Replicas, AnswerForgedIdsWithCode1) {
  for (int i = 0; i < 2; ++i) Start();
  const std::string base = std::string(kPolling) + "&sid=";
  for (const std::string& sid : std::initializer_list<std::string>{
           "r0.0." + Random(), "r0.7." + Random(), "r0.99999999999999999999." + Random(), std::string("r0..x"),
           std::string("r0"), std::string("%00"), "r0.0." + Random() + "0", "127.0.0.1:80.0." + Random(),
           std::string(2000, 'x')}) {
    EXPECT_EQ(Get(1, base + sid), std::string("400 ") + kUnknown) << sid;
  }
  // Nobody renews the table here: an id of a replica that none has is given up in time.
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(Get(1, base + "r9.0." + Random()), std::string("400 ") + kUnknown);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, kPatience);
  EXPECT_EQ(all_[1]->Sum(&LoopTallies::pass_unknown), 1u);
  RawClient client(At(1));
  EXPECT_EQ(client.Upgrade("/socket.io/?EIO=4&transport=websocket&sid=r0.0." + Random()), 400);
  EXPECT_TRUE(client.WaitClosed());
}

TEST_F(Replicas, LookUpAReplicaThatIsNew) {
  Start();
  const std::string old = At(0);
  std::atomic<int> renewals = 0;
  Server& server = all_[0]->server();
  Replica later("late", {});
  // As the lease's answers come: the first knows nothing yet.
  std::vector<std::thread> threads;
  server.peers().SetRenew([&] {
    const int number = ++renewals;
    if (number > 2) return;
    if (number == 2) addresses_["late"] = later.server().peer_address();
    threads.emplace_back([&, addresses = addresses_] { server.peers().Update(addresses); });
  });
  EXPECT_EQ(Get(0, std::string(kPolling) + "&sid=late.0." + Random()), std::string("400 ") + kUnknown);
  EXPECT_EQ(all_[0]->Sum(&LoopTallies::pass_unknown), 0u);  // it was the owner that did not know it
  EXPECT_EQ(later.Sum(&LoopTallies::http_requests), 1u);
  for (std::thread& thread : threads) thread.join();
}

TEST_F(Replicas, AnswerWithCode1AtOnceWhenTheOwnerIsGone) {
  for (int i = 0; i < 2; ++i) Start();
  const std::string target = Open();
  RawClient poller(At(1));
  poller.SendGet(target);
  ASSERT_TRUE(Wait([&] { return all_[0]->Sum(&LoopTallies::http_requests) == 2; }));
  std::swap(all_[0], all_[1]);
  all_.pop_back();
  const std::optional<HttpAnswer> answer = poller.ReadAnswer();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 400);
  EXPECT_EQ(answer->body, kUnknown);
  // It is still in the table.
  EXPECT_EQ(Get(0, target), std::string("400 ") + kUnknown);
  EXPECT_EQ(all_[0]->Sum(&LoopTallies::pass_broken), 1u);
  EXPECT_EQ(all_[0]->Sum(&LoopTallies::pass_unreachable), 1u);
}

TEST_F(Replicas, TellAnotherStartOfTheProcessAtTheSameAddress) {
  for (int i = 0; i < 2; ++i) Start();
  addresses_["before"] = all_[0]->server().peer_address();
  Tell(*all_[1]);
  EXPECT_EQ(Get(1, std::string(kPolling) + "&sid=before.0." + Random()), std::string("400 ") + kUnknown);
  EXPECT_EQ(all_[1]->Sum(&LoopTallies::pass_unreachable), 1u);
  EXPECT_EQ(all_[0]->Sum(&LoopTallies::http_requests), 0u);
}

TEST_F(Replicas, TalkOnlyToThoseWithTheSecret) {
  Start();
  ServerOptions stranger;
  stranger.peers.secrets = {"quite another secret"};
  Start(stranger);
  const std::string target = Open();
  EXPECT_EQ(Get(1, target), std::string("400 ") + kUnknown);
  EXPECT_TRUE(Wait([&] { return all_[0]->Sum(&LoopTallies::peers_refused) == 1; }));
  EXPECT_EQ(all_[0]->Sum(&LoopTallies::http_requests), 1u);
  // A plain request on the peer port is none.
  RawClient client(all_[0]->server().peer_address());
  client.SendGet(target);
  EXPECT_THAT(client.ReadSome(), StartsWith("sesior-peer 1 r0 "));
  EXPECT_TRUE(client.WaitClosed());
}

TEST_F(Replicas, PassTheAddressAndTheOriginOn) {
  ServerOptions options;
  options.allowed_origins = {"http://page.example"};
  for (int i = 0; i < 2; ++i) Start(options);
  const std::string target = Open();
  EXPECT_EQ(Get(1, target, "Origin: http://evil.example\r\n"), "403 {\"code\":4,\"message\":\"Forbidden\"}");
  EXPECT_EQ(all_[1]->Sum(&LoopTallies::passed_on), 0u);
  RawClient client(At(1));
  client.SendPost(target, "40", "Origin: http://page.example\r\n");
  const std::optional<HttpAnswer> answer = client.ReadAnswer();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->headers.at("access-control-allow-origin"), "http://page.example");
  // Our own origin, as the first replica was called; nobody may say by a header that he was called otherwise.
  EXPECT_THAT(Get(1, target, "Origin: http://test\r\n"), StartsWith("200 40{"));
  EXPECT_THAT(Get(1, target, "Origin: http://evil.example\r\nX-Forwarded-Host: evil.example\r\n"), StartsWith("403"));
}

TEST_F(Replicas, RefuseMoreThanTheyMayPassOn) {
  ServerOptions options;
  options.peers.max_links = 2;  // one a thread
  for (int i = 0; i < 2; ++i) Start(options);
  const std::string targets[] = {Open(), Open(), Open()};
  std::vector<std::unique_ptr<RawClient>> pollers;
  for (const std::string& target : targets) {
    pollers.push_back(std::make_unique<RawClient>(At(1)));
    pollers.back()->SendGet(target);
  }
  EXPECT_TRUE(Wait([&] { return all_[1]->Sum(&LoopTallies::pass_busy) >= 1; }));
  EXPECT_LE(all_[1]->Sum(&LoopTallies::peer_links), 2u);
}

TEST(PassedHead, SaysForWhomAndLeavesOutWhatIsForThisHopAlone) {
  http::Request request;
  request.method = http::Method::kPost;
  request.method_text = "POST";
  request.target = "/socket.io/?x=1";
  request.headers = {{"Host", "a"},
                     {"Connection", "keep-alive"},
                     {"X-Forwarded-For", "6.6.6.6"},
                     {"Content-Length", "9"},
                     {"Expect", "100-continue"},
                     {"X-Forwarded-Host", "evil"},
                     {"Cookie", "c=1"},
                     {"Upgrade", "h2c"}};
  const http::IpAddress client = *http::IpAddress::Parse("10.1.2.3");
  EXPECT_EQ(PassedHead(request, client, false, 5),
            "POST /socket.io/?x=1 HTTP/1.1\r\nHost: a\r\nCookie: c=1\r\nX-Forwarded-For: 10.1.2.3\r\n"
            "Content-Length: 5\r\n\r\n");
  EXPECT_THAT(PassedHead(request, client, true, 5), HasSubstr("X-Forwarded-Host: evil\r\n"));
  http::Request upgrade;
  upgrade.method = http::Method::kGet;
  upgrade.method_text = "GET";
  upgrade.target = "/";
  upgrade.upgrade = true;
  upgrade.headers = {{"Upgrade", "websocket"}, {"Connection", "Upgrade"}};
  EXPECT_EQ(PassedHead(upgrade, client, false, 0),
            "GET / HTTP/1.1\r\nUpgrade: websocket\r\nHost: unknown.invalid\r\nX-Forwarded-For: 10.1.2.3\r\n"
            "Connection: Upgrade\r\n\r\n");
}

}  // namespace
}  // namespace sesior::realtime
