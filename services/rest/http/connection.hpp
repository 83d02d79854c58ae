// Connection: one client's flow, a request at a time: read, hand over, write, again. It reads no further while an
// answer is owed (what a client sends ahead waits in the kernel), and writes only what the kernel takes: the rest of an
// answer stays here, where no other connection can get hold of it. Ownership: the worker owns it; it does not own the
// descriptor. Threading: confined to its worker's thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "services/rest/http/reply.hpp"
#include "services/rest/http/server_options.hpp"
#include "sesior/http/request.hpp"
#include "sesior/http/request_parser.hpp"
#include "sesior/http/response.hpp"

namespace sesior::rest {

// What epoll told about a descriptor.
struct Readiness {
  bool readable = false;
  bool writable = false;
  bool half_closed = false;  // the client sends no more
  bool hung_up = false;      // it does not read any more either
};

class Connection {
 public:
  using Time = std::chrono::steady_clock::time_point;
  // Whether the worker must keep the connection or remove it.
  enum class Next { kKeep, kRemove };

  // The worker, as far as a connection needs it.
  class Host {
   public:
    virtual ~Host() = default;
    virtual void Dispatch(ConnectionId connection, const std::string& address, http::Request request) = 0;
    // From now on OnReady tells when the descriptor can be written.
    virtual void WatchWrites(int fd) = 0;
    virtual Time Now() const = 0;
    virtual bool draining() const = 0;
    // The value of a Date header.
    virtual std::string_view date() const = 0;
  };

  Connection(ConnectionId id, std::string address, const ServerOptions& options, ServerMetrics& metrics, Host& host);

  [[nodiscard]] Next OnReady(Readiness readiness);
  // The answer to the request dispatched last.
  [[nodiscard]] Next Answer(http::Response response);
  // Now and then: closes what takes too long and, when draining, what has nothing to do.
  [[nodiscard]] Next OnTick();

  ConnectionId id() const { return id_; }

 private:
  enum class State {
    kIdle,       // nothing of a request is here
    kReading,    // a part of a request is
    kHandling,   // an answer is owed
    kWriting,    // an answer waits for the client to read
    kLingering,  // all is said; what still comes is thrown away until the client closes, so that it gets the answer
  };

  Next Pump();
  Next Read();
  Next Feed(std::string_view bytes);
  Next Refuse(int status, std::string_view reason);
  Next Write(std::string bytes, bool close);
  Next Flush();
  void Enter(State state);
  std::chrono::milliseconds TimeoutOf(State state) const;

  const ConnectionId id_;
  const std::string address_;
  const ServerOptions& options_;
  ServerMetrics& metrics_;
  Host& host_;

  State state_ = State::kIdle;
  Time deadline_;
  http::RequestParser parser_;
  std::string ahead_;         // read already, behind the request in hand
  bool can_read_ = false;     // epoll said so and no read has found the end since
  bool half_closed_ = false;  // a read of nothing will come, without another word from epoll
  bool watches_writes_ = false;
  http::Request asked_;  // of the request in hand, what its answer's form depends on; the rest went to the handler

  std::string out_;  // the answer being written
  std::size_t written_ = 0;
  bool close_after_write_ = false;
  std::size_t thrown_away_ = 0;  // while lingering
};

}  // namespace sesior::rest
