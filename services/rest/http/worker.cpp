#include "services/rest/http/worker.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <ctime>
#include <utility>
#include <vector>

namespace sesior::rest {

bool ConnectionCount::Add() {
  const std::lock_guard lock(mutex_);
  if (open_ >= limit_) return false;
  ++open_;
  return true;
}

void ConnectionCount::Remove() {
  const std::lock_guard lock(mutex_);
  if (--open_ == 0) none_.notify_all();
}

bool ConnectionCount::WaitForNone(std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  return none_.wait_until(lock, deadline, [this] { return open_ == 0; });
}

Worker::Worker(const Shared& shared, Poller& poller) : shared_(shared), poller_(poller) { ReadClocks(); }

Worker::~Worker() {
  mailbox_->Close();
  for (const auto& [fd, connection] : connections_) {
    ::close(fd);  // the poller is on its way out too
    shared_.metrics.connections.Decrement();
    shared_.count.Remove();
  }
}

void Worker::Begin() { mailbox_->BindToThisThread(); }

void Worker::Add(int fd, std::string address) {
  if (!Admits()) {
    shared_.metrics.refused.Increment();
    // Told to epoll as hung up; the poller removes a descriptor that nobody knows.
    ::shutdown(fd, SHUT_RDWR);
    return;
  }
  shared_.metrics.accepted.Increment();
  shared_.metrics.connections.Increment();
  const ConnectionId id{.fd = fd, .serial = next_serial_++};
  connections_.emplace(fd, std::make_unique<Connection>(id, std::move(address), shared_.options, shared_.metrics,
                                                        static_cast<Connection::Host&>(*this)));
}

void Worker::OnReady(int fd, Readiness readiness) {
  const auto it = connections_.find(fd);
  if (it != connections_.end()) Keep(fd, it->second->OnReady(readiness));
}

void Worker::RunPosted() {
  // A task may post again, so until nothing is left.
  for (std::vector<Task> tasks = mailbox_->Take(); !tasks.empty(); tasks = mailbox_->Take()) {
    for (Task& task : tasks) std::move(task)();
  }
}

void Worker::OnTick() {
  ReadClocks();
  std::vector<int> fds;
  fds.reserve(connections_.size());
  for (const auto& [fd, connection] : connections_) fds.push_back(fd);
  for (const int fd : fds) Keep(fd, connections_.at(fd)->OnTick());
}

void Worker::Answer(ConnectionId id, http::Response response) {
  const auto it = connections_.find(id.fd);
  if (it == connections_.end() || it->second->id().serial != id.serial) {
    shared_.metrics.dropped_replies.Increment();
    return;
  }
  Keep(id.fd, it->second->Answer(std::move(response)));
}

void Worker::StartDrain() {
  draining_ = true;
  OnTick();
  drain_begin_ = now_;
}

void Worker::Dispatch(ConnectionId connection, const std::string& address, http::Request request) {
  shared_.handler(std::move(request), address, Reply(mailbox_, this, connection));
}

bool Worker::Admits() {
  if (draining_ && now_ - drain_begin_ >= shared_.options.drain_accept) return false;
  return shared_.count.Add();
}

void Worker::Keep(int fd, Connection::Next next) {
  if (next == Connection::Next::kKeep) return;
  connections_.erase(fd);
  poller_.Remove(fd);
  shared_.metrics.connections.Decrement();
  shared_.count.Remove();
}

void Worker::ReadClocks() {
  now_ = shared_.clock.Steady();
  const std::time_t wall = shared_.clock.WallMillis() / 1000;
  std::tm utc{};
  ::gmtime_r(&wall, &utc);
  char text[64];
  const std::size_t length = std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &utc);
  date_.assign(text, length);
}

Reply::~Reply() {
  if (mailbox_) std::move(*this).Send(http::Response(500));
}

void Reply::Send(http::Response response) && {
  const std::shared_ptr<Mailbox> mailbox = std::move(mailbox_);
  mailbox->Post([worker = worker_, id = connection_, response = std::move(response)]() mutable {
    worker->Answer(id, std::move(response));
  });
}

}  // namespace sesior::rest
