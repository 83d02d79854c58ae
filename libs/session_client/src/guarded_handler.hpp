// GuardedHandler: lets the destructor of a registration promise that its handler is not called any more. The lock is
// held while the handler runs, on purpose: it is what the destructor waits for. A handler may destroy its own
// registration.
// Threading: thread-safe.
#pragma once

#include <atomic>
#include <thread>
#include <utility>

#include "absl/synchronization/mutex.h"

namespace sesior::session_client {

template <typename Handler>
class GuardedHandler {
 public:
  explicit GuardedHandler(Handler handler) : handler_(std::move(handler)) {}

  // Calls `use(handler)` unless disabled.
  template <typename Use>
  void Call(Use use) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    if (disabled_) return;
    caller_ = std::this_thread::get_id();
    use(handler_);
    caller_ = std::thread::id();
  }

  // Afterwards no call runs or begins, but the one this is called from.
  void Disable() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    disabled_ = true;
    if (caller_.load() == std::this_thread::get_id()) return;
    absl::MutexLock lock(&mutex_);
  }

 private:
  absl::Mutex mutex_;
  Handler handler_ ABSL_GUARDED_BY(mutex_);
  std::atomic<bool> disabled_{false};
  std::atomic<std::thread::id> caller_{};
};

}  // namespace sesior::session_client
