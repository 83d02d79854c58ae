// ChangeFeed: tells of changes of sessions, whoever made them. A session is tracked by reading its record through the
// feed; the next change of record or TTL, by anybody, or its end by time is then told, once: whoever wants to hear of
// the one after tracks it again.
// Delivery:  what the listener is told keeps the order of the store. OnChanged may come before the reply of the very
//            Track it ends, and once more than needed; it is never missing: when a notice may have been lost, the
//            listener hears OnLost, and OnDoubt as soon as nothing is missed any more.
// Threading: confined to the core executor; `done` runs there too, never inside the call.
// Errors:    kUnavailable (nothing can be tracked now; a fence that took too long), kDataLoss (RECORD_CORRUPT).
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "services/session/domain/event_bus.hpp"
#include "sesior/base/done.hpp"
#include "sesior/base/ids.hpp"

namespace sesior::session {

class ChangeFeed {
 public:
  class Listener {
   public:
    virtual ~Listener() = default;
    // A step of ours changed a session: a message of kChangeChannel.
    virtual void OnHint(std::string_view message) = 0;
    // A tracked session changed, and is not tracked any more.
    virtual void OnChanged(const SessionId& id) = 0;
    // Nothing is tracked any more, and changes may go by unnoticed.
    virtual void OnLost() = 0;
    // Nothing is tracked, changes may have gone by; from now on none does.
    virtual void OnDoubt() = 0;
  };
  struct Tracked {
    std::optional<std::string> record;             // unset: there is none
    std::optional<std::chrono::milliseconds> ttl;  // unset: it does not expire
  };

  virtual ~ChangeFeed() = default;
  // One listener, which outlives the feed's use of it: called before the executor runs.
  virtual void Follow(Listener& listener) = 0;
  // False: only hints come, so that changes by others are seen by reading alone.
  virtual bool tracks() const = 0;
  virtual void Track(SessionId id, Done<Tracked> done) = 0;
  // Ends well when everything that was changed before the call has been told. Calls of one moment share a message.
  virtual void Fence(Done<void> done) = 0;
};

// The feed where the server cannot track: hints of our own steps, by the bus.
class HintFeed final : public ChangeFeed {
 public:
  explicit HintFeed(EventBus& bus) : bus_(bus) {}

  void Follow(Listener& listener) override;
  bool tracks() const override { return false; }
  void Track(SessionId id, Done<Tracked> done) override;
  void Fence(Done<void> done) override;

 private:
  EventBus& bus_;
  std::unique_ptr<EventBus::Subscription> subscription_;
};

}  // namespace sesior::session
