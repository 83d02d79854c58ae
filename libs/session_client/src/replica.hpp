// Replica: one address of the session service: its channel, its exchange stream (opened again for as long as the
// replica is wanted), its stubs.
// When the server says GoAway, the stream is still used until the next one stands, the client has another replica to go
// to (LetGo), or a second has passed; then it is half-closed, and what is open on it is still answered.
// Ownership: shared by the client's list and by the streams on it. Close() must be called before the last reference
// goes.
// Threading: thread-safe; Open, LetGo, Expire and Close are called on the worker, where reconnects run too.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "access.hpp"
#include "asio/io_context.hpp"
#include "asio/steady_timer.hpp"
#include "exchange.hpp"
#include "in_flight.hpp"
#include "sesior/base/backoff.hpp"
#include "sesior/broadcast/v1/broadcast.grpc.pb.h"
#include "sesior/presence/v1/presence.grpc.pb.h"
#include "sesior/session/v1/session.grpc.pb.h"

namespace sesior::session_client {

class Replica : public std::enable_shared_from_this<Replica> {
 public:
  enum class State {
    kDown,
    kLeaving,  // works, but will soon be gone: only when there is nothing better
    kUp,
  };
  struct Callbacks {
    // Calls whose stream was lost; on a gRPC thread.
    std::function<void(std::vector<OpenCallPtr>)> on_lost;
    // state() has changed; on any thread.
    std::function<void()> on_change;
  };
  // `address`: host:port with a numeric host; `host`: as it is configured. Streams hold tokens of `in_flight`.
  Replica(std::string address, const std::string& host, std::shared_ptr<Access> access, asio::io_context& worker,
          const InFlight& in_flight, Callbacks callbacks);

  void Open() ABSL_LOCKS_EXCLUDED(mutex_);
  // There are other replicas: a stream that is going away takes no more calls.
  void LetGo() ABSL_LOCKS_EXCLUDED(mutex_);
  // Cancels all streams and stops reconnecting. Calls still open come back through on_lost.
  void Close() ABSL_LOCKS_EXCLUDED(mutex_);
  void Expire(std::chrono::steady_clock::time_point now) ABSL_LOCKS_EXCLUDED(mutex_);

  Exchange::SendResult Send(OpenCallPtr call) ABSL_LOCKS_EXCLUDED(mutex_);

  // Every call and stream by the stubs below begins with this.
  void Authorize(grpc::ClientContext& context) { access_->Authorize(context); }

  State state() const { return state_; }
  const std::string& address() const { return address_; }
  std::uint64_t address_hash() const { return address_hash_; }

  session::v1::SessionService::Stub& sessions() { return *sessions_; }
  broadcast::v1::BroadcastService::Stub& broadcasts() { return *broadcasts_; }
  presence::v1::PresenceService::Stub& presence() { return *presence_; }

 private:
  using ExchangePtr = std::shared_ptr<Exchange>;

  void OnOpen(const ExchangePtr& exchange) ABSL_LOCKS_EXCLUDED(mutex_);
  void OnGoAway(const ExchangePtr& exchange) ABSL_LOCKS_EXCLUDED(mutex_);
  void OnLost(const ExchangePtr& exchange, std::vector<OpenCallPtr> calls) ABSL_LOCKS_EXCLUDED(mutex_);
  // Opens the next stream after the backoff.
  void Reopen();
  void ArmLetGo();
  void UpdateState() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string address_;
  const std::uint64_t address_hash_;
  const std::shared_ptr<Access> access_;
  asio::io_context& worker_;
  const InFlight& in_flight_;
  const Callbacks callbacks_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<internal::v1::ExchangeService::Stub> exchange_stub_;
  std::unique_ptr<session::v1::SessionService::Stub> sessions_;
  std::unique_ptr<broadcast::v1::BroadcastService::Stub> broadcasts_;
  std::unique_ptr<presence::v1::PresenceService::Stub> presence_;
  std::atomic<State> state_{State::kDown};
  // On the worker:
  asio::steady_timer reopen_timer_;
  asio::steady_timer let_go_timer_;
  Backoff backoff_;
  std::chrono::steady_clock::time_point opened_at_;
  absl::Mutex mutex_;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  ExchangePtr next_ ABSL_GUARDED_BY(mutex_);                    // being opened
  ExchangePtr current_ ABSL_GUARDED_BY(mutex_);                 // stands and takes calls
  std::vector<ExchangePtr> finishing_ ABSL_GUARDED_BY(mutex_);  // half-closed
};
using ReplicaPtr = std::shared_ptr<Replica>;

// The replica that rendezvous hashing gives to `affinity`, among those that are up, else among those that are leaving;
// null: there is none. Stays the same while the set does, and moves only the keys of the replica that came or went.
ReplicaPtr Choose(const std::vector<ReplicaPtr>& replicas, std::uint64_t affinity);

// What a caller is told when Choose finds none.
absl::Status NoReplicaError();

}  // namespace sesior::session_client
