#include "guarded_handler.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <thread>

#include "absl/synchronization/notification.h"

namespace sesior::session_client {
namespace {

using Handler = std::function<void()>;

void RunHandler(GuardedHandler<Handler>& guarded) {
  guarded.Call([](Handler& handler) { handler(); });
}

TEST(GuardedHandler, CallsUntilItIsDisabled) {
  int calls = 0;
  GuardedHandler<Handler> guarded([&] { ++calls; });
  RunHandler(guarded);
  RunHandler(guarded);
  guarded.Disable();
  RunHandler(guarded);
  EXPECT_EQ(calls, 2);
}

TEST(GuardedHandler, MayBeDisabledFromWithin) {
  int calls = 0;
  std::unique_ptr<GuardedHandler<Handler>> guarded;
  guarded = std::make_unique<GuardedHandler<Handler>>([&] {
    ++calls;
    guarded->Disable();
  });
  RunHandler(*guarded);
  RunHandler(*guarded);
  EXPECT_EQ(calls, 1);
}

TEST(GuardedHandler, DisableWaitsForACallOnAnotherThread) {
  absl::Notification running;
  absl::Notification go_on;
  std::atomic<bool> finished{false};
  GuardedHandler<Handler> guarded([&] {
    running.Notify();
    go_on.WaitForNotification();
    finished = true;
  });
  std::thread caller([&] { RunHandler(guarded); });
  running.WaitForNotification();
  std::thread helper([&] { go_on.Notify(); });
  guarded.Disable();
  EXPECT_TRUE(finished);
  caller.join();
  helper.join();
}

}  // namespace
}  // namespace sesior::session_client
