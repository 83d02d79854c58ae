#include "services/realtime/transport/listener.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sesior/base/string_view.hpp"
#include "sesior/telemetry/log.hpp"

namespace sesior::realtime {
namespace {

constexpr int kBacklog = 1024;
constexpr int kMaxAcceptsPerTurn = 64;  // then connections that exist get their share
constexpr std::chrono::milliseconds kPause{100};

http::IpAddress AddressOf(const sockaddr_storage& peer) {
  http::IpAddress::Bits bits{};
  if (peer.ss_family == AF_INET6) {
    std::memcpy(bits.data(), &reinterpret_cast<const sockaddr_in6&>(peer).sin6_addr, bits.size());
  } else {
    bits[10] = bits[11] = 0xff;
    std::memcpy(bits.data() + 12, &reinterpret_cast<const sockaddr_in&>(peer).sin_addr, 4);
  }
  return http::IpAddress(bits);
}

using ReusePort = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;

}  // namespace

absl::StatusOr<asio::ip::tcp::endpoint> ParseEndpoint(std::string_view text) {
  const absl::Status bad =
      absl::InvalidArgumentError(absl::StrCat("\"", ToAbsl(text), "\" is no address of the form host:port"));
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad;
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  if (host == "localhost") host = "127.0.0.1";
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc() || end != digits.data() + digits.size()) return bad;
  std::error_code invalid;
  const asio::ip::address address = asio::ip::make_address(std::string(host), invalid);
  if (invalid) return bad;
  return asio::ip::tcp::endpoint(address, port);
}

std::string ToText(const asio::ip::tcp::endpoint& endpoint) {
  const std::string host = endpoint.address().to_string();
  const std::string port = std::to_string(endpoint.port());
  return endpoint.address().is_v6() ? "[" + host + "]:" + port : host + ":" + port;
}

Listener::Listener(Loop& loop, LoopTallies& tallies, std::atomic<std::size_t>& connections, std::size_t max_connections,
                   OnAccept on_accept)
    : loop_(loop),
      tallies_(tallies),
      connections_(connections),
      max_connections_(max_connections),
      on_accept_(std::move(on_accept)),
      acceptor_(loop.io()),
      pause_(loop.io()) {}

absl::Status Listener::Open(asio::ip::tcp::endpoint& endpoint) {
  std::error_code error;
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(asio::ip::tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor_.set_option(ReusePort(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(kBacklog, error);
  if (!error) acceptor_.native_non_blocking(true, error);
  if (!error) endpoint = acceptor_.local_endpoint(error);
  if (!error) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("cannot listen on ", ToText(endpoint), ": ", error.message()));
}

void Listener::Start() { WaitReadable(); }

void Listener::Close() {
  std::error_code ignored;
  acceptor_.close(ignored);
  pause_.cancel();
}

void Listener::WaitReadable() {
  acceptor_.async_wait(asio::ip::tcp::acceptor::wait_read, [this](std::error_code error) {
    if (!error) AcceptAll();
  });
}

void Listener::AcceptAll() {
  for (int i = 0; i < kMaxAcceptsPerTurn; ++i) {
    sockaddr_storage peer;
    socklen_t peer_bytes = sizeof peer;
    const int fd = ::accept4(acceptor_.native_handle(), reinterpret_cast<sockaddr*>(&peer), &peer_bytes,
                             SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) break;
      static telemetry::RateLimit limit(10);
      if (limit.Allow()) {
        telemetry::Log(telemetry::Level::kError, "accept_failed",
                       {{"error", std::error_code(errno, std::generic_category()).message()}});
      }
      pause_.expires_after(kPause);
      pause_.async_wait([this](std::error_code error) {
        if (!error) WaitReadable();
      });
      return;
    }
    tallies_.accepted.Add();
    if (connections_.fetch_add(1, std::memory_order_relaxed) >= max_connections_) {
      connections_.fetch_sub(1, std::memory_order_relaxed);
      tallies_.refused.Add();
      ::close(fd);
      continue;
    }
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    on_accept_(fd, AddressOf(peer));
  }
  WaitReadable();
}

}  // namespace sesior::realtime
