#include "services/rest/http/mailbox.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <utility>

#include "sesior/base/check.hpp"

namespace sesior::rest {

Mailbox::Mailbox() : wake_fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) { SESIOR_CHECK(wake_fd_ >= 0); }

Mailbox::~Mailbox() { ::close(wake_fd_); }

void Mailbox::Post(Task task) {
  const std::lock_guard lock(mutex_);
  if (closed_) return;
  tasks_.push_back(std::move(task));
  if (woken_ || owner_ == std::this_thread::get_id()) return;
  woken_ = true;
  const std::uint64_t one = 1;
  SESIOR_CHECK(::write(wake_fd_, &one, sizeof one) == sizeof one);
}

std::vector<Task> Mailbox::Take() {
  const std::lock_guard lock(mutex_);
  if (woken_) {
    std::uint64_t count = 0;
    SESIOR_CHECK(::read(wake_fd_, &count, sizeof count) == sizeof count);
    woken_ = false;
  }
  return std::exchange(tasks_, {});
}

void Mailbox::BindToThisThread() {
  const std::lock_guard lock(mutex_);
  owner_ = std::this_thread::get_id();
}

void Mailbox::Close() {
  std::vector<Task> dropped;  // destroyed without the lock: a task may hold a Reply, which posts when it dies unsent
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    dropped.swap(tasks_);
  }
}

}  // namespace sesior::rest
