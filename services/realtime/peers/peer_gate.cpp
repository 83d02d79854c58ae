#include "services/realtime/peers/peer_gate.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <memory>
#include <string_view>
#include <system_error>

namespace sesior::realtime {

// A connection before it has proved itself. Lives by its wait.
class PeerGate::Stranger final : public std::enable_shared_from_this<Stranger>, private Timer {
 public:
  Stranger(PeerGate& gate, const http::IpAddress& peer)
      : Timer(gate.context_.loop.timers()),
        gate_(gate),
        peer_(peer),
        descriptor_(gate.context_.loop.io()),
        handshake_(PeerHandshake::Role::kOwner, gate.secrets_, gate.replica_id_, PeerHandshake::NewNonce()) {}

  void Start(int fd) {
    ++gate_.strangers_;
    std::error_code error;
    descriptor_.assign(fd, error);
    if (error) {
      ::close(fd);
      return Refuse();
    }
    ArmAt(Loop::Now() + gate_.timeout_);
    if (Say(handshake_.Greeting())) Wait();
  }

 private:
  void OnDeadline(Time) override { Refuse(); }

  void Wait() {
    descriptor_.async_wait(asio::posix::stream_descriptor::wait_read,
                           [self = shared_from_this()](std::error_code error) {
                             if (!error && self->descriptor_.is_open()) self->OnReadable();
                           });
  }

  void OnReadable() {
    std::array<char, 512> buffer;  // what stands behind the handshake stays in the kernel, or goes to the channel
    const ssize_t count = ::recv(descriptor_.native_handle(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return Wait();
    if (count <= 0) return Refuse();
    std::string_view bytes(buffer.data(), static_cast<std::size_t>(count));
    std::string out;
    const PeerHandshake::Result result = handshake_.Feed(bytes, out);
    if (result == PeerHandshake::Result::kFailed) return Refuse();
    if (!out.empty() && !Say(out)) return;
    if (result == PeerHandshake::Result::kNeedMore) return Wait();
    ArmAt(kNever);
    --gate_.strangers_;
    Channel::Adopt(gate_.context_, descriptor_.release(), peer_, bytes);
  }

  // False: it does not even take that, and is closed.
  bool Say(std::string_view text) {
    const ssize_t sent = ::send(descriptor_.native_handle(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent == static_cast<ssize_t>(text.size())) return true;
    Refuse();
    return false;
  }

  void Refuse() {
    ArmAt(kNever);
    std::error_code ignored;
    descriptor_.close(ignored);
    --gate_.strangers_;
    gate_.context_.tallies.peers_refused.Add();
    gate_.context_.connections.fetch_sub(1, std::memory_order_relaxed);
  }

  PeerGate& gate_;
  const http::IpAddress peer_;
  asio::posix::stream_descriptor descriptor_;
  PeerHandshake handshake_;
};

void PeerGate::Admit(int fd, const http::IpAddress& peer) {
  if (strangers_ >= kMaxStrangers) {
    ::close(fd);
    context_.tallies.peers_refused.Add();
    context_.connections.fetch_sub(1, std::memory_order_relaxed);
    return;
  }
  std::make_shared<Stranger>(*this, peer)->Start(fd);
}

}  // namespace sesior::realtime
