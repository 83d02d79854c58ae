// Subscriber: the EventBus over Redis pub/sub, on a connection of its own that comes back and subscribes again.
// A subscribed connection swallows PING in hiredis 0.14, so liveness is seen by a heartbeat: the client publishes to a
// channel that only this subscriber reads; silence of `silence_limit` ends the connection.
// A channel once subscribed stays so (an UNSUBSCRIBE under way would race a new SUBSCRIBE inside hiredis); there are as
// many as there are namespaces.
// Threading: confined to the io_context's thread.
#pragma once

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <list>
#include <memory>
#include <string>

#include "absl/container/node_hash_map.h"
#include "services/session/domain/event_bus.hpp"
#include "services/session/redis/client.hpp"
#include "services/session/redis/connection.hpp"

namespace sesior::session::redis {

class Subscriber final : public EventBus {
 public:
  struct Options {
    ConnectionOptions connection;
    std::chrono::milliseconds heartbeat{1000};
    std::chrono::milliseconds silence_limit{3000};
  };
  // `client` publishes the heartbeats. `on_change` is told when the subscriber gets ready or is lost.
  Subscriber(asio::io_context& io, Options options, Client& client,
             std::function<void(bool ready, const absl::Status& why)> on_change);
  ~Subscriber() override;

  void Start();
  bool ready() const { return connection_.ready(); }

  std::unique_ptr<Subscription> Subscribe(std::string channel, Handler handler) override;

 private:
  class Token;
  struct Entry {
    Handler handler;
    bool up = false;
    bool removed = false;
  };
  struct Channel {
    std::list<std::shared_ptr<Entry>> entries;
    bool confirmed = false;
  };

  void SendSubscribe(const std::string& channel);
  void OnMessage(const redisReply* reply);
  void Beat();
  static void RaiseUp(const std::shared_ptr<Entry>& entry);

  asio::io_context& io_;
  const Options options_;
  Client& client_;
  const std::function<void(bool, const absl::Status&)> on_change_;
  const std::string heartbeat_channel_;
  absl::node_hash_map<std::string, Channel> channels_;
  asio::steady_timer beat_timer_;
  std::chrono::steady_clock::time_point last_heard_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  Connection connection_;
};

}  // namespace sesior::session::redis
