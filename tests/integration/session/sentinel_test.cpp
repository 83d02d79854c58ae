// A connection whose primary is told by Sentinels. They are played here, so that each can be silent, wrong or ignorant;
// tests/fault has the real ones.
#include <asio/ip/tcp.hpp>
#include <asio/read_until.hpp>
#include <asio/streambuf.hpp>
#include <asio/write.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "services/session/redis/connection.hpp"
#include "tests/support/redis_server.hpp"

namespace sesior::testing {
namespace {

using asio::ip::tcp;
using session::redis::Connection;
using session::redis::ConnectionOptions;
using session::redis::HostPort;

// Below those that the kernel gives to outgoing connections, so that none of them takes it before its server does.
int FreePort() {
  std::random_device random;
  asio::io_context io;
  while (true) {
    const auto port = static_cast<std::uint16_t>(10'240 + random() % 20'000);
    tcp::acceptor acceptor(io, tcp::v4());
    std::error_code taken;
    acceptor.bind(tcp::endpoint(asio::ip::address_v4::loopback(), port), taken);
    if (!taken) return port;
  }
}

// Answers every question in the same way.
class FakeSentinel {
 public:
  explicit FakeSentinel(asio::io_context& io) : acceptor_(io, tcp::endpoint(asio::ip::address_v4::loopback(), 0)) {
    Accept();
  }
  HostPort address() const { return {"127.0.0.1", acceptor_.local_endpoint().port()}; }

  int primary = 0;      // its port; 0: not known
  bool silent = false;  // takes connections and says nothing
  int asked = 0;

 private:
  struct Peer {
    explicit Peer(tcp::socket accepted) : socket(std::move(accepted)) {}
    tcp::socket socket;
    asio::streambuf input;
    std::string answer;
  };
  void Accept() {
    acceptor_.async_accept([this](std::error_code error, tcp::socket socket) {
      if (error) return;
      Read(std::make_shared<Peer>(std::move(socket)));
      Accept();
    });
  }
  void Read(const std::shared_ptr<Peer>& peer) {
    // The last word of the question.
    asio::async_read_until(
        peer->socket, peer->input, "mine\r\n", [this, peer](std::error_code error, std::size_t size) {
          if (error) return;
          peer->input.consume(size);
          ++asked;
          const std::string port = std::to_string(primary);
          if (!silent) {
            peer->answer = primary == 0 ? "*-1\r\n"
                                        : absl::StrCat("*2\r\n$9\r\n127.0.0.1\r\n$", port.size(), "\r\n", port, "\r\n");
            asio::write(peer->socket, asio::buffer(peer->answer), error);
          }
          Read(peer);
        });
  }

  tcp::acceptor acceptor_;
};

class Sentinel : public ::testing::Test {
 protected:
  void Connect(std::vector<HostPort> sentinels) {
    ConnectionOptions options;
    options.address.sentinels = std::move(sentinels);
    options.address.primary = "mine";
    connection_ = std::make_unique<Connection>(io_, options,
                                               Connection::Events{.on_ready = [this](const auto&) { ++ready_; },
                                                                  .on_lost =
                                                                      [this](const absl::Status& why, bool) {
                                                                        ++lost_;
                                                                        why_ = why;
                                                                      }});
    connection_->Start();
  }
  template <typename Condition>
  bool RunUntil(Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      io_.run_one_for(std::chrono::milliseconds(50));
    }
    return true;
  }

  asio::io_context io_;
  const int port_ = FreePort();
  RedisServer redis_{false, {"--port", std::to_string(port_), "--bind", "127.0.0.1"}};
  FakeSentinel first_{io_};
  FakeSentinel second_{io_};
  std::unique_ptr<Connection> connection_;
  int ready_ = 0;
  int lost_ = 0;
  absl::Status why_;
};

TEST_F(Sentinel, TellsWhereThePrimaryIs) {
  first_.primary = port_;
  Connect({first_.address(), second_.address()});
  EXPECT_TRUE(RunUntil([&] { return ready_ == 1; }));
  EXPECT_EQ(lost_, 0);
  EXPECT_EQ(second_.asked, 0);
}

TEST_F(Sentinel, IsPassedOverWhenItIsAwayOrSilentOrIgnorant) {
  FakeSentinel ignorant(io_);
  first_.silent = true;
  second_.primary = port_;
  Connect({{"127.0.0.1", FreePort()}, first_.address(), ignorant.address(), second_.address()});
  EXPECT_TRUE(RunUntil([&] { return ready_ == 1; }));
  EXPECT_EQ(lost_, 0);
  EXPECT_EQ(first_.asked, 1);
  EXPECT_EQ(ignorant.asked, 1);
}

TEST_F(Sentinel, IsAskedAgainWhenNoneKnew) {
  Connect({first_.address(), second_.address()});
  EXPECT_TRUE(RunUntil([&] { return lost_ >= 1; }));
  EXPECT_EQ(why_.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ready_, 0);
  second_.primary = port_;
  EXPECT_TRUE(RunUntil([&] { return ready_ == 1; }));
}

TEST_F(Sentinel, MovesAConnectionThatStillStandsToTheNewPrimary) {
  const int port = FreePort();
  // Before there is a connection, which its process would inherit.
  RedisServer next(false, {"--port", std::to_string(port), "--bind", "127.0.0.1"});
  first_.primary = port_;
  Connect({first_.address()});
  ASSERT_TRUE(RunUntil([&] { return ready_ == 1; }));
  first_.primary = port;
  EXPECT_TRUE(RunUntil([&] { return ready_ == 2; }));
  EXPECT_EQ(lost_, 1);
  EXPECT_NE(next.Command({"CLIENT", "LIST"}).find("name=sesior-session"), std::string::npos);
  EXPECT_TRUE(RunUntil([&] {
    return redis_.Command({"CLIENT", "LIST"}).find("name=sesior-session") == std::string::npos;
  }));
}

TEST_F(Sentinel, IsAskedForThePrimaryAfterALoss) {
  first_.primary = port_;
  Connect({first_.address()});
  ASSERT_TRUE(RunUntil([&] { return ready_ == 1; }));
  redis_.Kill();
  ASSERT_TRUE(RunUntil([&] { return lost_ >= 1; }));
  const int asked = first_.asked;
  redis_.Start();
  EXPECT_TRUE(RunUntil([&] { return ready_ == 2; }));
  EXPECT_GT(first_.asked, asked);
}

}  // namespace
}  // namespace sesior::testing
