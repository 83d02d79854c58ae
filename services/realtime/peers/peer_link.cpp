#include "services/realtime/peers/peer_link.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace sesior::realtime {
namespace {

constexpr http::ResponseParser::Limits kAnswerLimits{16 * 1024, PeerLink::kMaxAnswerBytes};

void SetOption(int fd, int level, int name, int value) { ::setsockopt(fd, level, name, &value, sizeof value); }

}  // namespace

std::shared_ptr<PeerLink> PeerLink::Connect(Loop& loop, const PeerLinkOptions& options, const PeerSecrets& secrets,
                                            const asio::ip::tcp::endpoint& endpoint, std::string replica_id,
                                            std::function<void(const PeerLink&)> on_end) {
  auto link = std::make_shared<PeerLink>(loop, options, secrets, std::move(replica_id), std::move(on_end));
  link->Start(endpoint);
  return link;
}

PeerLink::PeerLink(Loop& loop, const PeerLinkOptions& options, const PeerSecrets& secrets, std::string replica_id,
                   std::function<void(const PeerLink&)> on_end)
    : Timer(loop.timers()),
      loop_(loop),
      options_(options),
      on_end_(std::move(on_end)),
      descriptor_(loop.io()),
      handshake_(PeerHandshake::Role::kCaller, secrets, std::move(replica_id), PeerHandshake::NewNonce()),
      parser_(kAnswerLimits) {}

PeerLink::~PeerLink() = default;

void PeerLink::Start(const asio::ip::tcp::endpoint& endpoint) {
  ArmAt(Loop::Now() + options_.connect_timeout);
  const int fd = ::socket(endpoint.protocol().family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  std::error_code error(fd < 0 ? errno : 0, std::generic_category());
  if (!error) {
    SetOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    SetOption(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    SetOption(fd, IPPROTO_TCP, TCP_KEEPIDLE, 5);
    SetOption(fd, IPPROTO_TCP, TCP_KEEPINTVL, 2);
    SetOption(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
    SetOption(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 10'000);
    descriptor_.assign(fd, error);
    if (error) ::close(fd);
  }
  if (!error && ::connect(fd, endpoint.data(), static_cast<socklen_t>(endpoint.size())) != 0 && errno != EINPROGRESS) {
    error = std::error_code(errno, std::generic_category());
  }
  if (error) {
    // Not inside this call: nobody waits yet.
    return loop_.Post([self = shared_from_this()] { self->Fail(PeerFailure::kUnreachable); });
  }
  descriptor_.async_wait(asio::posix::stream_descriptor::wait_write,
                         [self = shared_from_this()](std::error_code failed) {
                           if (!failed && self->state_ == State::kConnecting) self->OnConnected();
                         });
}

void PeerLink::OnConnected() {
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(descriptor_.native_handle(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return Fail(PeerFailure::kUnreachable);
  state_ = State::kMeeting;
  WaitReadable();
}

void PeerLink::OnDeadline(Time) { Fail(state_ == State::kOpen ? PeerFailure::kBroken : PeerFailure::kUnreachable); }

void PeerLink::WaitReadable() {
  if (reading_ || state_ == State::kClosed) return;
  reading_ = true;
  descriptor_.async_wait(asio::posix::stream_descriptor::wait_read, [self = shared_from_this()](std::error_code error) {
    self->reading_ = false;
    if (!error && self->state_ != State::kClosed) self->OnReadable();
  });
}

void PeerLink::OnReadable() {
  auto& buffer = loop_.read_buffer();
  const ssize_t count = ::recv(descriptor_.native_handle(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return WaitReadable();
  if (count <= 0) return Fail(state_ == State::kOpen ? PeerFailure::kBroken : PeerFailure::kUnreachable);
  std::string_view bytes(buffer.data(), static_cast<std::size_t>(count));
  if (state_ == State::kMeeting) OnMeeting(bytes);
  if (state_ == State::kOpen && !bytes.empty()) OnAnswerBytes(bytes);
  WaitReadable();
}

void PeerLink::OnMeeting(std::string_view& bytes) {
  switch (handshake_.Feed(bytes, out_)) {
    case PeerHandshake::Result::kNeedMore:
      return Flush();
    case PeerHandshake::Result::kFailed:
      return Fail(handshake_.met_another() ? PeerFailure::kUnreachable : PeerFailure::kUntrusted);
    case PeerHandshake::Result::kDone:
      state_ = State::kOpen;
      ArmAt(Loop::Now() + (busy_ ? options_.answer_timeout : options_.idle_timeout));
      out_.append(std::exchange(request_, {}));
      return Flush();
  }
}

void PeerLink::OnAnswerBytes(std::string_view bytes) {
  if (!busy_) return Fail(PeerFailure::kBroken);  // nobody has asked
  switch (parser_.Feed(bytes)) {
    case http::ResponseParser::Result::kNeedMore:
      return;
    case http::ResponseParser::Result::kError:
      return Fail(PeerFailure::kBroken);
    case http::ResponseParser::Result::kUpgraded: {
      const std::shared_ptr<User> user = user_.lock();
      if (!user) return Close();
      std::string first = parser_.head() + std::string(bytes);
      const int fd = descriptor_.release();
      Close();
      return user->OnUpgraded(fd, std::move(first));
    }
    case http::ResponseParser::Result::kComplete: {
      const std::shared_ptr<User> user = user_.lock();
      const bool reusable = parser_.keep_alive() && bytes.empty() && out_.empty();
      busy_ = false;
      user_.reset();
      ArmAt(Loop::Now() + options_.idle_timeout);
      if (!reusable || !user) Close();
      if (user) user->OnAnswer(parser_.Take(), reusable);
      return;
    }
  }
}

void PeerLink::Send(http::Method method, std::string bytes, std::weak_ptr<User> user) {
  user_ = std::move(user);
  busy_ = true;
  parser_.Begin(method);
  if (state_ != State::kOpen) {
    request_ = std::move(bytes);
    return;
  }
  ArmAt(Loop::Now() + options_.answer_timeout);
  out_.append(bytes);
  Flush();
}

void PeerLink::SendMore(std::string_view bytes) {
  if (state_ == State::kClosed) return;
  (state_ == State::kOpen ? out_ : request_).append(bytes);
  Flush();
}

void PeerLink::Flush() {
  if (writing_ || out_.empty() || state_ == State::kClosed || state_ == State::kConnecting) return;
  const ssize_t sent = ::send(descriptor_.native_handle(), out_.data(), out_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent > 0) out_.erase(0, static_cast<std::size_t>(sent));
  // A broken connection is found by reading, in a turn of its own.
  if (out_.empty() || (sent < 0 && errno != EAGAIN && errno != EINTR)) return;
  writing_ = true;
  descriptor_.async_wait(asio::posix::stream_descriptor::wait_write,
                         [self = shared_from_this()](std::error_code error) {
                           self->writing_ = false;
                           if (!error) self->Flush();
                         });
}

void PeerLink::Close() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  ArmAt(kNever);
  user_.reset();
  std::error_code ignored;
  descriptor_.close(ignored);  // ends the waits, and with them the last pointers
  std::exchange(on_end_, nullptr)(*this);
}

void PeerLink::Fail(PeerFailure failure) {
  if (state_ == State::kClosed) return;
  const std::shared_ptr<PeerLink> self = shared_from_this();
  const std::shared_ptr<User> user = user_.lock();
  Close();
  if (user) user->OnBroken(failure);
}

}  // namespace sesior::realtime
