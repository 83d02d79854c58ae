#include "services/session/redis/tracking_feed.hpp"

#include <array>
#include <asio/post.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sesior/base/ids.hpp"

namespace sesior::session::redis {

namespace {

using std::chrono::steady_clock;

constexpr char kInvalidations[] = "__redis__:invalidate";
constexpr std::size_t kMaxFences = 100'000;

ConnectionOptions Named(ConnectionOptions options, const char* suffix) {
  options.name += suffix;
  return options;
}

absl::Status NotTracking() { return RedisUnavailable("changes of sessions are not told now"); }

}  // namespace

TrackingFeed::TrackingFeed(asio::io_context& io, Options options, const ScriptSet& scripts,
                           std::function<void(bool, const absl::Status&)> on_change)
    : io_(io),
      options_(std::move(options)),
      on_change_(std::move(on_change)),
      fence_channel_(absl::StrCat("sesior:fence:", NewShortId())),
      tick_timer_(io),
      reader_(io, {.connection = Named(options_.connection, "-reader"), .max_pending = 100'000, .load_scripts = false},
              scripts,
              {.on_up = [this](const ServerInfo&) { TryToTrack(); },
               .on_down = [this](const absl::Status& why, bool) { Lose(why); }}),
      listener_connection_(io, Named(options_.connection, "-listener"),
                           {.on_ready = [this](const ServerInfo& server) { OnListenerReady(server); },
                            .on_lost =
                                [this](const absl::Status& why, bool) {
                                  is_subscribed_ = false;
                                  Lose(why);
                                  reader_.Drop(absl::UnavailableError("the listener to changes was lost"));
                                }}) {}

TrackingFeed::~TrackingFeed() { *alive_ = false; }

void TrackingFeed::Start() {
  listener_connection_.Start();
  reader_.Start();
  Tick();
}

// The listener.

void TrackingFeed::OnListenerReady(const ServerInfo& server) {
  listener_id_ = server.client_id;
  Subscribe("SUBSCRIBE", kInvalidations);
  Subscribe("SUBSCRIBE", kChangeChannel);
  // hiredis 0.14 hands a "pong" to the handler of the *pattern* that it carries, and drops any other.
  Subscribe("PSUBSCRIBE", fence_channel_);
}

void TrackingFeed::Subscribe(const char* command, const std::string& channel) {
  redisAsyncContext* context = listener_connection_.context();
  if (context == nullptr) return;
  std::array<const char*, 2> argv = {command, channel.data()};
  const std::array<std::size_t, 2> lengths = {std::string_view(command).size(), channel.size()};
  redisAsyncCommandArgv(
      context,
      [](redisAsyncContext*, void* reply, void* self) {
        if (reply != nullptr) static_cast<TrackingFeed*>(self)->OnMessage(static_cast<const redisReply*>(reply));
      },
      this, 2, argv.data(), lengths.data());
}

void TrackingFeed::OnMessage(const redisReply* raw) {
  const Reply reply(raw);
  if (reply.size() < 2) return;
  const std::string_view kind = reply[0].text();
  if (kind == "pong") {
    if (pings_.empty()) return;
    listener_connection_.Answered();
    std::vector<Done<void>> fences = std::move(pings_.front().fences);
    pings_.pop_front();
    for (Done<void>& done : fences) std::move(done)(absl::OkStatus());
    return;
  }
  if (kind == "psubscribe") {  // asked for last
    is_subscribed_ = true;
    return TryToTrack();
  }
  if (kind != "message" || reply.size() != 3 || !is_subscribed_ || listener_ == nullptr) return;
  if (reply[1].text() == kChangeChannel) return listener_->OnHint(reply[2].text());
  OnInvalidation(reply[2]);
}

void TrackingFeed::OnInvalidation(const Reply& keys) {
  if (!tracks_) return;
  if (!keys.is_array()) return listener_->OnDoubt();  // the database was flushed
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const std::string_view key = keys[i].text();
    if (key.starts_with(options_.key_prefix)) {
      listener_->OnChanged(SessionId(std::string(key.substr(options_.key_prefix.size()))));
    }
  }
}

// Both.

void TrackingFeed::TryToTrack() {
  if (!is_subscribed_ || !reader_.ready()) return;
  reader_.Command(std::move(Arguments().Add("CLIENT").Add("TRACKING").Add("ON").Add("REDIRECT").Add(listener_id_)),
                  [this, lost = times_lost_](absl::StatusOr<Reply> reply) {
                    if (lost == times_lost_ && is_subscribed_) OnTracking(reply);
                  });
}

void TrackingFeed::OnTracking(const absl::StatusOr<Reply>& reply) {
  if (absl::IsUnavailable(reply.status())) return reader_.Drop(reply.status());  // tried again when it is back
  tracks_ = reply.ok();
  if (listener_ != nullptr) listener_->OnDoubt();
  on_change_(tracks_, tracks_ ? absl::OkStatus() : reply.status());
}

void TrackingFeed::Lose(const absl::Status& why) {
  ++times_lost_;
  const bool did_track = std::exchange(tracks_, false);
  FailFences(steady_clock::time_point::max());
  if (!is_subscribed_) pings_.clear();
  if (!did_track) return;
  if (listener_ != nullptr) listener_->OnLost();
  on_change_(false, why);
}

// What is asked.

void TrackingFeed::Track(SessionId id, Done<Tracked> done) {
  struct Reading {
    Done<Tracked> done;
    Tracked tracked;
    absl::Status status;
  };
  auto reading = std::make_shared<Reading>();
  reading->done = std::move(done);
  const std::string key = absl::StrCat(options_.key_prefix, id.text());
  reader_.Command(std::move(Arguments().Add("GET").Add(key)), [reading](absl::StatusOr<Reply> reply) {
    reading->status = reply.status();
    // An empty record is none.
    if (reply.ok() && !reply->text().empty()) reading->tracked.record = std::string(reply->text());
  });
  reader_.Command(std::move(Arguments().Add("PTTL").Add(key)),
                  [this, alive = alive_, reading, lost = times_lost_](absl::StatusOr<Reply> reply) {
                    if (!*alive) return;
                    reading->status.Update(reply.status());
                    if (reading->status.ok() && (!tracks_ || lost != times_lost_)) reading->status = NotTracking();
                    if (!reading->status.ok()) return std::move(reading->done)(reading->status);
                    if (reply->number() >= 0) reading->tracked.ttl = std::chrono::milliseconds(reply->number());
                    std::move(reading->done)(std::move(reading->tracked));
                  });
}

void TrackingFeed::FailSoon(Done<void> done, absl::Status status) {
  asio::post(io_, [done = std::move(done), status = std::move(status)]() mutable { std::move(done)(status); });
}

void TrackingFeed::Fence(Done<void> done) {
  if (!tracks_ || fences_.size() >= kMaxFences) return FailSoon(std::move(done), NotTracking());
  fences_.push_back(std::move(done));
  if (std::exchange(ping_posted_, true)) return;
  asio::post(io_, [this, alive = alive_] {
    if (!*alive) return;
    ping_posted_ = false;
    if (fences_.empty()) return;
    SendPing();
  });
}

void TrackingFeed::SendPing() {
  redisAsyncContext* context = listener_connection_.context();
  if (context == nullptr || !is_subscribed_) return;
  // Past hiredis's own queue: its answer comes as a message, and the place kept for it would stay for ever.
  const std::string command =
      absl::StrCat("*2\r\n$4\r\nPING\r\n$", fence_channel_.size(), "\r\n", fence_channel_, "\r\n");
  redisAppendFormattedCommand(&context->c, command.data(), command.size());
  context->ev.addWrite(context->ev.data);
  listener_connection_.Expect();
  last_ping_ = steady_clock::now();
  pings_.push_back({.sent = last_ping_, .fences = std::exchange(fences_, {})});
}

void TrackingFeed::FailFences(steady_clock::time_point sent_before) {
  // Their PINGs stay in the queue: answers are matched by their order.
  for (Ping& ping : pings_) {
    if (ping.sent >= sent_before) break;
    for (Done<void>& done : std::exchange(ping.fences, {})) FailSoon(std::move(done), NotTracking());
  }
  if (tracks_) return;
  for (Done<void>& done : std::exchange(fences_, {})) FailSoon(std::move(done), NotTracking());
}

void TrackingFeed::Tick() {
  tick_timer_.expires_after(options_.fence_limit / 2);
  tick_timer_.async_wait([this, alive = alive_](std::error_code error) {
    if (error || !*alive) return;
    const auto now = steady_clock::now();
    FailFences(now - options_.fence_limit);
    if (is_subscribed_ && pings_.empty() && now - last_ping_ >= options_.heartbeat) SendPing();
    Tick();
  });
}

}  // namespace sesior::session::redis
