#include "services/session/domain/live_sessions.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "sesior/base/ids.hpp"

namespace sesior::session {

namespace {

using std::chrono::milliseconds;

// Takes the text up to the next blank.
std::string_view NextWord(std::string_view& text) {
  const std::size_t blank = text.find(' ');
  const std::string_view word = text.substr(0, blank);
  text = blank == std::string_view::npos ? std::string_view() : text.substr(blank + 1);
  return word;
}

template <typename Number>
Number Parsed(std::string_view text) {
  Number number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

std::size_t Size(const StoredSession& state) { return state.record.size() + 256; }

}  // namespace

// One read, until it is answered.
struct LiveSessions::Flow {
  SessionId id;
  Purpose purpose;
  Done<StoreReply> done;
  Mark mark = 0;
  std::uint64_t changes = 0;  // notices before it was tracked
  bool is_tracked = false;    // by this read: a later notice ends it
  Time asked{};
  int open = 0;           // answers that are under way
  bool is_open = false;   // in open_
  bool is_taken = false;  // the store was asked in its place
  absl::StatusOr<StoreReply> reply = absl::UnknownError("");
  std::optional<absl::StatusOr<ChangeFeed::Tracked>> tracked{};
  absl::Status fence{};
};

LiveSessions::LiveSessions(SessionStore& store, ChangeFeed* feed, Executor& executor, const Clock& clock,
                           Options options)
    : store_(store), feed_(feed), executor_(executor), clock_(clock), options_(options) {
  if (feed_ != nullptr) feed_->Follow(*this);
}

// Reads.

bool LiveSessions::IsOver(const Entry& entry) const {
  const std::int64_t absolute_ms = entry.state.absolute_expiry_ms;
  return clock_.Steady() >= entry.end || (absolute_ms != 0 && clock_.WallMillis() >= absolute_ms);
}

bool LiveSessions::IsUsable(const Entry& entry) const {
  return entry.current && IsConfirmable(entry) && tracks() && !IsOver(entry) &&
         clock_.Steady() - entry.proved < options_.max_age;
}

void LiveSessions::Read(SessionId id, Purpose purpose, Done<StoreReply> done) {
  const bool is_cached = purpose == Purpose::kWatch || (options_.reads != Reads::kOff && options_.max_sessions > 0);
  if (!is_cached || !tracks()) {
    if (purpose == Purpose::kAnswer) ++counts_.misses;
    return store_.Read(std::move(id), {}, std::move(done));
  }
  const bool is_usable = IsUsable(Obtain(id));
  auto flow = std::make_shared<Flow>(Flow{.id = std::move(id), .purpose = purpose, .done = std::move(done)});
  is_usable ? Hit(std::move(flow)) : Miss(std::move(flow));
}

// Watchers' reads have no order towards writes: they are told again.
void LiveSessions::Open(const FlowPtr& flow) {
  if (flow->is_open || flow->purpose == Purpose::kWatch) return;
  flow->is_open = true;
  open_[flow->id.text()].push_back(flow);
}

void LiveSessions::Close(Flow& flow) {
  if (!std::exchange(flow.is_open, false)) return;
  const auto found = open_.find(flow.id.text());
  std::erase_if(found->second, [&flow](const FlowPtr& open) { return open.get() == &flow; });
  if (found->second.empty()) open_.erase(found);
}

void LiveSessions::Hit(FlowPtr flow) {
  Open(flow);
  const auto answer = [this, flow](const absl::Status& fence) {
    if (flow->is_taken) return;
    const Entry* entry = Find(flow->id);
    // What was told meanwhile counts.
    if (!fence.ok() || entry == nullptr || !IsUsable(*entry)) return Miss(flow);
    if (flow->purpose == Purpose::kAnswer) ++counts_.hits;
    Finish(flow, *entry);
  };
  if (flow->purpose == Purpose::kAnswer && options_.reads == Reads::kExact) return feed_->Fence(answer);
  executor_.Post([answer] { answer(absl::OkStatus()); });
}

void LiveSessions::Miss(FlowPtr flow) {
  if (flow->purpose == Purpose::kAnswer) ++counts_.misses;
  if (!tracks()) return Ask(std::move(flow), false);
  const Entry& entry = Obtain(flow->id);
  flow->mark = entry.mark;
  if (IsConfirmable(entry) && !IsOver(entry)) return Confirm(std::move(flow));
  // The first read of a session asks the store alone; the second, which can be confirmed, is what tracks it.
  const bool is_watched = flow->purpose == Purpose::kWatch;
  Ask(std::move(flow), is_watched);
}

void LiveSessions::StartTracking(const FlowPtr& flow, std::function<void()> then) {
  // Noted before it is asked for: the notice of a change can come before the reply.
  flow->changes = Obtain(flow->id).changes;
  feed_->Track(flow->id, [flow, then = std::move(then)](absl::StatusOr<ChangeFeed::Tracked> tracked) {
    flow->is_tracked = tracked.ok();
    flow->tracked = std::move(tracked);
    then();
  });
}

void LiveSessions::Confirm(FlowPtr flow) {
  Open(flow);
  flow->asked = clock_.Steady();
  const auto join = [this, flow] {
    if (--flow->open == 0) OnConfirmed(flow);
  };
  // The bytes are asked for now, but what the sidecar says (a tombstone, a new owner) is only told: wait for that.
  const bool is_fenced = flow->purpose == Purpose::kAnswer && options_.reads == Reads::kExact;
  flow->open = is_fenced ? 2 : 1;
  StartTracking(flow, join);
  if (!is_fenced) return;
  feed_->Fence([flow, join](absl::Status fence) {
    flow->fence = std::move(fence);
    join();
  });
}

void LiveSessions::OnConfirmed(FlowPtr flow) {
  if (flow->is_taken) return;
  const absl::StatusOr<ChangeFeed::Tracked> tracked = *std::exchange(flow->tracked, std::nullopt);
  Entry* entry = Find(flow->id);
  const bool is_same = tracked.ok() && flow->fence.ok() && entry != nullptr && entry->mark == flow->mark &&
                       IsConfirmable(*entry) && tracked->record && Sha1Hex(*tracked->record) == entry->state.etag;
  if (!is_same) return Ask(std::move(flow), false);
  entry->proved = flow->asked;
  entry->end = tracked->ttl ? flow->asked + *tracked->ttl : Time::max();
  entry->current = entry->changes == flow->changes;
  if (IsOver(*entry)) return Ask(std::move(flow), false);
  Finish(flow, *entry);
}

void LiveSessions::Ask(FlowPtr flow, bool track) {
  Close(*flow);  // from here on the store keeps the order
  flow->asked = clock_.Steady();
  flow->open = track ? 2 : 1;
  const auto join = [this, flow] {
    if (--flow->open == 0) OnAsked(flow);
  };
  if (track) StartTracking(flow, join);
  store_.Read(flow->id, {}, [flow, join](absl::StatusOr<StoreReply> reply) {
    flow->reply = std::move(reply);
    join();
  });
}

void LiveSessions::OnAsked(FlowPtr flow) {
  const std::optional<absl::StatusOr<ChangeFeed::Tracked>> tracked = std::exchange(flow->tracked, std::nullopt);
  if (!flow->reply.ok()) return std::move(flow->done)(flow->reply.status());
  if (flow->reply->outcome != StoreOutcome::kOk) {
    Forget(flow->id);
    return std::move(flow->done)(std::move(flow->reply));
  }
  const StoredSession& state = flow->reply->session;
  // Both were asked at once; was something written between them? From now on it would be told, so ask once more.
  const bool differs = tracked && tracked->ok() && Sha1Hex((*tracked)->record.value_or(std::string())) != state.etag;
  if (differs) return Ask(std::move(flow), false);
  if (tracks()) {
    Entry& entry = Obtain(flow->id);
    Keep(entry, state, flow->asked, flow->mark);
    entry.current = flow->is_tracked && entry.changes == flow->changes && IsConfirmable(entry);
  }
  std::move(flow->done)(std::move(flow->reply));
}

void LiveSessions::Finish(const FlowPtr& flow, const Entry& entry) {
  Close(*flow);
  StoreReply reply;
  reply.session = entry.state;
  reply.session.ttl.reset();
  if (entry.end != Time::max()) {
    const auto left = std::chrono::duration_cast<milliseconds>(entry.end - clock_.Steady());
    reply.session.ttl = std::max(left, milliseconds(1));
  }
  std::move(flow->done)(std::move(reply));
}

// Writes.

LiveSessions::Mark LiveSessions::Begin(const SessionId& id) {
  if (const auto found = open_.find(id.text()); found != open_.end()) {
    const std::vector<FlowPtr> before = std::move(found->second);
    open_.erase(found);
    for (const FlowPtr& flow : before) {
      flow->is_open = false;
      flow->is_taken = true;
      store_.Read(id, {}, std::move(flow->done));
    }
  }
  return Obtain(id).mark;
}

const StoredSession* LiveSessions::Recall(const SessionId& id) {
  const Entry* entry = Find(id);
  return entry == nullptr || !entry->known ? nullptr : &entry->state;
}

void LiveSessions::Remember(const SessionId& id, StoredSession state, Mark begun) {
  Keep(Obtain(id), std::move(state), clock_.Steady(), begun);
}

void LiveSessions::Touched(const SessionId& id, std::optional<milliseconds> ttl) {
  Entry* entry = Find(id);
  if (entry == nullptr) return;
  entry->current = false;
  entry->end = ttl ? clock_.Steady() + *ttl : Time::max();
}

void LiveSessions::Forget(const SessionId& id) {
  Entry* entry = Find(id);
  if (entry == nullptr) return;
  if (entry->known) bytes_ -= Size(entry->state);
  entry->known = entry->confirmable = entry->current = false;
  entry->state = {};
  entry->mark = ++last_mark_;
}

// Notices.

void LiveSessions::OnHint(std::string_view message) {
  const std::string_view kind = NextWord(message);
  const SessionId id{std::string(NextWord(message))};
  if (kind == "end") {
    Forget(id);
    if (follower_ != nullptr) follower_->OnEnd(id, Parsed<int>(message));
    return;
  }
  if (kind == "gone") Forget(id);
  if (kind == "up") {
    if (const auto found = places_.find(id.text()); found != places_.end()) {
      found->second->hinted = std::max(found->second->hinted, Parsed<std::uint64_t>(message));
    }
  }
  if (follower_ != nullptr) follower_->OnChange(id);
}

void LiveSessions::OnChanged(const SessionId& id) {
  if (const auto found = places_.find(id.text()); found != places_.end()) {
    ++found->second->changes;
    found->second->current = false;
  }
  if (follower_ != nullptr) follower_->OnChange(id);
}

void LiveSessions::OnLost() { Flush(); }

void LiveSessions::OnDoubt() {
  Flush();
  if (follower_ != nullptr) follower_->OnDoubt();
}

void LiveSessions::Flush() {
  ++counts_.flushes;
  for (Entry& entry : entries_) {
    entry.current = entry.confirmable = false;
    entry.hinted = 0;
    entry.mark = ++last_mark_;
  }
}

// What is kept.

LiveSessions::Entry* LiveSessions::Find(const SessionId& id) {
  const auto found = places_.find(id.text());
  if (found == places_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return &entries_.front();
}

LiveSessions::Entry& LiveSessions::Obtain(const SessionId& id) {
  if (Entry* entry = Find(id)) return *entry;
  entries_.emplace_front();
  entries_.front().id = id.text();
  entries_.front().mark = ++last_mark_;
  places_[id.text()] = entries_.begin();
  Trim();
  return entries_.front();
}

void LiveSessions::Keep(Entry& entry, StoredSession state, Time asked, Mark begun) {
  if (entry.known) bytes_ -= Size(entry.state);
  entry.known = true;
  entry.confirmable = tracks() && entry.mark == begun;
  entry.current = false;
  entry.proved = asked;
  entry.end = state.ttl ? asked + *state.ttl : Time::max();
  entry.state = std::move(state);
  bytes_ += Size(entry.state);
  Trim();
}

// The first stays: it is in use.
void LiveSessions::Trim() {
  while (entries_.size() > 1 && (entries_.size() > options_.max_sessions || bytes_ > options_.max_bytes)) {
    const Entry& last = entries_.back();
    if (last.known) bytes_ -= Size(last.state);
    places_.erase(last.id);
    entries_.pop_back();
  }
}

}  // namespace sesior::session
