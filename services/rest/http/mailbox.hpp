// Mailbox: the one way for other threads to hand work to a worker. Unbounded, but every task answers one open request,
// and those are bounded by the connection limit.
// Ownership: shared by the worker and everybody who may still post to it.
// Threading: thread-safe; Take() and Close() are the worker's.
#pragma once

#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "sesior/base/done.hpp"

namespace sesior::rest {

class Mailbox {
 public:
  Mailbox();
  ~Mailbox();
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  // Runs `task` on the worker's thread, soon. Never inside this call. Dropped, unrun, when the worker is gone.
  void Post(Task task) ABSL_LOCKS_EXCLUDED(mutex_);

  // What waits, in order. The worker calls it after each turn of its loop and whenever `wake_fd` is readable.
  std::vector<Task> Take() ABSL_LOCKS_EXCLUDED(mutex_);
  // The thread that calls Take() after each turn: posts from it need no wake.
  void BindToThisThread();
  void Close() ABSL_LOCKS_EXCLUDED(mutex_);
  // Readable when there is something to take.
  int wake_fd() const { return wake_fd_; }

 private:
  const int wake_fd_;
  absl::Mutex mutex_;
  std::vector<Task> tasks_ ABSL_GUARDED_BY(mutex_);
  bool woken_ ABSL_GUARDED_BY(mutex_) = false;  // wake_fd_ is readable
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread::id owner_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sesior::rest
