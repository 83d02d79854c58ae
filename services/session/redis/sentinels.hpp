// Sentinels: where the primary is, as Redis Sentinels tell. They are asked in turn, beginning with the one that
// answered last; afterwards that one is asked again every second, so that a primary that was replaced while it still
// takes connections (cut off from the others, but not from us) is left as well.
// Bounds:    each has `kAnswerTimeout` to answer; who does not is passed over.
// Threading: confined to the io_context's thread. Shutdown: the destructor drops a question that is open.
#pragma once

#include <hiredis/async.h>

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace sesior::session::redis {

struct HostPort {
  std::string host;
  int port = 0;
  friend bool operator==(const HostPort&, const HostPort&) = default;
};

class Sentinels {
 public:
  static constexpr std::chrono::milliseconds kAnswerTimeout{500};
  static constexpr std::chrono::milliseconds kPoll{1000};

  // kUnavailable: none of them knows.
  using Found = std::function<void(const absl::StatusOr<HostPort>&)>;

  // `primary`: the name that the Sentinels know it by. `on_moved`: it is no longer where the last answer said.
  Sentinels(asio::io_context& io, std::vector<HostPort> addresses, std::string primary, std::function<void()> on_moved);
  ~Sentinels();
  Sentinels(const Sentinels&) = delete;
  Sentinels& operator=(const Sentinels&) = delete;

  // Called once, never inside this call. A question that is still open is replaced.
  void Ask(Found found);

 private:
  void Look();
  void Query();
  void Connect();
  void ConnectTo(const std::string& host, int port);
  void OnConnected(int status);
  void Send();
  void OnReply(const redisReply* reply);
  void Failed(const std::string& why);
  void EndRound(const absl::StatusOr<HostPort>& answer);
  void Disconnect();
  void Arm(std::chrono::milliseconds delay, std::function<void()> task);

  asio::io_context& io_;
  const std::vector<HostPort> addresses_;
  const std::string primary_;
  const std::function<void()> on_moved_;
  Found found_;     // null: only looking whether it has moved
  HostPort known_;  // the last answer; host empty: none
  std::size_t at_ = 0;
  std::size_t failed_ = 0;  // of this round
  bool looking_ = false;
  asio::ip::tcp::resolver resolver_;
  asio::steady_timer timer_;  // for an answer, or until the next round
  redisAsyncContext* context_ = nullptr;
  bool connected_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // guards work that outlives *this
};

}  // namespace sesior::session::redis
