#include "services/session/domain/session_writes.hpp"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "services/session/domain/errors.hpp"
#include "services/session/domain/json_text.hpp"
#include "services/session/domain/recent_changes.hpp"
#include "sesior/base/json_string.hpp"
#include "sesior/base/status_macros.hpp"

namespace sesior::session {

namespace {

constexpr Backoff::Options kConflictBackoff{.initial = std::chrono::milliseconds(2),
                                            .max = std::chrono::milliseconds(30)};

}  // namespace

absl::StatusOr<std::string> UnquotedEtag(std::string_view etag) {
  if (etag.empty()) return std::string();
  const bool good = etag.size() == 42 && etag.front() == '"' && etag.back() == '"' &&
                    etag.substr(1, 40).find_first_not_of("0123456789abcdef") == std::string_view::npos;
  if (!good) return InvalidField("etag", "must be an etag this service gave out");
  return std::string(etag.substr(1, 40));
}

SessionService::Write::Write(SessionService& service, SessionId subject, std::vector<ClaimRequest> claims,
                             std::optional<Announcement> announcement, std::string request_id, Done<SessionResult> done)
    : service_(service),
      subject_(std::move(subject)),
      claims_(std::move(claims)),
      announcement_(std::move(announcement)),
      request_id_(std::move(request_id)),
      done_(std::move(done)),
      backoff_(kConflictBackoff) {}

void SessionService::Write::Refuse(absl::Status status) { service_.Fail(std::move(done_), std::move(status)); }

void SessionService::Write::Finish(absl::StatusOr<SessionResult> result) {
  const std::shared_ptr<Write> keep = shared_from_this();
  service_.queue_.Done(subject_);
  std::move(done_)(std::move(result));
}

void SessionService::Write::FinishWith(SessionId id, StoredSession stored, bool cookie_due, bool touched) {
  absl::StatusOr<SessionView> view = service_.View(std::move(id), std::move(stored));
  if (!view.ok()) return Finish(view.status());
  SessionResult result;
  if (touched && (view->max_age || service_.options_.rolling)) cookie_due = true;
  if (cookie_due) result.set_cookie = service_.SetCookie(*view);
  result.session = *std::move(view);
  result.previous = std::move(previous_);
  Finish(std::move(result));
}

bool SessionService::Write::Judge(const StoreReply& taken) {
  if (taken.taken_index >= claims_.size()) return false;
  const std::size_t index = taken.taken_index;
  const SessionId holder = ClaimHolder(taken.taken_text);
  if (holder == subject_) {  // ours, from before our sidecar was lost
    takeovers_[index] = taken.taken_text;
    TryAgain();
    return true;
  }
  service_.store_.Read(
      holder, {}, [self = shared_from_this(), index, text = taken.taken_text](absl::StatusOr<StoreReply> reply) {
        if (!reply.ok()) return self->Finish(reply.status());
        const ClaimRequest& claim = self->claims_[index];
        const bool holds = reply->outcome == StoreOutcome::kOk && self->service_.UpholdsClaim(reply->session, claim);
        if (holds) return self->Finish(ClaimTaken(claim.member));
        self->takeovers_[index] = text;
        self->TryAgain();
      });
  return true;
}

void SessionService::Write::TryAgain(std::string_view current_etag) {
  if (++tries_ >= service_.options_.update_tries) return Finish(WriteConflict(tries_, current_etag));
  if (tries_ == 1) return Try();
  service_.executor_.After(backoff_.Next(), [self = shared_from_this()] { self->Try(); });
}

absl::StatusOr<std::string> SessionService::Write::WithClaimedMembers(std::string record) const {
  if (claims_.empty()) return record;
  std::string patch = "{";
  for (const ClaimRequest& claim : claims_) {
    if (patch.size() > 1) patch.push_back(',');
    absl::StrAppend(&patch, JsonString(claim.member), ":", JsonString(claim.value));
  }
  patch.push_back('}');
  return MergePatch(record, patch, service_.options_.merge);
}

absl::StatusOr<std::string> SessionService::Write::Merged(std::string record, std::string_view patch,
                                                          const std::optional<ExpressWrite>& express,
                                                          const std::vector<std::string>& refused) const {
  const MergeLimits& limits = service_.options_.merge;
  if (!express) {
    if (patch.empty()) return record;
    return MergePatch(record, patch, limits, refused);
  }
  if (!express->cookie_json.empty()) {
    SESIOR_ASSIGN_OR_RETURN(record, WithCookie(record, express->cookie_json));
  }
  if (patch.empty()) return record;
  SESIOR_ASSIGN_OR_RETURN(record, MergePatch(record, patch, limits));
  if (express->null_placeholder.empty()) return record;
  const std::string text = absl::StrReplaceAll(record, {{absl::StrCat("\"", express->null_placeholder, "\""), "null"}});
  if (!CheckJson(text, kAnyDepth).ok()) {
    return InvalidField("express.null_placeholder", "stands where JSON wants a name");
  }
  return text;
}

StoreEffects SessionService::Write::Effects(ClaimPlan plan, const Device& device) {
  StoreEffects effects;
  effects.device = Tidy(device);
  effects.user_limit = service_.options_.user_limit;
  previous_ = plan.previous;
  effects.claim_moves = std::move(plan.moves);
  if (plan.changes_held) effects.claims = std::move(plan.held);
  effects.request_id = request_id_;
  if (!request_id_.empty()) effects.result = EncodePrevious(previous_);
  if (announcement_) {
    Announcement::Substitutions substitutions;
    for (std::size_t i = 0; i < claims_.size(); ++i) {
      if (claims_[i].previous_placeholder.empty()) continue;
      substitutions.emplace_back(claims_[i].previous_placeholder,
                                 previous_[i] ? JsonString(*previous_[i]) : std::string("null"));
    }
    effects.announcement = StoreAnnouncement{announcement_->name_space, announcement_->payload(substitutions),
                                             announcement_->only_if_online, announcement_->is_volatile};
  }
  return effects;
}

bool SessionService::Write::IsAsked(const HeldClaim& claim) const {
  return std::any_of(claims_.begin(), claims_.end(),
                     [&](const ClaimRequest& request) { return request.name_space == claim.name_space; });
}

absl::StatusOr<std::string> SessionService::Write::Mended(const std::string& record) const {
  if (overwrite_.claims.empty()) return record;
  std::string patch = "{";
  for (const HeldClaim& claim : overwrite_.claims) {
    if (patch.size() > 1) patch.push_back(',');
    absl::StrAppend(&patch, JsonString(claim.member), ":", JsonString(claim.value));
  }
  patch.push_back('}');
  return MergePatch(record, patch, service_.options_.merge);
}

void SessionService::Write::CountOverwrite() {
  service_.counts_.overwrites_mended += overwrite_.claims.size();
  service_.counts_.overwrites_reported += overwrite_.members.size();
}

// Create.

SessionService::CreateWrite::CreateWrite(SessionService& service, SessionId id, CreateRequest request,
                                         Done<SessionResult> done)
    : Write(service, id, request.claims, request.announcement, request.request_id, std::move(done)),
      request_(std::move(request)),
      id_(std::move(id)) {}

void SessionService::CreateWrite::Try() {
  const SessionOptions& options = service_.options_;
  const std::int64_t now = service_.clock_.WallMillis();
  absl::StatusOr<std::string> record =
      Merged(NewRecord(options.cookie, now), request_.data_json, request_.express, options.claimed_members);
  if (record.ok()) record = WithClaimedMembers(*std::move(record));
  if (!record.ok()) {
    service_.executor_.Post([self = shared_from_this(), this, status = record.status()] { Finish(status); });
    return;
  }
  StoreCreate create;
  create.id = id_;
  create.absolute_expiry_ms = now + request_.absolute_ttl.value_or(options.absolute_ttl).count();
  create.own_idle = request_.express ? request_.express->idle_ttl : request_.idle_ttl;
  create.record = *std::move(record);
  StoredSession made;
  made.record = create.record;
  made.own_idle = create.own_idle;
  // What was made here can be read; the view knows the idle limit.
  create.ttl = service_.Bounded(service_.View(id_, std::move(made))->idle, create.absolute_expiry_ms);
  create.user_id = request_.user_id;
  create.effects = Effects(PlanClaims(id_, create.record, {}, claims_, takeovers_), request_.device);
  service_.store_.Create(std::move(create), [self = shared_from_this(), this](absl::StatusOr<StoreReply> reply) {
    OnCreated(std::move(reply));
  });
}

void SessionService::CreateWrite::OnCreated(absl::StatusOr<StoreReply> reply) {
  if (!reply.ok()) return Finish(reply.status());
  switch (reply->outcome) {
    case StoreOutcome::kOk:
      return FinishWith(id_, std::move(reply->session), true);
    case StoreOutcome::kReplay:
      previous_ = DecodePrevious(reply->replay);
      return FinishWith(id_, std::move(reply->session), true);
    case StoreOutcome::kFull:
      return Finish(TooManySessions(service_.options_.user_limit.sessions));
    case StoreOutcome::kTaken:
      Judge(*reply);
      return;
    default:
      if (request_.express) {
        return Finish(reply->outcome == StoreOutcome::kGone ? service_.EndOf(*reply) : SessionExists());
      }
      // The id is in use, or was: a request id used for two calls. The second gets its own session.
      id_ = SessionId::Generate();
      return TryAgain();
  }
}

// Update.

SessionService::UpdateWrite::UpdateWrite(SessionService& service, SessionId id, bool retired_secret,
                                         UpdateRequest request, Done<SessionResult> done)
    : Write(service, std::move(id), request.claims, request.announcement, request.request_id, std::move(done)),
      request_(std::move(request)),
      retired_secret_(retired_secret) {}

void SessionService::UpdateWrite::Start() {
  begun_ = service_.live_.Begin(subject_);
  const StoredSession* known = service_.live_.Recall(subject_);
  if (known == nullptr) return Load();
  state_ = *known;
  is_recalled_ = true;
  Try();
}

void SessionService::UpdateWrite::Load() {
  is_recalled_ = false;
  service_.store_.Read(subject_, request_id_, [self = shared_from_this(), this](absl::StatusOr<StoreReply> reply) {
    if (!reply.ok()) return Finish(reply.status());
    if (reply->outcome == StoreOutcome::kReplay) return OnUpdated(std::move(reply));
    if (reply->outcome != StoreOutcome::kOk) {
      service_.live_.Forget(subject_);
      return Finish(service_.EndOf(*reply));
    }
    state_ = std::move(reply->session);
    if (absl::StatusOr<SessionView> view = service_.View(subject_, state_); !view.ok()) return Finish(view.status());
    Try();
  });
}

absl::StatusOr<std::optional<StoreUpdate>> SessionService::UpdateWrite::Prepare() {
  SESIOR_ASSIGN_OR_RETURN(const std::string etag, UnquotedEtag(request_.etag));
  if (!etag.empty() && etag != state_.etag) return EtagMismatch(state_.etag);
  DropLostClaims();
  overwrite_ = service_.JudgeForeignWrite(state_);
  std::vector<std::string> refused = service_.options_.claimed_members;
  for (const HeldClaim& claim : state_.claims) refused.push_back(claim.member);
  SESIOR_ASSIGN_OR_RETURN(std::string record, Mended(state_.record));
  SESIOR_ASSIGN_OR_RETURN(record, Merged(std::move(record), request_.merge_patch_json, request_.express, refused));
  SESIOR_ASSIGN_OR_RETURN(record, WithClaimedMembers(std::move(record)));

  StoreUpdate update;
  update.id = subject_;
  update.expected_etag = state_.etag;
  update.expected_revision = state_.revision;
  StoredSession next = state_;
  next.record = record;
  if (request_.express) next.own_idle = request_.express->idle_ttl;
  if (next.own_idle != state_.own_idle) update.own_idle = next.own_idle;
  // What a stale copy did to other members is told once.
  const std::string known =
      overwrite_.members.empty() ? state_.recent : ForgetChanges(state_.recent, overwrite_.members);
  if (record != state_.record) {
    update.recent = NoteChanges(known, state_.record, record, service_.clock_.WallMillis());
    update.record = std::move(record);
  } else {
    if (known != state_.recent) update.recent = known;
    if (update.own_idle) update.record = std::move(record);  // the sidecar's limit changes with a record only
  }
  if (request_.touch) {
    SESIOR_ASSIGN_OR_RETURN(const SessionView view, service_.View(subject_, std::move(next)));
    update.ttl = service_.Bounded(view.idle, state_.absolute_expiry_ms);
  }
  if (state_.user_id.empty()) update.user_id_if_none = request_.user_id_if_none;
  update.effects = Effects(PlanClaims(subject_, state_.record, state_.claims, claims_, takeovers_), request_.device);
  // What is mended must still be ours; behind the requests' own moves, so that Judge knows them apart.
  for (const HeldClaim& claim : overwrite_.claims) {
    if (!IsAsked(claim)) update.effects.claim_moves.push_back(Kept(claim));
  }
  if (!lost_claims_.empty() && !update.effects.claims) update.effects.claims = state_.claims;
  update.effects.presence = request_.presence;
  const bool is_nothing = !update.record && !update.ttl && !update.recent && claims_.empty() && lost_claims_.empty() &&
                          !update.effects.announcement && !update.effects.presence && update.user_id_if_none.empty() &&
                          (update.effects.device.empty() || update.effects.device == state_.device);
  return is_nothing ? std::nullopt : std::optional(std::move(update));
}

void SessionService::UpdateWrite::DropLostClaims() {
  std::erase_if(state_.claims, [this](const HeldClaim& claim) { return lost_claims_.contains(claim.name_space); });
}

ClaimMove SessionService::UpdateWrite::Kept(const HeldClaim& claim) const {
  const std::string text = ClaimText(subject_, claim.nonce);
  return {claim.name_space, claim.value, text, text};
}

void SessionService::UpdateWrite::Try() {
  absl::StatusOr<std::optional<StoreUpdate>> update = Prepare();
  if (!update.ok() || !*update) {
    if (is_recalled_) return Load();  // only the truth may refuse, or say that nothing is to be done
    if (!update.ok()) return Finish(update.status());
    return FinishWith(subject_, std::move(state_), retired_secret_);
  }
  service_.store_.Update(**std::move(update), [self = shared_from_this(), this](absl::StatusOr<StoreReply> reply) {
    OnUpdated(std::move(reply));
  });
}

void SessionService::UpdateWrite::OnUpdated(absl::StatusOr<StoreReply> reply) {
  if (!reply.ok()) return Finish(reply.status());
  StoredSession& session = reply->session;
  switch (reply->outcome) {
    case StoreOutcome::kOk:
      if (session.record.empty()) session.record = std::move(state_.record);
      service_.live_.Remember(subject_, session, begun_);
      CountOverwrite();
      return FinishWith(subject_, std::move(session), retired_secret_, request_.touch);
    case StoreOutcome::kReplay:
      previous_ = DecodePrevious(reply->replay);
      return FinishWith(subject_, std::move(session), retired_secret_);
    case StoreOutcome::kConflict:
      state_ = std::move(session);
      is_recalled_ = false;
      if (absl::StatusOr<SessionView> view = service_.View(subject_, state_); !view.ok()) return Finish(view.status());
      return TryAgain(state_.etag);
    case StoreOutcome::kFull:
      return Finish(TooManySessions(service_.options_.user_limit.sessions));
    case StoreOutcome::kTaken:
      if (!Judge(*reply)) {
        // The value of a member that was to be mended is another's by now.
        for (const HeldClaim& claim : overwrite_.claims) {
          if (!IsAsked(claim)) lost_claims_.insert(claim.name_space);
        }
        TryAgain();
      }
      return;
    default:
      service_.live_.Forget(subject_);
      return Finish(service_.EndOf(*reply));
  }
}

// Regenerate.

SessionService::RegenerateWrite::RegenerateWrite(SessionService& service, SessionId id, SessionId new_id,
                                                 RegenerateRequest request, Done<SessionResult> done)
    : Write(service, std::move(id), request.claims, request.announcement, request.request_id, std::move(done)),
      request_(std::move(request)),
      new_id_(std::move(new_id)) {}

void SessionService::RegenerateWrite::Start() {
  service_.live_.Begin(subject_);
  service_.store_.Read(
      subject_, {}, [self = shared_from_this(), this](absl::StatusOr<StoreReply> reply) { OnRead(std::move(reply)); });
}

void SessionService::RegenerateWrite::OnRead(absl::StatusOr<StoreReply> reply) {
  if (!reply.ok()) return Finish(reply.status());
  service_.live_.Forget(subject_);
  if (reply->outcome != StoreOutcome::kOk) return CheckReplay(service_.EndOf(*reply));
  state_ = std::move(reply->session);
  if (absl::StatusOr<SessionView> view = service_.View(subject_, state_); !view.ok()) return Finish(view.status());
  Try();
}

// The old session is gone: by this very call, the first time it came?
void SessionService::RegenerateWrite::CheckReplay(absl::Status otherwise) {
  if (request_id_.empty()) return Finish(std::move(otherwise));
  service_.store_.Read(new_id_, request_id_,
                       [self = shared_from_this(), this, otherwise](absl::StatusOr<StoreReply> reply) {
                         if (!reply.ok()) return Finish(reply.status());
                         if (reply->outcome != StoreOutcome::kReplay) return Finish(otherwise);
                         OnRegenerated(std::move(reply));
                       });
}

absl::StatusOr<StoreRegenerate> SessionService::RegenerateWrite::Prepare() {
  const SessionOptions& options = service_.options_;
  SESIOR_ASSIGN_OR_RETURN(const std::string etag, UnquotedEtag(request_.etag));
  if (!etag.empty() && etag != state_.etag) return EtagMismatch(state_.etag);
  const std::int64_t now = service_.clock_.WallMillis();
  std::vector<std::string> refused = options.claimed_members;
  for (const HeldClaim& claim : state_.claims) refused.push_back(claim.member);
  overwrite_ = request_.keep_data ? service_.JudgeForeignWrite(state_) : Overwrite();
  std::erase_if(overwrite_.claims, [this](const HeldClaim& claim) { return lost_claims_.contains(claim.name_space); });
  std::string record;
  if (request_.keep_data) {
    SESIOR_ASSIGN_OR_RETURN(record, Mended(state_.record));
  } else {
    record = NewRecord(options.cookie, now);
  }
  if (!request_.merge_patch_json.empty()) {
    SESIOR_ASSIGN_OR_RETURN(record, MergePatch(record, request_.merge_patch_json, options.merge, refused));
  }
  SESIOR_ASSIGN_OR_RETURN(record, WithClaimedMembers(std::move(record)));

  StoreRegenerate regenerate;
  regenerate.old_id = subject_;
  regenerate.expected_etag = state_.etag;
  regenerate.expected_revision = state_.revision;
  regenerate.reason = request_.reason;
  regenerate.move_presence = request_.rotation;
  StoreCreate& next = regenerate.next;
  next.id = new_id_;
  next.absolute_expiry_ms = request_.rotation ? state_.absolute_expiry_ms : now + options.absolute_ttl.count();
  next.own_idle = state_.own_idle;
  StoredSession made = state_;
  made.record = record;
  SESIOR_ASSIGN_OR_RETURN(const SessionView view, service_.View(new_id_, std::move(made)));
  next.ttl = service_.Bounded(view.idle, next.absolute_expiry_ms);
  next.record = std::move(record);
  next.user_id = request_.user_id.empty() && request_.keep_data ? state_.user_id : request_.user_id;
  std::vector<HeldClaim> held = state_.claims;
  std::erase_if(held, [this](const HeldClaim& claim) { return lost_claims_.contains(claim.name_space); });
  next.effects =
      Effects(PlanClaimsForNewId(subject_, new_id_, request_.keep_data, held, claims_, takeovers_), request_.device);
  return regenerate;
}

void SessionService::RegenerateWrite::Try() {
  absl::StatusOr<StoreRegenerate> regenerate = Prepare();
  if (!regenerate.ok()) return Finish(regenerate.status());
  service_.store_.Regenerate(
      *std::move(regenerate),
      [self = shared_from_this(), this](absl::StatusOr<StoreReply> reply) { OnRegenerated(std::move(reply)); });
}

void SessionService::RegenerateWrite::OnRegenerated(absl::StatusOr<StoreReply> reply) {
  if (!reply.ok()) return Finish(reply.status());
  service_.live_.Forget(subject_);
  switch (reply->outcome) {
    case StoreOutcome::kOk:
      CountOverwrite();
      return FinishWith(new_id_, std::move(reply->session), true);
    case StoreOutcome::kReplay:
      previous_ = DecodePrevious(reply->replay);
      return FinishWith(new_id_, std::move(reply->session), true);
    case StoreOutcome::kConflict:
      state_ = std::move(reply->session);
      if (absl::StatusOr<SessionView> view = service_.View(subject_, state_); !view.ok()) return Finish(view.status());
      return TryAgain(state_.etag);
    case StoreOutcome::kExists:
      new_id_ = SessionId::Generate();
      return TryAgain();
    case StoreOutcome::kFull:
      return Finish(TooManySessions(service_.options_.user_limit.sessions));
    case StoreOutcome::kTaken:
      if (!Judge(*reply)) {
        // A claim that was to move along is another's by now: go on without it.
        std::size_t carried = reply->taken_index - claims_.size();
        for (const HeldClaim& claim : state_.claims) {
          if (IsAsked(claim) || lost_claims_.contains(claim.name_space)) continue;
          if (carried-- == 0) {
            lost_claims_.insert(claim.name_space);
            break;
          }
        }
        TryAgain();
      }
      return;
    default:
      return CheckReplay(service_.EndOf(*reply));
  }
}

}  // namespace sesior::session
