#include "services/session/rpc/watch_hub.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "services/session/rpc/convert.hpp"
#include "sesior/base/error.hpp"

namespace sesior::session::rpc {

namespace {

using session::v1::WatchSessionsResponse;
using std::chrono::milliseconds;

constexpr milliseconds kRetry(200);
constexpr milliseconds kExpiryMargin(10);
constexpr milliseconds kLongestTimer = std::chrono::hours(24);

// Takes the text up to the next blank.
std::string_view NextWord(std::string_view& text) {
  const std::size_t blank = text.find(' ');
  const std::string_view word = text.substr(0, blank);
  text = blank == std::string_view::npos ? std::string_view() : text.substr(blank + 1);
  return word;
}

}  // namespace

WatchHub::WatchHub(SessionService& sessions, EventBus& bus, Executor& core, const Clock& clock)
    : sessions_(sessions), core_(core), clock_(clock) {
  subscription_ = bus.Subscribe(kChangeChannel, {.on_message = [this](std::string_view message) { OnHint(message); },
                                                 .on_up =
                                                     [this] {
                                                       // Hints may have been lost: look at everything again.
                                                       std::vector<SessionId> all;
                                                       for (const auto& [id, watched] : sessions_watched_) {
                                                         all.emplace_back(id);
                                                       }
                                                       for (const SessionId& id : all) Refresh(id);
                                                     }});
}

void WatchHub::Add(std::shared_ptr<Sink> sink, std::uint64_t watch_id, session::v1::SessionRef ref,
                   std::uint64_t known_revision) {
  Remove(sink.get(), watch_id);
  SessionId id(ref.session_id());
  if (ref.has_cookie_header()) {
    const CookieReading reading = sessions_.ReadCookie(ref.cookie_header());
    if (reading.verdict != CookieVerdict::kGood) {
      WatchSessionsResponse::Event event;
      event.set_watch_id(watch_id);
      event.set_kind(session::v1::WATCH_EVENT_KIND_REFUSED);
      event.set_verdict(ToProto(reading.verdict));
      return sink->Push(std::move(event));
    }
    id = reading.id;
  }
  // Registered before it is read: a change in between is a hint that makes it read again.
  sinks_[sink.get()][watch_id] = id.text();
  sessions_watched_[id.text()].watches.push_back(
      {.sink = std::move(sink), .watch_id = watch_id, .revision = known_revision, .answered = false});
  Refresh(id);
}

void WatchHub::Remove(const Sink* sink, std::uint64_t watch_id) {
  const auto of_sink = sinks_.find(sink);
  if (of_sink == sinks_.end()) return;
  const auto found = of_sink->second.find(watch_id);
  if (found == of_sink->second.end()) return;
  const auto watched = sessions_watched_.find(found->second);
  if (watched != sessions_watched_.end()) {
    std::erase_if(watched->second.watches,
                  [&](const Watch& watch) { return watch.sink.get() == sink && watch.watch_id == watch_id; });
    if (watched->second.watches.empty()) sessions_watched_.erase(watched);
  }
  of_sink->second.erase(found);
}

void WatchHub::DropSink(const Sink* sink) {
  const auto of_sink = sinks_.find(sink);
  if (of_sink == sinks_.end()) return;
  for (const auto& [watch_id, session_id] : of_sink->second) {
    const auto watched = sessions_watched_.find(session_id);
    if (watched == sessions_watched_.end()) continue;
    std::erase_if(watched->second.watches, [&](const Watch& watch) { return watch.sink.get() == sink; });
    if (watched->second.watches.empty()) sessions_watched_.erase(watched);
  }
  sinks_.erase(of_sink);
}

void WatchHub::OnHint(std::string_view message) {
  const std::string_view kind = NextWord(message);
  const std::string_view id = NextWord(message);
  const auto found = sessions_watched_.find(std::string(id));
  if (found == sessions_watched_.end()) return;
  if (kind == "tt") found->second.touched = true;
  if (kind == "up" || kind == "tt") return Refresh(SessionId(std::string(id)));
  if (kind == "end") {
    int reason = 0;
    std::from_chars(message.data(), message.data() + message.size(), reason);
    End(SessionId(std::string(id)), reason);
  }
}

void WatchHub::Refresh(const SessionId& id) {
  Watched& watched = sessions_watched_[id.text()];
  if (watched.reading) {
    watched.again = true;
    return;
  }
  watched.reading = true;
  watched.again = false;
  watched.telling_touch = std::exchange(watched.touched, false);
  sessions_.Get({.id = id, .cookie_header = {}}, false,
                [this, id](absl::StatusOr<SessionResult> result) { OnRead(id, std::move(result)); });
}

void WatchHub::OnRead(const SessionId& id, absl::StatusOr<SessionResult> result) {
  const auto found = sessions_watched_.find(id.text());
  if (found == sessions_watched_.end()) return;
  Watched& watched = found->second;
  watched.reading = false;
  if (absl::IsNotFound(result.status())) {
    // Without a tombstone its time was up (or somebody deleted the key, which looks the same).
    const bool is_expired = ReasonOf(result.status()) != "SESSION_DESTROYED";
    return End(id, is_expired ? session::v1::END_REASON_EXPIRED : session::v1::END_REASON_UNSPECIFIED);
  }
  if (!result.ok()) {
    // Redis is away, or the record is damaged: nobody is told anything untrue; asked again until it is known.
    ++watched.failures;
    core_.After(kRetry * std::min(watched.failures, 10), [this, id] {
      if (sessions_watched_.contains(id.text())) Refresh(id);
    });
    return;
  }
  watched.failures = 0;
  if (result->session.stored.ttl) ReadWhenOver(id, *result->session.stored.ttl);
  WatchSessionsResponse::Event event;
  ToProto(std::move(result->session), clock_.WallMillis(), *event.mutable_session());
  const std::uint64_t revision = event.session().revision();
  for (Watch& watch : watched.watches) {
    const bool known = watch.revision == revision;
    const bool only_touched = watch.answered && watch.revision >= revision;
    if (only_touched && !watched.telling_touch) continue;
    WatchSessionsResponse::Event told;
    told.set_watch_id(watch.watch_id);
    told.set_kind(only_touched     ? session::v1::WATCH_EVENT_KIND_TOUCHED
                  : watch.answered ? session::v1::WATCH_EVENT_KIND_UPDATED
                                   : session::v1::WATCH_EVENT_KIND_CURRENT);
    if (!known || only_touched) *told.mutable_session() = event.session();
    watch.answered = true;
    watch.revision = revision;
    watch.sink->Push(std::move(told));
  }
  if (watched.again) Refresh(id);
}

void WatchHub::ReadWhenOver(const SessionId& id, milliseconds ttl) {
  Watched& watched = sessions_watched_[id.text()];
  // A timer that is early finds the session alive and is set anew; so one at a time is enough.
  if (watched.has_timer) return;
  watched.has_timer = true;
  core_.After(std::clamp(ttl + kExpiryMargin, kExpiryMargin, kLongestTimer), [this, id] {
    const auto found = sessions_watched_.find(id.text());
    if (found == sessions_watched_.end()) return;
    found->second.has_timer = false;
    Refresh(id);
  });
}

std::size_t WatchHub::WatchesOf(const Sink* sink) const {
  const auto found = sinks_.find(sink);
  return found == sinks_.end() ? 0 : found->second.size();
}

void WatchHub::End(const SessionId& id, int reason) {
  const auto found = sessions_watched_.find(id.text());
  if (found == sessions_watched_.end()) return;
  const std::vector<Watch> watches = std::move(found->second.watches);
  sessions_watched_.erase(found);
  for (const Watch& watch : watches) {
    WatchSessionsResponse::Event event;
    event.set_watch_id(watch.watch_id);
    if (watch.answered || watch.revision > 0) {
      event.set_kind(session::v1::WATCH_EVENT_KIND_ENDED);
      event.set_reason(static_cast<session::v1::EndReason>(reason));
    } else {
      event.set_kind(session::v1::WATCH_EVENT_KIND_REFUSED);
      event.set_verdict(session::v1::COOKIE_VERDICT_UNKNOWN);
    }
    watch.sink->Push(std::move(event));
    if (const auto of_sink = sinks_.find(watch.sink.get()); of_sink != sinks_.end())
      of_sink->second.erase(watch.watch_id);
  }
}

}  // namespace sesior::session::rpc
