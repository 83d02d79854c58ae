#include "watcher.hpp"

#include <algorithm>

#include "affinity.hpp"
#include "asio/post.hpp"
#include "sesior/telemetry/log.hpp"

namespace sesior::session_client {

using session::v1::WatchSessionsRequest;
using session::v1::WatchSessionsResponse;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {
constexpr milliseconds kSweepInterval(20);
}  // namespace

struct Watcher::Entry {
  Entry(session::v1::SessionRef session, steady_clock::time_point first, OnWatchEvent on_event)
      : ref(std::move(session)), first_deadline(first), handler(std::move(on_event)) {}

  session::v1::SessionRef ref;  // by id once the service has told it
  steady_clock::time_point first_deadline;
  GuardedHandler<OnWatchEvent> handler;
  std::uint64_t id = 0;
  std::uint64_t revision = 0;
  std::uint64_t affinity = 0;
  bool answered = false;
  bool over = false;
  StreamPtr stream;  // null: none stands for it right now
};

// One stream to one replica. `add` and `remove` are filled by the worker and taken by the stream's fill.
struct Watcher::Stream {
  ReplicaPtr replica;
  std::shared_ptr<BidiStream<WatchSessionsRequest, WatchSessionsResponse>> stream;
  bool going_away = false;
  absl::Mutex mutex;
  WatchSessionsRequest waiting ABSL_GUARDED_BY(mutex);
};

class Watcher::WatchRegistration final : public Registration {
 public:
  WatchRegistration(Watcher& watcher, EntryPtr entry) : watcher_(watcher), entry_(std::move(entry)) {}
  ~WatchRegistration() override {
    entry_->handler.Disable();
    asio::post(watcher_.worker_, [&watcher = watcher_, entry = entry_] { watcher.Remove(entry); });
  }

 private:
  Watcher& watcher_;
  EntryPtr entry_;
};

Watcher::Watcher(asio::io_context& worker, const InFlight& in_flight, std::optional<std::uint64_t> home,
                 std::function<std::vector<ReplicaPtr>()> replicas)
    : worker_(worker),
      in_flight_(in_flight),
      home_(home),
      replicas_(std::move(replicas)),
      sweep_timer_(worker),
      retry_timer_(worker),
      backoff_({.initial = milliseconds(20), .max = milliseconds(1000)}) {}

Watcher::~Watcher() = default;

std::unique_ptr<Registration> Watcher::Watch(session::v1::SessionRef session, milliseconds first_timeout,
                                             OnWatchEvent on_event) {
  auto entry = std::make_shared<Entry>(std::move(session), steady_clock::now() + first_timeout, std::move(on_event));
  const std::string& key = entry->ref.has_cookie_header() ? entry->ref.cookie_header() : entry->ref.session_id();
  entry->affinity = home_.value_or(StableHash(key));
  auto registration = std::make_unique<WatchRegistration>(*this, entry);
  asio::post(worker_, [this, entry = std::move(entry)]() mutable { Add(std::move(entry)); });
  return registration;
}

void Watcher::Add(EntryPtr entry) {
  if (closing_) return Tell(entry, absl::CancelledError("the client is closing"));
  entry->id = next_id_++;
  entries_.emplace(entry->id, entry);
  unanswered_.push_back(entry);
  ArmSweep();
  Assign(entry);
}

void Watcher::Remove(const EntryPtr& entry) {
  if (entries_.erase(entry->id) == 0) return;
  entry->over = true;
  if (entry->stream) {
    {
      absl::MutexLock lock(&entry->stream->mutex);
      entry->stream->waiting.add_remove(entry->id);
    }
    entry->stream->stream->Kick();
    entry->stream.reset();
  }
}

void Watcher::Assign(const EntryPtr& entry) {
  const ReplicaPtr replica = Choose(replicas_(), entry->affinity);
  if (!replica) {
    entry->stream.reset();
    return;  // OnReplicasChanged, or the sweep, comes back to it
  }
  entry->stream = StreamOf(replica);
  {
    absl::MutexLock lock(&entry->stream->mutex);
    WatchSessionsRequest::Add& add = *entry->stream->waiting.add_add();
    add.set_watch_id(entry->id);
    *add.mutable_session() = entry->ref;
    add.set_known_revision(entry->revision);
  }
  entry->stream->stream->Kick();
}

Watcher::StreamPtr Watcher::StreamOf(const ReplicaPtr& replica) {
  for (const StreamPtr& stream : streams_) {
    if (stream->replica == replica && !stream->going_away) return stream;
  }
  auto made = std::make_shared<Stream>();
  made->replica = replica;
  using Bidi = BidiStream<WatchSessionsRequest, WatchSessionsResponse>;
  made->stream = std::make_shared<Bidi>(Bidi::Callbacks{
      .in_flight = in_flight_.Take(),
      .on_read =
          [this, made](WatchSessionsResponse& response) {
            asio::post(worker_,
                       [this, made, taken = std::move(response)]() mutable { OnResponse(made, std::move(taken)); });
          },
      .fill =
          [made](WatchSessionsRequest& request) {
            absl::MutexLock lock(&made->mutex);
            request.Swap(&made->waiting);
            return request.add_size() > 0 || request.remove_size() > 0;
          },
      .on_done =
          [this, made](const grpc::Status& status) {
            asio::post(worker_, [this, made, status] { OnStreamDone(made, status); });
          },
  });
  streams_.push_back(made);
  made->stream->Start(Bidi::Unreachable::kFail, [&](auto* context, auto* reactor) {
    replica->Authorize(*context);
    replica->sessions().async()->WatchSessions(context, reactor);
  });
  return made;
}

void Watcher::OnResponse(const StreamPtr& stream, WatchSessionsResponse response) {
  if (closing_) return;
  backoff_.Reset();
  for (WatchSessionsResponse::Event& event : *response.mutable_events()) {
    const auto found = entries_.find(event.watch_id());
    if (found == entries_.end() || found->second->stream != stream) continue;  // removed or moved meanwhile
    OnEvent(EntryPtr(found->second), event);
  }
  if (response.go_away() && !stream->going_away) {
    // Make before break: the watches stand elsewhere before this stream is half-closed.
    stream->going_away = true;
    for (auto& [id, entry] : entries_) {
      if (entry->stream == stream) Assign(entry);
    }
    stream->stream->Finish();
  }
}

void Watcher::OnEvent(const EntryPtr& entry, WatchSessionsResponse::Event& event) {
  WatchEvent told;
  told.reason = event.reason();
  told.verdict = event.verdict();
  switch (event.kind()) {
    case session::v1::WATCH_EVENT_KIND_CURRENT:
      told.kind = WatchEvent::Kind::kCurrent;
      break;
    case session::v1::WATCH_EVENT_KIND_UPDATED:
      told.kind = WatchEvent::Kind::kUpdated;
      break;
    case session::v1::WATCH_EVENT_KIND_TOUCHED:
      told.kind = WatchEvent::Kind::kTouched;
      break;
    case session::v1::WATCH_EVENT_KIND_REFUSED:
      // After the first answer the session is known to have been good: it has ended while nobody watched.
      told.kind = entry->answered ? WatchEvent::Kind::kEnded : WatchEvent::Kind::kRefused;
      break;
    case session::v1::WATCH_EVENT_KIND_ENDED:
      told.kind = entry->answered ? WatchEvent::Kind::kEnded : WatchEvent::Kind::kRefused;
      if (!entry->answered) told.verdict = session::v1::COOKIE_VERDICT_UNKNOWN;
      break;
    default:
      return;
  }
  const bool over = told.kind == WatchEvent::Kind::kRefused || told.kind == WatchEvent::Kind::kEnded;
  if (!over) {
    if (!event.has_session()) return;  // known already: nothing changed while the stream was away
    // A stream taken up elsewhere may answer with less than was known: no holder goes back.
    if (event.session().revision() < entry->revision) return;
    entry->revision = event.session().revision();
    if (entry->ref.has_cookie_header()) entry->ref.set_session_id(event.session().session_id());
    told.session = std::make_shared<const session::v1::Session>(std::move(*event.mutable_session()));
  } else {
    entry->over = true;
    entry->stream.reset();
    entries_.erase(entry->id);
  }
  Tell(entry, std::move(told));
}

void Watcher::Tell(const EntryPtr& entry, absl::StatusOr<WatchEvent> event) {
  entry->answered = true;
  entry->handler.Call([&](OnWatchEvent& handler) { handler(std::move(event)); });
}

void Watcher::OnStreamDone(const StreamPtr& stream, const grpc::Status& status) {
  std::erase(streams_, stream);
  if (closing_) return;
  bool orphans = false;
  for (auto& [id, entry] : entries_) {
    if (entry->stream != stream) continue;
    entry->stream.reset();
    orphans = true;
  }
  if (!orphans) return;
  telemetry::Log(telemetry::Level::kWarn, "watch_stream_lost",
                 {{"addr", stream->replica->address()}, {"code", static_cast<int>(status.error_code())}});
  // Not at once: the replica may be gone without its exchange having told yet, or refuse whatever comes.
  retry_timer_.expires_after(backoff_.Next());
  retry_timer_.async_wait([this](std::error_code error) {
    if (!error) AssignOrphans();
  });
}

void Watcher::OnReplicasChanged() { AssignOrphans(); }

void Watcher::AssignOrphans() {
  if (closing_) return;
  for (auto& [id, entry] : entries_) {
    if (!entry->stream) Assign(entry);
  }
}

void Watcher::ArmSweep() {
  if (sweep_armed_) return;
  sweep_armed_ = true;
  sweep_timer_.expires_after(kSweepInterval);
  sweep_timer_.async_wait([this](std::error_code error) {
    sweep_armed_ = false;
    if (!error) SweepUnanswered();
  });
}

void Watcher::SweepUnanswered() {
  const auto now = steady_clock::now();
  std::vector<EntryPtr> late;
  std::erase_if(unanswered_, [&](const EntryPtr& entry) {
    if (entry->answered || entry->over) return true;
    if (entry->first_deadline > now) return false;
    late.push_back(entry);
    return true;
  });
  for (const EntryPtr& entry : late) {
    const bool away = !entry->stream;
    Remove(entry);
    Tell(entry, away ? NoReplicaError() : absl::DeadlineExceededError("the session service did not answer in time"));
  }
  if (!unanswered_.empty()) ArmSweep();
}

void Watcher::Close() {
  closing_ = true;
  sweep_timer_.cancel();
  retry_timer_.cancel();
  for (const StreamPtr& stream : streams_) stream->stream->Cancel();
}

}  // namespace sesior::session_client
