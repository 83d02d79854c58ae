// The generic server over TCP, on Pistache's threads.
#include "services/rest/http/server.hpp"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace sesior::rest {
namespace {

using std::chrono_literals::operator""s;
using ::testing::EndsWith;
using ::testing::HasSubstr;

// A server whose answers the test gives, from its own thread.
class ServerTest : public ::testing::Test {
 protected:
  ServerTest() { EXPECT_TRUE(server_.Start().ok()); }

  void AwaitRequest() {
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(asked_changed_.wait_for(lock, 10s, [this] { return !asked_.empty(); }));
  }
  void Answer(std::string body) {
    AwaitRequest();
    std::unique_lock lock(mutex_);
    Reply reply = std::move(asked_.front());
    asked_.pop_front();
    lock.unlock();
    std::move(reply).Send(http::Response(200, "text/plain", std::move(body)));
  }

  int Connect() const {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval timeout{.tv_sec = 10, .tv_usec = 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(server_.port()));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    return fd;
  }
  static void Send(int fd, std::string_view text) {
    EXPECT_EQ(::send(fd, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  // Until the server closes, or `enough` has come.
  static std::string Read(int fd, std::string_view enough = "") {
    std::string all;
    char bytes[4096];
    for (ssize_t count = 0; (count = ::recv(fd, bytes, sizeof bytes, 0)) > 0;) {
      all.append(bytes, static_cast<std::size_t>(count));
      if (!enough.empty() && all.ends_with(enough)) break;
    }
    return all;
  }

  std::mutex mutex_;
  std::condition_variable asked_changed_;
  std::deque<Reply> asked_;
  telemetry::Registry registry_;
  Server server_{{.threads = 2}, registry_, [this](http::Request, const std::string&, Reply reply) {
                   const std::lock_guard lock(mutex_);
                   asked_.push_back(std::move(reply));
                   asked_changed_.notify_all();
                 }};
};

constexpr char kRequest[] = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

TEST_F(ServerTest, NamesTheAddressThatIsTaken) {
  const std::string listen = "127.0.0.1:" + std::to_string(server_.port());
  Server second({.listen = listen}, registry_, [](http::Request, const std::string&, Reply) {});
  const absl::Status status = second.Start();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr(listen));
}

TEST_F(ServerTest, AnswersAClientThatSendsNoMore) {
  const int fd = Connect();
  Send(fd, kRequest);
  ::shutdown(fd, SHUT_WR);
  Answer("still there");
  EXPECT_THAT(Read(fd), EndsWith("\r\n\r\nstill there"));
  ::close(fd);
}

TEST_F(ServerTest, GoesOnWritingWhileTheClientSendsAhead) {
  const int fd = Connect();
  Send(fd, kRequest);
  const std::string body = std::string(20'000'000, 'x') + "end";
  Answer(body);
  // More than the sockets hold is on its way; what comes in now must not make the server forget the rest.
  Send(fd, kRequest);
  EXPECT_THAT(Read(fd, "end").size(), ::testing::Gt(body.size()));
  Answer("second");
  EXPECT_THAT(Read(fd, "second"), EndsWith("second"));
  ::close(fd);
}

TEST_F(ServerTest, DrainsWhatIsAskedThenStops) {
  const int idle = Connect();
  const int busy = Connect();
  Send(busy, kRequest);
  AwaitRequest();
  std::thread drain([this] { server_.Drain(std::chrono::steady_clock::now() + 10s); });
  EXPECT_EQ(Read(idle), "");
  Answer("last words");
  EXPECT_THAT(Read(busy), EndsWith("last words"));
  ::close(busy);
  drain.join();
  server_.Stop();
  ::close(idle);
}

TEST_F(ServerTest, StopsWithRepliesStillOwed) {
  const int fd = Connect();
  Send(fd, kRequest);
  AwaitRequest();
  server_.Stop();
  EXPECT_EQ(Read(fd), "");
  Answer("to nobody");
  ::close(fd);
}

}  // namespace
}  // namespace sesior::rest
