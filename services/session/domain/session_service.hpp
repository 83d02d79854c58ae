// SessionService: the rules of sessions. Who may be let in by a cookie, how a change is merged and retried, who may
// claim a value, when a session is touched, what a new id keeps. What is stored how is SessionStore's.
//
// Delivery:  calls on one session run in the order they arrive.
// Threading: confined to the core executor; `done` runs there, never inside the call.
// Errors:    of the store (kUnavailable, kDataLoss), and: kNotFound (SESSION_NOT_FOUND, SESSION_DESTROYED,
// SESSION_EXPIRED),
//            kUnauthenticated (COOKIE_MALFORMED, SIGNATURE_INVALID) for a reference by cookie, kInvalidArgument with
//            the field, kAlreadyExists (CLAIM_TAKEN, SESSION_EXISTS), kAborted (ETAG_MISMATCH, WRITE_CONFLICT),
//            kResourceExhausted (RECORD_TOO_LARGE, CREATE_RATE, TOO_MANY_CALLS, TOO_MANY_SESSIONS).
// Shutdown:  destroy it only when the executor runs no more of its work.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "services/session/domain/claim_plan.hpp"
#include "services/session/domain/cookie.hpp"
#include "services/session/domain/create_limits.hpp"
#include "services/session/domain/executor.hpp"
#include "services/session/domain/json_merge.hpp"
#include "services/session/domain/live_sessions.hpp"
#include "services/session/domain/record.hpp"
#include "services/session/domain/session_queue.hpp"
#include "services/session/domain/session_store.hpp"
#include "sesior/base/clock.hpp"
#include "sesior/base/done.hpp"

namespace sesior::session {

// What happens to a claimed member that a foreign writer's stale copy has set back (recent_changes.hpp).
enum class ForeignConflict {
  kReapply,  // the claim's value is written again
  kReport,   // only counted
};

struct SessionOptions {
  CookieAttributes cookie;
  std::vector<std::string> secrets;                   // at least one
  std::chrono::milliseconds default_ttl{86'400'000};  // idle limit where the record's originalMaxAge is null
  std::chrono::milliseconds absolute_ttl{2'592'000'000};
  std::chrono::milliseconds touch_interval{60'000};  // a session is touched at most so often (or each tenth of its TTL)
  MergeLimits merge;
  std::vector<std::string> claimed_members{"userName"};  // set by claims only
  UserLimit user_limit;
  int update_tries = 8;
  bool rolling = false;  // as express-session's: every touch answers with a new cookie
  ForeignConflict foreign_conflict = ForeignConflict::kReapply;
  CreateLimits::Options create_limits;
  LiveSessions::Options live;
};

// What happened since the start.
struct SessionCounts {
  std::uint64_t revived = 0;              // records brought back after their session had ended, removed again
  std::uint64_t overwrites_mended = 0;    // claimed members set back by a stale copy, written again
  std::uint64_t overwrites_reported = 0;  // other members set back by a stale copy, left so
  std::uint64_t creates_over_rate = 0;
  std::uint64_t creates_over_address_rate = 0;
};

// By id, or, when that is empty, by the value of a Cookie header.
struct SessionRef {
  SessionId id;
  std::string cookie_header;
};

struct SessionView {
  SessionId id;
  StoredSession stored;
  std::string data_json;
  std::string cookie_json;
  std::optional<std::chrono::milliseconds> max_age;  // of the cookie
  std::chrono::milliseconds idle{};
};

struct SessionResult {
  SessionView session;
  std::string set_cookie;                            // one that is due; else empty
  std::vector<std::optional<std::string>> previous;  // per claim of the request
};

struct ResolveResult {
  CookieVerdict verdict = CookieVerdict::kAbsent;
  std::optional<SessionView> session;  // with kGood
  std::string set_cookie;
};

// A broadcast that goes out in the step of a write. Its bytes are made once the write knows the values that claims held
// before: each pair is a claim's previous_placeholder and the JSON text that takes its place.
struct Announcement {
  using Substitutions = std::vector<std::pair<std::string, std::string>>;
  std::string name_space;
  bool only_if_online = false;
  std::function<std::string(const Substitutions&)> payload;
  bool is_volatile = false;
};

// What only Express says of its sessions; sesior.session.v1.ExpressWrite has the rules.
struct ExpressWrite {
  SessionId id;             // at creation; else empty
  std::string cookie_json;  // empty: as it was
  std::optional<std::chrono::milliseconds> idle_ttl;
  std::string null_placeholder;
};

struct CreateRequest {
  std::string data_json;
  std::string user_id;         // empty: nobody's
  std::string client_address;  // as the edge saw it; empty: unknown
  std::optional<std::chrono::milliseconds> idle_ttl;
  std::optional<std::chrono::milliseconds> absolute_ttl;
  std::vector<ClaimRequest> claims;
  std::optional<Announcement> announcement;
  std::string request_id;
  std::optional<ExpressWrite> express;
  Device device;
};

struct UpdateRequest {
  SessionRef session;
  std::string merge_patch_json;  // empty: {}
  std::string etag;              // quoted; empty: any version
  std::vector<ClaimRequest> claims;
  std::optional<Announcement> announcement;
  std::optional<StorePresenceChange> presence;
  bool touch = false;
  std::string request_id;
  std::optional<ExpressWrite> express;
  std::string user_id_if_none;  // the user of a session that has none yet
  Device device;                // empty: as before
};

struct RegenerateRequest {
  SessionRef session;
  std::string etag;
  bool keep_data = true;
  int reason = 0;         // sesior.session.v1.EndReason
  bool rotation = false;  // the same user goes on: limits and presence move along
  std::string merge_patch_json;
  std::vector<ClaimRequest> claims;
  std::string user_id;  // empty: as before
  std::optional<Announcement> announcement;
  std::string request_id;
  Device device;  // empty: as before
};

struct DestroyRequest {
  SessionRef session;
  std::string etag;
  int reason = 0;
  std::string request_id;
};

struct Observation {
  std::optional<SessionView> session;
  int end_reason = 0;  // without a session: why; 0: not known
};

struct TouchResult {
  std::optional<std::int64_t> expire_ms;  // wall clock
  bool touched = false;
};

class SessionService {
 public:
  // All must outlive the service. `feed` null: every read asks the store, and nobody is told of changes.
  SessionService(SessionStore& store, Executor& executor, const Clock& clock, SessionOptions options,
                 ChangeFeed* feed = nullptr);
  ~SessionService();

  // `device`: remembered when the session is touched.
  void Resolve(std::string cookie_header, bool touch, Device device, Done<ResolveResult> done);
  void Resolve(std::string cookie_header, bool touch, Done<ResolveResult> done) {
    Resolve(std::move(cookie_header), touch, {}, std::move(done));
  }
  void Get(SessionRef session, bool touch, Done<SessionResult> done);
  void Create(CreateRequest request, Done<SessionResult> done);
  void Update(UpdateRequest request, Done<SessionResult> done);
  void Touch(SessionRef session, Done<TouchResult> done);
  void Regenerate(RegenerateRequest request, Done<SessionResult> done);
  // False: there was no such session.
  void Destroy(DestroyRequest request, Done<bool> done);

  // What watchers are told: Observe gives the present state, the follower hears when to ask again.
  void Follow(LiveSessions::Follower* follower) { live_.Follow(follower); }
  bool tracks() const { return live_.tracks(); }
  void Observe(SessionId id, Done<Observation> done);
  const LiveSessions::Counts& read_counts() const { return live_.counts(); }

  // The verdict on a cookie, without asking the store.
  CookieReading ReadCookie(std::string_view header) { return signer_->Read(header, options_.cookie.name); }
  std::string ClearCookie() const { return ClearCookieText(options_.cookie); }
  // From now on these sign and verify.
  void SetSecrets(const std::vector<std::string>& secrets);
  const SessionCounts& counts() const { return counts_; }
  // What the rules make of a stored session. kNotFound for an absent record.
  absl::StatusOr<SessionView> View(SessionId id, StoredSession stored) const;

 private:
  class Write;
  class CreateWrite;
  class UpdateWrite;
  class RegenerateWrite;
  friend class Write;

  struct Reference {
    SessionId id;
    bool retired_secret = false;
  };
  absl::StatusOr<Reference> Find(const SessionRef& session);
  template <typename T>
  void Fail(T done, absl::Status status) {
    executor_.Post([done = std::move(done), status = std::move(status)]() mutable { std::move(done)(status); });
  }
  // Reads in the session's order, then calls `then` with the view; NOT_FOUND and so on as status.
  void ReadInOrder(SessionId id, Done<SessionView> then);
  // What a read makes of a state: what a stale copy set back is mended first.
  void TakeIn(SessionId id, StoredSession stored, Done<SessionView> then);
  void TouchIfDue(SessionView view, bool touch, bool cookie_due, Device device, Done<SessionResult> done);
  void StartWrite(const SessionId& id, std::shared_ptr<Write> write);
  // Why there is no session: `reply` says kGone or kMissing.
  absl::Status EndOf(const StoreReply& reply);
  // What a stale copy of a foreign writer did to a session.
  struct Overwrite {
    std::vector<HeldClaim> claims;     // whose members it set back, to be written again
    std::vector<std::string> members;  // others
    bool empty() const { return claims.empty() && members.empty(); }
  };
  Overwrite JudgeForeignWrite(const StoredSession& stored) const;
  // True: the record holds the claim's value, or would but for a stale copy.
  bool UpholdsClaim(const StoredSession& stored, const ClaimRequest& claim) const;
  std::string SetCookie(const SessionView& view);
  std::chrono::milliseconds Bounded(std::chrono::milliseconds idle, std::int64_t absolute_expiry_ms) const;

  SessionStore& store_;
  Executor& executor_;
  const Clock& clock_;
  const SessionOptions options_;
  std::unique_ptr<CookieSigner> signer_;
  SessionQueue queue_;
  LiveSessions live_;
  CreateLimits create_limits_;
  SessionCounts counts_;
};

}  // namespace sesior::session
