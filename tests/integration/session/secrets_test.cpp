// Cookie secrets are rotated by changing their file while requests run; nobody is signed out.
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/session/replica.hpp"
#include "tests/integration/session/stub_call.hpp"
#include "tests/support/redis_server.hpp"

namespace sesior::testing {
namespace {

namespace v1 = session::v1;
using ::testing::HasSubstr;

class SecretRotation : public ::testing::Test {
 protected:
  SecretRotation() { Write("old\n"); }
  ~SecretRotation() override { std::remove(path_.c_str()); }

  void Write(const std::string& text) { std::ofstream(path_) << text; }
  std::string NewCookie() {
    const auto created = CallStub(*stub_, &SessionStub::CreateSession, v1::CreateSessionRequest());
    EXPECT_TRUE(created.ok()) << created.status();
    return created->set_cookie().substr(0, created->set_cookie().find(';'));
  }
  v1::ResolveCookieResponse Resolve(const std::string& cookie) {
    v1::ResolveCookieRequest request;
    request.set_cookie_header(cookie);
    const auto response = CallStub(*stub_, &SessionStub::ResolveCookie, request);
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? *response : v1::ResolveCookieResponse();
  }
  bool Counted(const std::string& result, int count) {
    return WaitFor([&] {
      return replica_->MetricsText().find("sesior_session_secret_reloads_total{result=\"" + result + "\"} " +
                                          std::to_string(count) + "\n") != std::string::npos;
    });
  }

  const std::string path_ = ::testing::TempDir() + "/sesior_rotation_" + std::to_string(getpid());
  RedisServer redis_;
  std::unique_ptr<Replica> replica_;
  std::unique_ptr<SessionStub> stub_;
};

TEST_F(SecretRotation, SignsNobodyOutWhileRequestsRun) {
  replica_ = std::make_unique<Replica>(
      redis_.url(), std::vector<std::string>{"--cookie-secret-file=" + path_, "--cookie-secret-reload=50ms"});
  stub_ = StubFor(replica_->address());
  const std::string cookie = NewCookie();

  std::atomic<bool> over{false};
  std::atomic<int> resolved{0};
  std::atomic<int> refused{0};
  std::vector<std::thread> users;
  for (int i = 0; i < 3; ++i) {
    users.emplace_back([&] {
      while (!over) {
        ++(Resolve(cookie).verdict() == v1::COOKIE_VERDICT_VALID ? resolved : refused);
      }
    });
  }
  // The new one is known first, then signs.
  Write("old\nnew\n");
  EXPECT_TRUE(Counted("loaded", 1));
  EXPECT_EQ(Resolve(cookie).set_cookie(), "") << "still signed by the first";
  Write("new\nold\n");
  EXPECT_TRUE(Counted("loaded", 2));
  const v1::ResolveCookieResponse due = Resolve(cookie);
  const std::string renewed = due.set_cookie().substr(0, due.set_cookie().find(';'));
  EXPECT_THAT(renewed, HasSubstr("connect.sid=s%3A")) << "a cookie of a retired secret is issued anew at once";
  EXPECT_NE(renewed, cookie);
  EXPECT_EQ(Resolve(renewed).verdict(), v1::COOKIE_VERDICT_VALID);
  EXPECT_EQ(Resolve(renewed).set_cookie(), "");
  // What is no list of secrets changes nothing.
  Write("\n");
  EXPECT_TRUE(Counted("refused", 1));
  std::remove(path_.c_str());
  EXPECT_TRUE(Counted("refused", 2));
  EXPECT_EQ(Resolve(cookie).verdict(), v1::COOKIE_VERDICT_VALID);
  over = true;
  for (std::thread& user : users) user.join();
  EXPECT_GT(resolved, 0);
  EXPECT_EQ(refused, 0);

  Write("new\n");
  EXPECT_TRUE(Counted("loaded", 3));
  EXPECT_EQ(Resolve(cookie).verdict(), v1::COOKIE_VERDICT_FORGED);
  EXPECT_EQ(Resolve(renewed).verdict(), v1::COOKIE_VERDICT_VALID);
}

}  // namespace
}  // namespace sesior::testing
