// SubscriptionStream: one subscription to a namespace, carried by a stream to one replica at a time and taken up behind
// the last position on another when that is lost. What arrives twice because of that is told once.
// Ownership: shared by the client and its registration; `handler` must outlive the registration.
// Threading: confined to the worker, but Disable. The handler runs on gRPC threads, one call at a time.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "asio/io_context.hpp"
#include "asio/steady_timer.hpp"
#include "bidi_stream.hpp"
#include "guarded_handler.hpp"
#include "replica.hpp"
#include "sesior/base/backoff.hpp"
#include "sesior/session_client/session_client.hpp"

namespace sesior::session_client {

class SubscriptionStream : public std::enable_shared_from_this<SubscriptionStream> {
 public:
  // `affinity` chooses among the replicas.
  SubscriptionStream(asio::io_context& worker, const InFlight& in_flight, std::uint64_t affinity,
                     std::string replica_id, std::string namespace_name,
                     std::function<std::vector<ReplicaPtr>()> replicas, SubscriptionHandler& handler);

  // Opens a stream unless there is one. Called at first and whenever the state of a replica changes.
  void Open();
  // Ends it for good.
  void Close();
  // From any thread: the handler is not called any more.
  void Disable() { handler_.Disable(); }

 private:
  using Bidi = BidiStream<broadcast::v1::SubscribeRequest, broadcast::v1::SubscribeResponse>;
  // A stream and what its fill takes.
  struct Attempt {
    std::shared_ptr<Bidi> stream;
    std::string address;
    bool going_away = false;  // written by reads; read when they are over
    absl::Mutex mutex;
    broadcast::v1::SubscribeRequest waiting ABSL_GUARDED_BY(mutex);
  };

  void OnRead(const std::shared_ptr<Attempt>& attempt, broadcast::v1::SubscribeResponse& response);
  void OnDone(const std::shared_ptr<Attempt>& attempt, const grpc::Status& status);
  void TellLost();
  // Takes out what has been told before, and moves the position behind the rest. True: the subscription stands.
  bool Advance(broadcast::v1::SubscribeResponse& response) ABSL_LOCKS_EXCLUDED(position_mutex_);

  asio::io_context& worker_;
  const InFlight& in_flight_;
  const std::uint64_t affinity_;
  const std::string replica_id_;
  const std::string namespace_;
  std::function<std::vector<ReplicaPtr>()> replicas_;
  struct Told {
    SubscriptionHandler* handler;
    bool connected = false;  // what the handler was told last
  };
  GuardedHandler<Told> handler_;
  asio::steady_timer timer_;
  Backoff backoff_;
  bool closing_ = false;
  std::shared_ptr<Attempt> attempt_;
  absl::Mutex position_mutex_;
  broadcast::v1::Position position_ ABSL_GUARDED_BY(position_mutex_);  // of the last thing told; no epoch: none yet
};

}  // namespace sesior::session_client
