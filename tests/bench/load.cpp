// The load of the benchmarks: one thread, raw sockets, nothing that could become the bottleneck or favour a server.
//
//   load verify  HOST:PORT               each cookie is one HTTP connection that asks GET /verify-session, over and
//   over load sockets HOST:PORT,... SENDERS [AT_ONCE]
//                                        each cookie is one Socket.IO connection; the first SENDERS of them rename;
//                                        AT_ONCE (1) of them connect at a time
//
// Standard input: one line "cookie<TAB>name" a connection, an empty line, then a number of operations a line.
// Standard output: "ready", then for each number one line of JSON. A rename is done when it is acknowledged and every
// other connection has received its broadcast; each sender has one under way. Any surprise ends the program with a
// message and exit code 1.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void Fail(const std::string& problem) {
  std::fprintf(stderr, "load: %s\n", problem.c_str());
  std::exit(1);
}

struct Connection {
  int fd = -1;
  std::string cookie;
  std::string name;
  std::string unread = {};  // the beginning of a message that has not arrived whole
  Clock::time_point started = {};
  // How far its handshakes have come.
  bool upgraded = false;
  bool opened = false;
  bool joined = false;
};

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (true) {
    const std::size_t end = text.find(separator);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

int Connect(const std::string& address) {
  const std::vector<std::string> parts = Split(address, ':');
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(std::atoi(parts.at(1).c_str())));
  inet_pton(AF_INET, parts.at(0).c_str(), &to.sin_addr);
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0) Fail("cannot connect to " + address);
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  return fd;
}

void Write(const Connection& connection, std::string_view bytes) {
  if (send(connection.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(bytes.size())) {
    Fail("a server does not read what it is sent");
  }
}

// A masked text frame with a mask of zeros, which leaves the payload as it is.
std::string Frame(std::string_view payload, char opcode = 1) {
  std::string frame{static_cast<char>(0x80 | opcode)};
  if (payload.size() < 126) {
    frame += static_cast<char>(0x80 | payload.size());
  } else {
    frame += static_cast<char>(0x80 | 126);
    frame += static_cast<char>(payload.size() >> 8);
    frame += static_cast<char>(payload.size() & 0xff);
  }
  frame.append(4, '\0');
  return frame.append(payload);
}

// Takes whole frames off the front of `bytes`, answers pings, and hands on texts. Returns how many bytes were used.
std::size_t TakeFrames(const Connection& connection, std::string_view bytes,
                       const std::function<void(std::string_view)>& on_text) {
  std::size_t used = 0;
  while (bytes.size() - used >= 2) {
    const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(bytes[used + i]); };
    const int opcode = byte(0) & 0x0f;
    std::size_t length = byte(1) & 0x7f;
    std::size_t header = 2;
    if (length >= 126) {
      header = length == 126 ? 4 : 10;
      if (bytes.size() - used < header) break;
      length = 0;
      for (std::size_t i = 2; i < header; ++i) length = length << 8 | byte(i);
    }
    if (bytes.size() - used < header + length) break;
    const std::string_view payload = bytes.substr(used + header, length);
    used += header + length;
    if (opcode == 9) {
      Write(connection, Frame(payload, 10));
    } else if (opcode != 1) {
      Fail("a server closed a connection, or sent what was not expected");
    } else if (payload == "2") {
      Write(connection, Frame("3"));
    } else {
      on_text(payload);
    }
  }
  return used;
}

class Load {
 public:
  Load(std::vector<std::string> addresses, bool sockets, std::size_t senders, std::size_t at_once)
      : addresses_(std::move(addresses)),
        sockets_(sockets),
        senders_(senders),
        at_once_(at_once),
        epoll_(epoll_create1(0)) {}

  void Open() {
    for (std::string line; std::getline(std::cin, line) && !line.empty();) {
      const std::vector<std::string> parts = Split(line, '\t');
      connections_.push_back({.cookie = parts.at(0), .name = parts.at(1)});
    }
    for (std::size_t i = 0; i < connections_.size(); i += at_once_) {
      OpenTogether(i, std::min(i + at_once_, connections_.size()));
      if (i % 64 == 0) AnswerPings();  // opening thousands takes longer than a heartbeat
    }
    if (!sockets_) senders_ = connections_.size();
    Watch(STDIN_FILENO, connections_.size());
    waiting_for_.assign(senders_, 0);
    std::puts("ready");
    std::fflush(stdout);
  }

  // Serves the connections, and does as many operations as each line of standard input says, until there are no more.
  void Run() {
    std::string commands;
    std::vector<epoll_event> events(256);
    while (true) {
      const int n = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 10'000);
      if (n == 0 && left_ + open_ > 0) Fail("nothing came for 10 s");
      for (int i = 0; i < n; ++i) {
        const std::size_t index = events[static_cast<std::size_t>(i)].data.u64;
        if (index < connections_.size()) {
          Read(index);
        } else if (!std::getline(std::cin, commands)) {
          return;
        } else {
          Begin(std::strtoul(commands.c_str(), nullptr, 10));
        }
      }
    }
  }

 private:
  void Watch(int fd, std::size_t index) {
    epoll_event event{.events = EPOLLIN, .data = {.u64 = index}};
    epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  }

  void AnswerPings() {
    std::vector<epoll_event> events(1024);
    const int n = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 0);
    for (int i = 0; i < n; ++i) Read(events[static_cast<std::size_t>(i)].data.u64);
  }

  // Each step of the handshakes for all of them, then the next step.
  void OpenTogether(std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      connections_[i].fd = Connect(addresses_[i % addresses_.size()]);
      if (sockets_) AskForUpgrade(connections_[i]);
    }
    for (std::size_t i = begin; sockets_ && i < end; ++i) Join(connections_[i], i < senders_, &Connection::opened);
    for (std::size_t i = begin; sockets_ && i < end; ++i) Join(connections_[i], i < senders_, &Connection::joined);
    for (std::size_t i = begin; i < end; ++i) Watch(connections_[i].fd, i);
  }

  static void AskForUpgrade(const Connection& connection) {
    Write(
        connection,
        "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Version: 13\r\nCookie: " +
            connection.cookie + "\r\n\r\n");
  }

  // Reads until that much is reached. A sender also announces itself.
  static void Join(Connection& connection, bool announce, bool Connection::*reached) {
    std::string& bytes = connection.unread;
    while (!(connection.*reached)) {
      char buffer[65536];
      const ssize_t got = recv(connection.fd, buffer, sizeof(buffer), 0);
      if (got <= 0) Fail("a handshake failed");
      bytes.append(buffer, static_cast<std::size_t>(got));
      if (const std::size_t end = bytes.find("\r\n\r\n"); !connection.upgraded && end != std::string::npos) {
        if (!bytes.starts_with("HTTP/1.1 101")) Fail("no upgrade: " + bytes.substr(0, end));
        bytes.erase(0, end + 4);
        connection.upgraded = true;
      }
      if (!connection.upgraded) continue;
      bytes.erase(0, TakeFrames(connection, bytes, [&](std::string_view text) {
                    if (text.starts_with("0{")) {
                      connection.opened = true;
                      Write(connection, Frame("40"));
                    }
                    if (text.starts_with("44")) Fail("not let in: " + std::string(text));
                    if (text.starts_with("40{") && announce) {
                      Write(connection, Frame("420[\"user:connected\",\"" + connection.name + "\"]"));
                    }
                    connection.joined |= text.starts_with(announce ? "430[null" : "40{");
                    if (text.starts_with("430[\"")) Fail("not announced: " + std::string(text));
                  }));
    }
  }

  void Begin(std::size_t operations) {
    left_ = operations;
    done_ = operations;
    latencies_.clear();
    latencies_.reserve(operations);
    deliveries_ = 0;
    received_bytes_ = 0;
    began_ = Clock::now();
    own_cpu_ = OwnCpu();
    for (std::size_t i = 0; i < senders_ && left_ > 0; ++i) Next(i);
  }

  void Next(std::size_t sender) {
    Connection& connection = connections_[sender];
    --left_;
    ++open_;
    connection.started = Clock::now();
    if (!sockets_) {
      Write(connection, "GET /verify-session HTTP/1.1\r\nHost: localhost\r\nCookie: " + connection.cookie + "\r\n\r\n");
      return;
    }
    // Its acknowledgement, and one broadcast at everybody else.
    waiting_for_[sender] = connections_.size();
    const std::string number = std::to_string(++serial_);
    Write(connection,
          Frame("42" + number + "[\"user:rename\",\"s" + std::to_string(sender) + "-" + run_ + number + "\"]"));
  }

  void Done(std::size_t sender) {
    latencies_.push_back(
        std::chrono::duration<double, std::milli>(Clock::now() - connections_[sender].started).count());
    --open_;
    if (left_ > 0) return Next(sender);
    if (open_ == 0) Report();
  }

  void Read(std::size_t index) {
    static char buffer[262144];
    Connection& connection = connections_[index];
    const ssize_t got = recv(connection.fd, buffer, sizeof(buffer), MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) Fail("a server closed a connection");
    received_bytes_ += static_cast<std::size_t>(got);
    std::string_view bytes(buffer, static_cast<std::size_t>(got));
    if (!connection.unread.empty()) bytes = connection.unread.append(bytes);
    std::string rest;
    if (sockets_) {
      rest = bytes.substr(TakeFrames(connection, bytes, [&](std::string_view text) { OnPacket(index, text); }));
    } else {
      rest = bytes.substr(TakeResponse(index, bytes));
    }
    connection.unread = std::move(rest);
  }

  std::size_t TakeResponse(std::size_t index, std::string_view bytes) {
    const std::size_t head = bytes.find("\r\n\r\n");
    if (head == std::string_view::npos) return 0;
    const std::string_view field = "Content-Length: ";
    const std::size_t at = bytes.find(field);
    std::size_t length = 0;
    if (at == std::string_view::npos ||
        std::from_chars(bytes.data() + at + field.size(), bytes.data() + head, length).ec != std::errc()) {
      Fail("an answer without Content-Length");
    }
    if (bytes.size() < head + 4 + length) return 0;
    if (!bytes.starts_with("HTTP/1.1 200") || bytes.find("\"sessionVerified\":true") == std::string_view::npos) {
      Fail("not verified: " + std::string(bytes));
    }
    Done(index);
    return head + 4 + length;
  }

  void OnPacket(std::size_t index, std::string_view text) {
    if (text.starts_with("43")) {
      if (text.find("[null,") == std::string_view::npos) Fail("a rename was refused: " + std::string(text));
      return Count(index);
    }
    const std::string_view mark = "\"user\":{\"userName\":\"s";
    const std::size_t at = text.find(mark);
    if (!text.starts_with("42[\"user:renamed\"") || at == std::string_view::npos) return;  // somebody joined
    std::size_t sender = 0;
    std::from_chars(text.data() + at + mark.size(), text.data() + text.size(), sender);
    ++deliveries_;
    Count(sender);
  }

  void Count(std::size_t sender) {
    if (sender >= senders_ || waiting_for_[sender] == 0) Fail("a broadcast that nobody sent, or sent twice");
    if (--waiting_for_[sender] == 0) Done(sender);
  }

  static double OwnCpu() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& t) {
      return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
  }

  void Report() {
    const double seconds = std::chrono::duration<double>(Clock::now() - began_).count();
    std::sort(latencies_.begin(), latencies_.end());
    const auto percentile = [&](double share) {
      return latencies_[static_cast<std::size_t>(share * static_cast<double>(done_ - 1))];
    };
    std::printf(
        "{\"operations\":%zu,\"deliveries\":%zu,\"seconds\":%.4f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"bytes\":%zu,"
        "\"load_cpu_s\":%.3f}\n",
        done_, deliveries_, seconds, percentile(0.5), percentile(0.99), received_bytes_, OwnCpu() - own_cpu_);
    std::fflush(stdout);
  }

  const std::vector<std::string> addresses_;
  const bool sockets_;
  std::size_t senders_;
  const std::size_t at_once_;
  const int epoll_;
  const std::string run_ = std::to_string(getpid()) + "-";  // names are not used twice
  std::vector<Connection> connections_;
  std::vector<std::size_t> waiting_for_;  // a sender: acknowledgement and deliveries that are still to come
  std::size_t serial_ = 0;
  std::size_t left_ = 0;  // operations of this round that have not begun
  std::size_t open_ = 0;  // under way
  std::size_t done_ = 0;
  std::size_t deliveries_ = 0;
  std::size_t received_bytes_ = 0;
  std::vector<double> latencies_;
  Clock::time_point began_;
  double own_cpu_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc > 1 ? argv[1] : "";
  if (!((mode == "verify" && argc == 3) || (mode == "sockets" && (argc == 4 || argc == 5))))
    Fail("wrong arguments; see the head of load.cpp");
  std::cin.sync_with_stdio(false);
  const auto number = [&](int i, std::size_t otherwise) {
    return argc > i ? std::strtoul(argv[i], nullptr, 10) : otherwise;
  };
  Load load(Split(argv[2], ','), mode == "sockets", number(3, 0), std::max<std::size_t>(1, number(4, 1)));
  load.Open();
  load.Run();
}
