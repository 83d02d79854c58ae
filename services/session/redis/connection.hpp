// Connection: one connection to Redis that comes back by itself.
// It connects (address resolved without blocking, or told by Sentinels), authenticates, selects the database, makes
// sure that the other side is a writable primary and no cluster, and says on_ready; when it is lost it says on_lost and
// tries again after a jittered wait. Commands sent in one turn of the loop leave in one write. Threading: confined to
// the io_context's thread. Shutdown: the destructor fails what is pending (null reply) and calls neither on_ready nor
// on_lost.
#pragma once

#include <hiredis/async.h>

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/session/redis/sentinels.hpp"
#include "sesior/base/backoff.hpp"

namespace sesior::session::redis {

struct Address {
  std::string unix_path;  // empty: TCP
  std::string host;
  int port = 6379;
  std::string user;      // empty: the default user
  std::string password;  // empty: no AUTH
  int database = 0;
  // Not empty: host and port are theirs to tell, of the primary that they know by `primary`.
  std::vector<HostPort> sentinels = {};
  std::string primary = {};
};
// redis://[[user]:password@]host[:port][/database], unix:///path[?db=N], or
// redis-sentinel://[[user]:password@]host[:port][,host[:port]...]/primary[/database]; the login is Redis's.
// kInvalidArgument says what is wrong, without repeating the password.
absl::StatusOr<Address> ParseRedisUrl(std::string_view url);

struct ConnectionOptions {
  Address address;
  std::chrono::milliseconds connect_timeout{2000};  // until ready
  // A connection on which nothing came for so long although something is due is dead.
  std::chrono::milliseconds stall_timeout{2000};
  Backoff::Options backoff{};
  std::string name = "sesior-session";  // CLIENT SETNAME
};

struct ServerInfo {
  std::string master_replid;   // changes with every failover and, without persistence, every restart
  std::int64_t client_id = 0;  // of this connection; 0: Redis does not tell
};

class Connection {
 public:
  struct Events {
    std::function<void(const ServerInfo&)> on_ready;
    // `fatal`: trying again cannot help (a cluster): no further try is made.
    std::function<void(const absl::Status& why, bool fatal)> on_lost;
  };
  Connection(asio::io_context& io, ConnectionOptions options, Events events);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void Start();
  bool ready() const { return ready_; }
  // The context to send commands on; null unless ready. Its callbacks get a null reply when the connection is lost.
  redisAsyncContext* context() { return ready_ ? context_ : nullptr; }
  // Gives the connection up, as if the other side had closed it. Not from inside a reply's callback.
  void Drop(const absl::Status& why);
  // Drop, from inside a callback.
  void DropSoon(absl::Status why);

  // To be called by the owner, for stall detection: something was sent that will be answered; an answer came.
  void Expect() {
    if (expected_++ == 0) last_progress_ = std::chrono::steady_clock::now();
  }
  void Answered() {
    --expected_;
    last_progress_ = std::chrono::steady_clock::now();
  }

 private:
  void Open();
  void Resolve(const std::string& host, int port);
  void OpenTo(const std::string& host, int port);
  void Adopt(redisAsyncContext* context);
  void OnConnected(int status);
  void OnDisconnected();
  void Handshake();
  void OnHandshakeReply(int step, const redisReply* reply);
  void HandshakeCommand(int step, std::span<const std::string_view> arguments);
  void Failed(absl::Status why, bool fatal);
  void Tick();

  asio::io_context& io_;
  const ConnectionOptions options_;
  const Events events_;
  Backoff backoff_;
  asio::ip::tcp::resolver resolver_;
  asio::steady_timer retry_timer_;
  asio::steady_timer tick_timer_;
  std::unique_ptr<Sentinels> sentinels_;  // null: the address is fixed
  redisAsyncContext* context_ = nullptr;
  bool ready_ = false;
  bool fatal_ = false;
  bool stopping_ = false;
  int expected_ = 0;
  ServerInfo info_;
  absl::Status drop_reason_;
  std::chrono::steady_clock::time_point opened_;
  std::chrono::steady_clock::time_point last_progress_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // guards work that outlives *this
};

}  // namespace sesior::session::redis
