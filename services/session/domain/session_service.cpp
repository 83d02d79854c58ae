#include "services/session/domain/session_service.hpp"

#include <algorithm>
#include <utility>

#include "services/session/domain/errors.hpp"
#include "services/session/domain/json_text.hpp"
#include "services/session/domain/recent_changes.hpp"
#include "services/session/domain/session_writes.hpp"
#include "services/session/domain/user_sessions.hpp"
#include "sesior/base/status_macros.hpp"

namespace sesior::session {

namespace {

constexpr std::size_t kMaxWaitingPerSession = 1024;
constexpr std::size_t kMaxRequestId = 64;
constexpr std::size_t kMaxCookieJson = 4096;
constexpr int kMaxCookieDepth = 4;
constexpr std::chrono::hours kLongestIdle{24 * 400};

bool IsOf(std::string_view text, std::size_t least, std::size_t most) {
  return text.size() >= least && text.size() <= most && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
         });
}

absl::Status CheckRequestId(std::string_view id) {
  return IsOf(id, 0, kMaxRequestId) ? absl::OkStatus()
                                    : InvalidField("request_id", "must be at most 64 of A-Z a-z 0-9 _ -");
}

absl::Status CheckExpress(const ExpressWrite& express, bool creates) {
  if (creates && !IsOf(express.id.text(), 32, 128)) {
    return InvalidField("express.session_id", "must be 32 to 128 of A-Z a-z 0-9 _ -");
  }
  if (!creates && !express.id.empty()) return InvalidField("express.session_id", "names a session to create only");
  if (!express.cookie_json.empty()) {
    const bool fits = express.cookie_json.size() <= kMaxCookieJson;
    if (!fits || !JsonMembers(express.cookie_json, kMaxCookieDepth).ok()) {
      return InvalidField("express.cookie_json", "must be a JSON object of at most 4096 bytes");
    }
  }
  if (express.idle_ttl && (express.idle_ttl->count() < 1 || *express.idle_ttl > kLongestIdle)) {
    return InvalidField("express.idle_ttl", "must be 1 ms to 400 days");
  }
  if (!express.null_placeholder.empty() && !IsOf(express.null_placeholder, 16, 64)) {
    return InvalidField("express.null_placeholder", "must be 16 to 64 of A-Z a-z 0-9 _ -");
  }
  return absl::OkStatus();
}

absl::Status CheckWrite(const std::vector<ClaimRequest>& claims, std::string_view request_id,
                        std::string_view user_id) {
  SESIOR_RETURN_IF_ERROR(CheckRequestId(request_id));
  if (!user_id.empty()) SESIOR_RETURN_IF_ERROR(CheckUserId(user_id));
  return CheckClaims(claims);
}

}  // namespace

SessionService::SessionService(SessionStore& store, Executor& executor, const Clock& clock, SessionOptions options,
                               ChangeFeed* feed)
    : store_(store),
      executor_(executor),
      clock_(clock),
      options_(std::move(options)),
      signer_(std::make_unique<CookieSigner>(options_.secrets)),
      queue_(kMaxWaitingPerSession),
      live_(store, feed, executor, clock, options_.live),
      create_limits_(options_.create_limits, clock_) {}

SessionService::~SessionService() = default;

void SessionService::SetSecrets(const std::vector<std::string>& secrets) {
  signer_ = std::make_unique<CookieSigner>(secrets);
}

absl::StatusOr<SessionService::Reference> SessionService::Find(const SessionRef& session) {
  if (!session.id.empty()) {
    if (!IsUsableSessionId(session.id.text())) return SessionNotFound();
    return Reference{session.id, false};
  }
  CookieReading reading = ReadCookie(session.cookie_header);
  if (reading.verdict == CookieVerdict::kBadSignature) return SignatureInvalid();
  if (reading.verdict != CookieVerdict::kGood) return CookieMalformed();
  return Reference{std::move(reading.id), reading.retired};
}

absl::StatusOr<SessionView> SessionService::View(SessionId id, StoredSession stored) const {
  if (IsAbsentRecord(stored.record)) return SessionNotFound();
  SESIOR_ASSIGN_OR_RETURN(RecordInfo info, InspectRecord(stored.record));
  SessionView view;
  view.id = std::move(id);
  view.data_json = std::move(info.data_json);
  view.cookie_json = std::move(info.cookie_json);
  view.max_age = info.original_max_age;
  view.idle = stored.own_idle.value_or(IdleLimit(info, options_.default_ttl));
  view.stored = std::move(stored);
  return view;
}

absl::Status SessionService::EndOf(const StoreReply& reply) {
  if (reply.revived) ++counts_.revived;
  return reply.outcome == StoreOutcome::kGone ? SessionDestroyed(reply.end_reason) : SessionNotFound();
}

SessionService::Overwrite SessionService::JudgeForeignWrite(const StoredSession& stored) const {
  Overwrite overwrite;
  if (!stored.foreign_writer || stored.recent.empty()) return overwrite;
  for (std::string& member : SetBack(stored.recent, stored.record, clock_.WallMillis())) {
    const auto claim = std::find_if(stored.claims.begin(), stored.claims.end(),
                                    [&](const HeldClaim& held) { return held.member == member; });
    if (claim != stored.claims.end() && options_.foreign_conflict == ForeignConflict::kReapply) {
      overwrite.claims.push_back(*claim);
    } else {
      overwrite.members.push_back(std::move(member));
    }
  }
  return overwrite;
}

bool SessionService::UpholdsClaim(const StoredSession& stored, const ClaimRequest& claim) const {
  if (StringMember(stored.record, claim.member) == claim.value) return true;
  const std::vector<HeldClaim> mended = JudgeForeignWrite(stored).claims;
  return std::any_of(mended.begin(), mended.end(), [&](const HeldClaim& held) {
    return held.name_space == claim.name_space && held.value == claim.value;
  });
}

std::string SessionService::SetCookie(const SessionView& view) {
  std::optional<std::int64_t> expires;
  if (view.max_age) expires = clock_.WallMillis() + view.max_age->count();
  return SetCookieText(options_.cookie, signer_->Sign(view.id), expires);
}

std::chrono::milliseconds SessionService::Bounded(std::chrono::milliseconds idle,
                                                  std::int64_t absolute_expiry_ms) const {
  if (absolute_expiry_ms == 0) return idle;
  const std::chrono::milliseconds rest(absolute_expiry_ms - clock_.WallMillis());
  return std::max(std::chrono::milliseconds(1), std::min(idle, rest));
}

void SessionService::TakeIn(SessionId id, StoredSession stored, Done<SessionView> then) {
  if (JudgeForeignWrite(stored).empty()) {
    absl::StatusOr<SessionView> view = View(id, std::move(stored));
    if (!view.ok()) live_.Forget(id);  // nothing to start a write from
    return std::move(then)(std::move(view));
  }
  // An update that asks for nothing puts right what there is to put right.
  StartWrite(id, std::make_shared<UpdateWrite>(*this, id, false, UpdateRequest(),
                                               [then = std::move(then)](absl::StatusOr<SessionResult> mended) mutable {
                                                 if (!mended.ok()) return std::move(then)(mended.status());
                                                 std::move(then)(std::move(mended->session));
                                               }));
}

void SessionService::ReadInOrder(SessionId id, Done<SessionView> then) {
  auto shared = std::make_shared<Done<SessionView>>(std::move(then));
  const auto read = [this, id, shared] {
    live_.Read(id, LiveSessions::Purpose::kAnswer, [this, id, shared](absl::StatusOr<StoreReply> reply) {
      if (!reply.ok()) return std::move(*shared)(reply.status());
      if (reply->outcome != StoreOutcome::kOk) return std::move(*shared)(EndOf(*reply));
      TakeIn(id, std::move(reply->session), std::move(*shared));
    });
  };
  // Reads keep their order, also towards a write that begins: one holds the session only until it is on its way.
  if (!queue_.IsBusy(id)) return read();
  const bool taken = queue_.Run(id, [this, id, read] {
    read();
    queue_.Done(id);
  });
  if (!taken) Fail(std::move(*shared), TooManyWaiting());
}

void SessionService::TouchIfDue(SessionView view, bool touch, bool cookie_due, Device device,
                                Done<SessionResult> done) {
  const auto finish = [this](SessionView seen, bool due, Done<SessionResult> end) {
    SessionResult result;
    if (due) result.set_cookie = SetCookie(seen);
    result.session = std::move(seen);
    std::move(end)(std::move(result));
  };
  if (touch && options_.rolling) cookie_due = true;
  // Near the absolute limit a touch can give no more than what is left.
  const std::chrono::milliseconds full = Bounded(view.idle, view.stored.absolute_expiry_ms);
  const std::chrono::milliseconds used = view.stored.ttl ? full - *view.stored.ttl : std::chrono::milliseconds(0);
  const bool is_due = used >= std::min(options_.touch_interval, full / 10);
  // A session that Express made gets its device with the first touch that brings one; its cookie is as good as before.
  const bool is_news = view.stored.device.empty() && !device.empty();
  if (!touch || !view.stored.ttl || (!is_news && !is_due)) {
    return finish(std::move(view), cookie_due, std::move(done));
  }
  const SessionId id = view.id;
  const std::chrono::milliseconds idle = view.idle;
  store_.Touch(id, idle, Tidy(std::move(device)),
               [this, finish, view = std::move(view), cookie_due, is_due,
                done = std::move(done)](absl::StatusOr<StoreReply> reply) mutable {
                 if (!reply.ok()) return std::move(done)(reply.status());
                 if (reply->outcome != StoreOutcome::kOk) {
                   live_.Forget(view.id);
                   return std::move(done)(EndOf(*reply));
                 }
                 live_.Touched(view.id, reply->session.ttl);
                 view.stored.ttl = reply->session.ttl;
                 finish(std::move(view), cookie_due || (is_due && view.max_age), std::move(done));
               });
}

void SessionService::Resolve(std::string cookie_header, bool touch, Device device, Done<ResolveResult> done) {
  CookieReading reading = ReadCookie(cookie_header);
  if (reading.verdict != CookieVerdict::kGood) {
    executor_.Post([verdict = reading.verdict, done = std::move(done)]() mutable {
      std::move(done)(ResolveResult{verdict, std::nullopt, {}});
    });
    return;
  }
  const auto answer = [](absl::StatusOr<SessionResult> result, Done<ResolveResult> end) {
    if (absl::IsNotFound(result.status())) return std::move(end)(ResolveResult{CookieVerdict::kUnknown, {}, {}});
    if (!result.ok()) return std::move(end)(result.status());
    std::move(end)(ResolveResult{CookieVerdict::kGood, std::move(result->session), std::move(result->set_cookie)});
  };
  ReadInOrder(std::move(reading.id), [this, touch, retired = reading.retired, answer, device = std::move(device),
                                      done = std::move(done)](absl::StatusOr<SessionView> view) mutable {
    if (!view.ok()) return answer(view.status(), std::move(done));
    TouchIfDue(*std::move(view), touch, retired, std::move(device),
               [answer, done = std::move(done)](absl::StatusOr<SessionResult> result) mutable {
                 answer(std::move(result), std::move(done));
               });
  });
}

void SessionService::Get(SessionRef session, bool touch, Done<SessionResult> done) {
  absl::StatusOr<Reference> reference = Find(session);
  if (!reference.ok()) return Fail(std::move(done), reference.status());
  ReadInOrder(std::move(reference->id), [this, touch, retired = reference->retired_secret,
                                         done = std::move(done)](absl::StatusOr<SessionView> view) mutable {
    if (!view.ok()) return std::move(done)(view.status());
    TouchIfDue(*std::move(view), touch, retired, {}, std::move(done));
  });
}

void SessionService::Observe(SessionId id, Done<Observation> done) {
  if (!IsUsableSessionId(id.text())) {
    executor_.Post([done = std::move(done)]() mutable { std::move(done)(Observation{}); });
    return;
  }
  live_.Read(
      id, LiveSessions::Purpose::kWatch, [this, id, done = std::move(done)](absl::StatusOr<StoreReply> reply) mutable {
        if (!reply.ok()) return std::move(done)(reply.status());
        if (reply->revived) ++counts_.revived;
        if (reply->outcome != StoreOutcome::kOk) return std::move(done)(Observation{{}, reply->end_reason});
        TakeIn(id, std::move(reply->session), [done = std::move(done)](absl::StatusOr<SessionView> view) mutable {
          if (absl::IsNotFound(view.status())) return std::move(done)(Observation{});
          if (!view.ok()) return std::move(done)(view.status());
          std::move(done)(Observation{*std::move(view), 0});
        });
      });
}

void SessionService::Touch(SessionRef session, Done<TouchResult> done) {
  Get(std::move(session), false, [this, done = std::move(done)](absl::StatusOr<SessionResult> result) mutable {
    if (!result.ok()) return std::move(done)(result.status());
    const auto before = result->session.stored.ttl;
    TouchIfDue(std::move(result->session), true, false, {},
               [this, before, done = std::move(done)](absl::StatusOr<SessionResult> touched) mutable {
                 if (!touched.ok()) return std::move(done)(touched.status());
                 TouchResult out;
                 const auto ttl = touched->session.stored.ttl;
                 if (ttl) out.expire_ms = clock_.WallMillis() + ttl->count();
                 out.touched = ttl != before;
                 std::move(done)(out);
               });
  });
}

void SessionService::StartWrite(const SessionId& id, std::shared_ptr<Write> write) {
  if (!queue_.Run(id, [write] { write->Start(); })) write->Refuse(TooManyWaiting());
}

void SessionService::Create(CreateRequest request, Done<SessionResult> done) {
  if (absl::Status status = CheckWrite(request.claims, request.request_id, request.user_id); !status.ok()) {
    return Fail(std::move(done), std::move(status));
  }
  if (request.express) {
    if (absl::Status status = CheckExpress(*request.express, true); !status.ok()) {
      return Fail(std::move(done), std::move(status));
    }
  }
  if (const std::optional<CreateLimits::Refusal> refusal = create_limits_.Take(request.client_address)) {
    const bool by_address = refusal->limit == CreateLimits::Limit::kAddress;
    ++(by_address ? counts_.creates_over_address_rate : counts_.creates_over_rate);
    return Fail(std::move(done), CreateRateExceeded(by_address, refusal->retry_after));
  }
  const SessionId id = request.express              ? request.express->id
                       : request.request_id.empty() ? SessionId::Generate()
                                                    : signer_->DeriveId("create", request.request_id);
  StartWrite(id, std::make_shared<CreateWrite>(*this, id, std::move(request), std::move(done)));
}

void SessionService::Update(UpdateRequest request, Done<SessionResult> done) {
  absl::StatusOr<Reference> reference = Find(request.session);
  if (!reference.ok()) return Fail(std::move(done), reference.status());
  if (absl::Status status = CheckWrite(request.claims, request.request_id, request.user_id_if_none); !status.ok()) {
    return Fail(std::move(done), std::move(status));
  }
  if (request.express) {
    if (absl::Status status = CheckExpress(*request.express, false); !status.ok()) {
      return Fail(std::move(done), std::move(status));
    }
  }
  const SessionId id = std::move(reference->id);
  StartWrite(id,
             std::make_shared<UpdateWrite>(*this, id, reference->retired_secret, std::move(request), std::move(done)));
}

void SessionService::Regenerate(RegenerateRequest request, Done<SessionResult> done) {
  absl::StatusOr<Reference> reference = Find(request.session);
  if (!reference.ok()) return Fail(std::move(done), reference.status());
  if (absl::Status status = CheckWrite(request.claims, request.request_id, request.user_id); !status.ok()) {
    return Fail(std::move(done), std::move(status));
  }
  const SessionId id = std::move(reference->id);
  const SessionId new_id = request.request_id.empty()
                               ? SessionId::Generate()
                               : signer_->DeriveId("regenerate\x1f" + id.text(), request.request_id);
  StartWrite(id, std::make_shared<RegenerateWrite>(*this, id, new_id, std::move(request), std::move(done)));
}

void SessionService::Destroy(DestroyRequest request, Done<bool> done) {
  absl::StatusOr<Reference> reference = Find(request.session);
  if (!reference.ok()) return Fail(std::move(done), reference.status());
  if (absl::Status status = CheckRequestId(request.request_id); !status.ok()) {
    return Fail(std::move(done), std::move(status));
  }
  absl::StatusOr<std::string> etag = UnquotedEtag(request.etag);
  if (!etag.ok()) return Fail(std::move(done), etag.status());
  const SessionId id = std::move(reference->id);
  struct Step {
    DestroyRequest request;
    std::string etag;
    Done<bool> done;
  };
  auto step = std::make_shared<Step>(Step{std::move(request), *std::move(etag), std::move(done)});
  const bool taken = queue_.Run(id, [this, id, step] {
    live_.Begin(id);
    store_.Destroy(id, std::move(step->etag), step->request.reason, std::move(step->request.request_id),
                   [this, id, step](absl::StatusOr<StoreReply> reply) {
                     live_.Forget(id);
                     queue_.Done(id);
                     if (!reply.ok()) return std::move(step->done)(reply.status());
                     if (reply->revived) ++counts_.revived;
                     if (reply->outcome == StoreOutcome::kConflict)
                       return std::move(step->done)(EtagMismatch(reply->session.etag));
                     std::move(step->done)(reply->outcome == StoreOutcome::kOk);
                   });
  });
  if (!taken) Fail(std::move(step->done), TooManyWaiting());
}

}  // namespace sesior::session
