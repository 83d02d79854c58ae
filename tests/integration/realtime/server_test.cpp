// The server in this process, met by raw sockets: what official clients never do is tried here.
#include "services/realtime/server.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "services/realtime/bus/local_bus.hpp"
#include "tests/integration/realtime/fake_sessions.hpp"
#include "tests/integration/realtime/raw_client.hpp"

namespace sesior::realtime {
namespace {

using std::chrono::milliseconds;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr const char* kWebSocket = "/socket.io/?EIO=4&transport=websocket";
constexpr const char* kPolling = "/socket.io/?EIO=4&transport=polling";

// A server whose application says hello, echoes, and passes "all" on to everybody.
class World {
 public:
  explicit World(ServerOptions options = {}, session_client::SessionClient* sessions = nullptr)
      : server_(Complete(std::move(options)), sessions, bus_) {
    bus_.Start(server_.hubs());
    for (hub::Hub* hub : server_.hubs()) {
      hub::Namespace& nsp = hub->Of("/");
      nsp.On("echo", [](hub::Socket& socket, const hub::Event& event) { socket.Emit("echo", event.arg(0)); });
      nsp.On("all", [](hub::Socket& socket, const hub::Event& event) { socket.nsp().All().Emit("all", event.arg(0)); });
      nsp.On("whence", [](hub::Socket& socket, const hub::Event&) {
        const hub::Handshake& handshake = socket.handshake();
        const std::string* const room = handshake.Query("room");
        const std::string* const agent = handshake.Header("User-Agent");
        const std::string* const cookie = handshake.Header("cookie");
        socket.Emit("whence", handshake.address.ToText(), handshake.secure, room != nullptr ? *room : "none",
                    agent != nullptr ? *agent : "none", cookie != nullptr ? *cookie : "none");
      });
      nsp.On("stand still", [](hub::Socket&, const hub::Event&) {
        std::this_thread::sleep_for(SessionWatches::kStandstill + milliseconds(50));
      });
      nsp.OnDisconnect([this](hub::Socket&, socketio::CloseReason reason) { reasons_[static_cast<int>(reason)]++; });
    }
    const absl::Status started = server_.Start();
    EXPECT_TRUE(started.ok()) << started;
  }
  ~World() { server_.Stop(); }

  Server& server() { return server_; }
  std::string address() const { return server_.address(); }
  int ended(socketio::CloseReason reason) const { return reasons_[static_cast<int>(reason)]; }

  // A Socket.IO client on a WebSocket, connected to "/".
  RawClient Connect(std::string_view headers = {}, int receive_buffer_bytes = 0) {
    RawClient client(address(), receive_buffer_bytes);
    EXPECT_EQ(client.Upgrade(kWebSocket, headers), 101);
    EXPECT_THAT(client.ReadText(), StartsWith("0{\"sid\":\""));
    client.SendText("40");
    EXPECT_THAT(client.ReadText(), StartsWith("40{\"sid\":\""));
    return client;
  }

  template <typename Condition>
  static bool Wait(Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::sleep_for(milliseconds(1));
    }
    return true;
  }

 private:
  static ServerOptions Complete(ServerOptions options) {
    if (options.front.replica_id.empty()) options.front.replica_id = "r1";
    options.drain_delay = milliseconds(1);
    return options;
  }

  LocalBus bus_;
  std::array<std::atomic<int>, socketio::kCloseReasonCount> reasons_{};
  Server server_;
};

std::string SidIn(const std::string& open_packet) {
  const std::size_t begin = open_packet.find("\"sid\":\"") + 7;
  return open_packet.substr(begin, open_packet.find('"', begin) - begin);
}

// Opens a polling session; its id.
std::string OpenPolling(RawClient& client) {
  client.SendGet(kPolling);
  const std::optional<HttpAnswer> answer = client.ReadAnswer();
  EXPECT_TRUE(answer && answer->status == 200);
  return answer ? SidIn(answer->body) : "";
}

std::string WithSid(const std::string& sid) { return std::string(kPolling) + "&sid=" + sid; }

// The client's thread stands still in the handler that this begins.
void StandStill(World& world, RawClient& client) {
  const std::uint64_t before = world.server().Sum(&LoopTallies::messages_in);
  client.SendText("42[\"stand still\"]");
  EXPECT_TRUE(World::Wait([&] { return world.server().Sum(&LoopTallies::messages_in) > before; }));
}

TEST(Server, HandlesWhatCameDuringAStandstillOnceTheSessionIsKnown) {
  FakeSessions sessions;
  sessions.Add("alice");
  World world({}, &sessions);
  const std::string cookie = "Cookie: " + FakeSessions::CookieOf("alice") + "\r\n";
  RawClient poller(world.address());
  poller.SendGet(kPolling, cookie);
  const std::string target = WithSid(SidIn(poller.ReadAnswer()->body));
  poller.SendPost(target, "40");
  EXPECT_EQ(poller.ReadAnswer()->body, "ok");
  poller.SendGet(target);
  EXPECT_THAT(poller.ReadAnswer()->body, StartsWith("40{"));
  RawClient client = world.Connect(cookie);
  for (int round = 0; round < 3; ++round) {
    StandStill(world, client);
    client.SendText("42[\"echo\",1]");
    client.SendText("42[\"echo\",2]");
    poller.SendPost(target, "42[\"echo\",3]");
    EXPECT_EQ(client.ReadText(), "42[\"echo\",1]");
    EXPECT_EQ(client.ReadText(), "42[\"echo\",2]");
    EXPECT_EQ(poller.ReadAnswer()->body, "ok");
    poller.SendGet(target);
    EXPECT_EQ(poller.ReadAnswer()->body, "42[\"echo\",3]");
  }
  EXPECT_GE(world.server().Sum(&LoopTallies::standstills), 3u);
}

TEST(Server, HandlesNothingOfASessionThatEndedDuringAStandstill) {
  FakeSessions sessions;
  sessions.Add("alice");
  World world({}, &sessions);
  const std::string cookie = "Cookie: " + FakeSessions::CookieOf("alice") + "\r\n";
  RawClient poller(world.address());
  poller.SendGet(kPolling, cookie);
  const std::string target = WithSid(SidIn(poller.ReadAnswer()->body));
  poller.SendPost(target, "40");
  EXPECT_EQ(poller.ReadAnswer()->body, "ok");
  RawClient client = world.Connect(cookie);
  StandStill(world, client);
  sessions.End("alice");
  client.SendText("42[\"echo\",1]");
  poller.SendPost(target, "42[\"echo\",2]");
  EXPECT_THAT(client.ReadText(), HasSubstr("session:ended"));
  EXPECT_EQ(client.ReadText(), "41");
  EXPECT_TRUE(poller.ReadAnswer().has_value()) << "a POST is answered in any case";
  poller.SendGet(target);
  EXPECT_THAT(poller.ReadAnswer()->body, Not(HasSubstr("echo")));
}

TEST(Server, EchoesOverAWebSocket) {
  World world;
  RawClient client = world.Connect();
  client.SendText("42[\"echo\",{\"a\":1}]");
  EXPECT_EQ(client.ReadText(), "42[\"echo\",{\"a\":1}]");
}

TEST(Server, EchoesOverLongPollingOnOneConnection) {
  World world;
  RawClient client(world.address());
  const std::string target = WithSid(OpenPolling(client));
  client.SendPost(target, "40");
  EXPECT_EQ(client.ReadAnswer()->body, "ok");
  client.SendGet(target);
  EXPECT_THAT(client.ReadAnswer()->body, StartsWith("40{"));
  client.SendPost(target,
                  "42[\"echo\",1]\x1e"
                  "42[\"echo\",2]");
  EXPECT_EQ(client.ReadAnswer()->body, "ok");
  client.SendGet(target);
  EXPECT_EQ(client.ReadAnswer()->body,
            "42[\"echo\",1]\x1e"
            "42[\"echo\",2]");
}

TEST(Server, AnswersPipelinedRequestsInOrder) {
  World world;
  RawClient client(world.address());
  std::string requests;
  for (int i = 0; i < 200; ++i) requests += "GET /nothing HTTP/1.1\r\nHost: test\r\n\r\n";
  client.Send(requests);
  for (int i = 0; i < 200; ++i) {
    const std::optional<HttpAnswer> answer = client.ReadAnswer();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 404);
  }
}

// Every thread gets connections, and requests of one session arrive on any of them.
TEST(Server, TakesARequestToTheThreadOfItsSession) {
  ServerOptions options;
  options.threads = 3;
  World world(options);
  RawClient first(world.address());
  const std::string target = WithSid(OpenPolling(first));
  first.SendPost(target, "40");
  EXPECT_EQ(first.ReadAnswer()->status, 200);
  first.SendGet(target);
  EXPECT_THAT(first.ReadAnswer()->body, StartsWith("40{"));
  for (int i = 0; i < 20; ++i) {
    RawClient other(world.address());
    const std::string number = std::to_string(i);
    // The body comes when the connection may have moved already.
    const std::string body = "42[\"echo\"," + number + "]";
    other.Send("POST " + target + " HTTP/1.1\r\nHost: test\r\nContent-Length: " + std::to_string(body.size()) +
               "\r\n\r\n4");
    other.Send(body.substr(1));
    EXPECT_EQ(other.ReadAnswer()->body, "ok");
    RawClient poller(world.address());
    poller.SendGet(target);
    EXPECT_EQ(poller.ReadAnswer()->body, body);
  }
  RawClient upgrade(world.address());
  EXPECT_EQ(upgrade.Upgrade(std::string(kWebSocket) + target.substr(target.find("&sid="))), 101);
  upgrade.SendText("2probe");
  EXPECT_EQ(upgrade.ReadText(), "3probe");
  upgrade.SendText("5");
  upgrade.SendText("42[\"echo\",\"up\"]");
  EXPECT_EQ(upgrade.ReadText(), "42[\"echo\",\"up\"]");
}

TEST(Server, ReadsFramesSentTogetherWithTheHandshake) {
  World world;
  RawClient client(world.address());
  // A masked "40" and an echo behind the request, in the same packet.
  std::string bytes = "GET " + std::string(kWebSocket) +
                      " HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
  bytes += std::string("\x81\x82\0\0\0\0", 6) + "40";
  client.Send(bytes);
  EXPECT_EQ(client.ReadAnswer()->status, 101);
  EXPECT_THAT(client.ReadText(), StartsWith("0{"));
  EXPECT_THAT(client.ReadText(), StartsWith("40{"));
}

TEST(Server, ClosesASessionWhosePollIsAborted) {
  World world;
  RawClient client(world.address());
  const std::string target = WithSid(OpenPolling(client));
  {
    RawClient poller(world.address());
    poller.SendGet(target);
    ASSERT_TRUE(World::Wait([&] { return world.server().Sum(&LoopTallies::http_requests) == 2; }));
  }
  ASSERT_TRUE(World::Wait([&] { return world.server().Sum(&LoopTallies::clients) == 0; }));
  client.SendGet(target);
  const std::optional<HttpAnswer> answer = client.ReadAnswer();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 400);
  EXPECT_EQ(answer->body, "{\"code\":1,\"message\":\"Session ID unknown\"}");
}

TEST(Server, ClosesASessionWhosePostIsAbortedOrOverlapped) {
  World world;
  RawClient client(world.address());
  const std::string half = " HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\n4";
  {
    const std::string target = WithSid(OpenPolling(client));
    RawClient poster(world.address());
    poster.Send("POST " + target + half);
    poster.Abort();
    EXPECT_TRUE(World::Wait([&] { return world.server().Sum(&LoopTallies::clients) == 0; }));
  }
  const std::string target = WithSid(OpenPolling(client));
  RawClient one(world.address());
  RawClient two(world.address());
  one.Send("POST " + target + half);
  two.Send("POST " + target + half);
  // Whichever came second is told.
  EXPECT_TRUE(World::Wait([&] { return world.server().Sum(&LoopTallies::clients) == 0; }));
}

TEST(Server, AnswersARequestBodyOverTheLimitWith413AndKeepsTheSession) {
  ServerOptions options;
  options.channel.http.body_bytes = 1000;
  World world(options);
  RawClient client(world.address());
  const std::string target = WithSid(OpenPolling(client));
  RawClient poster(world.address());
  poster.SendPost(target, std::string(1001, 'x'));
  EXPECT_EQ(poster.ReadAnswer()->status, 413);
  EXPECT_TRUE(poster.WaitClosed());
  client.SendPost(target, "40");
  EXPECT_EQ(client.ReadAnswer()->body, "ok");
}

TEST(Server, ClosesAWebSocketWithAMessageOverTheLimitBy1009) {
  ServerOptions options;
  options.channel.max_message_bytes = 1000;
  World world(options);
  RawClient client = world.Connect();
  client.SendText("42[\"echo\",\"" + std::string(1000, 'x') + "\"]");
  const std::optional<WebSocketFrame> frame = client.ReadFrame();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->opcode, 8);
  EXPECT_EQ(frame->payload, "\x03\xf1");
  EXPECT_TRUE(client.WaitClosed());
}

TEST(Server, EndsACloseInDueForm) {
  World world;
  RawClient client = world.Connect();
  client.SendFrame(0x88, "\x03\xe8");
  EXPECT_EQ(client.ReadFrame()->opcode, 8);
  EXPECT_TRUE(client.WaitClosed());
  EXPECT_TRUE(World::Wait([&] { return world.ended(socketio::CloseReason::kTransportClose) == 1; }));
  EXPECT_TRUE(World::Wait([&] { return world.server().Sum(&LoopTallies::connections) == 0; }));
}

TEST(Server, RefusesHandshakesAsTheReferenceDoes) {
  World world;
  auto get = [&](std::string_view target, std::string_view headers = {}) {
    RawClient client(world.address());
    client.SendGet(target, headers);
    const std::optional<HttpAnswer> answer = client.ReadAnswer();
    return answer ? std::to_string(answer->status) + " " + answer->body : "none";
  };
  EXPECT_EQ(get("/socket.io/?EIO=4&transport=abc"), "400 {\"code\":0,\"message\":\"Transport unknown\"}");
  EXPECT_EQ(get("/socket.io/?EIO=3&transport=polling"),
            "400 {\"code\":5,\"message\":\"Unsupported protocol version\"}");
  EXPECT_EQ(get("/socket.io/?EIO=4&transport=polling&sid=abc"), "400 {\"code\":1,\"message\":\"Session ID unknown\"}");
  EXPECT_EQ(get("/socket.io/?EIO=4&transport=polling&sid=r9.0.0123456789abcdef0123456789abcdef"),
            "400 {\"code\":1,\"message\":\"Session ID unknown\"}");
  EXPECT_EQ(get(kWebSocket), "400 {\"code\":3,\"message\":\"Bad request\"}");
  EXPECT_EQ(get("/elsewhere"), "404 Not found\n");
  RawClient client(world.address());
  EXPECT_EQ(client.Upgrade("/socket.io/?EIO=3&transport=websocket"), 400);
  EXPECT_TRUE(client.WaitClosed());
  RawClient old(world.address());
  old.SendGet(kWebSocket,
              "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\nSec-WebSocket-Key: "
              "dGhlIHNhbXBsZSBub25jZQ==\r\n");
  EXPECT_EQ(old.ReadAnswer()->status, 426);
}

TEST(Server, LetsOnlyListedOriginsIn) {
  ServerOptions options;
  options.allowed_origins = {"http://page.example"};
  World world(options);
  auto status = [&](std::string_view headers) {
    RawClient client(world.address());
    return client.Upgrade(kWebSocket, headers);
  };
  EXPECT_EQ(status("Origin: http://page.example\r\n"), 101);
  EXPECT_EQ(status("Origin: http://test\r\n"), 101);  // our own, by Host
  EXPECT_EQ(status(""), 101);
  EXPECT_EQ(status("Origin: http://evil.example\r\n"), 400);
  EXPECT_EQ(status("Origin: null\r\n"), 400);
  RawClient client(world.address());
  client.SendGet(kPolling, "Origin: http://evil.example\r\n");
  EXPECT_EQ(client.ReadAnswer()->status, 403);
  client.SendGet(kPolling, "Origin: http://page.example\r\n");
  const std::optional<HttpAnswer> answer = client.ReadAnswer();
  EXPECT_EQ(answer->headers.at("access-control-allow-origin"), "http://page.example");
  EXPECT_EQ(answer->headers.at("access-control-allow-credentials"), "true");
  // A foreign page may not use a session that exists, either.
  client.SendGet(WithSid(SidIn(answer->body)), "Origin: http://evil.example\r\n");
  EXPECT_EQ(client.ReadAnswer()->status, 403);
  client.Send(
      "OPTIONS /socket.io/ HTTP/1.1\r\nHost: test\r\nOrigin: http://page.example\r\n"
      "Access-Control-Request-Method: POST\r\n\r\n");
  EXPECT_EQ(client.ReadAnswer()->status, 204);
}

TEST(Server, ServesTheClientBundleWithItsTag) {
  const std::string folder = ::testing::TempDir();
  const std::string text = "/*!\n * Socket.IO v4.8.4\n */\nclient();\n";
  std::ofstream(folder + "/socket.io.js") << text;
  ServerOptions options;
  options.client_bundle_dir = folder;
  World world(options);
  RawClient client(world.address());
  client.SendGet("/socket.io/socket.io.js");
  const std::optional<HttpAnswer> answer = client.ReadAnswer();
  EXPECT_EQ(answer->body, text);
  EXPECT_EQ(answer->headers.at("etag"), "\"4.8.4\"");
  EXPECT_EQ(answer->headers.at("cache-control"), "public, max-age=0");
  client.SendGet("/socket.io/socket.io.js", "Accept-Encoding: gzip\r\n");
  const std::optional<HttpAnswer> packed = client.ReadAnswer();
  EXPECT_EQ(packed->headers.at("content-encoding"), "gzip");
  EXPECT_EQ(packed->body.substr(0, 2), "\x1f\x8b");
  for (const char* tag : {"\"4.8.4\"", "W/\"4.8.4\""}) {
    client.SendGet("/socket.io/socket.io.js", "If-None-Match: " + std::string(tag) + "\r\n");
    EXPECT_EQ(client.ReadAnswer()->status, 304);
  }
  client.SendGet("/socket.io/socket.io.min.js");
  EXPECT_EQ(client.ReadAnswer()->status, 404);
}

TEST(Server, PacksLargePollAnswersForThoseWhoTakeIt) {
  World world;
  RawClient client(world.address());
  const std::string target = WithSid(OpenPolling(client));
  client.SendPost(target, "40");
  EXPECT_EQ(client.ReadAnswer()->body, "ok");
  client.SendGet(target, "Accept-Encoding: gzip\r\n");
  EXPECT_EQ(client.ReadAnswer()->headers.count("content-encoding"), 0u);  // too small
  for (const std::size_t size : {std::size_t{2'000}, std::size_t{600'000}}) {
    const std::string echo = "42[\"echo\",\"" + std::string(size, 'x') + "\"]";
    for (const std::string& header : {std::string("gzip, deflate"), std::string("deflate"), std::string("br")}) {
      client.SendPost(target, echo);
      EXPECT_EQ(client.ReadAnswer()->body, "ok");
      client.SendGet(target, "Accept-Encoding: " + header + "\r\n");
      const std::optional<HttpAnswer> answer = client.ReadAnswer();
      ASSERT_TRUE(answer);
      if (header == "br") {
        EXPECT_EQ(answer->body, echo);
        continue;
      }
      EXPECT_EQ(answer->headers.at("content-encoding"), header.substr(0, header.find(',')));
      EXPECT_LT(answer->body.size(), size / 10);
      EXPECT_EQ(static_cast<unsigned char>(answer->body[0]), header[0] == 'g' ? 0x1f : 0x78);
    }
  }
  EXPECT_EQ(world.server().Sum(&LoopTallies::answers_packed), 4u);
}

TEST(Server, SurvivesGarbage) {
  World world;
  std::srand(1);
  for (int i = 0; i < 200; ++i) {
    std::string bytes;
    for (int n = std::rand() % 2000; n >= 0; --n) bytes.push_back(static_cast<char>(std::rand()));
    RawClient client(world.address());
    if (i % 2 == 1 && client.Upgrade(kWebSocket) != 101) ADD_FAILURE() << "no upgrade";
    client.Send(bytes);
    if (i % 4 < 2) client.Abort();
  }
  EXPECT_TRUE(World::Wait([&] { return world.server().Sum(&LoopTallies::clients) == 0; }));
  RawClient client = world.Connect();
  client.SendText("42[\"echo\",1]");
  EXPECT_EQ(client.ReadText(), "42[\"echo\",1]");
}

TEST(Server, ClosesConnectionsOverTheLimit) {
  ServerOptions options;
  options.max_connections = 2;
  World world(options);
  RawClient first = world.Connect();
  RawClient second = world.Connect();
  RawClient third(world.address());
  EXPECT_TRUE(third.WaitClosed());
  EXPECT_EQ(world.server().Sum(&LoopTallies::refused), 1u);
}

TEST(Server, LimitsTheClientsOfAnAddress) {
  ServerOptions options;
  options.addresses.max_clients = 2;
  options.front.proxies = *http::TrustedProxies::Parse({"127.0.0.1"});
  World world(options);
  RawClient first = world.Connect();
  {
    RawClient polling(world.address());
    OpenPolling(polling);
    RawClient third(world.address());
    EXPECT_EQ(third.Upgrade(kWebSocket), 429);
    RawClient fourth(world.address());
    fourth.SendGet(kPolling);
    EXPECT_EQ(fourth.ReadAnswer()->status, 429);
    world.Connect("X-Forwarded-For: 192.0.2.1\r\n");  // somebody else
    EXPECT_EQ(world.server().Sum(&LoopTallies::address_clients_refused), 2u);
    polling.SendGet("/socket.io/?EIO=4&transport=polling&sid=nobody");  // what belongs to no handshake is not counted
    EXPECT_EQ(polling.ReadAnswer()->status, 400);
    first.SendText("41");
    first.Abort();
  }
  EXPECT_TRUE(World::Wait([&] {
    RawClient again(world.address());
    return again.Upgrade(kWebSocket) == 101;
  }));
}

TEST(Server, LimitsTheHandshakesOfAnAddress) {
  ServerOptions options;
  options.addresses.handshakes_per_second = 1;
  World world(options);
  int admitted = 0;
  int refused = 0;
  for (int i = 0; i < 30; ++i) {
    RawClient client(world.address());
    const int status = client.Upgrade(kWebSocket);
    EXPECT_THAT(status, AnyOf(101, 429));
    ++(status == 101 ? admitted : refused);
  }
  EXPECT_GE(admitted, 5);
  EXPECT_GT(refused, 0);
  EXPECT_EQ(world.server().Sum(&LoopTallies::address_handshakes_refused), static_cast<std::uint64_t>(refused));
}

TEST(Server, ShowsHandlersTheHandshake) {
  ServerOptions options;
  options.front.proxies = *http::TrustedProxies::Parse({"127.0.0.1"});
  options.front.handshake_headers = {"user-agent"};
  World world(options);
  auto whence = [&](const std::string& target, const std::string& headers) {
    RawClient client(world.address());
    EXPECT_EQ(client.Upgrade(target, headers), 101);
    client.ReadText();
    client.SendText("40");
    client.ReadText();
    client.SendText("42[\"whence\"]");
    return client.ReadText();
  };
  EXPECT_EQ(whence(std::string(kWebSocket) + "&room=a%20b",
                   "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nUSER-AGENT: cli/1\r\nCookie: a=b\r\n"),
            "42[\"whence\",\"192.0.2.1\",true,\"a b\",\"cli/1\",\"none\"]");
  EXPECT_EQ(whence(kWebSocket, ""), "42[\"whence\",\"127.0.0.1\",false,\"none\",\"none\",\"none\"]");
}

TEST(Server, ShowsHandlersAllHeadersButSecrets) {
  ServerOptions options;
  options.front.handshake_headers = {"*"};
  World world(options);
  RawClient client = world.Connect("User-Agent: cli/2\r\nCookie: a=b\r\n");
  client.SendText("42[\"whence\"]");
  EXPECT_EQ(client.ReadText(), "42[\"whence\",\"127.0.0.1\",false,\"none\",\"cli/2\",\"none\"]");
}

TEST(Server, ClosesWhoSendsNoWholeRequestInTime) {
  ServerOptions options;
  options.channel.request_timeout = milliseconds(50);
  World world(options);
  RawClient silent(world.address());
  RawClient slow(world.address());
  slow.Send("GET / HTTP/1.1\r\nHost:");
  EXPECT_TRUE(silent.WaitClosed());
  EXPECT_TRUE(slow.WaitClosed());
}

TEST(Server, PingsAndClosesWhoDoesNotAnswer) {
  ServerOptions options;
  options.engine.ping_interval = milliseconds(50);
  options.engine.ping_timeout = milliseconds(50);
  World world(options);
  RawClient client = world.Connect();
  EXPECT_EQ(client.ReadText(), "2");
  client.SendText("3");
  EXPECT_EQ(client.ReadText(), "2");
  EXPECT_TRUE(client.WaitClosed());
  EXPECT_EQ(world.ended(socketio::CloseReason::kPingTimeout), 1);
}

// Several broadcasts that are in flight at once leave in fewer system calls than there are deliveries.
TEST(Server, WritesWhatWasQueuedInOneTurnTogether) {
  World world;
  std::vector<RawClient> clients;
  for (int i = 0; i < 10; ++i) clients.push_back(world.Connect());
  const std::uint64_t before = world.server().Sum(&LoopTallies::writes);
  std::string burst;
  RawClient sender = world.Connect();
  // In one segment, so that one turn reads them all.
  for (int i = 0; i < 8; ++i) {
    const std::string text = "42[\"all\"," + std::to_string(i) + "]";
    burst += "\x81" + std::string(1, static_cast<char>(0x80 | text.size())) + std::string(4, '\0') + text;
  }
  sender.Send(burst);
  for (RawClient& client : clients) {
    for (int i = 0; i < 8; ++i) EXPECT_EQ(client.ReadText(), "42[\"all\"," + std::to_string(i) + "]");
  }
  EXPECT_LT(world.server().Sum(&LoopTallies::writes) - before, 80u / 2);
}

TEST(Server, ClosesASlowReaderAndTheOthersDoNotNotice) {
  ServerOptions options;
  options.engine.send_queue_limit_bytes = 256 * 1024;
  World world(options);
  RawClient slow = world.Connect({}, 4096);
  RawClient other = world.Connect();
  const std::string payload = "42[\"all\",\"" + std::string(50'000, 'x') + "\"]";
  for (int i = 0; i < 400 && world.ended(socketio::CloseReason::kSlow) == 0; ++i) {
    other.SendText(payload);
    ASSERT_EQ(other.ReadText(), payload);
  }
  EXPECT_EQ(world.ended(socketio::CloseReason::kSlow), 1);
  EXPECT_EQ(world.server().Sum(&LoopTallies::slow_closed), 1u);
  EXPECT_TRUE(slow.WaitClosed());
  other.SendText("42[\"echo\",1]");
  EXPECT_EQ(other.ReadText(), "42[\"echo\",1]");
  EXPECT_TRUE(World::Wait([&] { return world.server().Sum(&LoopTallies::queued_bytes) == 0; }));
}

TEST(Server, ClosesWhoGoesOverABoundAndCountsIt) {
  ServerOptions options;
  options.socketio.max_packets_per_second = 100;
  options.socketio.max_namespaces = 1;
  options.socketio.max_packet_bytes = 1'000;
  World world(options);
  RawClient bystander = world.Connect();

  RawClient fast = world.Connect();
  for (int i = 0; i < 100; ++i) fast.SendText("42[\"nothing\"]");
  std::optional<WebSocketFrame> last = fast.ReadFrame();
  ASSERT_TRUE(last);
  EXPECT_EQ(last->opcode, 8);
  EXPECT_EQ(last->payload.substr(0, 2), "\x03\xf0");  // 1008
  EXPECT_TRUE(World::Wait([&] { return world.ended(socketio::CloseReason::kFlooding) == 1; }));
  EXPECT_EQ(world.server().Sum(&LoopTallies::packets_refused), 1u);

  RawClient greedy = world.Connect();
  greedy.SendText("40/another");
  EXPECT_TRUE(greedy.WaitClosed());
  RawClient many = world.Connect();
  many.SendText("4511-[\"echo\"]");
  EXPECT_TRUE(many.WaitClosed());
  RawClient big = world.Connect();
  big.SendText("451-[\"echo\"]");
  big.SendFrame(0x82, std::string(1'000, 'x'));
  EXPECT_TRUE(big.WaitClosed());
  EXPECT_TRUE(World::Wait([&] { return world.server().Sum(&LoopTallies::packet_bytes_refused) == 1; }));
  EXPECT_EQ(world.server().Sum(&LoopTallies::namespaces_refused), 1u);
  EXPECT_EQ(world.server().Sum(&LoopTallies::attachments_refused), 1u);

  bystander.SendText("42[\"echo\",1]");
  EXPECT_EQ(bystander.ReadText(), "42[\"echo\",1]");
}

TEST(Server, ClosesBlockedClientsWhenTheProcessHoldsTooMuch) {
  ServerOptions options;
  options.engine.send_queue_limit_bytes = 100 << 20;
  options.channel.loop_queue_limit_bytes = 1 << 20;
  World world(options);
  RawClient slow = world.Connect({}, 4096);
  RawClient other = world.Connect();
  const std::string payload = "42[\"all\",\"" + std::string(50'000, 'x') + "\"]";
  for (int i = 0; i < 400 && world.ended(socketio::CloseReason::kSlow) == 0; ++i) {
    other.SendText(payload);
    ASSERT_EQ(other.ReadText(), payload);
  }
  EXPECT_EQ(world.ended(socketio::CloseReason::kSlow), 1);
}

TEST(Server, ClosesPollingClientsThatDoNotPollWhenTheProcessHoldsTooMuch) {
  ServerOptions options;
  options.engine.send_queue_limit_bytes = 100 << 20;
  options.channel.loop_queue_limit_bytes = 1 << 20;
  World world(options);
  RawClient slow(world.address());
  const std::string target = WithSid(OpenPolling(slow));
  slow.SendPost(target, "40");
  EXPECT_EQ(slow.ReadAnswer()->body, "ok");
  RawClient other = world.Connect();
  const std::string payload = "42[\"all\",\"" + std::string(50'000, 'x') + "\"]";
  for (int i = 0; i < 100 && world.ended(socketio::CloseReason::kSlow) == 0; ++i) {
    other.SendText(payload);
    ASSERT_EQ(other.ReadText(), payload);
  }
  EXPECT_EQ(world.ended(socketio::CloseReason::kSlow), 1);
  EXPECT_TRUE(World::Wait([&] { return world.server().Sum(&LoopTallies::queued_bytes) == 0; }));
}

TEST(Server, DrainsInSlicesAndRefusesNewHandshakes) {
  World world;
  std::vector<RawClient> clients;
  for (int i = 0; i < 60; ++i) clients.push_back(world.Connect());
  RawClient polling(world.address());
  const std::string target = WithSid(OpenPolling(polling));
  std::thread drain([&] { world.server().Drain(std::chrono::steady_clock::now() + kPatience); });
  for (RawClient& client : clients) EXPECT_TRUE(client.WaitClosed());
  EXPECT_EQ(world.ended(socketio::CloseReason::kServerShutdown), 60);
  // As long as a poll may be due everybody gets an answer.
  RawClient late(world.address());
  EXPECT_EQ(late.Upgrade(kWebSocket), 503);
  polling.SendGet(target);
  EXPECT_EQ(polling.ReadAnswer()->body, "1");
  drain.join();
}

TEST(Server, ClosesNoMoreClientsInASecondOfADrainThanItMay) {
  ServerOptions options;
  options.threads = 2;
  options.drain_rate = 100;
  World world(options);
  std::vector<RawClient> clients;
  for (int i = 0; i < 60; ++i) clients.push_back(world.Connect());
  const auto begin = std::chrono::steady_clock::now();
  world.server().Drain(begin + std::chrono::minutes(1));
  // The last slice may be as much as 80 ms ahead.
  EXPECT_GE(std::chrono::steady_clock::now() - begin, milliseconds(500));
  EXPECT_EQ(world.ended(socketio::CloseReason::kServerShutdown), 60);
  EXPECT_EQ(world.server().Sum(&LoopTallies::drain_closed), 60u);
}

TEST(Server, DoesNotWaitLongForAPollThatNeverComes) {
  World world;
  RawClient client(world.address());
  OpenPolling(client);  // and is not heard of any more
  const auto begin = std::chrono::steady_clock::now();
  world.server().Drain(begin + std::chrono::minutes(1));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));  // the session waits for 30
}

TEST(Server, TellsAPollingClientOfADrainWithItsNextPoll) {
  World world;
  RawClient client(world.address());
  const std::string target = WithSid(OpenPolling(client));
  std::thread drain([&] { world.server().Drain(std::chrono::steady_clock::now() + kPatience); });
  ASSERT_TRUE(World::Wait([&] { return world.server().Sum(&LoopTallies::drain_closed) == 1; }));
  client.SendGet(target);
  const std::optional<HttpAnswer> answer = client.ReadAnswer();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body, "1");
  // The next request shall go elsewhere.
  EXPECT_EQ(answer->headers.at("connection"), "close");
  drain.join();
}

TEST(Server, ClosesAClientOfTheHighestAge) {
  ServerOptions options;
  options.max_connection_age = milliseconds(100);
  World world(options);
  RawClient client = world.Connect();
  EXPECT_TRUE(client.WaitClosed());
  EXPECT_TRUE(World::Wait([&] { return world.ended(socketio::CloseReason::kAged) == 1; }));
  EXPECT_EQ(world.server().Sum(&LoopTallies::aged_closed), 1u);
}

TEST(Server, LetsNoMoreClientsInThanItMay) {
  ServerOptions options;
  options.handshakes_per_second = 1;
  World world(options);
  std::optional<HttpAnswer> refused;
  for (int i = 0; i < 20 && !refused; ++i) {
    RawClient client(world.address());
    client.SendGet(kPolling);
    const std::optional<HttpAnswer> answer = client.ReadAnswer();
    ASSERT_TRUE(answer);
    if (answer->status == 503) refused = answer;
  }
  ASSERT_TRUE(refused);
  EXPECT_THAT(refused->headers.at("retry-after"), AnyOf("1", "2", "3", "4"));
  EXPECT_GE(world.server().Sum(&LoopTallies::handshakes_refused), 1u);
  bool websocket_refused = false;
  for (int i = 0; i < 20 && !websocket_refused; ++i) {
    RawClient client(world.address());
    websocket_refused = client.Upgrade(kWebSocket) == 503;
  }
  EXPECT_TRUE(websocket_refused);
}

// -- sessions --

TEST(ServerWithSessions, AdmitsAGoodSessionAndRefusesOthers) {
  FakeSessions sessions;
  sessions.Add("alice");
  World world({}, &sessions);
  world.Connect("Cookie: " + FakeSessions::CookieOf("alice") + "\r\n");
  auto answer = [&](const std::string& headers) {
    RawClient client(world.address());
    EXPECT_EQ(client.Upgrade(kWebSocket, headers), 101);
    client.ReadText();
    client.SendText("40");
    return client.ReadText();
  };
  EXPECT_EQ(answer("Cookie: " + FakeSessions::CookieOf("nobody") + "\r\n"), "44{\"message\":\"Not authorized\"}");
  const int calls = sessions.watch_calls();
  EXPECT_EQ(answer(""), "44{\"message\":\"Not authorized\"}");
  EXPECT_EQ(answer("Cookie: connect.sid=short\r\n"), "44{\"message\":\"Not authorized\"}");
  EXPECT_EQ(sessions.watch_calls(), calls);  // not worth asking
  sessions.SetAvailable(false);
  EXPECT_EQ(answer("Cookie: " + FakeSessions::CookieOf("alice") + "\r\n"), "44{\"message\":\"Service unavailable\"}");
}

TEST(ServerWithSessions, AsksOnceForAForgedCookie) {
  FakeSessions sessions;
  sessions.Forge("mallory");
  World world({}, &sessions);
  for (const char* id : {"mallory", "mallory", "mallory", "unknown", "unknown"}) {
    RawClient client(world.address());
    EXPECT_EQ(client.Upgrade(kWebSocket, "Cookie: " + FakeSessions::CookieOf(id) + "\r\n"), 101);
    client.ReadText();
    client.SendText("40");
    EXPECT_EQ(client.ReadText(), "44{\"message\":\"Not authorized\"}");
  }
  EXPECT_EQ(sessions.watch_calls(), 1 + 2);  // who is unknown may be known in a moment
}

TEST(ServerWithSessions, LetsARefusedClientTryAgainOnItsConnection) {
  FakeSessions sessions;
  sessions.SetAvailable(false);
  sessions.Add("alice");
  World world({}, &sessions);
  RawClient client(world.address());
  EXPECT_EQ(client.Upgrade(kWebSocket, "Cookie: " + FakeSessions::CookieOf("alice") + "\r\n"), 101);
  client.ReadText();
  client.SendText("40");
  EXPECT_EQ(client.ReadText(), "44{\"message\":\"Service unavailable\"}");
  sessions.SetAvailable(true);
  client.SendText("40");
  EXPECT_THAT(client.ReadText(), StartsWith("40{"));
}

TEST(ServerWithSessions, DisconnectsAllSocketsOfASessionThatEnds) {
  FakeSessions sessions;
  sessions.Add("alice");
  sessions.Add("bob");
  World world({}, &sessions);
  const std::string cookie = "Cookie: " + FakeSessions::CookieOf("alice") + "\r\n";
  RawClient one = world.Connect(cookie);
  RawClient two = world.Connect(cookie);
  RawClient other = world.Connect("Cookie: " + FakeSessions::CookieOf("bob") + "\r\n");
  // Clients of one session share one watch.
  EXPECT_TRUE(World::Wait([&] { return sessions.open_watches() == 2; }));
  sessions.End("alice");
  for (RawClient* client : {&one, &two}) {
    EXPECT_EQ(client->ReadText(), R"(42["session:ended",{"reason":"logout"}])");
    EXPECT_EQ(client->ReadText(), "41");
    EXPECT_TRUE(client->WaitClosed());
  }
  EXPECT_TRUE(World::Wait([&] { return world.ended(socketio::CloseReason::kSessionEnded) == 2; }));
  EXPECT_TRUE(World::Wait([&] { return sessions.open_watches() == 1; }));
  other.SendText("42[\"echo\",1]");
  EXPECT_EQ(other.ReadText(), "42[\"echo\",1]");
}

TEST(ServerWithSessions, SaysWhyASessionEndedBeforeTheSocketGoes) {
  FakeSessions sessions;
  sessions.Add("alice");
  World world({}, &sessions);
  RawClient client = world.Connect("Cookie: " + FakeSessions::CookieOf("alice") + "\r\n");
  sessions.End("alice", session::v1::END_REASON_REVOKED);
  EXPECT_EQ(client.ReadText(), R"(42["session:ended",{"reason":"revoked"}])");
  EXPECT_EQ(client.ReadText(), "41");
}

TEST(ServerWithSessions, TellsChangesOfListedMembersOnly) {
  FakeSessions sessions;
  sessions.Add("alice");
  ServerOptions options;
  options.session_changed_members = {"userName", "basket"};
  World world(std::move(options), &sessions);
  RawClient client = world.Connect("Cookie: " + FakeSessions::CookieOf("alice") + "\r\n");
  sessions.Change("alice", 2, R"({"userName":"Ann","basket":[1],"secret":1})");
  EXPECT_EQ(client.ReadText(), R"(42["session:changed",{"userName":"Ann","basket":[1]}])");
  sessions.Change("alice", 3, R"({"userName":"Ann","basket":[1],"secret":2})");
  sessions.Change("alice", 2, R"({"userName":"Old"})");
  sessions.Change("alice", 4, R"({"basket":[1]})");
  EXPECT_EQ(client.ReadText(), R"(42["session:changed",{"userName":null}])") << "neither the secret nor the older one";
}

TEST(ServerWithSessions, TellsNoChangesWhereNoneAreListed) {
  FakeSessions sessions;
  sessions.Add("alice");
  World world({}, &sessions);
  RawClient client = world.Connect("Cookie: " + FakeSessions::CookieOf("alice") + "\r\n");
  sessions.Change("alice", 2, R"({"userName":"Ann"})");
  client.SendText(R"(42["echo",1])");
  EXPECT_EQ(client.ReadText(), R"(42["echo",1])");
}

// How often the session is touched while the client sends `packets` and answers pings, for at least ten pings.
int TouchesWith(TouchOn on, bool packets) {
  FakeSessions sessions;
  sessions.Add("alice");
  sessions.SetTimeLeft(milliseconds(300));  // nearly over: touched as often as may be
  ServerOptions options;
  options.session_touch.on = on;
  options.engine.ping_interval = milliseconds(100);
  World world(std::move(options), &sessions);
  RawClient client(world.address());
  EXPECT_EQ(client.Upgrade(kWebSocket, "Cookie: " + FakeSessions::CookieOf("alice") + "\r\n"), 101);
  client.SendText("40");
  bool joined = false;  // a ping may come first
  for (int pings = 0; pings < 10;) {
    const std::string text = client.ReadText();
    if (text.empty()) {
      ADD_FAILURE() << "the connection was lost";
      break;
    }
    joined = joined || text.starts_with("40");
    if (text != "2") continue;
    client.SendText("3");
    pings += joined ? 1 : 0;
    if (packets && joined) client.SendText(R"(42["echo",1])");
  }
  return sessions.touches();
}

TEST(ServerWithSessions, KeepsASessionAliveByWhatTheSettingSays) {
  EXPECT_GT(TouchesWith(TouchOn::kPacket, true), 0);
  EXPECT_EQ(TouchesWith(TouchOn::kPacket, false), 0) << "answers to pings are no use of the session";
  EXPECT_GT(TouchesWith(TouchOn::kHeartbeat, false), 0);
  EXPECT_EQ(TouchesWith(TouchOn::kNothing, true), 0);
}

TEST(ServerWithSessions, TouchesASessionWithTimeLeftAtMostOnceAnInterval) {
  FakeSessions sessions;
  sessions.Add("alice");
  World world({}, &sessions);
  RawClient client = world.Connect("Cookie: " + FakeSessions::CookieOf("alice") + "\r\n");
  for (int i = 0; i < 50; ++i) {
    client.SendText(R"(42["echo",1])");
    client.ReadText();
  }
  EXPECT_EQ(sessions.touches(), 0) << "the interval is a minute";
}

}  // namespace
}  // namespace sesior::realtime
