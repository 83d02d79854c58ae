#include "services/session/rpc/watch_hub.hpp"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "services/session/rpc/convert.hpp"

namespace sesior::session::rpc {

namespace {

using session::v1::WatchSessionsResponse;
using std::chrono::milliseconds;

constexpr milliseconds kRetry(200);
constexpr milliseconds kExpiryMargin(10);
constexpr milliseconds kLongestTimer = std::chrono::hours(24);
constexpr int kMaxLooks = 512;
// By less than this an end does not count as moved: it is measured anew with every look.
constexpr std::int64_t kSameEndMs = 250;
// One that is gone so long before its end did not expire.
constexpr std::int64_t kBeforeItsTimeMs = 1000;

}  // namespace

WatchHub::WatchHub(SessionService& sessions, Executor& core, const Clock& clock, milliseconds recheck)
    : sessions_(sessions), core_(core), clock_(clock), recheck_(recheck) {
  sessions_.Follow(this);
}

WatchHub::~WatchHub() { sessions_.Follow(nullptr); }

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
  // Noted before it is looked at: a change in between makes it look again.
  sinks_[sink.get()][watch_id] = id.text();
  Watched& watched = sessions_watched_[id.text()];
  watched.watches.push_back(
      {.sink = std::move(sink), .watch_id = watch_id, .revision = known_revision, .answered = false});
  Wake(id.text(), watched);
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

void WatchHub::OnChange(const SessionId& id) {
  const auto found = sessions_watched_.find(id.text());
  if (found != sessions_watched_.end()) Wake(found->first, found->second);
}

void WatchHub::OnDoubt() {
  for (auto& [id, watched] : sessions_watched_) Wake(id, watched);
}

void WatchHub::Wake(const std::string& id, Watched& watched) {
  if (watched.look != 0) {
    watched.again = true;
    return;
  }
  if (std::exchange(watched.waiting, true)) return;
  waiting_.push_back(id);
  // Later: what comes with this notice (a hint behind the notice of its write) belongs to the same look.
  if (std::exchange(look_posted_, true)) return;
  core_.Post([this] {
    look_posted_ = false;
    Look();
  });
}

void WatchHub::Look() {
  while (looking_ < kMaxLooks && !waiting_.empty()) {
    const SessionId id(std::move(waiting_.front()));
    waiting_.pop_front();
    const auto found = sessions_watched_.find(id.text());
    if (found == sessions_watched_.end() || !found->second.waiting) continue;
    Watched& watched = found->second;
    watched.waiting = watched.again = false;
    watched.look = ++last_look_;
    ++looking_;
    sessions_.Observe(id, [this, id, look = watched.look](absl::StatusOr<Observation> result) {
      OnLook(id, look, std::move(result));
    });
  }
}

void WatchHub::OnLook(const SessionId& id, std::uint64_t look, absl::StatusOr<Observation> result) {
  --looking_;
  const auto found = sessions_watched_.find(id.text());
  // Another look than that of these watches may have begun before they were noted.
  if (found != sessions_watched_.end() && found->second.look == look) {
    Watched& watched = found->second;
    watched.look = 0;
    if (!result.ok()) {
      // Redis is away, or the record is damaged: nobody is told anything untrue; asked again until it is known.
      ++watched.failures;
      core_.After(kRetry * std::min(watched.failures, 10), [this, id] { OnChange(id); });
    } else if (!result->session) {
      const bool is_early =
          watched.seen && (!watched.end_ms || clock_.WallMillis() + kBeforeItsTimeMs < *watched.end_ms);
      const int reason = is_early ? session::v1::END_REASON_LOGOUT : session::v1::END_REASON_EXPIRED;
      OnEnd(id, result->end_reason != 0 ? result->end_reason : reason);
    } else {
      watched.failures = 0;
      LookWhenOver(id, watched, result->session->stored.ttl);
      Tell(watched, *std::move(result->session));
      if (watched.again) Wake(id.text(), watched);
    }
  }
  Look();
}

void WatchHub::Tell(Watched& watched, SessionView view) {
  const std::int64_t now = clock_.WallMillis();
  std::optional<std::int64_t> end_ms;
  if (view.stored.ttl) end_ms = now + view.stored.ttl->count();
  const bool is_moved =
      end_ms && watched.end_ms ? std::abs(*end_ms - *watched.end_ms) >= kSameEndMs : end_ms != watched.end_ms;
  const bool is_touched = watched.seen && is_moved;
  if (!watched.seen || is_moved) watched.end_ms = end_ms;
  watched.seen = true;

  WatchSessionsResponse::Event event;
  ToProto(std::move(view), now, *event.mutable_session());
  const std::uint64_t revision = event.session().revision();
  for (Watch& watch : watched.watches) {
    const bool is_known = watch.revision == revision;
    const bool is_same = watch.answered && watch.revision >= revision;
    if (is_same && !is_touched) continue;
    WatchSessionsResponse::Event told;
    told.set_watch_id(watch.watch_id);
    told.set_kind(is_same          ? session::v1::WATCH_EVENT_KIND_TOUCHED
                  : watch.answered ? session::v1::WATCH_EVENT_KIND_UPDATED
                                   : session::v1::WATCH_EVENT_KIND_CURRENT);
    if (!is_known || is_same) *told.mutable_session() = event.session();
    watch.answered = true;
    watch.revision = revision;
    watch.sink->Push(std::move(told));
  }
}

void WatchHub::LookWhenOver(const SessionId& id, Watched& watched, std::optional<milliseconds> ttl) {
  milliseconds wait = ttl ? std::clamp(*ttl + kExpiryMargin, kExpiryMargin, kLongestTimer) : kLongestTimer;
  if (!sessions_.tracks()) {
    // Spread, so that sessions that were added at once are not looked at in one moment for ever.
    std::uniform_int_distribution<std::int64_t> spread(recheck_.count() * 3 / 4, recheck_.count());
    wait = std::min(wait, milliseconds(spread(random_)));
  }
  // A timer that is early looks at a session alive, and is set anew; so one at a time is enough.
  const auto due = clock_.Steady() + wait;
  if (watched.timer != 0 && watched.timer_due <= due) return;
  watched.timer = ++last_timer_;
  watched.timer_due = due;
  core_.After(wait, [this, id, timer = watched.timer] {
    const auto found = sessions_watched_.find(id.text());
    if (found == sessions_watched_.end() || found->second.timer != timer) return;
    found->second.timer = 0;
    Wake(found->first, found->second);
  });
}

std::size_t WatchHub::WatchesOf(const Sink* sink) const {
  const auto found = sinks_.find(sink);
  return found == sinks_.end() ? 0 : found->second.size();
}

void WatchHub::OnEnd(const SessionId& id, int reason) {
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
