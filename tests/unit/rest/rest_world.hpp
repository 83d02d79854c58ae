// RestWorld: the whole of sesior-rest on one thread, without Pistache: a worker, a connection over a socket pair, and a
// session service that does what the test says.
#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "services/rest/app.hpp"
#include "services/rest/http/worker.hpp"
#include "sesior/base/check.hpp"
#include "tests/support/fake_clock.hpp"
#include "tests/support/fake_session_client.hpp"

namespace sesior::rest {

struct Answer {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;

  // All values of that name, joined by ", "; "" when there is none.
  std::string Header(std::string_view name) const {
    std::string all;
    for (const auto& [n, value] : headers) {
      if (http::EqualsIgnoreCase(n, name)) all += (all.empty() ? "" : ", ") + value;
    }
    return all;
  }
};

// One worker and what it serves.
class WorkerWorld : public Worker::Poller {
 public:
  explicit WorkerWorld(RequestHandler handler, ServerOptions options = {})
      : options_(std::move(options)),
        metrics_(registry),
        handler_(std::move(handler)),
        count_(options_.max_connections) {
    worker_ = std::make_unique<Worker>(
        Worker::Shared{.options = options_, .metrics = metrics_, .handler = handler_, .count = count_, .clock = clock},
        *this);
    worker_->Begin();
  }

  // A client's end of a connection.
  class Client {
   public:
    explicit Client(WorkerWorld& world, std::string address = "192.0.2.1") : world_(world) {
      int ends[2];
      SESIOR_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
      fd_ = ends[0];
      server_fd_ = ends[1];
      world_.worker_->Add(server_fd_, std::move(address));
    }
    ~Client() { ::close(fd_); }
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    void Send(std::string_view bytes) {
      SESIOR_CHECK(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()));
      world_.Ready(server_fd_, {.readable = true});
    }
    void SendNoMore() {
      ::shutdown(fd_, SHUT_WR);
      world_.Ready(server_fd_, {.readable = true, .half_closed = true});
    }
    // Everything that has come so far; as epoll would, tells the server that there is room again.
    const std::string& Received() {
      for (;;) {
        char bytes[64 * 1024];
        const ssize_t count = ::recv(fd_, bytes, sizeof bytes, 0);
        if (count == 0) closed_ = true;
        if (count <= 0) return received_;
        received_.append(bytes, static_cast<std::size_t>(count));
        world_.Ready(server_fd_, {.writable = true});
      }
    }
    // The next whole answer; nullopt: there is none yet.
    std::optional<Answer> Take(bool to_head = false) {
      Received();
      const std::size_t head_end = received_.find("\r\n\r\n");
      if (head_end == std::string::npos) return std::nullopt;
      Answer answer;
      answer.status = std::stoi(received_.substr(9, 3));
      std::size_t at = received_.find("\r\n") + 2;
      while (at < head_end) {
        const std::size_t end = received_.find("\r\n", at);
        const std::size_t colon = received_.find(": ", at);
        answer.headers.emplace_back(received_.substr(at, colon - at), received_.substr(colon + 2, end - colon - 2));
        at = end + 2;
      }
      const std::string length = answer.Header("Content-Length");
      const std::size_t size = length.empty() || to_head ? 0 : std::stoul(length);
      if (received_.size() < head_end + 4 + size) return std::nullopt;
      answer.body = received_.substr(head_end + 4, size);
      received_.erase(0, head_end + 4 + size);
      return answer;
    }
    bool closed() {
      Received();
      return closed_;
    }
    int fd() const { return fd_; }
    int server_fd() const { return server_fd_; }

   private:
    WorkerWorld& world_;
    int fd_;
    int server_fd_;
    std::string received_;
    bool closed_ = false;
  };

  void Ready(int fd, Readiness readiness) {
    worker_->OnReady(fd, readiness);
    worker_->RunPosted();
  }
  void Pass(std::chrono::milliseconds time) {
    clock.Advance(time);
    worker_->OnTick();
    worker_->RunPosted();
  }
  Worker& worker() { return *worker_; }

  testing::FakeClock clock;
  telemetry::Registry registry;

 private:
  // Worker::Poller
  void WatchWrites(int) override {}
  void Remove(int fd) override { ::close(fd); }

  ServerOptions options_;
  ServerMetrics metrics_;
  RequestHandler handler_;
  ConnectionCount count_;
  std::unique_ptr<Worker> worker_;
};

// The application on it.
class RestWorld {
 public:
  explicit RestWorld(Config config = {}, const std::string& web_root = "", const std::string& peer = "192.0.2.1")
      : client_owner_(std::make_unique<testing::FakeSessionClient>()),
        sessions(*client_owner_),
        app_(config, *Page::Load(web_root, config.realtime_urls), std::move(client_owner_), registry_),
        worker_([this](http::Request request, const std::string& address, Reply reply) {
          app_.Handle(std::move(request), address, std::move(reply));
        }),
        client_(worker_, peer) {}

  using Headers = std::vector<std::pair<std::string, std::string>>;

  void Send(const std::string& method, const std::string& target, const Headers& headers = {},
            const std::string& body = "") {
    std::string text = method + " " + target + " HTTP/1.1\r\nHost: sesior.test\r\n";
    for (const auto& [name, value] : headers) text += name + ": " + value + "\r\n";
    if (!body.empty()) text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    is_head_ = method == "HEAD";
    client_.Send(text + "\r\n" + body);
  }
  // The answer to the last request; status 0: none yet.
  Answer Take() {
    worker_.worker().RunPosted();
    return client_.Take(is_head_).value_or(Answer{});
  }
  Answer Ask(const std::string& method, const std::string& target, const Headers& headers = {},
             const std::string& body = "") {
    Send(method, target, headers, body);
    return Take();
  }

 private:
  telemetry::Registry registry_;
  std::unique_ptr<testing::FakeSessionClient> client_owner_;

 public:
  testing::FakeSessionClient& sessions;

 private:
  App app_;
  WorkerWorld worker_;
  WorkerWorld::Client client_;
  bool is_head_ = false;
};

}  // namespace sesior::rest
