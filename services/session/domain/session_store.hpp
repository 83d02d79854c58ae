// SessionStore: where sessions are kept. One call is one atomic step at the store, whatever it touches: record,
// sidecar, claims, presence, broadcast. The rules (what to merge, who may claim) are SessionService's.
//
// The sidecar of a session holds what is not in Express's record: the hash of the bytes last seen, the revision,
// limits, claims, and the last 64 request ids with their results. A record whose hash the sidecar does not know was
// written by somebody else; the step that finds out gives it the next revision. A revision is max(previous + 1,
// milliseconds of the writer's clock): it grows even when a sidecar was lost.
//
// Threading: confined to the core executor; `done` runs there too, never inside the call.
// Errors of every call: kUnavailable (REDIS_UNAVAILABLE; the effect is unknown, repeat with the same request id),
// kDataLoss (RECORD_CORRUPT: the key holds no string).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sesior/base/done.hpp"
#include "sesior/base/ids.hpp"

namespace sesior::session {

// A claim as the sidecar of its holder lists it. At the store it is the text "<session id> <nonce>".
struct HeldClaim {
  std::string name_space;
  std::string value;
  std::string member;  // of the record
  std::string nonce;   // new with every acquisition, so that a takeover compares the whole claim
  friend bool operator==(const HeldClaim&, const HeldClaim&) = default;
};

std::string ClaimText(const SessionId& holder, std::string_view nonce);
// The holder in a claim's text.
SessionId ClaimHolder(std::string_view claim_text);
// The list as kept in the sidecar: fields end with U+001F, claims with U+001E; neither occurs in a field.
std::string EncodeClaims(const std::vector<HeldClaim>& claims);
std::vector<HeldClaim> DecodeClaims(std::string_view text);

// Where a session is used from, for its user's list.
struct Device {
  std::string address;
  std::string user_agent;
  std::string label;
  bool empty() const { return address.empty() && user_agent.empty() && label.empty(); }
  friend bool operator==(const Device&, const Device&) = default;
};
// As fit to be kept: control characters dropped, cut between characters at 64, 256 and 64 bytes.
Device Tidy(Device device);
// The same in one text, as kept in the sidecar.
std::string EncodeDevice(const Device& device);
Device DecodeDevice(std::string_view text);

struct StoredSession {
  std::string record;  // the bytes in the store
  std::string etag;    // their SHA-1, lower-case hex, no quotes
  std::uint64_t revision = 0;
  bool foreign_writer = false;
  std::int64_t created_ms = 0;                        // or first seen
  std::int64_t absolute_expiry_ms = 0;                // 0: none
  std::optional<std::chrono::milliseconds> own_idle;  // an idle limit chosen at creation
  std::string user_id;
  std::vector<HeldClaim> claims;
  std::string recent;                            // what our last writes changed, see recent_changes.hpp
  std::optional<std::chrono::milliseconds> ttl;  // unset: the key does not expire
  std::int64_t last_seen_ms = 0;                 // created or touched; 0: not known
  Device device;
};

// One of a user's sessions; `stored` without record and claims.
struct UserSession {
  SessionId id;
  StoredSession stored;
};

// How many sessions a user may have, and whether one more ends the oldest or is refused.
struct UserLimit {
  int sessions = 100;  // 1 to 1,000: a step may look at all of them
  bool end_oldest = true;
};

// How a step ended. What each carries is said at the calls.
enum class StoreOutcome {
  kOk,
  kMissing,   // no record; `end_reason` says how it ended when this step was the first to see that it had, else 0
  kGone,      // destroyed; `end_reason` says why
  kConflict,  // not the expected version; `session` is the present one
  kExists,    // creation: the id is in use
  kFull,      // the user has as many sessions as are allowed
  kTaken,     // claim number `taken_index` is held; `taken_text` says by whom
  kReplay,    // this request id was carried out before; `replay` is its result, `session` the present state
};

struct StorePosition {
  std::string name_space;
  std::string epoch;
  std::uint64_t offset = 0;
};

struct StoredBroadcast {
  std::string epoch;
  std::uint64_t offset = 0;
  std::string payload;
};

// A page of a namespace's history.
struct StoreHistory {
  StorePosition head;
  // False: the position read behind stands for nothing that this store has sent, so what came between it and `from` is
  // not known (a failover went back, or the counters are gone).
  bool found = true;
  // Where it reads from. What is missing between it and the first broadcast, or the head when there is none, is not
  // kept any more.
  std::uint64_t from = 0;
  std::vector<StoredBroadcast> broadcasts;  // one after the other, none left out
};
// The last number that is not kept any more of those from `from` on; nothing: none is missing.
std::optional<std::uint64_t> MissingIn(const StoreHistory& history);

struct StoreReply {
  StoreOutcome outcome = StoreOutcome::kOk;
  StoredSession session;
  int end_reason = 0;
  bool revived = false;  // with kGone: a late writer had brought the record back; it was removed again
  std::size_t taken_index = 0;
  std::string taken_text;
  std::string replay;
  StorePosition position;  // of the announcement, when one went out
};

// `expected` is the claim's whole text as last seen (empty: free). Acquired when it is still so or free; `next` empty:
// released when it is still so, else left alone.
struct ClaimMove {
  std::string name_space;
  std::string value;
  std::string expected;
  std::string next;
};

struct StoreAnnouncement {
  std::string name_space;
  std::string payload;  // a serialized sesior.broadcast.v1.Broadcast
  bool only_if_online = false;
  bool is_volatile = false;
};

struct StorePresenceChange {
  std::string name_space;
  std::string key;
  std::string value_json;
  std::string left_payload;
};

// What goes with a write, in the same step.
struct StoreEffects {
  std::vector<ClaimMove> claim_moves;
  std::optional<std::vector<HeldClaim>> claims;  // the sidecar's new list; unset: unchanged
  std::optional<StoreAnnouncement> announcement;
  std::optional<StorePresenceChange> presence;
  std::string request_id;  // empty: not remembered
  std::string result;      // remembered with it; no line feed
  Device device;           // empty: as before
  UserLimit user_limit;    // for a session that becomes a user's
};

struct StoreCreate {
  SessionId id;
  std::string record;
  std::chrono::milliseconds ttl{};
  std::int64_t absolute_expiry_ms = 0;
  std::optional<std::chrono::milliseconds> own_idle;
  std::string user_id;
  StoreEffects effects;
};

struct StoreUpdate {
  SessionId id;
  std::string expected_etag;
  std::uint64_t expected_revision = 0;
  std::optional<std::string> record;             // unset: the bytes stay
  std::optional<std::chrono::milliseconds> ttl;  // unset: the TTL stays; set: the session was seen now
  std::optional<std::string> recent;             // unset: stays; on its own it makes no new revision
  // Set: the session's own_idle from now on, whatever it was; meant with a record.
  std::optional<std::optional<std::chrono::milliseconds>> own_idle;
  std::string user_id_if_none;
  StoreEffects effects;
};

struct StoreRegenerate {
  SessionId old_id;
  std::string expected_etag;
  std::uint64_t expected_revision = 0;
  int reason = 0;
  bool move_presence = false;  // else the old id goes offline, announced
  StoreCreate next;
};

struct StoreEndUser {
  std::string user_id;
  SessionId spare;  // empty: none
  int reason = 0;
  bool erase = false;  // nothing that names the user stays; else a mark, which ends older sessions that turn up later
};

class SessionStore {
 public:
  virtual ~SessionStore() = default;

  // kOk, kMissing, kGone; kReplay when `request_id` is not empty and known.
  virtual void Read(SessionId id, std::string request_id, Done<StoreReply> done) = 0;
  // kOk with `session`; kExists, kGone, kTaken, kFull, kReplay.
  virtual void Create(StoreCreate create, Done<StoreReply> done) = 0;
  // kOk with `session`; kMissing, kGone, kConflict, kTaken, kFull, kReplay. Nothing is changed unless kOk.
  virtual void Update(StoreUpdate update, Done<StoreReply> done) = 0;
  // Renews the TTL to `idle`, never past the absolute limit; a key without TTL keeps none. `device` empty: as before.
  // kOk with session.ttl only; kMissing, kGone.
  virtual void Touch(SessionId id, std::chrono::milliseconds idle, Device device, Done<StoreReply> done) = 0;
  // Makes `next` and destroys the old session. kOk with `session` (the new one); as Update, and kExists.
  virtual void Regenerate(StoreRegenerate regenerate, Done<StoreReply> done) = 0;
  // Record, claims and presence go, a tombstone stays. `etag` empty: any version. kOk (also when `request_id` is the
  // one that destroyed it); kMissing, kGone, kConflict.
  virtual void Destroy(SessionId id, std::string etag, int reason, std::string request_id, Done<StoreReply> done) = 0;
  // The live sessions of a user, in no order.
  virtual void ListUser(std::string user_id, Done<std::vector<UserSession>> done) = 0;
  // Destroys all of them but the spared one, a hundred a step; how many it were. After an error some may be left.
  virtual void EndUser(StoreEndUser end, Done<int> done) = 0;
  // Sends a broadcast on its own and keeps it in the history; kOk or kReplay, both with `position`. A volatile one gets
  // no number and is not kept: `position` is where the namespace stands.
  virtual void Publish(std::string name_space, std::string payload, std::string request_id, bool is_volatile,
                       Done<StoreReply> done) = 0;
  // What was sent behind `after` (empty epoch: the oldest that is kept), at most `limit` (1 or more) and about a MiB of
  // it; fewer broadcasts than up to the head: there are more pages.
  virtual void ReadHistory(StorePosition after, int limit, Done<StoreHistory> done) = 0;
  // Where the namespaces stand, in their order; the epoch is that of the newest broadcast.
  virtual void Positions(std::vector<std::string> name_spaces, Done<std::vector<StorePosition>> done) = 0;
};

}  // namespace sesior::session
