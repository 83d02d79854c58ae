#include "services/session/redis/connection.hpp"

#include <hiredis/hiredis.h>

#include <array>
#include <asio/post.hpp>
#include <charconv>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/session/redis/asio_adapter.hpp"
#include "services/session/redis/reply.hpp"
#include "sesior/base/string_view.hpp"

namespace sesior::session::redis {

namespace {

constexpr std::chrono::milliseconds kTick{100};
constexpr int kSentinelPort = 26379;

// The steps between "connected" and "ready", in their order. All are sent at once.
enum Step { kAuth, kSelect, kName, kId, kServer, kReplication };

absl::Status BadUrl(std::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat(ToAbsl(why),
                   " (want redis://[[user]:password@]host[:port][/database], unix:///path[?db=N] or "
                   "redis-sentinel://[[user]:password@]host[:port],.../primary[/database])"));
}

bool ParseNumber(std::string_view text, int max, int& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size() && out >= 0 && out <= max;
}

// "host[:port]" or "[address]:port"; what is wrong, or null.
const char* ParseHostPort(std::string_view text, HostPort& out) {
  std::size_t port_colon = text.rfind(':');
  if (text.starts_with("[")) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return "bad host";
    out.host = std::string(text.substr(1, close - 1));
    port_colon = text.find(':', close);
  } else {
    out.host = std::string(text.substr(0, port_colon));
  }
  if (port_colon != std::string_view::npos &&
      (!ParseNumber(text.substr(port_colon + 1), 65535, out.port) || out.port == 0)) {
    return "bad port";
  }
  return out.host.empty() ? "no host" : nullptr;
}

std::string PercentDecoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    int value = 0;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16).ptr == text.data() + i + 3) {
      out.push_back(static_cast<char>(value));
      i += 2;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

// "name:value\r\n" in the text of INFO.
std::string_view InfoField(std::string_view info, std::string_view name) {
  const std::string prefix = absl::StrCat("\n", ToAbsl(name), ":");
  const std::size_t at = info.find(prefix);
  if (at == std::string_view::npos) return {};
  info.remove_prefix(at + prefix.size());
  return info.substr(0, info.find_first_of("\r\n"));
}

}  // namespace

absl::StatusOr<Address> ParseRedisUrl(std::string_view url) {
  Address address;
  if (url.starts_with("unix://")) {
    url.remove_prefix(7);
    const std::size_t query = url.find('?');
    address.unix_path = std::string(url.substr(0, query));
    if (!address.unix_path.starts_with("/")) return BadUrl("the socket's path must be absolute");
    if (query != std::string_view::npos) {
      const std::string_view option = url.substr(query + 1);
      if (!option.starts_with("db=") || !ParseNumber(option.substr(3), 1 << 20, address.database)) {
        return BadUrl("bad database number");
      }
    }
    return address;
  }
  const bool by_sentinels = url.starts_with("redis-sentinel://");
  if (!by_sentinels && !url.starts_with("redis://")) return BadUrl("no Redis address");
  url.remove_prefix(url.find("//") + 2);
  const std::size_t last_at = url.rfind('@');
  std::string_view path;
  if (const std::size_t slash = url.find('/', last_at == std::string_view::npos ? 0 : last_at);
      slash != std::string_view::npos) {
    path = url.substr(slash + 1);
    url = url.substr(0, slash);
  }
  if (by_sentinels) {
    const std::size_t slash = path.find('/');
    address.primary = std::string(path.substr(0, slash));
    if (address.primary.empty()) return BadUrl("no name of the primary");
    path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
  }
  if (!path.empty() && !ParseNumber(path, 1 << 20, address.database)) return BadUrl("bad database number");
  if (const std::size_t at = url.rfind('@'); at != std::string_view::npos) {
    const std::string_view login = url.substr(0, at);
    const std::size_t colon = login.find(':');
    if (colon == std::string_view::npos) return BadUrl("a login needs user:password");
    address.user = PercentDecoded(login.substr(0, colon));
    address.password = PercentDecoded(login.substr(colon + 1));
    url.remove_prefix(at + 1);
  }
  while (by_sentinels) {
    const std::size_t comma = url.find(',');
    HostPort one{{}, kSentinelPort};
    if (const char* problem = ParseHostPort(url.substr(0, comma), one)) return BadUrl(problem);
    address.sentinels.push_back(std::move(one));
    if (comma == std::string_view::npos) return address;
    url.remove_prefix(comma + 1);
  }
  HostPort one{{}, address.port};
  if (const char* problem = ParseHostPort(url, one)) return BadUrl(problem);
  address.host = std::move(one.host);
  address.port = one.port;
  return address;
}

Connection::Connection(asio::io_context& io, ConnectionOptions options, Events events)
    : io_(io),
      options_(std::move(options)),
      events_(std::move(events)),
      backoff_(options_.backoff),
      resolver_(io),
      retry_timer_(io),
      tick_timer_(io) {
  if (options_.address.sentinels.empty()) return;
  sentinels_ = std::make_unique<Sentinels>(io, options_.address.sentinels, options_.address.primary, [this] {
    Drop(absl::UnavailableError("the Sentinels have another primary now"));
  });
}

Connection::~Connection() {
  stopping_ = true;
  *alive_ = false;
  ready_ = false;
  if (context_ != nullptr) redisAsyncFree(std::exchange(context_, nullptr));
}

void Connection::Start() {
  Open();
  Tick();
}

void Connection::Tick() {
  tick_timer_.expires_after(kTick);
  tick_timer_.async_wait([this, alive = alive_](std::error_code error) {
    if (error || !*alive) return;
    const auto now = std::chrono::steady_clock::now();
    if (context_ != nullptr && !ready_ && now - opened_ > options_.connect_timeout) {
      Drop(absl::DeadlineExceededError(
          absl::StrCat("Redis was not ready within ", options_.connect_timeout.count(), " ms")));
    } else if (ready_ && expected_ > 0 && now - last_progress_ > options_.stall_timeout) {
      Drop(absl::DeadlineExceededError(
          absl::StrCat("Redis answered nothing for ", options_.stall_timeout.count(), " ms")));
    }
    Tick();
  });
}

void Connection::Open() {
  opened_ = std::chrono::steady_clock::now();
  const Address& address = options_.address;
  if (!address.unix_path.empty()) return Adopt(redisAsyncConnectUnix(address.unix_path.c_str()));
  if (sentinels_ == nullptr) return Resolve(address.host, address.port);
  sentinels_->Ask([this](const absl::StatusOr<HostPort>& primary) {
    if (!primary.ok()) return Failed(primary.status(), false);
    opened_ = std::chrono::steady_clock::now();
    Resolve(primary->host, primary->port);
  });
}

void Connection::Resolve(const std::string& host, int port) {
  asio::error_code not_numeric;
  asio::ip::make_address(host, not_numeric);
  if (!not_numeric) return OpenTo(host, port);
  // hiredis would resolve the name on this thread and block it.
  resolver_.async_resolve(
      host, "", [this, alive = alive_, port](std::error_code error, asio::ip::tcp::resolver::results_type results) {
        if (!*alive) return;
        if (error || results.empty()) {
          return Failed(absl::UnavailableError(absl::StrCat("cannot resolve the host of Redis: ", error.message())),
                        false);
        }
        OpenTo(results.begin()->endpoint().address().to_string(), port);
      });
}

void Connection::OpenTo(const std::string& host, int port) { Adopt(redisAsyncConnect(host.c_str(), port)); }

void Connection::Adopt(redisAsyncContext* context) {
  if (context == nullptr || context->err != 0) {
    const std::string why = context == nullptr ? "out of memory" : context->errstr;
    if (context != nullptr) redisAsyncFree(context);
    asio::post(io_, [this, alive = alive_, why] {
      if (*alive) Failed(absl::UnavailableError(absl::StrCat("cannot connect to Redis: ", why)), false);
    });
    return;
  }
  context_ = context;
  context->data = this;
  expected_ = 0;
  if (options_.address.unix_path.empty()) redisEnableKeepAlive(&context->c);  // an error on a unix socket
  AttachToAsio(io_, context);
  redisAsyncSetDisconnectCallback(
      context, [](const redisAsyncContext* c, int) { static_cast<Connection*>(c->data)->OnDisconnected(); });
  redisAsyncSetConnectCallback(
      context, [](const redisAsyncContext* c, int status) { static_cast<Connection*>(c->data)->OnConnected(status); });
}

void Connection::OnConnected(int status) {
  if (stopping_ || context_ == nullptr) return;
  if (status != REDIS_OK) {
    // hiredis frees the context after this callback and does not call the other one.
    const std::string why = context_->errstr;
    context_ = nullptr;
    return Failed(absl::UnavailableError(absl::StrCat("cannot connect to Redis: ", why)), false);
  }
  Handshake();
}

void Connection::OnDisconnected() {
  if (stopping_ || context_ == nullptr) return;
  const std::string why = context_->errstr != nullptr && context_->errstr[0] != '\0' ? context_->errstr : "closed";
  context_ = nullptr;
  Failed(absl::UnavailableError(absl::StrCat("the connection to Redis was lost: ", why)), false);
}

void Connection::HandshakeCommand(int step, std::span<const std::string_view> arguments) {
  struct Data {
    Connection* connection;
    int step;
    std::shared_ptr<bool> alive;
  };
  std::vector<const char*> argv;
  std::vector<std::size_t> lengths;
  for (const std::string_view argument : arguments) {
    argv.push_back(argument.data());
    lengths.push_back(argument.size());
  }
  auto* data = new Data{this, step, alive_};
  const int sent = redisAsyncCommandArgv(
      context_,
      [](redisAsyncContext* c, void* reply, void* raw) {
        const std::unique_ptr<Data> mine(static_cast<Data*>(raw));
        if (reply == nullptr || !*mine->alive || mine->connection->context_ != c) return;
        mine->connection->OnHandshakeReply(mine->step, static_cast<const redisReply*>(reply));
      },
      data, static_cast<int>(argv.size()), argv.data(), lengths.data());
  if (sent != REDIS_OK) delete data;
}

void Connection::Handshake() {
  const Address& address = options_.address;
  const auto send = [this](int step, std::initializer_list<std::string_view> arguments) {
    if (context_ != nullptr) HandshakeCommand(step, {arguments.begin(), arguments.size()});
  };
  if (!address.password.empty()) {
    if (address.user.empty()) {
      send(kAuth, {"AUTH", address.password});
    } else {
      send(kAuth, {"AUTH", address.user, address.password});
    }
  }
  if (address.database != 0) send(kSelect, {"SELECT", std::to_string(address.database)});
  send(kName, {"CLIENT", "SETNAME", options_.name});
  send(kId, {"CLIENT", "ID"});
  send(kServer, {"INFO", "server"});
  send(kReplication, {"INFO", "replication"});
}

void Connection::OnHandshakeReply(int step, const redisReply* raw) {
  const Reply reply(raw);
  if (reply.is_error() && step != kName && step != kId) {
    // The text of Redis names the trouble (WRONGPASS, NOAUTH, LOADING), never the password.
    return DropSoon(absl::UnavailableError(absl::StrCat("Redis refused the connection: ", ToAbsl(reply.text()))));
  }
  if (step == kServer && InfoField(reply.text(), "redis_mode") == "cluster") {
    fatal_ = true;
    return DropSoon(absl::FailedPreconditionError(
        "this Redis is a cluster; this version needs one primary (replicas are fine): its steps touch several slots"));
  }
  if (step == kId) info_.client_id = reply.number();
  if (step != kReplication) return;
  if (InfoField(reply.text(), "role") == "slave") {
    return DropSoon(absl::UnavailableError("this Redis is a read-only replica"));
  }
  if (!drop_reason_.ok()) return;
  info_.master_replid = std::string(InfoField(reply.text(), "master_replid").substr(0, 12));
  ready_ = true;
  backoff_.Reset();
  events_.on_ready(info_);
}

void Connection::Drop(const absl::Status& why) {
  if (context_ == nullptr) return;
  ready_ = false;
  redisAsyncFree(std::exchange(context_, nullptr));
  Failed(why, fatal_);
}

void Connection::DropSoon(absl::Status why) {
  if (!drop_reason_.ok()) return;
  drop_reason_ = std::move(why);
  asio::post(io_, [this, alive = alive_] {
    if (*alive && !drop_reason_.ok()) Drop(drop_reason_);
  });
}

void Connection::Failed(absl::Status why, bool fatal) {
  ready_ = false;
  if (!drop_reason_.ok()) why = std::exchange(drop_reason_, absl::OkStatus());
  events_.on_lost(why, fatal);
  if (fatal || stopping_) return;
  retry_timer_.expires_after(backoff_.Next());
  retry_timer_.async_wait([this, alive = alive_](std::error_code error) {
    if (!error && *alive && context_ == nullptr) Open();
  });
}

}  // namespace sesior::session::redis
