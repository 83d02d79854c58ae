#include "services/realtime/transport/channel.hpp"

#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <optional>
#include <system_error>
#include <utility>

#include "sesior/websocket/handshake.hpp"

namespace sesior::realtime {
namespace {

constexpr std::size_t kMaxAheadBytes = 64 * 1024;  // sent by a client before its last request is answered
constexpr std::size_t kMaxPieces = 64;             // of one sendmsg
constexpr std::size_t kEagerBytes = 128 * 1024;    // queued within one turn: written at once
constexpr std::size_t kKeptQueueSlots = 4;

}  // namespace

// What a channel needs while it speaks HTTP.
struct Channel::Http {
  Http(const http::IpAddress& address, http::RequestParser begun) : peer(address), parser(std::move(begun)) {}
  const http::IpAddress peer;
  http::RequestParser parser;
  std::string ahead;                     // came while a request was waiting
  ExchangePtr exchange;                  // of the request being read (once its head is there) or answered
  std::optional<http::Request> request;  // what is left of it, for the answer
  bool dispatching = false;              // inside RequestHandler::OnRequest
};

void Exchange::Answer(http::Response response, bool close) {
  const std::shared_ptr<Channel> open = channel();
  if (!open || !open->http_ || open->http_->exchange.get() != this) return;
  for (const http::Header& header : headers) response.Add(header.name, header.value);
  open->OnAnswer(response, close);
}

std::optional<Exchange::Released> Exchange::Release() {
  const std::shared_ptr<Channel> open = channel();
  if (!open || !open->http_ || open->http_->exchange.get() != this) return std::nullopt;
  on_gone = nullptr;
  const std::unique_ptr<Channel::Http> http = std::move(open->http_);
  const std::optional<int> fd = open->TakeDescriptor();
  if (!fd) return std::nullopt;
  return Released{*fd, std::move(http->ahead)};
}

// -- Channel: life --

Channel::Channel(ChannelContext& context, int fd, const http::IpAddress& peer, http::RequestParser parser)
    : Timer(context.loop.timers()),
      context_(context),
      descriptor_(context.loop.io(), fd),
      http_(std::make_unique<Http>(peer, std::move(parser))),
      reader_(context.options.max_message_bytes) {
  context_.open.Add();
}

Channel::~Channel() = default;

void Channel::Adopt(ChannelContext& context, int fd, const http::IpAddress& peer, std::string_view unread) {
  Adopt(context, fd, peer, http::RequestParser(context.options.http), unread);
}

void Channel::Adopt(ChannelContext& context, int fd, const http::IpAddress& peer, http::RequestParser parser,
                    std::string_view unread) {
  std::shared_ptr<Channel> channel;
  try {
    channel = std::make_shared<Channel>(context, fd, peer, std::move(parser));
  } catch (const std::system_error&) {  // the kernel does not take it into its set
    ::close(fd);
    context.connections.fetch_sub(1, std::memory_order_relaxed);
    return;
  }
  channel->ArmAt(Loop::Now() + context.options.request_timeout);
  channel->WaitReadable();
  if (!channel->http_->parser.idle() || !unread.empty()) channel->OnHttpBytes(unread);
}

void Channel::OnDeadline(Time) {
  // Nothing came, no whole request came, or the peer did not take part in the close.
  if (state_ != State::kWebSocket) Close();
}

void Channel::WaitReadable() {
  if (reading_ || state_ == State::kClosed) return;
  reading_ = true;
  descriptor_.async_wait(asio::posix::stream_descriptor::wait_read, [self = shared_from_this()](std::error_code error) {
    self->reading_ = false;
    if (!error && self->state_ != State::kClosed) self->OnReadable();
  });
}

void Channel::OnReadable() {
  auto& buffer = context_.loop.read_buffer();
  const ssize_t count = ::recv(descriptor_.native_handle(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (count == 0) return OnEnd(true);
  if (count < 0) {
    if (errno == EAGAIN || errno == EINTR) return WaitReadable();
    return OnEnd(true);
  }
  switch (state_) {
    case State::kHttp:
      OnHttpBytes({buffer.data(), static_cast<std::size_t>(count)});
      if (http_ && http_->ahead.size() > kMaxAheadBytes) return OnEnd(false);
      break;
    case State::kWebSocket:
      OnWebSocketBytes(buffer.data(), static_cast<std::size_t>(count));
      break;
    default:  // what comes after our close is of no interest
      break;
  }
  if (state_ != State::kClosed && !held_back_) WaitReadable();
}

// The peer has closed, or the connection is broken.
void Channel::OnEnd(bool clean) {
  const std::shared_ptr<Channel> self = shared_from_this();
  if (http_ && http_->exchange) {
    const ExchangePtr exchange = std::move(http_->exchange);
    if (exchange->on_gone) std::exchange(exchange->on_gone, nullptr)();
  }
  if (WebSocketUser* user = std::exchange(user_, nullptr)) user->OnGone(clean);
  Close();
}

void Channel::Close() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  ArmAt(kNever);
  LeaveHttp();
  std::error_code ignored;
  descriptor_.close(ignored);  // ends the waits, and with them the last pointers
  context_.open.Subtract(1);
  context_.tallies.queued_bytes.Subtract(std::exchange(queued_bytes_, 0));
  context_.connections.fetch_sub(1, std::memory_order_relaxed);
}

// Closes in due form: after the last byte, our end is shut down, and the peer has a moment to read it all.
void Channel::CloseWhenWritten() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosing;
  held_back_.reset();
  ArmAt(Loop::Now() + context_.options.close_timeout);
  if (queue_.empty()) {
    if (!std::exchange(close_sent_, true)) ::shutdown(descriptor_.native_handle(), SHUT_WR);
  }
  WaitReadable();
}

// -- HTTP --

void Channel::OnHttpBytes(std::string_view bytes) {
  while (state_ == State::kHttp && http_) {
    Http& http = *http_;
    if (http.request) {  // still waiting for its answer
      if (!bytes.empty() && context_.of_replicas && http.exchange && http.exchange->on_hurry) {
        return std::exchange(http.exchange->on_hurry, nullptr)();
      }
      http.ahead.append(bytes);
      return;
    }
    if (http.parser.idle()) {
      ArmAt(Loop::Now() + (bytes.empty() ? context_.options.idle_timeout : context_.options.request_timeout));
    }
    const http::RequestParser::Result result = http.parser.Feed(bytes);
    if (result == http::RequestParser::Result::kError) {
      const int status = http.parser.error().status;
      http::Response response(status, "text/plain; charset=utf-8", std::string(http.parser.error().reason) + "\n");
      if (status == 413 && http.parser.head_complete()) {
        const ExchangePtr exchange = http.exchange ? http.exchange : NewExchange();
        exchange->on_gone = nullptr;
        response = context_.handler.OnTooLarge(http.parser.request(), *exchange, http.exchange != nullptr);
      }
      return AnswerAndClose(response.SerializeAndClose());
    }
    if (http.parser.head_complete() && !http.exchange) {
      if (const std::optional<std::size_t> thread = context_.handler.Route(http.parser.request())) {
        return MoveTo(*context_.threads[*thread], bytes);
      }
      http.exchange = NewExchange();
      if (http.parser.expects_continue()) Write(std::make_shared<std::string>("HTTP/1.1 100 Continue\r\n\r\n"));
      if (result == http::RequestParser::Result::kNeedMore) {
        if (context_.handler.OnHead(http.parser.request(), http.exchange)) return;
      }
    }
    if (result == http::RequestParser::Result::kNeedMore) return;
    context_.tallies.http_requests.Add();
    ArmAt(kNever);
    http::Request request = http.parser.Take();
    http.request.emplace();  // what Serialize looks at
    http.request->method = request.method;
    http.request->keep_alive = request.keep_alive;
    http.request->version_minor = request.version_minor;
    if (request.upgrade) http.ahead.assign(std::exchange(bytes, {}));
    http.dispatching = true;
    const ExchangePtr exchange = http.exchange;
    context_.handler.OnRequest(std::move(request), exchange);
    if (!http_) return;
    http.dispatching = false;
    if (!http.request && !http.ahead.empty()) return OnAhead();  // an upgrade that was refused
  }
}

ExchangePtr Channel::NewExchange() {
  return std::make_shared<Exchange>(shared_from_this(), http_->peer, context_.of_replicas);
}

void Channel::OnAhead() {
  const std::string ahead = std::exchange(http_->ahead, std::string());
  OnHttpBytes(ahead);
}

void Channel::OnAnswer(const http::Response& response, bool close) {
  Http& http = *http_;
  http.exchange.reset();
  // Before the whole request was read nothing behind it can be told apart: the connection ends.
  if (!http.request) return AnswerAndClose(response.SerializeAndClose());
  const bool draining = context_.draining != nullptr && context_.draining->load(std::memory_order_relaxed);
  close = close || draining || !http.request->keep_alive;
  std::string bytes = response.Serialize(*http.request, close);
  http.request.reset();
  if (close) return AnswerAndClose(std::move(bytes));
  Write(std::make_shared<const std::string>(std::move(bytes)));
  if (!http.dispatching) OnAhead();
}

void Channel::AnswerAndClose(std::string bytes) {
  LeaveHttp();
  Write(std::make_shared<const std::string>(std::move(bytes)));
  CloseWhenWritten();
}

void Channel::MoveTo(ChannelContext& target, std::string_view unread) {
  const std::unique_ptr<Http> http = std::move(http_);
  const std::optional<int> fd = TakeDescriptor();
  if (!fd) return;
  target.loop.Post([&target, fd = *fd, peer = http->peer, parser = std::move(http->parser),
                    unread = std::string(unread)]() mutable { Adopt(target, fd, peer, std::move(parser), unread); });
}

// Ends the channel, but not its connection, which stays counted. nullopt: it ended, too.
std::optional<int> Channel::TakeDescriptor() {
  Flush();
  if (state_ == State::kClosed) return std::nullopt;
  if (!queue_.empty()) {  // the client has not even taken the answers before
    Close();
    return std::nullopt;
  }
  const int fd = descriptor_.release();
  context_.connections.fetch_add(1, std::memory_order_relaxed);
  Close();
  return fd;
}

void Channel::LeaveHttp() {
  const std::unique_ptr<Http> http = std::move(http_);
  if (http && http->exchange && http->exchange->on_gone) std::exchange(http->exchange->on_gone, nullptr)();
}

// -- WebSocket --

void Channel::StartWebSocket(std::string_view key, WebSocketUser& user) {
  std::string unread = std::move(http_->ahead);
  http_.reset();
  ArmAt(kNever);
  state_ = State::kWebSocket;
  user_ = &user;
  Write(std::make_shared<const std::string>(websocket::AcceptResponse(key)));
  if (unread.empty()) return;
  // Not inside this call: the user is not ready for it yet.
  context_.loop.Post([self = shared_from_this(), unread = std::move(unread)]() mutable {
    if (self->state_ == State::kWebSocket) self->OnWebSocketBytes(unread.data(), unread.size());
  });
}

void Channel::OnWebSocketBytes(char* data, std::size_t size) {
  while (state_ == State::kWebSocket) {
    if (held_back_ || !user_->MayRead()) return HoldBack(data, size);
    const websocket::Event event = reader_.Next(data, size);
    switch (event.kind) {
      case websocket::EventKind::kMore:
        return;
      case websocket::EventKind::kText:
        user_->OnText(event.payload);
        break;
      case websocket::EventKind::kBinary:
        user_->OnBinary(event.payload);
        break;
      case websocket::EventKind::kPing:
        // A peer that does not read gets no more pongs than fit.
        if (!blocked_) {
          Write(std::make_shared<const std::string>(websocket::EncodeFrame(websocket::Opcode::kPong, event.payload)));
        }
        break;
      case websocket::EventKind::kPong:
        break;
      case websocket::EventKind::kClose:
      case websocket::EventKind::kError: {
        const bool clean = event.kind == websocket::EventKind::kClose;
        Write(std::make_shared<const std::string>(websocket::EncodeClose(event.code)));
        CloseWhenWritten();
        if (WebSocketUser* user = std::exchange(user_, nullptr)) user->OnGone(clean);
        return;
      }
    }
  }
}

// What comes behind it waits in the kernel.
void Channel::HoldBack(char* data, std::size_t size) {
  if (!held_back_) held_back_ = std::make_unique<std::string>();
  held_back_->append(data, size);
}

void Channel::Resume() {
  const std::unique_ptr<std::string> bytes = std::move(held_back_);
  if (!bytes) return;
  OnWebSocketBytes(bytes->data(), bytes->size());
  if (state_ != State::kClosed && !held_back_) WaitReadable();
}

std::size_t Channel::Write(Bytes bytes) {
  if (state_ == State::kClosed) return 0;
  queued_bytes_ += bytes->size();
  context_.tallies.queued_bytes.Add(bytes->size());
  context_.tallies.frames_queued.Add();
  queue_.push_back(std::move(bytes));
  if (blocked_) {
    const bool too_much = context_.tallies.queued_bytes.value() > context_.options.loop_queue_limit_bytes;
    return too_much ? std::numeric_limits<std::size_t>::max() : queued_bytes_;
  }
  if (queued_bytes_ > kEagerBytes) {
    Flush();
  } else if (!std::exchange(flush_asked_, true)) {
    context_.loop.FlushLater(shared_from_this());
  }
  return queued_bytes_;
}

void Channel::CloseWebSocket(std::uint16_t code, bool discard_queue) {
  user_ = nullptr;
  if (state_ != State::kWebSocket) return;
  if (discard_queue && blocked_) return Close();  // the peer does not read: it would not see a close frame, either
  if (discard_queue && written_ == 0) {
    queue_.clear();
    context_.tallies.queued_bytes.Subtract(std::exchange(queued_bytes_, 0));
  }
  Write(std::make_shared<const std::string>(websocket::EncodeClose(code)));
  CloseWhenWritten();
}

void Channel::Flush() {
  flush_asked_ = false;
  if (state_ == State::kClosed || blocked_) return;
  std::size_t at = 0;  // the first piece not written whole
  while (at < queue_.size()) {
    std::array<iovec, kMaxPieces> pieces;
    std::size_t count = 0;
    for (std::size_t i = at; i < queue_.size() && count < kMaxPieces; ++i, ++count) {
      const std::size_t skip = i == at ? written_ : 0;
      pieces[count] = {const_cast<char*>(queue_[i]->data()) + skip, queue_[i]->size() - skip};
    }
    msghdr message{};
    message.msg_iov = pieces.data();
    message.msg_iovlen = count;
    // The shutdown that follows the last bytes sends them with our end: one packet, and one wake-up of the client.
    const bool is_last = state_ == State::kClosing && !close_sent_ && at + count == queue_.size();
    const int flags = MSG_DONTWAIT | MSG_NOSIGNAL | (is_last ? MSG_MORE : 0);
    const ssize_t sent = ::sendmsg(descriptor_.native_handle(), &message, flags);
    context_.tallies.writes.Add();
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) {
        // Broken: reading will tell, in a turn of its own.
        queue_.clear();
        written_ = 0;
        context_.tallies.queued_bytes.Subtract(std::exchange(queued_bytes_, 0));
        ::shutdown(descriptor_.native_handle(), SHUT_RDWR);
        return;
      }
      blocked_ = true;
      break;
    }
    auto left = static_cast<std::size_t>(sent);
    context_.tallies.bytes_written.Add(left);
    context_.tallies.queued_bytes.Subtract(left);
    queued_bytes_ -= left;
    while (at < queue_.size() && left >= queue_[at]->size() - written_) {
      left -= queue_[at]->size() - written_;
      written_ = 0;
      ++at;
    }
    written_ += left;
  }
  queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(at));
  if (blocked_) {
    descriptor_.async_wait(asio::posix::stream_descriptor::wait_write,
                           [self = shared_from_this()](std::error_code error) {
                             self->blocked_ = false;
                             if (!error) self->Flush();
                           });
    return;
  }
  if (queue_.capacity() > kKeptQueueSlots) queue_ = std::vector<Bytes>();
  if (state_ == State::kClosing) CloseWhenWritten();
}

}  // namespace sesior::realtime
