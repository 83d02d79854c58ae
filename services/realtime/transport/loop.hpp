// Loop: one thread of the service. Everything that concerns a connection happens on the thread of its loop; loops
// exchange tasks, not locks.
// A turn is what runs between two waits of the thread. Whoever has something to write asks for Flush at the end of the
// turn, so that all that was queued for one connection meanwhile goes out in one system call.
// Threading: Post is thread-safe; all else is confined to the loop's thread (before Start and after Stop: its owner's).
#pragma once

#include <array>
#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <cstddef>
#include <memory>
#include <thread>
#include <vector>

#include "sesior/base/done.hpp"
#include "transport/timer_queue.hpp"

namespace sesior::realtime {

class Loop {
 public:
  // Something that wants a call at the end of a turn. Owned by shared pointers, since it may lose its connection
  // before.
  class Flushable {
   public:
    virtual void Flush() = 0;

   protected:
    ~Flushable() = default;
  };

  explicit Loop(std::size_t index) : index_(index), wake_(io_) {}
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  void Start();
  // Ends the thread after the turn it is in; tasks not yet run are destroyed with the loop.
  void Stop();

  // Runs the task on the loop's thread, in the order of the calls of one thread. Never inside Post.
  void Post(Task task);
  // Calls target.Flush once at the end of this turn; the caller sees to asking only once.
  void FlushLater(std::shared_ptr<Flushable> target);

  std::size_t index() const { return index_; }
  asio::io_context& io() { return io_; }
  TimerQueue& timers() { return timers_; }
  // The kernel timer has to be moved when a deadline was armed outside of OnDeadline; cheap when it need not.
  void UpdateWake();
  // Shared by all connections of the loop: valid until the next read.
  std::array<char, 64 * 1024>& read_buffer() { return read_buffer_; }
  static Time Now() { return std::chrono::steady_clock::now(); }

 private:
  void EndTurn();

  const std::size_t index_;
  asio::io_context io_{1};
  asio::steady_timer wake_;
  Time wake_at_ = kNever;
  TimerQueue timers_;
  std::vector<std::shared_ptr<Flushable>> dirty_;
  std::array<char, 64 * 1024> read_buffer_;
  std::thread thread_;
};

}  // namespace sesior::realtime
