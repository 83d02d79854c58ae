// FewerThreads: leaves one of the threads on which gRPC runs callbacks to work, and keeps the others asleep.
//
// gRPC 1.51 starts two to sixteen of them in a process (half the cores), and all wait in one poller, which a thread
// hands to the next whenever it has something to do: each message wakes a second thread only to wait in its place. Our
// callbacks pass work on and never block, so one thread serves a process.
//
// There is no setting. A call on a channel that cannot work ends at once with a callback, and a callback that waits
// holds its thread; that is what this does until it is destroyed. Should too many be held (another version may start
// fewer), a last call would not end: then all are let go again.
//
// Ownership: make it before the servers and clients whose callbacks it concerns, destroy it when they are shut down or
//            before: until then a callback that blocks stops all others.
// Threads:   made and destroyed on any thread; the constructor blocks for some ms, at most 1 s.
#pragma once

#include <memory>

namespace sesior::grpc_threads {

class FewerThreads {
 public:
  FewerThreads();
  ~FewerThreads();
  FewerThreads(const FewerThreads&) = delete;
  FewerThreads& operator=(const FewerThreads&) = delete;

  // How many threads sleep.
  int held() const { return held_; }

 private:
  struct Gate;
  std::shared_ptr<Gate> gate_;
  int held_ = 0;
};

}  // namespace sesior::grpc_threads
