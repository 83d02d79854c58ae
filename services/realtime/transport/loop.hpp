// Loop: one thread of the service, on Asio. Everything that concerns a connection happens on the thread of its loop;
// loops exchange tasks, not locks. A turn is what runs between two waits of the thread. Whoever has something to write
// asks for Flush at the end of the turn, so that all that was queued for one connection meanwhile goes out in one
// system call. Threading: Post is thread-safe; all else is confined to the loop's thread (before Start and after Stop:
// its owner's).
#pragma once

#include <array>
#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <memory>
#include <thread>
#include <vector>

#include "services/realtime/hub/loop.hpp"
#include "services/realtime/transport/timer_queue.hpp"
#include "sesior/base/done.hpp"

namespace sesior::realtime {

class Loop final : public hub::Loop {
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
  ~Loop() override;
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  void Start();
  // Ends the thread after the turn it is in; tasks not yet run are destroyed with the loop.
  void Stop();

  void Post(Task task) override;
  std::unique_ptr<hub::Loop::Timer> After(std::chrono::milliseconds delay, Task task) override;
  Time now() const override { return Now(); }
  // Calls target.Flush once at the end of this turn; the caller sees to asking only once.
  void FlushLater(std::shared_ptr<Flushable> target);

  std::size_t index() const { return index_; }
  asio::io_context& io() { return io_; }
  TimerQueue& timers() { return timers_; }
  // Shared by all connections of the loop: valid until the next read.
  std::array<char, 64 * 1024>& read_buffer() { return read_buffer_; }
  static Time Now() { return std::chrono::steady_clock::now(); }

 private:
  using Dirty = std::vector<std::shared_ptr<Flushable>>;

  void EndTurn();
  void FlushAll(Dirty& dirty);
  void UpdateWake();

  const std::size_t index_;
  TimerQueue timers_{[this] { UpdateWake(); }};  // outlives the handlers in io_, which hold timers
  asio::io_context io_{1};
  asio::steady_timer wake_;  // one kernel timer for the earliest deadline
  Time wake_at_ = kNever;
  Dirty dirty_;
  Dirty held_;  // many, until bulk_not_before_
  Time bulk_not_before_{};
  asio::steady_timer bulk_{io_};
  std::array<char, 64 * 1024> read_buffer_;
  std::thread thread_;
};

}  // namespace sesior::realtime
