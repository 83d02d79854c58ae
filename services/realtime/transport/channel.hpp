// Channel: one accepted TCP connection. It speaks HTTP/1.1 with keep-alive first, one request at a time, and WebSocket
// from the moment a request asked for that.
//
// Ownership: a channel lives by the shared pointers of its waits; it always waits for bytes, or the end, of its peer,
// and
//            ends by itself when the connection does.
// Threading: confined to its loop. A connection may move to another loop, where a new channel takes it up.
// Bounds:    a request within http::Limits and `request_timeout`; what a client sends ahead while its request waits:
//            64 KiB, else the connection ends. What waits to be written is judged by the WebSocketUser (Write tells how
//            much); answers to HTTP are bounded by their makers.
// Memory:    an idle WebSocket holds no buffer.
#pragma once

#include <asio/posix/stream_descriptor.hpp>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/realtime/metrics.hpp"
#include "services/realtime/transport/loop.hpp"
#include "sesior/http/content_coding.hpp"
#include "sesior/http/ip_address.hpp"
#include "sesior/http/request_parser.hpp"
#include "sesior/http/response.hpp"
#include "sesior/websocket/message_reader.hpp"

namespace sesior::realtime {

class Channel;
class PassedOn;

// Bytes to send, shared by all who send them.
using Bytes = std::shared_ptr<const std::string>;

// Exchange: one HTTP request that waits for its answer.
// Threading: confined to the loop of its channel.
class Exchange {
 public:
  Exchange(const std::shared_ptr<Channel>& channel, const http::IpAddress& its_peer, bool is_from_replica)
      : peer(its_peer), from_replica(is_from_replica), channel_(channel) {}

  // At most once; nothing happens when the client is gone meanwhile. `close`: end the connection with the answer.
  void Answer(http::Response response, bool close = false);

  // Takes the connection out of HTTP, to be used otherwise: its descriptor, counted as a connection as before, and what
  // the client has sent behind the request. nullopt: the client is gone, or has not even taken earlier answers.
  struct Released {
    int fd;
    std::string unread;
  };
  std::optional<Released> Release();

  // Whose connection it is: a client, a proxy, or another replica that passes a client's request on.
  const http::IpAddress peer;
  const bool from_replica;
  // How its answer may be packed; for those who do.
  http::ContentCoding coding = http::ContentCoding::kIdentity;
  // Added to the answer, whatever it is.
  std::vector<http::Header> headers;
  // Called when the client goes away before the answer.
  std::function<void()> on_gone;
  // Set by who can answer early. Called when the replica that carries the request is going away: it asks by sending
  // anything at all behind the request, which nobody else does on its connections.
  std::function<void()> on_hurry;
  // For whom it has been handed to another replica.
  std::shared_ptr<PassedOn> passed_on;

  // Null when the connection is gone.
  std::shared_ptr<Channel> channel() const { return channel_.lock(); }

 private:
  std::weak_ptr<Channel> channel_;
};
using ExchangePtr = std::shared_ptr<Exchange>;

struct ChannelContext;

// Who answers the requests of one loop.
class RequestHandler {
 public:
  // The head of a request is there. Another loop's index: the connection moves there, with what was read, before
  // anything else is called; nullopt: it stays.
  virtual std::optional<std::size_t> Route(const http::Request& head) = 0;
  // The head of a request whose body is still to come. True: the exchange has been answered, and the connection ends
  // with that; else OnRequest, OnTooLarge or on_gone follows.
  virtual bool OnHead(const http::Request& head, const ExchangePtr& exchange) = 0;
  // A whole request. Its exchange must be answered, now or later, or its channel become a WebSocket inside this call.
  virtual void OnRequest(http::Request request, const ExchangePtr& exchange) = 0;
  // The body is over the limit: the answer to give. `announced`: OnHead was called for it; on_gone will not be.
  virtual http::Response OnTooLarge(const http::Request& head, const Exchange& exchange, bool announced) = 0;

 protected:
  ~RequestHandler() = default;
};

// Who uses a WebSocket.
class WebSocketUser {
 public:
  // The views end with the call.
  virtual void OnText(std::string_view text) = 0;
  virtual void OnBinary(std::string_view bytes) = 0;
  // The connection is gone or going; `clean` unless the peer broke the protocol. Not after CloseWebSocket.
  virtual void OnGone(bool clean) = 0;
  // Asked before each message. False: not now; the channel reads no further until Resume.
  virtual bool MayRead() { return true; }

 protected:
  ~WebSocketUser() = default;
};

struct ChannelOptions {
  http::Limits http;
  std::size_t max_message_bytes = 1'000'000;          // of a WebSocket message
  std::chrono::milliseconds request_timeout{10'000};  // for a whole request, from its first byte
  std::chrono::milliseconds idle_timeout{75'000};     // between requests; more than pingInterval
  std::chrono::milliseconds close_timeout{2'000};     // for the peer's side of a close
  std::size_t loop_queue_limit_bytes = 64 << 20;      // waiting for blocked clients of one loop together
};

// What the channels of one loop share; those of clients one, those of other replicas another.
struct ChannelContext {
  Loop& loop;
  const ChannelOptions& options;
  RequestHandler& handler;
  LoopTallies& tallies;
  Tally& open;                                  // of `tallies`: connections of this kind
  std::atomic<std::size_t>& connections;        // of this kind, open in the process
  const std::vector<ChannelContext*>& threads;  // the contexts of this kind, by loop
  bool of_replicas = false;
  // Once true, answers end their connections, so that what comes next goes elsewhere; null: never.
  const std::atomic<bool>* draining = nullptr;
};

class Channel final : public std::enable_shared_from_this<Channel>, public Loop::Flushable, private Timer {
 public:
  // Use Adopt.
  Channel(ChannelContext& context, int fd, const http::IpAddress& peer, http::RequestParser parser);
  ~Channel() override;

  // Takes an accepted descriptor over, counted in context.connections, and begins to read, as an HTTP server. `unread`:
  // what has been read from it already.
  static void Adopt(ChannelContext& context, int fd, const http::IpAddress& peer, std::string_view unread = {});

  // -- WebSocket --
  // Answers the waiting request with 101 and hands what follows to `user`. `key`: an accepted Sec-WebSocket-Key.
  void StartWebSocket(std::string_view key, WebSocketUser& user);

  // Queues a frame, to be written when the turn is over; the bytes that now wait. When all blocked clients of the loop
  // hold too much together, SIZE_MAX for a blocked one.
  std::size_t Write(Bytes bytes);
  // The user that said MayRead no takes messages again. Not inside a call of the user's.
  void Resume();
  // Did the last write leave bytes behind?
  bool blocked() const { return blocked_; }
  // Writes what is queued (unless `discard_queue`) and a close frame (code 0: an empty one), then closes.
  void CloseWebSocket(std::uint16_t code, bool discard_queue);

  void Flush() override;
  Loop& loop() { return context_.loop; }

 private:
  friend class Exchange;
  struct Http;
  enum class State : std::uint8_t { kHttp, kWebSocket, kClosing, kClosed };

  // The same in the middle of a request or at its end. `unread`: what has been read beyond what `parser` has taken.
  static void Adopt(ChannelContext& context, int fd, const http::IpAddress& peer, http::RequestParser parser,
                    std::string_view unread);
  void OnDeadline(Time now) override;
  void WaitReadable();
  void OnReadable();
  void OnHttpBytes(std::string_view bytes);
  ExchangePtr NewExchange();
  void OnAhead();
  void OnWebSocketBytes(char* data, std::size_t size);
  void HoldBack(char* data, std::size_t size);
  void OnEnd(bool clean);
  void OnAnswer(const http::Response& response, bool close);
  void AnswerAndClose(std::string bytes);
  void LeaveHttp();
  void MoveTo(ChannelContext& target, std::string_view unread);
  std::optional<int> TakeDescriptor();
  void CloseWhenWritten();
  void Close();

  ChannelContext& context_;
  asio::posix::stream_descriptor descriptor_;
  std::unique_ptr<Http> http_;  // null once it is a WebSocket
  websocket::MessageReader reader_;
  WebSocketUser* user_ = nullptr;
  std::unique_ptr<std::string> held_back_;  // read, but not taken by the user; null: nothing is held back
  std::vector<Bytes> queue_;
  std::size_t written_ = 0;  // of queue_.front()
  std::size_t queued_bytes_ = 0;
  State state_ = State::kHttp;
  bool reading_ = false;
  bool blocked_ = false;
  bool flush_asked_ = false;
  bool close_sent_ = false;  // our side of the connection is shut down
};

}  // namespace sesior::realtime
