// Mailbox: the one way for other threads to hand work to a worker. Unbounded, but every task answers one open request,
// and those are bounded by the connection limit.
// Ownership: shared by the worker and everybody who may still post to it.
// Threading: thread-safe; Take() and Close() are the worker's.
#pragma once

#include <mutex>
#include <thread>
#include <vector>

#include "sesior/base/done.hpp"

namespace sesior::rest {

class Mailbox {
 public:
  Mailbox();
  ~Mailbox();
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  // Runs `task` on the worker's thread, soon. Never inside this call. Dropped, unrun, when the worker is gone.
  void Post(Task task);

  // What waits, in order. The worker calls it after each turn of its loop and whenever `wake_fd` is readable.
  std::vector<Task> Take();
  // The thread that calls Take() after each turn: posts from it need no wake.
  void BindToThisThread();
  void Close();
  // Readable when there is something to take.
  int wake_fd() const { return wake_fd_; }

 private:
  const int wake_fd_;
  std::mutex mutex_;  // guards what follows; not absl::Mutex, see the README
  std::vector<Task> tasks_;
  bool woken_ = false;  // wake_fd_ is readable
  bool closed_ = false;
  std::thread::id owner_;
};

}  // namespace sesior::rest
