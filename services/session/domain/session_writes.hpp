// The writes of SessionService, each one object that lives until it has answered: read or recall the state, work out
// the new one, try it at the store, and on a conflict go round with the state the store gave back. Threading: confined
// to the core executor.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "services/session/domain/session_service.hpp"
#include "sesior/base/backoff.hpp"

namespace sesior::session {

// "\"<40 hex>\"" -> the hex; empty stays empty. kInvalidArgument otherwise.
absl::StatusOr<std::string> UnquotedEtag(std::string_view etag);

class SessionService::Write : public std::enable_shared_from_this<Write> {
 public:
  Write(SessionService& service, SessionId subject, std::vector<ClaimRequest> claims,
        std::optional<Announcement> announcement, std::string request_id, Done<SessionResult> done);
  virtual ~Write() = default;

  // With the subject's queue held.
  virtual void Start() = 0;
  // Ends a write that never started.
  void Refuse(absl::Status status);

 protected:
  // One try with what is known. Asynchronous.
  virtual void Try() = 0;

  void Finish(absl::StatusOr<SessionResult> result);
  // `touched`: a cookie with an age is due too, since its date has moved.
  void FinishWith(SessionId id, StoredSession stored, bool cookie_due, bool touched = false);
  // kTaken: void claims are taken over in the next Try, others end the write. False: move `index` belongs to no
  // request.
  bool Judge(const StoreReply& taken);
  // Goes round once more, after a short wait from the second time on; ends the write after too many tries, telling the
  // version that stood in the way (empty: it was no version).
  void TryAgain(std::string_view current_etag = {});

  // True: the request claims in this one's namespace itself.
  bool IsAsked(const HeldClaim& claim) const;
  // The record with the members that the claims set.
  absl::StatusOr<std::string> WithClaimedMembers(std::string record) const;
  // `record` with the claims' members that a stale copy has set back, as overwrite_ says.
  absl::StatusOr<std::string> Mended(const std::string& record) const;
  void CountOverwrite();
  StoreEffects Effects(ClaimPlan plan, const Device& device);
  // `patch` on `record`, with what Express's own write says.
  absl::StatusOr<std::string> Merged(std::string record, std::string_view patch,
                                     const std::optional<ExpressWrite>& express,
                                     const std::vector<std::string>& refused) const;

  SessionService& service_;
  const SessionId subject_;
  const std::vector<ClaimRequest> claims_;
  std::vector<std::optional<std::string>> previous_;
  std::map<std::size_t, std::string> takeovers_;
  Overwrite overwrite_;

 private:
  std::optional<Announcement> announcement_;

 protected:
  const std::string request_id_;

 private:
  Done<SessionResult> done_;
  Backoff backoff_;
  int tries_ = 0;
};

class SessionService::CreateWrite final : public Write {
 public:
  CreateWrite(SessionService& service, SessionId id, CreateRequest request, Done<SessionResult> done);
  void Start() override { Try(); }

 private:
  void Try() override;
  void OnCreated(absl::StatusOr<StoreReply> reply);

  const CreateRequest request_;
  SessionId id_;
};

class SessionService::UpdateWrite final : public Write {
 public:
  UpdateWrite(SessionService& service, SessionId id, bool retired_secret, UpdateRequest request,
              Done<SessionResult> done);
  void Start() override;

 private:
  void Load();
  void Try() override;
  void OnUpdated(absl::StatusOr<StoreReply> reply);
  // What to write on top of state_; nullopt: nothing.
  absl::StatusOr<std::optional<StoreUpdate>> Prepare();
  // The claim as it is, to be refused when it is another's by now.
  ClaimMove Kept(const HeldClaim& claim) const;
  void DropLostClaims();

  const UpdateRequest request_;
  const bool retired_secret_;
  StoredSession state_;
  std::set<std::string> lost_claims_;  // namespaces whose claim somebody else has taken over
  bool is_recalled_ = false;           // state_ is what was known here: no error may be told by it
  LiveSessions::Mark begun_ = 0;
};

class SessionService::RegenerateWrite final : public Write {
 public:
  RegenerateWrite(SessionService& service, SessionId id, SessionId new_id, RegenerateRequest request,
                  Done<SessionResult> done);
  void Start() override;

 private:
  void OnRead(absl::StatusOr<StoreReply> reply);
  void CheckReplay(absl::Status otherwise);
  void Try() override;
  void OnRegenerated(absl::StatusOr<StoreReply> reply);
  absl::StatusOr<StoreRegenerate> Prepare();

  const RegenerateRequest request_;
  SessionId new_id_;
  StoredSession state_;
  std::set<std::string> lost_claims_;  // namespaces whose claim somebody else has taken over
};

}  // namespace sesior::session
