// InFlight: counts what may still touch an object from threads that are not its own (streams and calls of gRPC), so
// that the object's destructor can wait for all of it. Threading: thread-safe. A token may outlive the InFlight.
#pragma once

#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace sesior::session_client {

class InFlight {
  struct Count {
    absl::Mutex mutex;
    int value ABSL_GUARDED_BY(mutex) = 0;
  };

 public:
  // Held by whoever may touch the object; released last of all that it holds.
  class Token {
   public:
    Token() = default;
    explicit Token(std::shared_ptr<Count> count) : count_(std::move(count)) {
      absl::MutexLock lock(&count_->mutex);
      ++count_->value;
    }
    Token(Token&& other) noexcept = default;
    Token& operator=(Token&& other) noexcept {
      std::swap(count_, other.count_);
      return *this;
    }
    ~Token() {
      if (!count_) return;
      absl::MutexLock lock(&count_->mutex);
      --count_->value;
    }

   private:
    std::shared_ptr<Count> count_;
  };

  Token Take() const { return Token(count_); }

  // Returns when every token is gone.
  void Wait() const {
    absl::MutexLock lock(&count_->mutex);
    count_->mutex.Await(absl::Condition(
        +[](int* value) { return *value == 0; }, &count_->value));
  }

 private:
  const std::shared_ptr<Count> count_ = std::make_shared<Count>();
};

}  // namespace sesior::session_client
