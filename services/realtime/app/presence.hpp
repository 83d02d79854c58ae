// Presence: tells the session service which sessions have an announced socket on this replica, in one namespace.
//
// Level-triggered: what is wanted (sockets counted here) is compared with what the service has confirmed, and the
// difference is sent, one call a session at a time, again and again until it holds. A lease covers all; when the
// service answers that it knows nothing of this replica for sure (it or Redis was away for longer than the lease, or
// Redis was restarted or replaced), everything is sent again, made from the sessions as they are then; then what is
// left over of before is forgotten there.
//
// Ownership: client and loop outlive it; it keeps what is under way alive.
// Threading: thread-safe; works on one loop, where each `done` comes, too.
// Errors:    Enter answers what the service says; kUnavailable at once while there is no lease.
// Shutdown:  Stop, on any thread: gives up the lease and with it, announced, all that is left of this replica.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "services/realtime/bus/bus.hpp"
#include "services/realtime/hub/loop.hpp"
#include "sesior/base/backoff.hpp"
#include "sesior/base/done.hpp"
#include "sesior/session_client/session_client.hpp"

namespace sesior::realtime::app {

// How a session shows: what lists hold of it, and what others hear when it comes and goes.
struct Face {
  std::string key;  // unique among those online
  std::string value_json;
  Broadcast joined;
  Broadcast left;
};
// The face of a session; nullopt: it cannot be shown (it has no name).
using MakeFace = std::function<std::optional<Face>(const session::v1::Session&)>;

struct PresenceOptions {
  std::string nsp = "/";
  std::string replica_id = {};                  // unique for this start of the process
  std::chrono::milliseconds lease_ttl{10'000};  // 1 s to 60 s; renewed at a third of it
  std::chrono::milliseconds linger{2'000};      // how long a broken connection may take to come back unnoticed
  std::chrono::milliseconds call_timeout{2'000};
  std::chrono::milliseconds least_pause{100};  // between renewals that are asked for
};

class Presence : public std::enable_shared_from_this<Presence> {
 public:
  static std::shared_ptr<Presence> Make(session_client::SessionClient& client, hub::Loop& loop, MakeFace make_face,
                                        PresenceOptions options);

  // Is told every answer to KeepLease, on the loop. Before Start.
  using OnLeaseAnswer = std::function<void(const presence::v1::KeepLeaseResponse&)>;
  void SetOnLease(OnLeaseAnswer on_lease) { on_lease_ = std::move(on_lease); }
  // `peer_address`: where other replicas reach this one, host:port; empty: nowhere.
  void Start(std::string peer_address = {});
  // Renews the lease within `least_pause` of the last renewal, or behind the one that is under way: somebody misses
  // what its answer tells of the others. On any thread.
  void RenewSoon();
  // Has the service taken a lease? Until then nobody can come online here: not ready. On any thread.
  bool has_lease() const { return has_lease_.load(std::memory_order_relaxed); }
  // `done` when the lease is given up, or could not be within the call timeout.
  void Stop(Done<void> done);

  // One more announced socket of the session. `except`: a socket that needs not hear of it. `done` when the session is
  // online. On an error the socket counts all the same: call Leave.
  void Enter(session_client::SessionPtr session, std::string except, Done<void> done);
  // One announced socket less. `linger`: it may come back, wait before telling.
  void Leave(std::string session_id, bool linger);

 private:
  enum class Known : std::uint8_t { kOut, kIn, kUnknown };  // what the service has of us
  struct Entry {
    int sockets = 0;
    Known known = Known::kOut;
    bool calling = false;
    session_client::SessionPtr session;  // to make the face from; null: to be fetched first
    std::string except;
    std::unique_ptr<hub::Loop::Timer> timer;  // linger, or the next try
    std::vector<Done<void>> waiting;          // Enter calls not answered yet
    Backoff backoff{{.initial = std::chrono::milliseconds(200), .max = std::chrono::milliseconds(5'000)}};
  };

  Presence(session_client::SessionClient& client, hub::Loop& loop, MakeFace make_face, PresenceOptions options);

  void KeepLease();
  void OnLease(absl::StatusOr<presence::v1::KeepLeaseResponse> response);
  void Reconcile(const std::string& session_id);
  void CallEnter(const std::string& session_id, Entry& entry);
  void OnEntered(const std::string& session_id, absl::Status status);
  void CallLeave(const std::string& session_id, Entry& entry);
  void OnLeft(const std::string& session_id, absl::Status status);
  void Refetch(const std::string& session_id, Entry& entry);
  void RetryLater(const std::string& session_id, Entry& entry);
  static void Answer(Entry& entry, const absl::Status& status);

  // A Done<T> that runs `next` on the loop.
  template <typename T, typename F>
  Done<T> OnLoop(F next);
  session_client::CallOptions call_options() const;

  session_client::SessionClient& client_;
  hub::Loop& loop_;
  const MakeFace make_face_;
  const PresenceOptions options_;
  // All below: on the loop only.
  absl::flat_hash_map<std::string, Entry> entries_;  // by session id
  std::unique_ptr<hub::Loop::Timer> lease_timer_;
  Backoff lease_backoff_{{.initial = std::chrono::milliseconds(50), .max = std::chrono::milliseconds(1'000)}};
  std::atomic<bool> has_lease_ = false;  // written on the loop only
  OnLeaseAnswer on_lease_;
  std::string epoch_;  // of what the service knows of us
  std::string peer_address_;
  bool keeping_lease_ = false;  // a call is open
  bool renewal_asked_ = false;  // since it was sent
  bool stopped_ = false;
};

}  // namespace sesior::realtime::app
