// Replica: one address of the session service: its channel, its exchange stream (opened again for as long as the
// replica is wanted), its stubs. Ownership: shared by the client's list and by the streams on it. Close() must be
// called before the last reference goes. Threading: thread-safe; reconnects run on the worker.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "asio/io_context.hpp"
#include "asio/steady_timer.hpp"
#include "exchange.hpp"
#include "sesior/base/backoff.hpp"
#include "sesior/broadcast/v1/broadcast.grpc.pb.h"
#include "sesior/presence/v1/presence.grpc.pb.h"
#include "sesior/session/v1/session.grpc.pb.h"

namespace sesior::session_client {

class Replica : public std::enable_shared_from_this<Replica> {
 public:
  struct Callbacks {
    // Calls whose stream was lost; on a gRPC thread.
    std::function<void(std::vector<OpenCallPtr>)> on_lost;
    // usable() has changed; on a gRPC thread.
    std::function<void()> on_change;
    // A stream is being opened; each is followed by one on_lost.
    std::function<void()> on_open;
  };
  // `address`: host:port with a numeric host.
  Replica(std::string address, asio::io_context& worker, Callbacks callbacks);

  void Open();
  // Cancels the stream and stops reconnecting. Calls still open come back through on_lost.
  void Close();

  Exchange::SendResult Send(OpenCallPtr call);
  void Expire(std::chrono::steady_clock::time_point now);

  // The exchange stream stands.
  bool usable() const { return usable_; }
  const std::string& address() const { return address_; }
  std::uint64_t address_hash() const { return address_hash_; }

  session::v1::SessionService::Stub& sessions() { return *sessions_; }
  broadcast::v1::BroadcastService::Stub& broadcasts() { return *broadcasts_; }
  presence::v1::PresenceService::Stub& presence() { return *presence_; }

 private:
  void OpenExchange() ABSL_LOCKS_EXCLUDED(mutex_);
  void Reopen();
  std::shared_ptr<Exchange> exchange() ABSL_LOCKS_EXCLUDED(mutex_);

  const std::string address_;
  const std::uint64_t address_hash_;
  asio::io_context& worker_;
  Callbacks callbacks_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<internal::v1::ExchangeService::Stub> exchange_stub_;
  std::unique_ptr<session::v1::SessionService::Stub> sessions_;
  std::unique_ptr<broadcast::v1::BroadcastService::Stub> broadcasts_;
  std::unique_ptr<presence::v1::PresenceService::Stub> presence_;
  std::atomic<bool> usable_{false};
  asio::steady_timer reopen_timer_;  // on the worker
  Backoff backoff_;                  // on the worker
  absl::Mutex mutex_;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  std::shared_ptr<Exchange> exchange_ ABSL_GUARDED_BY(mutex_);
};
using ReplicaPtr = std::shared_ptr<Replica>;

// The usable replica that rendezvous hashing gives to `affinity`; null: none is usable. Stays the same while the set of
// usable replicas does, and moves only the keys of the replica that came or went.
ReplicaPtr Choose(const std::vector<ReplicaPtr>& replicas, std::uint64_t affinity);

}  // namespace sesior::session_client
