// RedisServer: a redis-server of the test's own, on a unix socket in a temporary folder, ended with the test.
// Threading: thread-compatible.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace sesior::testing {

class RedisServer {
 public:
  // Starts it and returns when it answers. With `persistent`, what was written survives Kill and Start.
  explicit RedisServer(bool persistent = false, std::vector<std::string> more_arguments = {});
  ~RedisServer();
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  const std::string& socket_path() const { return socket_path_; }
  std::string url() const { return "unix://" + socket_path_; }

  void Kill();    // SIGKILL, and waits
  void Start();   // after Kill
  void Pause();   // SIGSTOP: connections stand, nothing answers
  void Resume();  // SIGCONT

  // One command on a connection of its own, as redis-cli would: strings and statuses as they are, integers as decimals,
  // nil as "(nil)", arrays joined with line feeds.
  std::string Command(const std::vector<std::string>& arguments);

 private:
  const bool persistent_;
  const std::vector<std::string> more_arguments_;
  std::string folder_;
  std::string socket_path_;
  pid_t pid_ = -1;
};

}  // namespace sesior::testing
