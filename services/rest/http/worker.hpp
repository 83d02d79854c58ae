// Worker: the connections of one thread, and the way back to them. Knows nothing of Pistache: what watches descriptors
// is behind Poller. Threading: confined to its thread, but for mailbox(), and for construction and destruction while no
// thread runs it.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "services/rest/http/connection.hpp"
#include "services/rest/http/mailbox.hpp"
#include "services/rest/http/reply.hpp"
#include "services/rest/http/server_options.hpp"
#include "sesior/base/clock.hpp"

namespace sesior::rest {

// All workers' connections together: the limit, and who waits for the last to go.
// Threading: thread-safe.
class ConnectionCount {
 public:
  explicit ConnectionCount(int limit) : limit_(limit) {}
  // False: the limit is reached, nothing was counted.
  bool Add();
  void Remove();
  // Whether none is open, at `deadline` at the latest.
  bool WaitForNone(std::chrono::steady_clock::time_point deadline);

 private:
  const int limit_;
  std::mutex mutex_;
  std::condition_variable none_;
  int open_ = 0;  // guarded by mutex_
};

class Worker final : public Connection::Host {
 public:
  // What watches descriptors for the worker, edge-triggered.
  class Poller {
   public:
    virtual ~Poller() = default;
    virtual void WatchWrites(int fd) = 0;
    // Stops watching and closes it.
    virtual void Remove(int fd) = 0;
  };

  // What all workers share; outlives them.
  struct Shared {
    const ServerOptions& options;
    ServerMetrics& metrics;
    RequestHandler& handler;
    ConnectionCount& count;
    const Clock& clock;
  };

  Worker(const Shared& shared, Poller& poller);
  // Closes what is open.
  ~Worker() override;

  // Once, on the thread, before anything else.
  void Begin();
  // A connection that was just accepted; `fd` is not blocking and watched for reads.
  void Add(int fd, std::string address);
  bool Has(int fd) const { return connections_.contains(fd); }
  void OnReady(int fd, Readiness readiness);
  // At the end of each turn of the loop.
  void RunPosted();
  // Every `kTick`.
  void OnTick();
  static constexpr std::chrono::milliseconds kTick{500};

  void Answer(ConnectionId connection, http::Response response);
  // From now on every answer closes its connection, and idle ones are closed; new ones are for a while still served.
  void StartDrain();

  const std::shared_ptr<Mailbox>& mailbox() const { return mailbox_; }

  // Connection::Host
  void Dispatch(ConnectionId connection, const std::string& address, http::Request request) override;
  void WatchWrites(int fd) override { poller_.WatchWrites(fd); }
  Connection::Time Now() const override { return now_; }
  bool draining() const override { return draining_; }
  std::string_view date() const override { return date_; }

 private:
  bool Admits();
  void Keep(int fd, Connection::Next next);
  void ReadClocks();

  const Shared shared_;
  Poller& poller_;
  const std::shared_ptr<Mailbox> mailbox_ = std::make_shared<Mailbox>();
  absl::flat_hash_map<int, std::unique_ptr<Connection>> connections_;
  std::uint64_t next_serial_ = 1;
  bool draining_ = false;
  Connection::Time drain_begin_;
  Connection::Time now_;
  std::string date_;
};

}  // namespace sesior::rest
