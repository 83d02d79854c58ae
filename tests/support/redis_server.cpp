#include "tests/support/redis_server.hpp"

#include <hiredis/hiredis.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "sesior/base/check.hpp"

namespace sesior::testing {

namespace {

std::string Text(const redisReply* reply) {
  switch (reply->type) {
    case REDIS_REPLY_INTEGER:
      return std::to_string(reply->integer);
    case REDIS_REPLY_NIL:
      return "(nil)";
    case REDIS_REPLY_ARRAY: {
      std::string text;
      for (std::size_t i = 0; i < reply->elements; ++i) text += (i > 0 ? "\n" : "") + Text(reply->element[i]);
      return text;
    }
    default:
      return {reply->str, reply->len};
  }
}

}  // namespace

RedisServer::RedisServer(bool persistent, std::vector<std::string> more_arguments)
    : persistent_(persistent), more_arguments_(std::move(more_arguments)) {
  signal(SIGPIPE, SIG_IGN);  // as runtime::BlockSignals does: a write to a Redis that was killed is an error, no end
  char name[] = "/tmp/sesior-test-redis.XXXXXX";
  SESIOR_CHECK(mkdtemp(name) != nullptr);
  folder_ = name;
  socket_path_ = folder_ + "/redis.sock";
  Start();
}

RedisServer::~RedisServer() {
  Kill();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

void RedisServer::Start() {
  SESIOR_CHECK(pid_ < 0);
  std::vector<std::string> arguments = {"redis-server",
                                        "--port",
                                        "0",
                                        "--unixsocket",
                                        socket_path_,
                                        "--dir",
                                        folder_,
                                        "--save",
                                        "",
                                        "--appendonly",
                                        persistent_ ? "yes" : "no",
                                        "--appendfsync",
                                        "always",
                                        "--logfile",
                                        folder_ + "/redis.log"};
  arguments.insert(arguments.end(), more_arguments_.begin(), more_arguments_.end());
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  std::error_code ignored;
  std::filesystem::remove(socket_path_, ignored);
  pid_ = fork();
  SESIOR_CHECK(pid_ >= 0);
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // never outlives the test
    execvp(argv[0], argv.data());
    _exit(127);
  }
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  for (std::string answer; answer != "PONG" && answer.find("NOAUTH") != 0; answer = Command({"PING"})) {
    SESIOR_CHECK(std::chrono::steady_clock::now() < deadline);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

void RedisServer::Kill() {
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void RedisServer::Pause() { kill(pid_, SIGSTOP); }
void RedisServer::Resume() { kill(pid_, SIGCONT); }

std::string RedisServer::Command(const std::vector<std::string>& arguments) {
  redisContext* context = redisConnectUnix(socket_path_.c_str());
  if (context == nullptr || context->err != 0) {
    if (context != nullptr) redisFree(context);
    return "(no connection)";
  }
  std::vector<const char*> argv;
  std::vector<std::size_t> lengths;
  for (const std::string& argument : arguments) {
    argv.push_back(argument.data());
    lengths.push_back(argument.size());
  }
  auto* reply =
      static_cast<redisReply*>(redisCommandArgv(context, static_cast<int>(argv.size()), argv.data(), lengths.data()));
  std::string text = reply == nullptr ? "(no reply)" : Text(reply);
  if (reply != nullptr) freeReplyObject(reply);
  redisFree(context);
  return text;
}

}  // namespace sesior::testing
