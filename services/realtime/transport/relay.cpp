#include "services/realtime/transport/relay.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace sesior::realtime {

std::weak_ptr<Relay> Relay::Start(Loop& loop, LoopTallies& tallies, std::chrono::milliseconds close_timeout, Side a,
                                  Side b, std::function<void()> on_end) {
  const int a_fd = a.fd;
  const int b_fd = b.fd;
  const auto relay =
      std::make_shared<Relay>(loop, tallies, close_timeout, std::move(a), std::move(b), std::move(on_end));
  const bool a_taken = relay->a_.Take(a_fd);
  const bool b_taken = relay->b_.Take(b_fd);
  if (!a_taken || !b_taken) {
    relay->Close();
  } else {
    relay->Write(relay->a_, relay->b_);
    relay->Write(relay->b_, relay->a_);
  }
  return relay;
}

Relay::Relay(Loop& loop, LoopTallies& tallies, std::chrono::milliseconds close_timeout, Side a, Side b,
             std::function<void()> on_end)
    : Timer(loop.timers()),
      loop_(loop),
      tallies_(tallies),
      close_timeout_(close_timeout),
      a_(loop, std::move(a.unsent)),
      b_(loop, std::move(b.unsent)),
      on_end_(std::move(on_end)) {}

Relay::~Relay() = default;

// False: the kernel does not take it into its set; it is closed.
bool Relay::End::Take(int fd) {
  std::error_code error;
  descriptor.assign(fd, error);
  if (error) ::close(fd);
  return !error;
}

void Relay::OnDeadline(Time) { Close(); }

void Relay::Wait(End& from, End& to) {
  if (closed_ || from.waiting || from.ended || !to.unsent.empty()) return;
  from.waiting = true;
  from.descriptor.async_wait(asio::posix::stream_descriptor::wait_read,
                             [self = shared_from_this(), &from, &to](std::error_code error) {
                               from.waiting = false;
                               if (!error && !self->closed_) self->OnReadable(from, to);
                             });
}

void Relay::OnReadable(End& from, End& to) {
  auto& buffer = loop_.read_buffer();
  const ssize_t count = ::recv(from.descriptor.native_handle(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (count < 0 && errno != EAGAIN && errno != EINTR) return Close();
  if (count == 0) {
    from.ended = true;
    if (deadline() == kNever) ArmAt(Loop::Now() + close_timeout_);
  }
  if (count > 0) {
    tallies_.relayed_bytes.Add(static_cast<std::size_t>(count));
    // Straight from the shared buffer; only what is not taken is kept.
    const ssize_t sent = ::send(to.descriptor.native_handle(), buffer.data(), static_cast<std::size_t>(count),
                                MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) return Close();
    const std::size_t taken = sent < 0 ? 0 : static_cast<std::size_t>(sent);
    to.unsent.assign(buffer.data() + taken, static_cast<std::size_t>(count) - taken);
  }
  Write(from, to);
}

// Writes what waits for `to`, then its end if `from` has ended, else reads on.
void Relay::Write(End& from, End& to) {
  if (closed_ || to.writing) return;
  if (!to.unsent.empty()) {
    const ssize_t sent =
        ::send(to.descriptor.native_handle(), to.unsent.data(), to.unsent.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) return Close();
    if (sent > 0) to.unsent.erase(0, static_cast<std::size_t>(sent));
    if (!to.unsent.empty()) {
      to.writing = true;
      to.descriptor.async_wait(asio::posix::stream_descriptor::wait_write,
                               [self = shared_from_this(), &from, &to](std::error_code error) {
                                 to.writing = false;
                                 if (!error) self->Write(from, to);
                               });
      return;
    }
    to.unsent = std::string();
  }
  if (!from.ended) return Wait(from, to);
  if (!std::exchange(to.shut_down, true)) ::shutdown(to.descriptor.native_handle(), SHUT_WR);
  if (a_.ended && b_.ended && a_.unsent.empty() && b_.unsent.empty()) Close();
}

void Relay::Close() {
  if (std::exchange(closed_, true)) return;
  ArmAt(kNever);
  std::error_code ignored;
  a_.descriptor.close(ignored);  // ends the waits, and with them the last pointers
  b_.descriptor.close(ignored);
  if (on_end_) std::exchange(on_end_, nullptr)();
}

}  // namespace sesior::realtime
