#include "services/rest/http/connection.hpp"

#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "sesior/base/check.hpp"
#include "sesior/base/json_string.hpp"

namespace sesior::rest {
namespace {

constexpr std::chrono::milliseconds kLingerTimeout{2000};
constexpr std::size_t kLingerBytes = 4 << 20;
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

// One for all connections of a thread: whatever is read is used up, or kept by its connection, before the next read.
thread_local char read_buffer[64 * 1024];

}  // namespace

Connection::Connection(ConnectionId id, std::string address, const ServerOptions& options, ServerMetrics& metrics,
                       Host& host)
    : id_(id),
      address_(std::move(address)),
      options_(options),
      metrics_(metrics),
      host_(host),
      parser_(options.limits) {
  Enter(State::kIdle);
}

Connection::Next Connection::OnReady(Readiness readiness) {
  if (readiness.hung_up) return Next::kRemove;
  can_read_ = can_read_ || readiness.readable;
  half_closed_ = half_closed_ || readiness.half_closed;
  if (readiness.writable && state_ == State::kWriting) return Flush();
  return Pump();
}

Connection::Next Connection::Answer(http::Response response) {
  SESIOR_CHECK(state_ == State::kHandling);
  response.Add("Date", host_.date());
  const bool close = host_.draining() || !asked_.keep_alive;
  return Write(response.Serialize(asked_, close), close);
}

Connection::Next Connection::OnTick() {
  if (state_ == State::kIdle && host_.draining()) return Next::kRemove;
  if (state_ == State::kHandling || host_.Now() < deadline_) return Next::kKeep;
  if (state_ == State::kIdle || state_ == State::kLingering) return Next::kRemove;
  metrics_.timeouts.Increment();
  if (state_ == State::kWriting) return Next::kRemove;
  return Refuse(408, "the request took too long");
}

// Goes on until there is nothing to do before the next event.
Connection::Next Connection::Pump() {
  while (state_ == State::kIdle || state_ == State::kReading || state_ == State::kLingering) {
    Next next = Next::kKeep;
    if (!ahead_.empty()) {
      next = Feed(std::exchange(ahead_, {}));
    } else if (can_read_) {
      next = Read();
    } else {
      break;
    }
    if (next == Next::kRemove) return next;
  }
  return Next::kKeep;
}

Connection::Next Connection::Read() {
  const ssize_t count = ::recv(id_.fd, read_buffer, sizeof read_buffer, 0);
  if (count < 0) {
    if (errno == EINTR) return Next::kKeep;
    can_read_ = false;
    return errno == EAGAIN ? Next::kKeep : Next::kRemove;
  }
  if (count == 0) return Next::kRemove;
  // A short read has emptied the socket, and the next byte is a new event. The end that epoll has told of already is
  // none, so read on for it.
  if (static_cast<std::size_t>(count) < sizeof read_buffer && !half_closed_) can_read_ = false;
  return Feed(std::string_view(read_buffer, static_cast<std::size_t>(count)));
}

Connection::Next Connection::Feed(std::string_view bytes) {
  if (state_ == State::kLingering) {
    thrown_away_ += bytes.size();
    return thrown_away_ > kLingerBytes ? Next::kRemove : Next::kKeep;
  }
  const bool had_head = parser_.head_complete();
  switch (parser_.Feed(bytes)) {
    case http::RequestParser::Result::kError:
      return Refuse(parser_.error().status, parser_.error().reason);
    case http::RequestParser::Result::kNeedMore:
      if (parser_.idle()) return Next::kKeep;  // blank lines between requests
      if (state_ == State::kIdle) Enter(State::kReading);
      if (!had_head && parser_.head_complete()) {
        deadline_ = host_.Now() + options_.body_timeout;
        // Its few bytes fit: nothing else is on its way to this client.
        if (parser_.expects_continue()) ::send(id_.fd, kContinue.data(), kContinue.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      }
      return Next::kKeep;
    case http::RequestParser::Result::kComplete:
      break;
  }
  ahead_.assign(bytes);
  http::Request request = parser_.Take();
  asked_.method = request.method;
  asked_.version_minor = request.version_minor;
  asked_.keep_alive = request.keep_alive;
  Enter(State::kHandling);
  host_.Dispatch(id_, address_, std::move(request));
  return Next::kKeep;
}

// Answers what is no request we take, and closes: where the next one would begin is anybody's guess.
Connection::Next Connection::Refuse(int status, std::string_view reason) {
  metrics_.bad_requests.Increment();
  http::Response response(status, "application/json; charset=utf-8", R"({"error":)" + JsonString(reason) + "}");
  response.Add("Date", host_.date());
  return Write(response.SerializeAndClose(), true);
}

Connection::Next Connection::Write(std::string bytes, bool close) {
  out_ = std::move(bytes);
  written_ = 0;
  close_after_write_ = close;
  Enter(State::kWriting);
  return Flush();
}

Connection::Next Connection::Flush() {
  while (written_ < out_.size()) {
    const ssize_t count = ::send(id_.fd, out_.data() + written_, out_.size() - written_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) return Next::kRemove;
      if (!std::exchange(watches_writes_, true)) host_.WatchWrites(id_.fd);
      return Next::kKeep;
    }
    written_ += static_cast<std::size_t>(count);
    deadline_ = host_.Now() + options_.write_timeout;
  }
  out_ = {};
  if (close_after_write_) {
    ::shutdown(id_.fd, SHUT_WR);
    ahead_.clear();
    Enter(State::kLingering);
  } else {
    Enter(State::kIdle);
  }
  return Pump();
}

void Connection::Enter(State state) {
  state_ = state;
  deadline_ = host_.Now() + TimeoutOf(state);
}

std::chrono::milliseconds Connection::TimeoutOf(State state) const {
  switch (state) {
    case State::kIdle:
      return options_.idle_timeout;
    case State::kReading:
      return options_.head_timeout;
    case State::kWriting:
      return options_.write_timeout;
    case State::kHandling:  // bounded by the timeouts of the calls that make the answer
    case State::kLingering:
      return kLingerTimeout;
  }
  return kLingerTimeout;
}

}  // namespace sesior::rest
