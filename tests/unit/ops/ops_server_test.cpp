#include "sesior/ops/ops_server.hpp"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <string>
#include <string_view>

namespace sesior::ops {
namespace {

using std::chrono::steady_clock;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// A blocking client on loopback; every call gives up after 10 s.
class Client {
 public:
  explicit Client(int port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    const timeval limit{.tv_sec = 10, .tv_usec = 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  ~Client() { ::close(fd_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool connected() const { return connected_; }

  void Send(std::string_view bytes) { ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL); }

  // One answer, by its Content-Length; what came when the connection ends first.
  std::string ReadAnswer() {
    while (true) {
      const std::size_t head = received_.find("\r\n\r\n");
      if (head != std::string::npos) {
        const std::size_t length = received_.find("Content-Length: ");
        const std::size_t size = head + 4 + (length < head ? std::stoul(received_.substr(length + 16)) : 0);
        if (received_.size() >= size) {
          std::string answer = received_.substr(0, size);
          received_.erase(0, size);
          return answer;
        }
      }
      if (!Receive()) return std::exchange(received_, "");
    }
  }

  // Everything up to the end of the connection; a reset is an end too.
  std::string ReadAll() {
    while (Receive()) {
    }
    return std::exchange(received_, "");
  }

  bool TimedOut() const { return timed_out_; }

 private:
  bool Receive() {
    char buffer[4096];
    const ssize_t size = ::recv(fd_, buffer, sizeof buffer, 0);
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) timed_out_ = true;
    if (size <= 0) return false;
    received_.append(buffer, static_cast<std::size_t>(size));
    return true;
  }

  int fd_;
  bool connected_ = false;
  bool timed_out_ = false;
  std::string received_;
};

class OpsServerTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(server_.Start().ok()); }

  std::string Get(std::string_view target) { return Ask("GET", target); }
  std::string Ask(std::string_view method, std::string_view target) {
    Client client(server_.port());
    client.Send(std::string(method) + " " + std::string(target) + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    return client.ReadAll();
  }

  telemetry::Registry registry_;
  std::atomic<bool> ready_{true};
  std::atomic<int> collected_{0};
  OpsServer server_{"127.0.0.1:0", registry_, [this] { return ready_.load(); }, [this] { ++collected_; }};
};

TEST_F(OpsServerTest, AnswersLivez) {
  EXPECT_THAT(Get("/livez"), AllOf(StartsWith("HTTP/1.1 200 OK\r\n"), EndsWith("\r\n\r\nok\n")));
}

TEST_F(OpsServerTest, ReadyzFollowsTheService) {
  EXPECT_THAT(Get("/readyz"), AllOf(StartsWith("HTTP/1.1 200 "), EndsWith("\r\n\r\nok\n")));
  ready_ = false;
  EXPECT_THAT(Get("/readyz"), AllOf(StartsWith("HTTP/1.1 503 "), EndsWith("\r\n\r\nnot ready\n")));
  EXPECT_THAT(Get("/livez"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(OpsServerTest, DrainMakesReadyzFailAndLeavesTheRest) {
  server_.Drain(steady_clock::now());
  EXPECT_THAT(Get("/readyz"), StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(Get("/livez"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(Get("/metrics"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(OpsServerTest, MetricsAreCollectedAndSerialized) {
  registry_.Counter("sesior_test_total", "A test.").Increment();
  EXPECT_THAT(Get("/metrics"), AllOf(HasSubstr("Content-Type: text/plain; version=0.0.4"),
                                     HasSubstr("\nsesior_test_total 1"), HasSubstr("process_resident_memory_bytes ")));
  EXPECT_EQ(collected_, 1);
}

TEST_F(OpsServerTest, IgnoresTheQuery) { EXPECT_THAT(Get("/livez?verbose"), StartsWith("HTTP/1.1 200 ")); }

TEST_F(OpsServerTest, AnswersHeadWithoutABody) {
  EXPECT_THAT(Ask("HEAD", "/livez"), AllOf(HasSubstr("Content-Length: 3\r\n"), EndsWith("\r\n\r\n")));
}

TEST_F(OpsServerTest, RefusesUnknownPathsAndMethods) {
  EXPECT_THAT(Get("/"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(Get("/livez/x"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(Ask("POST", "/metrics"), AllOf(StartsWith("HTTP/1.1 405 "), HasSubstr("Allow: GET, HEAD\r\n")));
}

TEST_F(OpsServerTest, KeepsTheConnectionForPipelinedAndLaterRequests) {
  Client client(server_.port());
  client.Send("GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /nothing HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(client.ReadAnswer(), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(client.ReadAnswer(), StartsWith("HTTP/1.1 404 "));
  client.Send("GET /ready");
  client.Send("z HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(client.ReadAnswer(), StartsWith("HTTP/1.1 200 "));
}

TEST_F(OpsServerTest, ClosesAfterGarbage) {
  Client client(server_.port());
  client.Send("\x16\x03\x01 hello\r\n\r\n");
  EXPECT_THAT(client.ReadAll(), AllOf(StartsWith("HTTP/1.1 400 "), HasSubstr("Connection: close\r\n")));
  EXPECT_FALSE(client.TimedOut());
}

TEST_F(OpsServerTest, ClosesAfterAnOversizedHeadAndTheAnswerArrives) {
  Client client(server_.port());
  client.Send("GET /livez HTTP/1.1\r\nHost: x\r\nA: " + std::string(64 * 1024, 'a') + "\r\n\r\n");
  EXPECT_THAT(client.ReadAnswer(), StartsWith("HTTP/1.1 431 "));
}

TEST_F(OpsServerTest, ClosesAClientThatSendsNothingOrTrickles) {
  const auto begin = steady_clock::now();
  Client silent(server_.port());
  Client trickling(server_.port());
  trickling.Send("GET /livez");
  EXPECT_EQ(silent.ReadAll(), "");
  EXPECT_EQ(trickling.ReadAll(), "");
  EXPECT_FALSE(silent.TimedOut() || trickling.TimedOut());
  EXPECT_GE(steady_clock::now() - begin, std::chrono::seconds(4));
}

TEST_F(OpsServerTest, HoldsSixtyFourConnectionsAndTakesNewOnesWhenSomeEnd) {
  std::deque<Client> clients;
  for (int i = 0; i < 64; ++i) {
    clients.emplace_back(server_.port());
    clients.back().Send("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
    ASSERT_THAT(clients.back().ReadAnswer(), StartsWith("HTTP/1.1 200 "));
  }
  Client refused(server_.port());
  refused.Send("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(refused.ReadAnswer(), "");
  EXPECT_FALSE(refused.TimedOut());
  clients.front().Send("GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(clients.front().ReadAll(), StartsWith("HTTP/1.1 200 "));
  clients.pop_front();
  // The server sees the end of that connection a moment later.
  std::string answer;
  for (const auto deadline = steady_clock::now() + std::chrono::seconds(10);
       answer.empty() && steady_clock::now() < deadline;) {
    answer = Get("/livez");
  }
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 "));
}

TEST_F(OpsServerTest, StopsWithConnectionsOpenAndClosesThem) {
  Client idle(server_.port());
  Client used(server_.port());
  used.Send("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(used.ReadAnswer(), StartsWith("HTTP/1.1 200 "));
  const auto begin = steady_clock::now();
  server_.Stop();
  EXPECT_LT(steady_clock::now() - begin, std::chrono::seconds(2));
  EXPECT_EQ(used.ReadAll(), "");
  EXPECT_EQ(idle.ReadAll(), "");
  EXPECT_FALSE(idle.TimedOut() || used.TimedOut());
  EXPECT_FALSE(Client(server_.port()).connected());
  server_.Stop();
}

TEST(OpsServer, SaysWhyItCannotStart) {
  telemetry::Registry registry;
  const auto ready = [] { return true; };
  OpsServer first("127.0.0.1:0", registry, ready);
  ASSERT_TRUE(first.Start().ok());
  OpsServer second("127.0.0.1:" + std::to_string(first.port()), registry, ready);
  EXPECT_THAT(second.Start().ToString(), HasSubstr("Address already in use"));
  EXPECT_THAT(OpsServer("9100", registry, ready).Start().ToString(), HasSubstr("is not host:port"));
  EXPECT_FALSE(OpsServer("127.0.0.1:x", registry, ready).Start().ok());
}

TEST(OpsServer, ListensOnIpv6AndEndsWithoutStop) {
  telemetry::Registry registry;
  OpsServer server("[::1]:0", registry, [] { return true; });
  if (const absl::Status status = server.Start(); !status.ok()) GTEST_SKIP() << status;
  EXPECT_GT(server.port(), 0);
}

TEST(OpsServer, StopsWithoutAStart) {
  telemetry::Registry registry;
  OpsServer("127.0.0.1:0", registry, [] { return true; }).Stop();
}

}  // namespace
}  // namespace sesior::ops
