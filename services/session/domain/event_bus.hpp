// EventBus: messages between the replicas of this service. It loses messages while the connection is down and says so.
// Threading: confined to the core executor; handlers run there and must not block. A handler may unsubscribe itself.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace sesior::session {

// Every change of a session by one of our steps: "up <id> <revision>", "end <id> <reason>", "tt <id> <ttl ms>"; and
// "gone <id>": found to have been deleted by somebody else.
inline constexpr char kChangeChannel[] = "sesior:ev";
// A namespace's broadcasts: "<epoch> <offset>\n" and a serialized Broadcast; volatile ones, which have no number, with
// kVolatileEpoch and 0.
inline constexpr char kVolatileEpoch[] = "v";
std::string BroadcastChannel(std::string_view name_space);

class EventBus {
 public:
  struct Handler {
    std::function<void(std::string_view message)> on_message;
    // From now on no message is missed. Called for the first time once the subscription stands, and again after every
    // outage: what was sent in between is lost.
    std::function<void()> on_up;
  };
  // Ends the subscription when destroyed; its handler is not called any more.
  class Subscription {
   public:
    virtual ~Subscription() = default;
  };

  virtual ~EventBus() = default;
  // The bus must outlive the subscription. Several to one channel share one at the server.
  virtual std::unique_ptr<Subscription> Subscribe(std::string channel, Handler handler) = 0;
};

}  // namespace sesior::session
