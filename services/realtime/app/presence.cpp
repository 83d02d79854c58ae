#include "services/realtime/app/presence.hpp"

#include <algorithm>
#include <utility>

#include "services/realtime/bus/session_bus.hpp"
#include "sesior/base/ids.hpp"
#include "sesior/telemetry/log.hpp"

namespace sesior::realtime::app {

using std::chrono::milliseconds;

std::shared_ptr<Presence> Presence::Make(session_client::SessionClient& client, hub::Loop& loop, MakeFace make_face,
                                         PresenceOptions options) {
  return std::shared_ptr<Presence>(new Presence(client, loop, std::move(make_face), std::move(options)));
}

Presence::Presence(session_client::SessionClient& client, hub::Loop& loop, MakeFace make_face, PresenceOptions options)
    : client_(client), loop_(loop), make_face_(std::move(make_face)), options_(std::move(options)) {}

template <typename T, typename F>
Done<T> Presence::OnLoop(F next) {
  return [self = shared_from_this(), next = std::move(next)](auto result) mutable {
    hub::Loop& loop = self->loop_;
    loop.Post([self = std::move(self), next = std::move(next), result = std::move(result)]() mutable {
      next(std::move(result));
    });
  };
}

session_client::CallOptions Presence::call_options() const {
  session_client::CallOptions options;
  options.timeout = options_.call_timeout;
  return options;
}

// -- the lease --

void Presence::Start(std::string peer_address) {
  peer_address_ = std::move(peer_address);
  loop_.Post([self = shared_from_this()] { self->KeepLease(); });
}

void Presence::RenewSoon() {
  loop_.Post([self = shared_from_this()] {
    if (std::exchange(self->renewal_asked_, true) || self->keeping_lease_ || self->stopped_) return;
    self->lease_timer_ = self->loop_.After(self->options_.least_pause, [raw = self.get()] { raw->KeepLease(); });
  });
}

void Presence::Stop(Done<void> done) {
  loop_.Post([self = shared_from_this(), done = std::move(done)]() mutable {
    self->stopped_ = true;
    self->lease_timer_.reset();
    for (auto& [id, entry] : self->entries_) Answer(entry, absl::CancelledError("the replica stops"));
    self->entries_.clear();
    presence::v1::ReleaseLeaseRequest request;
    request.set_replica_id(self->options_.replica_id);
    self->client_.ReleaseLease(
        std::move(request), self->call_options(),
        self->OnLoop<presence::v1::ReleaseLeaseResponse>(
            [done = std::move(done)](absl::StatusOr<presence::v1::ReleaseLeaseResponse> response) mutable {
              std::move(done)(response.status());
            }));
  });
}

void Presence::KeepLease() {
  if (stopped_ || std::exchange(keeping_lease_, true)) return;
  renewal_asked_ = false;
  presence::v1::KeepLeaseRequest request;
  request.set_replica_id(options_.replica_id);
  request.set_peer_address(peer_address_);
  const bool is_settled = std::none_of(entries_.begin(), entries_.end(), [](const auto& named) {
    return named.second.known == Known::kUnknown || named.second.calling;
  });
  if (has_lease_ && is_settled) request.set_entered_epoch(epoch_);
  request.mutable_ttl()->set_seconds(options_.lease_ttl.count() / 1000);
  request.mutable_ttl()->set_nanos(static_cast<std::int32_t>(options_.lease_ttl.count() % 1000 * 1'000'000));
  client_.KeepLease(std::move(request), call_options(),
                    OnLoop<presence::v1::KeepLeaseResponse>([this](auto response) { OnLease(std::move(response)); }));
}

void Presence::OnLease(absl::StatusOr<presence::v1::KeepLeaseResponse> response) {
  keeping_lease_ = false;
  if (stopped_) return;
  // Without an answer the lease runs on for a while: what is told meanwhile may still be taken, so keep trying.
  if (response.ok()) lease_backoff_.Reset();
  milliseconds next = response.ok() ? options_.lease_ttl / 3 : lease_backoff_.Next();
  if (response.ok() && renewal_asked_) next = options_.least_pause;
  lease_timer_ = loop_.After(next, [this] { KeepLease(); });
  if (!response.ok()) {
    static telemetry::RateLimit limit(10);
    if (limit.Allow()) {
      telemetry::Log(telemetry::Level::kWarn, "lease_not_renewed",
                     {{"code", absl::StatusCodeToString(response.status().code())}});
    }
    return;
  }
  if (on_lease_) on_lease_(*response);
  if (response->fresh() || response->epoch() != epoch_) {
    epoch_ = response->epoch();
    // Nothing of ours is known for sure: send everything again, as the sessions are now.
    for (auto& [id, entry] : entries_) {
      entry.known = Known::kUnknown;
      if (has_lease_) entry.session.reset();
    }
  }
  has_lease_ = true;
  std::vector<std::string> ids;
  for (const auto& [id, entry] : entries_) {
    if (entry.known != Known::kIn) ids.push_back(id);
  }
  for (const std::string& id : ids) Reconcile(id);
}

// -- entries --

void Presence::Enter(session_client::SessionPtr session, std::string except, Done<void> done) {
  loop_.Post([self = shared_from_this(), session = std::move(session), except = std::move(except),
              done = std::move(done)]() mutable {
    const std::string id = session->session_id();
    Entry& entry = self->entries_[id];
    ++entry.sockets;
    entry.timer.reset();
    entry.waiting.push_back(std::move(done));
    if (entry.known == Known::kIn) return Answer(entry, absl::OkStatus());
    if (!entry.session || entry.session->revision() < session->revision()) entry.session = std::move(session);
    entry.except = std::move(except);
    if (!self->has_lease_) Answer(entry, absl::UnavailableError("presence is not available at the moment"));
    self->Reconcile(id);
  });
}

void Presence::Leave(std::string session_id, bool linger) {
  loop_.Post([self = shared_from_this(), id = std::move(session_id), linger] {
    const auto found = self->entries_.find(id);
    if (found == self->entries_.end() || found->second.sockets == 0) return;
    Entry& entry = found->second;
    if (--entry.sockets > 0) return;
    if (!linger) {
      entry.timer.reset();
      return self->Reconcile(id);
    }
    entry.timer = self->loop_.After(self->options_.linger, [raw = self.get(), id] { raw->Reconcile(id); });
  });
}

// Sends what is missing, if anything is. One call a session at a time; its answer comes back here.
void Presence::Reconcile(const std::string& session_id) {
  const auto found = entries_.find(session_id);
  if (found == entries_.end() || found->second.calling || stopped_) return;
  Entry& entry = found->second;
  const bool wanted = entry.sockets > 0;
  if (!wanted && entry.known == Known::kOut) {
    entries_.erase(found);
    return;
  }
  if (!has_lease_) return;  // OnLease comes back to it
  if (wanted && entry.known != Known::kIn)
    return entry.session ? CallEnter(session_id, entry) : Refetch(session_id, entry);
  if (!wanted) CallLeave(session_id, entry);
}

void Presence::CallEnter(const std::string& session_id, Entry& entry) {
  std::optional<Face> face = make_face_(*entry.session);
  if (!face) return OnEntered(session_id, absl::FailedPreconditionError("the session has no name"));
  face->joined.to.except.assign(entry.except.empty() ? 0 : 1, entry.except);
  presence::v1::EnterRequest request;
  request.set_replica_id(options_.replica_id);
  request.set_namespace_(options_.nsp);
  request.set_session_id(session_id);
  request.set_key(face->key);
  request.set_value_json(face->value_json);
  *request.mutable_joined() = ToProto(face->joined);
  *request.mutable_left() = ToProto(face->left);
  request.set_session_revision(entry.session->revision());
  entry.calling = true;
  client_.Enter(std::move(request), call_options(),
                OnLoop<presence::v1::EnterResponse>(
                    [this, session_id](auto response) { OnEntered(session_id, response.status()); }));
}

void Presence::OnEntered(const std::string& session_id, absl::Status status) {
  const auto found = entries_.find(session_id);
  if (found == entries_.end()) return;
  Entry& entry = found->second;
  entry.calling = false;
  Answer(entry, status);
  if (status.ok()) {
    entry.known = Known::kIn;
    entry.except.clear();
    entry.session.reset();  // the service keeps the face up to date from here on
    entry.backoff.Reset();
    return Reconcile(session_id);
  }
  if (absl::IsNotFound(status) || absl::IsInvalidArgument(status) ||
      (absl::IsFailedPrecondition(status) && entry.session && !make_face_(*entry.session))) {
    // The session is gone or cannot be shown. Its sockets leave by themselves.
    entry.known = Known::kOut;
    entry.timer.reset();
    if (entry.sockets == 0) entries_.erase(found);
    return;
  }
  if (absl::IsFailedPrecondition(status)) {  // our lease has lapsed
    entry.known = Known::kUnknown;
    has_lease_ = false;
    return KeepLease();
  }
  entry.known = Known::kUnknown;  // it may have taken effect
  RetryLater(session_id, entry);
}

void Presence::CallLeave(const std::string& session_id, Entry& entry) {
  presence::v1::LeaveRequest request;
  request.set_replica_id(options_.replica_id);
  request.set_namespace_(options_.nsp);
  request.set_session_id(session_id);
  entry.known = Known::kUnknown;
  entry.calling = true;
  client_.Leave(std::move(request), call_options(),
                OnLoop<presence::v1::LeaveResponse>(
                    [this, session_id](auto response) { OnLeft(session_id, response.status()); }));
}

void Presence::OnLeft(const std::string& session_id, absl::Status status) {
  const auto found = entries_.find(session_id);
  if (found == entries_.end()) return;
  Entry& entry = found->second;
  entry.calling = false;
  if (status.ok() || absl::IsNotFound(status)) {
    entry.known = Known::kOut;
    entry.backoff.Reset();
    return Reconcile(session_id);
  }
  RetryLater(session_id, entry);
}

// Reads the session again before it is shown anew: its name may have changed since.
void Presence::Refetch(const std::string& session_id, Entry& entry) {
  session::v1::GetSessionRequest request;
  request.mutable_session()->set_session_id(session_id);
  entry.calling = true;
  client_.GetSession(
      std::move(request), call_options(), OnLoop<session::v1::GetSessionResponse>([this, session_id](auto response) {
        const auto found = entries_.find(session_id);
        if (found == entries_.end()) return;
        if (!response.ok()) return OnEntered(session_id, response.status());
        found->second.calling = false;
        found->second.session = std::make_shared<const session::v1::Session>(std::move(*response->mutable_session()));
        Reconcile(session_id);
      }));
}

void Presence::RetryLater(const std::string& session_id, Entry& entry) {
  entry.timer = loop_.After(entry.backoff.Next(), [this, session_id] { Reconcile(session_id); });
}

void Presence::Answer(Entry& entry, const absl::Status& status) {
  for (Done<void>& done : std::exchange(entry.waiting, {})) std::move(done)(status);
}

}  // namespace sesior::realtime::app
