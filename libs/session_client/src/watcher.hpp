// Watcher: all watches of the process, spread over one stream per replica, moved to another replica when theirs is
// lost.
// Ownership: owned by the client; registrations refer to it and must be gone before it.
// Threading: Watch is thread-safe; everything else is confined to the worker. Handlers run on the worker.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "asio/io_context.hpp"
#include "asio/steady_timer.hpp"
#include "bidi_stream.hpp"
#include "guarded_handler.hpp"
#include "replica.hpp"
#include "sesior/base/backoff.hpp"
#include "sesior/session_client/session_client.hpp"

namespace sesior::session_client {

class Watcher {
 public:
  // `home`: the affinity of all watches; none: each by its session. `replicas` gives the present list; called on the
  // worker.
  Watcher(asio::io_context& worker, const InFlight& in_flight, std::optional<std::uint64_t> home,
          std::function<std::vector<ReplicaPtr>()> replicas);
  ~Watcher();

  std::unique_ptr<Registration> Watch(session::v1::SessionRef session, std::chrono::milliseconds first_timeout,
                                      OnWatchEvent on_event);

  // The state of a replica has changed. On the worker.
  void OnReplicasChanged();
  // Ends all streams. On the worker.
  void Close();

 private:
  struct Entry;
  struct Stream;
  class WatchRegistration;
  using EntryPtr = std::shared_ptr<Entry>;
  using StreamPtr = std::shared_ptr<Stream>;

  void Add(EntryPtr entry);
  void Remove(const EntryPtr& entry);
  void Assign(const EntryPtr& entry);
  StreamPtr StreamOf(const ReplicaPtr& replica);
  void OnResponse(const StreamPtr& stream, session::v1::WatchSessionsResponse response);
  void OnStreamDone(const StreamPtr& stream, const grpc::Status& status);
  void OnEvent(const EntryPtr& entry, session::v1::WatchSessionsResponse::Event& event);
  void Tell(const EntryPtr& entry, absl::StatusOr<WatchEvent> event);
  void AssignOrphans();
  void ArmSweep();
  void SweepUnanswered();

  asio::io_context& worker_;
  const InFlight& in_flight_;
  const std::optional<std::uint64_t> home_;
  std::function<std::vector<ReplicaPtr>()> replicas_;
  asio::steady_timer sweep_timer_;
  asio::steady_timer retry_timer_;
  Backoff backoff_;  // between the loss of a stream and the next
  bool sweep_armed_ = false;
  bool closing_ = false;
  std::uint64_t next_id_ = 1;
  absl::flat_hash_map<std::uint64_t, EntryPtr> entries_;
  std::vector<EntryPtr> unanswered_;  // no first event yet; swept for timeouts
  std::vector<StreamPtr> streams_;
};

}  // namespace sesior::session_client
