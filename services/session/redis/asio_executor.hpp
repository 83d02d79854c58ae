// The core executor on an io_context that one thread runs.
#pragma once

#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <memory>
#include <system_error>
#include <utility>

#include "services/session/domain/executor.hpp"

namespace sesior::session::redis {

class AsioExecutor final : public Executor {
 public:
  explicit AsioExecutor(asio::io_context& io) : io_(io) {}

  void Post(Task task) override {
    asio::post(io_, [task = std::move(task)]() mutable { std::move(task)(); });
  }

  void After(std::chrono::milliseconds delay, Task task) override {
    auto timer = std::make_shared<asio::steady_timer>(io_, delay);
    timer->async_wait([timer, task = std::move(task)](std::error_code error) mutable {
      if (!error) std::move(task)();
    });
  }

 private:
  asio::io_context& io_;
};

}  // namespace sesior::session::redis
