// Client: commands and scripts over one connection, pipelined as they come.
// Threading: confined to the io_context's thread. `done` is called once, on that thread, never inside the call.
// Errors: kUnavailable (REDIS_UNAVAILABLE, with a wait): not connected, connection lost (the effect is then unknown),
// Redis read-only, loading, full; kResourceExhausted (`max_pending` commands are under way: fails at once);
// kDataLoss (RECORD_CORRUPT): a key holds another type; kInternal: an answer that should not be (a bug of ours).
// Shutdown: the destructor drops what is pending without calling it: who asked may be gone.
#pragma once

#include <chrono>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "services/session/redis/connection.hpp"
#include "services/session/redis/reply.hpp"
#include "services/session/redis/scripts.hpp"

namespace sesior::session::redis {

// The arguments of one command, built by appending.
class Arguments {
 public:
  Arguments& Add(std::string value) {
    values_.push_back(std::move(value));
    return *this;
  }
  Arguments& Add(std::string_view value) { return Add(std::string(value)); }
  Arguments& Add(const char* value) { return Add(std::string(value)); }
  Arguments& Add(std::int64_t value) { return Add(std::to_string(value)); }
  void Reserve(std::size_t count) { values_.reserve(count); }
  void Append(Arguments more) {
    values_.insert(values_.end(), std::make_move_iterator(more.values_.begin()),
                   std::make_move_iterator(more.values_.end()));
  }
  void Replace(std::size_t at, std::string value) { values_[at] = std::move(value); }
  const std::vector<std::string>& values() const { return values_; }

 private:
  std::vector<std::string> values_;
};

class Client {
 public:
  // The reply is valid inside the call only.
  using Done = absl::AnyInvocable<void(absl::StatusOr<Reply>) &&>;
  struct Options {
    ConnectionOptions connection;
    int max_pending = 100'000;
    bool load_scripts = true;  // false: for commands alone
  };
  struct Events {
    std::function<void(const ServerInfo&)> on_up;
    std::function<void(const absl::Status&, bool fatal)> on_down;
  };

  Client(asio::io_context& io, Options options, const ScriptSet& scripts, Events events);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void Start() { connection_.Start(); }
  // Gives the connection up soon; it comes back.
  void Drop(absl::Status why) {
    if (connection_.ready()) connection_.DropSoon(std::move(why));
  }
  bool ready() const { return connection_.ready(); }
  const ServerInfo& server() const { return server_; }
  // Since when the connection stands; meaningless unless ready().
  std::chrono::steady_clock::time_point ready_since() const { return ready_since_; }
  int pending() const { return pending_; }

  void Command(Arguments arguments, Done done);
  // EVALSHA, and once EVAL when Redis has lost the script. `keys` come first in `arguments`, `key_count` of them.
  void Run(ScriptId script, int key_count, Arguments arguments, Done done);

 private:
  struct Call;
  void Send(std::unique_ptr<Call> call);
  void OnReply(std::unique_ptr<Call> call, const redisReply* reply);
  void FailSoon(Done done, absl::Status status);

  asio::io_context& io_;
  const Options options_;
  const ScriptSet& scripts_;
  const Events events_;
  ServerInfo server_;
  std::chrono::steady_clock::time_point ready_since_;
  int pending_ = 0;
  bool stopping_ = false;
  Connection connection_;
};

absl::Status RedisUnavailable(std::string_view why);

}  // namespace sesior::session::redis
