// TrackingFeed: the ChangeFeed over Redis's client tracking, on two connections of its own: the *reader* reads records,
// with nothing but GET and PTTL, and Redis sends the notice of the next change of each to the *listener*, which hears
// our own hints as well, so that both keep Redis's order. CLIENT TRACKING ON REDIRECT needs no RESP3 and no CONFIG.
//
// Doubt: a lost listener closes the reader (Redis would go on answering and tell nobody); either one lost, or a flushed
//        database, and nothing is tracked any more: OnLost at once, OnDoubt when both stand again.
// Fence: a PING on the listener's connection: its answer comes behind every notice that was due before it.
// A server that refuses REDIRECT: the feed goes on with hints alone, and says so once.
// A listener that hears nothing for the connection's stall timeout, although it was pinged, is given up.
// Threading: confined to the io_context's thread. Shutdown: the destructor drops what is pending without calling it.
#pragma once

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "services/session/domain/change_feed.hpp"
#include "services/session/redis/client.hpp"
#include "services/session/redis/connection.hpp"

namespace sesior::session::redis {

class TrackingFeed final : public ChangeFeed {
 public:
  struct Options {
    ConnectionOptions connection;  // its name is what those of the two begin with
    std::string key_prefix = "sess:";
    std::chrono::milliseconds heartbeat{500};
    std::chrono::milliseconds fence_limit{250};  // a fence that takes longer fails
  };
  // `on_change` is told when tracking begins, ends (`why` says it), or is refused.
  TrackingFeed(asio::io_context& io, Options options, const ScriptSet& scripts,
               std::function<void(bool tracks, const absl::Status& why)> on_change);
  ~TrackingFeed() override;

  void Start();

  void Follow(Listener& listener) override { listener_ = &listener; }
  bool tracks() const override { return tracks_; }
  void Track(SessionId id, Done<Tracked> done) override;
  void Fence(Done<void> done) override;

 private:
  // What waits for one PING.
  struct Ping {
    std::chrono::steady_clock::time_point sent;
    std::vector<Done<void>> fences;
  };

  void OnListenerReady(const ServerInfo& server);
  void Subscribe(const char* command, const std::string& channel);
  void OnMessage(const redisReply* reply);
  void OnInvalidation(const Reply& keys);
  void TryToTrack();
  void OnTracking(const absl::StatusOr<Reply>& reply);
  void Lose(const absl::Status& why);
  void SendPing();
  void FailFences(std::chrono::steady_clock::time_point sent_before);
  void Tick();
  void FailSoon(Done<void> done, absl::Status status);

  asio::io_context& io_;
  const Options options_;
  const std::function<void(bool, const absl::Status&)> on_change_;
  const std::string fence_channel_;
  Listener* listener_ = nullptr;
  bool tracks_ = false;
  bool is_subscribed_ = false;
  std::uint64_t times_lost_ = 0;
  std::int64_t listener_id_ = 0;
  std::vector<Done<void>> fences_;  // that leave with the next PING
  bool ping_posted_ = false;
  std::deque<Ping> pings_;
  std::chrono::steady_clock::time_point last_ping_;
  asio::steady_timer tick_timer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  Client reader_;
  Connection listener_connection_;
};

}  // namespace sesior::session::redis
