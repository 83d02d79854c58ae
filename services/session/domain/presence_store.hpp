// PresenceStore: who is online, by leases of replicas. An entry says "this replica has sockets of this session"; a
// session is online while a replica says so. What makes a session first or last is decided, and announced, in the step.
// Threading: confined to the core executor; `done` runs there too, never inside the call.
// Errors of every call: kUnavailable (REDIS_UNAVAILABLE).
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "sesior/base/done.hpp"
#include "sesior/base/ids.hpp"

namespace sesior::session {

struct LiveReplica {
  std::string replica_id;
  std::string peer_address;
};

// A socket that goes on elsewhere, see recovery_store.hpp.
struct TakenSocket {
  std::string private_id;
  std::string socket_id;
  std::string name_space;
  std::uint64_t generation = 0;  // of the taking
};

struct LeaseRequest {
  std::string replica_id;
  std::chrono::milliseconds ttl{10'000};
  std::string peer_address = {};
  std::string entered_epoch = {};  // under which every session that has sockets there was entered; empty: not all were
};

struct LeaseState {
  // A new one: nothing is known of the replica, or it is in doubt since the store may have lost writes. It enters all
  // again; what is left of it when it says so (entered_epoch) leaves, announced.
  std::string epoch;
  bool fresh = false;  // the epoch is new
  std::vector<LiveReplica> replicas;
  std::vector<TakenSocket> taken;  // from this replica, since the last answer; some 100 at most
};

struct EnterRequest {
  std::string replica_id;
  std::string name_space;
  SessionId session_id;
  std::string key;
  std::string value_json;
  std::string joined_payload;  // empty: not announced
  std::string left_payload;
  std::uint64_t session_revision = 0;  // an entry made from a higher one keeps its key, value and left_payload
};

struct OnlineEntry {
  std::string key;
  std::string value_json;
  std::int64_t since_ms = 0;
};

struct OnlineList {
  std::vector<OnlineEntry> entries;
  std::int64_t total = 0;
};

struct SweepResult {
  int removed = 0;    // entries of replicas whose lease is over
  bool more = false;  // not all of them yet
};

class PresenceStore {
 public:
  virtual ~PresenceStore() = default;

  virtual void KeepLease(LeaseRequest request, Done<LeaseState> done) = 0;
  // The lease ends now; the next sweeps take its entries.
  virtual void ReleaseLease(std::string replica_id, Done<void> done) = 0;
  // True: the session came online by this. kNotFound (SESSION_NOT_FOUND, SESSION_DESTROYED), kFailedPrecondition
  // (LEASE_EXPIRED). Repeating it changes nothing but the entry's face.
  virtual void Enter(EnterRequest request, Done<bool> done) = 0;
  // True: the session went offline by this.
  virtual void Leave(std::string replica_id, std::string name_space, SessionId session_id, Done<bool> done) = 0;
  virtual void ListByKey(std::string name_space, std::string after, int limit, Done<OnlineList> done) = 0;
  virtual void ListNewest(std::string name_space, int limit, Done<OnlineList> done) = 0;
  virtual void CountOnline(std::string name_space, Done<std::int64_t> done) = 0;
  // Removes and announces what replicas with an expired lease left behind, and gives their recovery records a last
  // window, some 100 entries a call. Only leases no
  // longer than `well_for` count as expired: for so long our connection has been well, so their holders could have
  // renewed.
  virtual void Sweep(std::chrono::milliseconds well_for, Done<SweepResult> done) = 0;
};

}  // namespace sesior::session
