// An EventBus inside one process: what Send is given reaches the handlers of the channel.
// Threading: confined to the executor it is given, as the real one.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "services/session/domain/event_bus.hpp"
#include "services/session/domain/executor.hpp"

namespace sesior::testing {

class FakeEventBus final : public session::EventBus {
 public:
  explicit FakeEventBus(session::Executor& executor) : executor_(executor) {}

  std::unique_ptr<Subscription> Subscribe(std::string channel, Handler handler) override {
    auto entry = std::make_shared<Entry>(Entry{std::move(channel), std::move(handler)});
    entries_.push_back(entry);
    executor_.Post([weak = std::weak_ptr<Entry>(entry)] {
      if (const auto live = weak.lock()) live->handler.on_up();
    });
    return std::make_unique<Token>(*this, std::move(entry));
  }

  void Send(const std::string& channel, const std::string& message) {
    ForEach(channel, [&](const Handler& handler) { handler.on_message(message); });
  }
  // An outage is over: what was sent meanwhile is lost.
  void ComeUp(const std::string& channel) {
    ForEach(channel, [](const Handler& handler) { handler.on_up(); });
  }

 private:
  struct Entry {
    std::string channel;
    Handler handler;
  };
  class Token final : public Subscription {
   public:
    Token(FakeEventBus& bus, std::shared_ptr<Entry> entry) : bus_(bus), entry_(std::move(entry)) {}
    ~Token() override { bus_.entries_.remove(entry_); }

   private:
    FakeEventBus& bus_;
    std::shared_ptr<Entry> entry_;
  };

  void ForEach(const std::string& channel, const std::function<void(const Handler&)>& call) {
    const std::list<std::shared_ptr<Entry>> now = entries_;
    for (const auto& entry : now) {
      if (entry->channel == channel) call(entry->handler);
    }
  }

  session::Executor& executor_;
  std::list<std::shared_ptr<Entry>> entries_;
};

}  // namespace sesior::testing
