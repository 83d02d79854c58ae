// Listener: accepts connections for one loop. Each loop has its own socket on the same address (SO_REUSEPORT), so the
// kernel spreads connections over the threads.
// Bounds:    above `max_connections` in the process a new connection is closed at once, and counted. When the process
// has
//            no descriptor left, accepting pauses for 100 ms at a time.
// Threading: Open before the loop starts; the rest is confined to the loop.
#pragma once

#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>
#include <atomic>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/realtime/metrics.hpp"
#include "services/realtime/transport/loop.hpp"
#include "sesior/http/ip_address.hpp"

namespace sesior::realtime {

// "host:port" with a literal address, "localhost", or "[address]:port".
absl::StatusOr<asio::ip::tcp::endpoint> ParseEndpoint(std::string_view text);
std::string ToText(const asio::ip::tcp::endpoint& endpoint);

class Listener {
 public:
  // Takes the descriptor over, which is counted in `connections`.
  using OnAccept = std::function<void(int fd, const http::IpAddress& peer)>;

  Listener(Loop& loop, LoopTallies& tallies, std::atomic<std::size_t>& connections, std::size_t max_connections,
           OnAccept on_accept);

  // Binds and listens; with port 0 `endpoint` gets the port that the kernel chose.
  absl::Status Open(asio::ip::tcp::endpoint& endpoint);
  void Start();
  void Close();

 private:
  void WaitReadable();
  void AcceptAll();

  Loop& loop_;
  LoopTallies& tallies_;
  std::atomic<std::size_t>& connections_;
  const std::size_t max_connections_;
  const OnAccept on_accept_;
  asio::ip::tcp::acceptor acceptor_;
  asio::steady_timer pause_;
};

}  // namespace sesior::realtime
