#include "sesior/grpc_threads/fewer_threads.hpp"

#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

namespace sesior::grpc_threads {
namespace {

// Calls that fail at once, and what their callbacks do.
class FewerThreadsTest : public testing::Test {
 protected:
  void Start(std::function<void()> callback) {
    struct Call {
      grpc::Slice nothing;
      grpc::ClientContext context;
      grpc::ByteBuffer request{&nothing, 1};
      grpc::ByteBuffer response;
    };
    auto call = std::make_shared<Call>();
    grpc::GenericStub(channel_).UnaryCall(&call->context, "/none", grpc::StubOptions(), &call->request, &call->response,
                                          [call, callback = std::move(callback)](const grpc::Status&) { callback(); });
  }

  // Two callbacks of which the first waits for the second, up to `patience`: had each a thread of its own?
  bool MeetEachOther(std::chrono::milliseconds patience) {
    struct State {
      std::mutex mutex;
      std::condition_variable changed;
      int arrived = 0;
      std::optional<bool> met;
      int left = 0;
    };
    const auto state = std::make_shared<State>();
    for (int i = 0; i < 2; ++i) {
      Start([state, patience] {
        std::unique_lock lock(state->mutex);
        ++state->arrived;
        state->changed.notify_all();
        const bool met = state->changed.wait_for(lock, patience, [&] { return state->arrived == 2; });
        if (!state->met) state->met = met;
        ++state->left;
        state->changed.notify_all();
      });
    }
    std::unique_lock lock(state->mutex);
    EXPECT_TRUE(state->changed.wait_for(lock, std::chrono::seconds(30), [&] { return state->left == 2; }));
    return state->met.value_or(false);
  }

 private:
  std::shared_ptr<grpc::Channel> channel_ = grpc::CreateCustomChannel("", nullptr, {});
};

TEST_F(FewerThreadsTest, LeavesOneThreadToWork) {
  const FewerThreads fewer;
  EXPECT_GE(fewer.held(), 1);
  EXPECT_FALSE(MeetEachOther(std::chrono::milliseconds(200)));
}

TEST_F(FewerThreadsTest, GivesTheThreadsBack) {
  { const FewerThreads fewer; }
  EXPECT_TRUE(MeetEachOther(std::chrono::seconds(20)));
}

// A second one finds too few threads to hold, and lets go of those that it got: nothing hangs.
TEST_F(FewerThreadsTest, HoldsNothingWhereTooFewThreadsAreLeft) {
  const FewerThreads fewer;
  const FewerThreads too_many;
  EXPECT_EQ(too_many.held(), 0);
  bool ran = false;
  std::mutex mutex;
  std::condition_variable changed;
  Start([&] {
    const std::scoped_lock lock(mutex);
    ran = true;
    changed.notify_all();
  });
  std::unique_lock lock(mutex);
  EXPECT_TRUE(changed.wait_for(lock, std::chrono::seconds(20), [&] { return ran; }));
}

}  // namespace
}  // namespace sesior::grpc_threads
