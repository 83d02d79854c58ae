// Relay: carries bytes between two connections, both ways, as they come: a WebSocket whose session lives on another
// replica.
//
// Ownership: lives by its waits, like a channel. Ends when both sides have closed, when one breaks, or `close_timeout`
//            after the first has closed: an end is passed on behind the last byte, as a half-close.
// Bounds:    what one side has not taken: one read (64 KiB) each way; until it is taken, the other side is not read, so
//            that back-pressure reaches the sender.
// Threading: confined to its loop.
// Memory:    an idle relay holds no buffer.
#pragma once

#include <array>
#include <asio/posix/stream_descriptor.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "services/realtime/metrics.hpp"
#include "services/realtime/transport/loop.hpp"

namespace sesior::realtime {

class Relay final : public std::enable_shared_from_this<Relay>, private Timer {
 public:
  // One connection: its descriptor, and what has to be written to it first.
  struct Side {
    int fd;
    std::string unsent;
  };
  // Takes both descriptors over. `on_end` is called once, when both are closed, perhaps inside this call.
  static std::weak_ptr<Relay> Start(Loop& loop, LoopTallies& tallies, std::chrono::milliseconds close_timeout, Side a,
                                    Side b, std::function<void()> on_end);
  // Use Start.
  Relay(Loop& loop, LoopTallies& tallies, std::chrono::milliseconds close_timeout, Side a, Side b,
        std::function<void()> on_end);
  ~Relay() override;

  // Closes both connections at once.
  void Close();

 private:
  struct End {
    End(Loop& loop, std::string first) : descriptor(loop.io()), unsent(std::move(first)) {}
    bool Take(int fd);
    asio::posix::stream_descriptor descriptor;
    std::string unsent;      // waits to be written to it
    bool waiting = false;    // for bytes from it
    bool writing = false;    // waits until it takes more
    bool ended = false;      // it sends no more
    bool shut_down = false;  // and has been told that the other one does not, either
  };

  void OnDeadline(Time now) override;
  // Reads from `from` whenever `to` has taken all.
  void Wait(End& from, End& to);
  void OnReadable(End& from, End& to);
  void Write(End& from, End& to);

  Loop& loop_;
  LoopTallies& tallies_;
  const std::chrono::milliseconds close_timeout_;
  End a_;
  End b_;
  std::function<void()> on_end_;
  bool closed_ = false;
};

}  // namespace sesior::realtime
