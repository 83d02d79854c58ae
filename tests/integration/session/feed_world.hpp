// A replica that watches sessions on a Redis, by one feed or the other, and whoever else writes there.
#pragma once

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/session/domain/change_feed.hpp"
#include "services/session/domain/session_service.hpp"
#include "services/session/redis/tracking_feed.hpp"
#include "services/session/rpc/watch_hub.hpp"
#include "tests/integration/session/redis_world.hpp"

namespace sesior::testing {

class FeedReplica {
 public:
  using Event = session::v1::WatchSessionsResponse::Event;
  enum class Kind { kTracking, kHints };

  struct Sink final : session::rpc::WatchHub::Sink {
    void Push(Event event) override { events.push_back(std::move(event)); }
    std::vector<Event> events;
  };

  FeedReplica(const RedisServer& server, Kind kind, std::chrono::milliseconds recheck,
              session::SessionOptions options = TestSessionOptions())
      : connections_(server) {
    if (kind == Kind::kTracking) {
      tracking_ = std::make_unique<session::redis::TrackingFeed>(redis.io, redis.FeedOptions(), redis.scripts,
                                                                 [this](bool tracks, const absl::Status&) {
                                                                   ++changes;
                                                                   if (tracks) ++times_up;
                                                                 });
      tracking_->Start();
      feed_ = tracking_.get();
    } else {
      hints_ = std::make_unique<session::HintFeed>(redis.subscriber);
      feed_ = hints_.get();
    }
    service.emplace(redis.store, redis.executor, SystemClock(), options, feed_);
    hub.emplace(*service, redis.executor, SystemClock(), recheck);
    redis.AwaitReady();
    if (kind == Kind::kTracking) redis.RunUntil([this] { return changes > 0; });
  }

  bool tracks() const { return feed_->tracks(); }
  SessionId Create(std::chrono::milliseconds ttl = std::chrono::hours(1)) {
    session::CreateRequest request;
    request.idle_ttl = ttl;
    return redis
        .Await<session::SessionResult>([&](auto done) { service->Create(std::move(request), std::move(done)); })
        ->session.id;
  }
  absl::StatusOr<session::SessionResult> Get(const SessionId& id) {
    return redis.Await<session::SessionResult>([&](auto done) { service->Get({id, {}}, false, std::move(done)); });
  }
  std::string Data(const SessionId& id) {
    const auto result = Get(id);
    return result.ok() ? result->session.data_json : ReasonOf(result.status());
  }
  absl::StatusOr<session::SessionResult> Patch(const SessionId& id, std::string patch) {
    session::UpdateRequest update;
    update.session.id = id;
    update.merge_patch_json = std::move(patch);
    return redis.Await<session::SessionResult>([&](auto done) { service->Update(update, std::move(done)); });
  }
  // Returns with the present state told.
  std::shared_ptr<Sink> Watch(const SessionId& id) {
    auto sink = std::make_shared<Sink>();
    session::v1::SessionRef ref;
    ref.set_session_id(id.text());
    hub->Add(sink, 1, ref, 0);
    redis.RunUntil([&] { return !sink->events.empty(); });
    return sink;
  }
  // The last state told, once it is this one.
  bool AwaitData(const Sink& sink, std::string_view data) {
    bool is_told = false;
    redis.RunUntil([&] {
      is_told = is_told || (!sink.events.empty() && sink.events.back().session().data_json() == data);
      return is_told;
    });
    return is_told;
  }
  const Event& AwaitKind(const Sink& sink, session::v1::WatchEventKind kind) {
    redis.RunUntil([&] { return !sink.events.empty() && sink.events.back().kind() == kind; });
    return sink.events.back();
  }

 private:
  // What feeds have of the connections must go before them.
  RedisConnections connections_;
  std::unique_ptr<session::redis::TrackingFeed> tracking_;
  std::unique_ptr<session::HintFeed> hints_;
  session::ChangeFeed* feed_ = nullptr;

 public:
  RedisConnections& redis = connections_;
  int changes = 0;   // of the tracking feed's state
  int times_up = 0;  // it began to track
  std::optional<session::SessionService> service;
  std::optional<session::rpc::WatchHub> hub;
};

}  // namespace sesior::testing
