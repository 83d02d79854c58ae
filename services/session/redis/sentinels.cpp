#include "services/session/redis/sentinels.hpp"

#include <hiredis/hiredis.h>

#include <array>
#include <asio/post.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/session/redis/asio_adapter.hpp"
#include "services/session/redis/reply.hpp"

namespace sesior::session::redis {

Sentinels::Sentinels(asio::io_context& io, std::vector<HostPort> addresses, std::string primary,
                     std::function<void()> on_moved)
    : io_(io),
      addresses_(std::move(addresses)),
      primary_(std::move(primary)),
      on_moved_(std::move(on_moved)),
      resolver_(io),
      timer_(io) {}

Sentinels::~Sentinels() {
  *alive_ = false;
  Disconnect();
}

void Sentinels::Ask(Found found) {
  found_ = std::move(found);
  if (looking_) return;  // its answer will do
  timer_.cancel();
  asio::post(io_, [this, alive = alive_] {
    if (*alive && !looking_) Look();
  });
}

void Sentinels::Look() {
  looking_ = true;
  failed_ = 0;
  Query();
}

void Sentinels::Query() {
  Arm(kAnswerTimeout, [this] { Failed("no answer"); });
  if (context_ != nullptr && connected_) {
    Send();
  } else {
    Connect();
  }
}

void Sentinels::Connect() {
  Disconnect();
  const HostPort& address = addresses_[at_];
  asio::error_code not_numeric;
  asio::ip::make_address(address.host, not_numeric);
  if (!not_numeric) return ConnectTo(address.host, address.port);
  // hiredis would resolve the name on this thread and block it.
  resolver_.async_resolve(address.host, "",
                          [this, alive = alive_, port = address.port](
                              std::error_code error, const asio::ip::tcp::resolver::results_type& results) {
                            if (!*alive || error == asio::error::operation_aborted) return;
                            if (error || results.empty()) return Failed(error.message());
                            ConnectTo(results.begin()->endpoint().address().to_string(), port);
                          });
}

void Sentinels::ConnectTo(const std::string& host, int port) {
  redisAsyncContext* context = redisAsyncConnect(host.c_str(), port);
  if (context == nullptr || context->err != 0) {
    if (context != nullptr) redisAsyncFree(context);
    asio::post(io_, [this, alive = alive_] {
      if (*alive && looking_) Failed("cannot connect");
    });
    return;
  }
  context_ = context;
  context->data = this;
  AttachToAsio(io_, context);
  redisAsyncSetDisconnectCallback(context, [](const redisAsyncContext* c, int) {
    auto* self = static_cast<Sentinels*>(c->data);
    if (self->context_ != c) return;
    self->context_ = nullptr;
    self->connected_ = false;
    if (self->looking_) self->Failed("closed");
  });
  redisAsyncSetConnectCallback(
      context, [](const redisAsyncContext* c, int status) { static_cast<Sentinels*>(c->data)->OnConnected(status); });
}

void Sentinels::OnConnected(int status) {
  if (context_ == nullptr) return;
  if (status != REDIS_OK) {
    context_ = nullptr;  // hiredis frees it after this callback
    return Failed("cannot connect");
  }
  connected_ = true;
  Send();
}

void Sentinels::Send() {
  struct Data {
    Sentinels* self;
    std::shared_ptr<bool> alive;
  };
  const std::array<const char*, 3> argv = {"SENTINEL", "get-master-addr-by-name", primary_.c_str()};
  const std::array<std::size_t, 3> lengths = {8, 23, primary_.size()};
  auto* data = new Data{this, alive_};
  const int sent = redisAsyncCommandArgv(
      context_,
      [](redisAsyncContext* c, void* reply, void* raw) {
        const std::unique_ptr<Data> mine(static_cast<Data*>(raw));
        if (reply == nullptr || !*mine->alive || mine->self->context_ != c) return;
        mine->self->OnReply(static_cast<const redisReply*>(reply));
      },
      data, static_cast<int>(argv.size()), const_cast<const char**>(argv.data()), lengths.data());
  if (sent != REDIS_OK) delete data;  // the timer goes on to the next
}

void Sentinels::OnReply(const redisReply* raw) {
  if (!looking_) return;
  const Reply reply(raw);
  if (reply.size() != 2) return Failed(reply.is_error() ? std::string(reply.text()) : "does not know this primary");
  EndRound(HostPort{std::string(reply[0].text()), static_cast<int>(reply[1].number())});
}

void Sentinels::Failed(const std::string& why) {
  if (!looking_) return;
  Disconnect();
  at_ = (at_ + 1) % addresses_.size();
  if (++failed_ < addresses_.size()) return Query();
  EndRound(absl::UnavailableError(absl::StrCat("no Sentinel tells where \"", primary_, "\" is; the last: ", why)));
}

void Sentinels::EndRound(const absl::StatusOr<HostPort>& answer) {
  looking_ = false;
  Arm(kPoll, [this] { Look(); });
  const Found found = std::exchange(found_, nullptr);
  const bool moved = answer.ok() && !known_.host.empty() && *answer != known_;
  if (answer.ok()) known_ = *answer;
  if (found) {
    found(answer);
  } else if (moved) {
    on_moved_();
  }
}

void Sentinels::Disconnect() {
  resolver_.cancel();
  connected_ = false;
  if (context_ != nullptr) redisAsyncFree(std::exchange(context_, nullptr));
}

void Sentinels::Arm(std::chrono::milliseconds delay, std::function<void()> task) {
  timer_.expires_after(delay);
  timer_.async_wait([alive = alive_, task = std::move(task)](std::error_code error) {
    if (!error && *alive) task();
  });
}

}  // namespace sesior::session::redis
