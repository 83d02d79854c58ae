#include "sesior/grpc_threads/fewer_threads.hpp"

#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <utility>

namespace sesior::grpc_threads {
namespace {

// As CompletionQueue::CallbackAlternativeCQ() counts (completion_queue_cc.cc): half the configured cores, 2 to 16.
int CallbackThreads() { return std::clamp(static_cast<int>(sysconf(_SC_NPROCESSORS_CONF)) / 2, 2, 16); }

// A call that has failed already when it starts: its callback runs on one of gRPC's threads.
struct FailingCall {
  grpc::Slice nothing;
  grpc::ClientContext context;
  grpc::ByteBuffer request{&nothing, 1};
  grpc::ByteBuffer response;
};

void RunOnCallbackThread(std::function<void()> task) {
  static const std::shared_ptr<grpc::Channel> lame = grpc::CreateCustomChannel("", nullptr, {});
  auto call = std::make_shared<FailingCall>();
  grpc::GenericStub(lame).UnaryCall(&call->context, "/none", grpc::StubOptions(), &call->request, &call->response,
                                    [call, task = std::move(task)](const grpc::Status& /*failed*/) { task(); });
}

}  // namespace

struct FewerThreads::Gate {
  std::mutex mutex;
  std::condition_variable changed;
  int waiting = 0;
  bool open = false;
  bool probed = false;

  void Wait() {
    std::unique_lock lock(mutex);
    ++waiting;
    changed.notify_all();
    changed.wait(lock, [this] { return open; });
  }
  void Open() {
    const std::scoped_lock lock(mutex);
    open = true;
    changed.notify_all();
  }
  template <typename Condition>
  bool Until(Condition condition) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::seconds(1), condition);
  }
};

FewerThreads::FewerThreads() : gate_(std::make_shared<Gate>()) {
  const int wanted = CallbackThreads() - 1;
  for (int i = 0; i < wanted; ++i) RunOnCallbackThread([gate = gate_] { gate->Wait(); });
  const bool all = gate_->Until([&] { return gate_->waiting == wanted; });
  if (all) {
    RunOnCallbackThread([gate = gate_] {
      const std::scoped_lock lock(gate->mutex);
      gate->probed = true;
      gate->changed.notify_all();
    });
  }
  if (all && gate_->Until([&] { return gate_->probed; })) {
    held_ = wanted;
  } else {
    gate_->Open();
  }
}

FewerThreads::~FewerThreads() { gate_->Open(); }

}  // namespace sesior::grpc_threads
