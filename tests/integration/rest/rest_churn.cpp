// rest_churn [REQUESTS]: does an answer ever reach anybody but the one who asked? (20,000 by default; by hand 200,000.)
//
// Every connection has a nonce, every request asks for an answer made of it, given from another thread a moment later.
// Good clients check each byte; beside them others abort at every stage, stall in the middle of 256 KiB answers and
// abort then, so that the server's descriptors are used again while answers to their former owners are under way.
// Exit code 1: a foreign byte, a lost or broken answer for a good client, or a socket left open. No arguments but
// the count; prints what it did.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "services/rest/http/server.hpp"
#include "sesior/base/ids.hpp"

namespace {

using namespace std::chrono_literals;
using sesior::rest::Reply;

constexpr std::size_t kSmall = 200;
constexpr std::size_t kLarge = 256 * 1024;

struct Tally {
  std::atomic<long> left;        // requests still to make
  std::atomic<long> checked{0};  // answers read whole and found right
  std::atomic<long> aborted{0};
  std::atomic<long> foreign{0};  // bytes that were not the asker's
  std::atomic<long> broken{0};   // answers a good client did not get
  bool Next() { return left.fetch_sub(1) > 0; }
};

std::string BodyOf(std::string_view nonce, std::size_t size) {
  std::string body;
  body.reserve(size + nonce.size());
  while (body.size() < size) body += nonce;
  body.resize(size);
  return body;
}

// Answers from threads of its own, out of order and a moment late, as the session client does.
class Answerer {
 public:
  Answerer() {
    for (int i = 0; i < 2; ++i) threads_.emplace_back([this] { Work(); });
  }
  ~Answerer() {
    {
      const std::lock_guard lock(mutex_);
      done_ = true;
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }
  void Add(sesior::Task task) {
    {
      const std::lock_guard lock(mutex_);
      tasks_.push_back(std::move(task));
    }
    wake_.notify_one();
  }

 private:
  void Work() {
    std::minstd_rand random(std::random_device{}());
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return done_ || !tasks_.empty(); });
      if (tasks_.empty()) return;
      const bool newest = random() % 2 == 0;
      sesior::Task task = std::move(newest ? tasks_.back() : tasks_.front());
      newest ? tasks_.pop_back() : tasks_.pop_front();
      lock.unlock();
      if (random() % 8 == 0) std::this_thread::sleep_for(std::chrono::microseconds(random() % 2000));
      std::move(task)();
      lock.lock();
    }
  }
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<sesior::Task> tasks_;
  bool done_ = false;
  std::vector<std::thread> threads_;
};

// "/<nonce>/<size>"; sizes that end in 1 are answered at once, on the worker.
void Handle(Answerer& answerer, const sesior::http::Request& request, Reply reply) {
  const std::size_t slash = request.path.rfind('/');
  const std::string nonce = request.path.substr(1, slash - 1);
  std::size_t size = 0;
  std::from_chars(request.path.data() + slash + 1, request.path.data() + request.path.size(), size);
  auto answer = [nonce, size, reply = std::move(reply)]() mutable {
    std::move(reply).Send(sesior::http::Response(200, "text/plain", BodyOf(nonce, size)));
  };
  if (size % 10 == 1) {
    answer();
  } else {
    answerer.Add(std::move(answer));
  }
}

class Client {
 public:
  Client(int port, Tally& tally, bool small_window) : tally_(tally), nonce_(sesior::NewShortId()) {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval timeout{.tv_sec = 30, .tv_usec = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    const int window = 4096;
    if (small_window) ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &window, sizeof window);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  ~Client() { ::close(fd_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool connected() const { return connected_; }

  bool Ask(std::size_t size) {
    const std::string text = "GET /" + nonce_ + "/" + std::to_string(size) + " HTTP/1.1\r\nHost: x\r\n\r\n";
    return ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
  }

  // Reads one answer and compares it with what was asked for, up to `limit` bytes of the body. False: it did not come.
  bool Check(std::size_t size, std::size_t limit, std::chrono::microseconds pause = 0us) {
    std::size_t head_end = std::string::npos;
    while ((head_end = buffer_.find("\r\n\r\n")) == std::string::npos) {
      if (!Receive()) return false;
    }
    const std::string length = "\r\nContent-Length: " + std::to_string(size) + "\r\n";
    if (buffer_.rfind("HTTP/1.1 200 ", 0) != 0 || buffer_.find(length) > head_end) ++tally_.foreign;
    buffer_.erase(0, head_end + 4);
    const std::string expected = BodyOf(nonce_, size);
    std::size_t seen = 0;
    while (seen < size && seen < limit) {
      if (buffer_.empty() && !Receive()) return false;
      const std::size_t count = std::min(buffer_.size(), size - seen);
      if (buffer_.compare(0, count, expected, seen, count) != 0) ++tally_.foreign;
      buffer_.erase(0, count);
      seen += count;
      if (pause != 0us) std::this_thread::sleep_for(pause);
    }
    return true;
  }

  // Closes with a reset instead of an orderly end.
  void ResetOnClose() {
    const linger now{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }
  void SendNoMore() { ::shutdown(fd_, SHUT_WR); }

 private:
  bool Receive() {
    char bytes[16 * 1024];
    const ssize_t count = ::recv(fd_, bytes, sizeof bytes, 0);
    if (count <= 0) return false;
    buffer_.append(bytes, static_cast<std::size_t>(count));
    return true;
  }

  Tally& tally_;
  const std::string nonce_;
  int fd_ = -1;
  bool connected_ = false;
  std::string buffer_;
};

std::size_t SizeFor(std::minstd_rand& random) {
  if (random() % 12 == 0) return kLarge;
  return kSmall + (random() % 4 == 0 ? 1 : 0);
}

void BeGood(int port, Tally& tally, unsigned seed) {
  std::minstd_rand random(seed);
  while (tally.left > 0) {
    Client client(port, tally, random() % 4 == 0);
    const unsigned long rounds = 1 + random() % 12;
    for (unsigned long i = 0; i < rounds && tally.Next(); ++i) {
      // Alone, or several sent ahead.
      std::vector<std::size_t> sizes{SizeFor(random)};
      while (sizes.size() < 4 && random() % 4 == 0 && tally.Next()) sizes.push_back(SizeFor(random));
      for (const std::size_t size : sizes) client.Ask(size);
      if (i + 1 == rounds && random() % 4 == 0) client.SendNoMore();
      for (const std::size_t size : sizes) {
        const auto pause = std::chrono::microseconds(size == kLarge && random() % 4 == 0 ? 100 : 0);
        ++(client.Check(size, size, pause) ? tally.checked : tally.broken);
      }
    }
  }
}

void BeBad(int port, Tally& tally, unsigned seed) {
  std::minstd_rand random(seed);
  while (tally.Next()) {
    Client client(port, tally, random() % 2 == 0);
    if (!client.connected()) continue;
    const std::size_t size = random() % 2 == 0 ? kLarge : kSmall;
    client.Ask(size);
    if (random() % 4 == 0) client.Ask(size);
    switch (random() % 4) {
      case 0:  // gone before the answer
        break;
      case 1:  // about when it is made
        std::this_thread::sleep_for(std::chrono::microseconds(random() % 1500));
        break;
      case 2:  // has read a part
        client.Check(size, random() % size);
        break;
      case 3:  // stalls while the server's socket is full
        client.Check(size, 1);
        std::this_thread::sleep_for(std::chrono::microseconds(random() % 5000));
        break;
    }
    if (random() % 2 == 0) client.ResetOnClose();
    ++tally.aborted;
  }
}

// Sockets only: Pistache leaves a few event descriptors of its own behind, whatever came.
std::ptrdiff_t OpenSockets() {
  std::ptrdiff_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;  // the iterator's own
    count += std::filesystem::read_symlink(entry, gone).string().starts_with("socket:");
  }
  return count;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  Tally tally;
  tally.left = argc > 1 ? std::atol(argv[1]) : 20'000;
  sesior::telemetry::Registry registry;
  const std::ptrdiff_t sockets_before = OpenSockets();
  const auto begin = std::chrono::steady_clock::now();
  {
    Answerer answerer;
    sesior::rest::Server server({.threads = 2}, registry,
                                [&](sesior::http::Request request, const std::string&, Reply reply) {
                                  Handle(answerer, request, std::move(reply));
                                });
    if (const absl::Status status = server.Start(); !status.ok()) {
      std::fprintf(stderr, "%s\n", status.ToString().c_str());
      return 1;
    }
    std::vector<std::thread> clients;
    for (unsigned i = 0; i < 4; ++i) {
      clients.emplace_back(BeGood, server.port(), std::ref(tally), 100 + i);
      clients.emplace_back(BeBad, server.port(), std::ref(tally), 200 + i);
    }
    for (std::thread& client : clients) client.join();
    server.Drain(std::chrono::steady_clock::now() + 5s);
    server.Stop();
  }
  const auto seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  const std::ptrdiff_t sockets_left = OpenSockets() - sockets_before;
  std::printf("checked=%ld aborted=%ld foreign=%ld broken=%ld sockets_left=%td seconds=%.1f\n", tally.checked.load(),
              tally.aborted.load(), tally.foreign.load(), tally.broken.load(), sockets_left, seconds);
  return tally.foreign == 0 && tally.broken == 0 && tally.checked > 0 && sockets_left <= 0 ? 0 : 1;
}
