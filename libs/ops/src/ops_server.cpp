#include "sesior/ops/ops_server.hpp"

#include <pthread.h>

#include <array>
#include <asio.hpp>
#include <atomic>
#include <chrono>
#include <thread>
#include <unordered_set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sesior/base/status_macros.hpp"
#include "sesior/base/string_view.hpp"
#include "sesior/http/request_parser.hpp"
#include "sesior/http/response.hpp"
#include "sesior/telemetry/log.hpp"

namespace sesior::ops {

namespace {

using asio::ip::tcp;
using std::chrono::milliseconds;

constexpr std::size_t kMaxConnections = 64;
constexpr milliseconds kStepTimeout{5000};      // receiving one request; sending one answer
constexpr milliseconds kLingerTimeout{1000};    // for the client to read the last answer
constexpr milliseconds kAcceptRetryDelay{100};  // when the process has no descriptor left
constexpr http::Limits kLimits{.head_bytes = 8 * 1024, .headers = 64, .target_bytes = 1024, .body_bytes = 8 * 1024};

http::Response TextResponse(int status, std::string text) {
  return http::Response(status, "text/plain; charset=utf-8", std::move(text));
}

// "host:port", "[v6]:port" or ":port" (all addresses) as something to bind to.
absl::StatusOr<tcp::endpoint> Resolve(const std::string& listen, asio::io_context& io) {
  const std::size_t colon = listen.rfind(':');
  if (colon == std::string::npos) {
    return absl::InvalidArgumentError(absl::StrCat("ops address \"", listen, "\" is not host:port"));
  }
  std::string host = listen.substr(0, colon);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  if (host.empty()) host = "0.0.0.0";
  asio::error_code error;
  const auto found = tcp::resolver(io).resolve(host, listen.substr(colon + 1),
                                               tcp::resolver::passive | tcp::resolver::numeric_service, error);
  if (error || found.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("ops address \"", listen, "\": ", error.message()));
  }
  return found.begin()->endpoint();
}

// Binds by steps, since the constructor of the acceptor that does it all throws.
absl::Status Open(tcp::acceptor& acceptor, const tcp::endpoint& endpoint, const std::string& listen) {
  asio::error_code error;
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(tcp::acceptor::max_listen_connections, error);
  if (error) return absl::UnavailableError(absl::StrCat("ops address \"", listen, "\": ", error.message()));
  return absl::OkStatus();
}

}  // namespace

// Confined to its thread, but for `draining_` and `port_`.
class OpsServer::Server {
 public:
  Server(std::string listen, const telemetry::Registry& registry, std::function<bool()> ready,
         std::function<void()> collect)
      : listen_(std::move(listen)), registry_(registry), ready_(std::move(ready)), collect_(std::move(collect)) {}

  absl::Status Start() {
    SESIOR_ASSIGN_OR_RETURN(const tcp::endpoint wanted, Resolve(listen_, io_));
    SESIOR_RETURN_IF_ERROR(Open(acceptor_, wanted, listen_));
    asio::error_code error;
    const tcp::endpoint bound = acceptor_.local_endpoint(error);
    port_ = bound.port();
    telemetry::Log(telemetry::Level::kInfo, "listening",
                   {{"name", "ops"}, {"addr", absl::StrCat(listen_.substr(0, listen_.rfind(':')), ":", bound.port())}});
    Accept();
    thread_ = std::thread([this] {
      pthread_setname_np(pthread_self(), "ops");
      io_.run();
    });
    return absl::OkStatus();
  }

  void Drain() { draining_ = true; }
  void Stop();
  int port() const { return port_; }

 private:
  class Connection;

  void Accept();
  http::Response Answer(const http::Request& request);

  const std::string listen_;
  const telemetry::Registry& registry_;
  const std::function<bool()> ready_;
  const std::function<void()> collect_;
  std::atomic<bool> draining_{false};
  std::atomic<int> port_{0};

  asio::io_context io_{1};
  tcp::acceptor acceptor_{io_};
  asio::steady_timer accept_retry_{io_};
  std::unordered_set<std::shared_ptr<Connection>> connections_;
  std::thread thread_;
};

// One client: reads a request, answers it, reads the next. Owned by the server's set until Close(), and by the handlers
// under way. Confined to the ops thread.
class OpsServer::Server::Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Server& server, tcp::socket socket)
      : server_(server), socket_(std::move(socket)), timer_(socket_.get_executor()) {}

  void Start() {
    asio::error_code ignored;
    socket_.set_option(tcp::no_delay(true), ignored);
    ArmTimer(kStepTimeout);
    Read();
  }

  void Close() {
    timer_.cancel();
    asio::error_code ignored;
    socket_.close(ignored);
    server_.connections_.erase(shared_from_this());
  }

 private:
  void ArmTimer(milliseconds timeout) {
    timer_.expires_after(timeout);
    timer_.async_wait([self = shared_from_this()](asio::error_code error) {
      // A timer re-armed after it expired, but before this ran, is not due.
      if (!error && self->timer_.expiry() <= asio::steady_timer::clock_type::now()) self->Close();
    });
  }

  void Read() {
    socket_.async_read_some(asio::buffer(buffer_),
                            [self = shared_from_this()](asio::error_code error, std::size_t size) {
                              if (error) return self->Close();
                              self->unread_ = std::string_view(self->buffer_.data(), size);
                              self->Parse();
                            });
  }

  void Parse() {
    switch (parser_.Feed(unread_)) {
      case http::RequestParser::Result::kNeedMore:
        return Read();
      case http::RequestParser::Result::kComplete: {
        const http::Request request = parser_.Take();
        closing_ = !request.keep_alive;
        return Write(server_.Answer(request).Serialize(request, closing_));
      }
      case http::RequestParser::Result::kError:
        closing_ = true;
        return Write(
            TextResponse(parser_.error().status, absl::StrCat(parser_.error().reason, "\n")).SerializeAndClose());
    }
  }

  void Write(std::string answer) {
    answer_ = std::move(answer);
    ArmTimer(kStepTimeout);
    asio::async_write(socket_, asio::buffer(answer_), [self = shared_from_this()](asio::error_code error, std::size_t) {
      if (error) return self->Close();
      self->answer_ = std::string();
      if (self->closing_) return self->Linger();
      self->ArmTimer(kStepTimeout);
      if (self->unread_.empty()) return self->Read();
      self->Parse();
    });
  }

  // A close with unread bytes would reset the connection, and the client could lose the answer.
  void Linger() {
    asio::error_code ignored;
    socket_.shutdown(tcp::socket::shutdown_send, ignored);
    ArmTimer(kLingerTimeout);
    Discard();
  }

  void Discard() {
    socket_.async_read_some(asio::buffer(buffer_), [self = shared_from_this()](asio::error_code error, std::size_t) {
      if (error) return self->Close();
      self->Discard();
    });
  }

  Server& server_;
  tcp::socket socket_;
  asio::steady_timer timer_;
  http::RequestParser parser_{kLimits};
  std::array<char, 4096> buffer_;
  std::string_view unread_;  // into buffer_
  std::string answer_;
  bool closing_ = false;
};

void OpsServer::Server::Accept() {
  acceptor_.async_accept([this](asio::error_code error, tcp::socket socket) {
    if (error == asio::error::operation_aborted) return;
    if (error) {
      accept_retry_.expires_after(kAcceptRetryDelay);
      accept_retry_.async_wait([this](asio::error_code cancelled) {
        if (!cancelled) Accept();
      });
      return;
    }
    // One too many is closed here, by the destructor of `socket`: a probe had better fail than wait.
    if (connections_.size() < kMaxConnections) {
      auto connection = std::make_shared<Connection>(*this, std::move(socket));
      connections_.insert(connection);
      connection->Start();
    }
    Accept();
  });
}

http::Response OpsServer::Server::Answer(const http::Request& request) {
  const bool known = request.path == "/livez" || request.path == "/readyz" || request.path == "/metrics";
  if (!known) return TextResponse(404, "not found\n");
  if (request.method != http::Method::kGet && request.method != http::Method::kHead) {
    return TextResponse(405, "method not allowed\n").Add("Allow", "GET, HEAD");
  }
  if (request.path == "/livez") return TextResponse(200, "ok\n");
  if (request.path == "/readyz") {
    return !draining_ && ready_() ? TextResponse(200, "ok\n") : TextResponse(503, "not ready\n");
  }
  collect_();
  return http::Response(200, "text/plain; version=0.0.4; charset=utf-8", registry_.Serialize());
}

void OpsServer::Server::Stop() {
  io_.stop();
  if (thread_.joinable()) thread_.join();
  // The thread is gone: what was confined to it is ours now.
  asio::error_code ignored;
  acceptor_.close(ignored);
  while (!connections_.empty()) (*connections_.begin())->Close();
}

OpsServer::OpsServer(std::string listen, const telemetry::Registry& registry, std::function<bool()> ready,
                     std::function<void()> collect)
    : server_(std::make_unique<Server>(std::move(listen), registry, std::move(ready), std::move(collect))) {}

OpsServer::~OpsServer() { Stop(); }

absl::Status OpsServer::Start() { return server_->Start(); }
void OpsServer::Drain(std::chrono::steady_clock::time_point /*deadline*/) { server_->Drain(); }
void OpsServer::Stop() { server_->Stop(); }
int OpsServer::port() const { return server_->port(); }

}  // namespace sesior::ops
