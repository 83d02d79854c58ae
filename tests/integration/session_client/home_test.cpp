#include <atomic>

#include "tests/integration/session_client/client_test.hpp"

namespace sesior::session_client {
namespace {

class Silent final : public SubscriptionHandler {
 public:
  void OnBroadcasts(const broadcast::v1::SubscribeResponse&) override {}
  void OnConnected(bool connected) override { connected_ = connected; }
  bool connected() const { return connected_; }

 private:
  std::atomic<bool> connected_{false};
};

// How many calls of many sessions have come to it since the last question.
std::size_t TakeCalls(FakeSessionServer& server) {
  std::size_t count = 0;
  server.With([&] { count = std::exchange(server.calls, {}).size(); });
  return count;
}

void CallManySessions(SessionClient& client) {
  for (int i = 0; i < 32; ++i) Get(client, "session-" + std::to_string(i)).Get().IgnoreError();
}

TEST(SessionClientHome, HasAllCallsWatchesAndSubscriptionsUntilItIsKilled) {
  FakeSessionServer servers[2];
  const auto client =
      MakeSessionClient({.addresses = {servers[0].address(), servers[1].address()}, .home = "realtime-1"});
  // Once both stand, one of them has all; before, the other may have had some, or all when it stood first.
  FakeSessionServer* home = nullptr;
  FakeSessionServer* other = nullptr;
  int rounds_alone = 0;
  ASSERT_TRUE(Eventually([&] {
    bool both_stand = true;
    for (FakeSessionServer& server : servers) server.With([&] { both_stand &= server.exchange_streams > 0; });
    CallManySessions(*client);
    const std::size_t first = TakeCalls(servers[0]);
    const std::size_t second = TakeCalls(servers[1]);
    FakeSessionServer* const chosen = first > 0 ? &servers[0] : &servers[1];
    const bool is_alone = both_stand && (first == 0) != (second == 0);
    rounds_alone = is_alone && chosen == home ? rounds_alone + 1 : 0;
    home = chosen;
    other = first > 0 ? &servers[1] : &servers[0];
    return rounds_alone == 10;
  }));

  Silent handler;
  const auto subscription = client->Subscribe("r1", "/", handler);
  std::atomic<int> answered = 0;
  std::vector<std::unique_ptr<Registration>> watches;
  for (int i = 0; i < 32; ++i) {
    session::v1::SessionRef ref;
    ref.set_session_id("watched-" + std::to_string(i));
    watches.push_back(client->Watch(std::move(ref), seconds(10), [&answered](const auto&) { ++answered; }));
  }
  ASSERT_TRUE(Eventually([&] { return answered == 32 && handler.connected(); }));
  home->With([&] {
    EXPECT_EQ(home->watch_adds.size(), 32u);
    EXPECT_EQ(home->subscribes.size(), 1u);
  });
  other->With([&] {
    EXPECT_TRUE(other->watch_adds.empty());
    EXPECT_TRUE(other->subscribes.empty());
  });

  home->Kill();
  EXPECT_TRUE(other->WaitFor([&] { return other->watch_adds.size() == 32 && other->subscribes.size() == 1; }));
  CallManySessions(*client);
  EXPECT_EQ(TakeCalls(*other), 32u);
}

}  // namespace
}  // namespace sesior::session_client
