// A ChangeFeed over the store in memory. Notices wait until they are delivered, one task each or when the test says so;
// so a test can hold them back, as a slow connection would. Threading: thread-compatible.
#pragma once

#include <deque>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "services/session/domain/change_feed.hpp"
#include "services/session/domain/executor.hpp"
#include "sesior/base/clock.hpp"
#include "tests/support/in_memory_session_store.hpp"

namespace sesior::testing {

class FakeChangeFeed final : public session::ChangeFeed {
 public:
  FakeChangeFeed(InMemorySessionStore& store, session::Executor& executor, const Clock& clock)
      : store_(store), executor_(executor), clock_(clock) {
    store.observers.push_back([this](const SessionId& id, const std::string& hint) {
      if (!hint.empty()) return Put([this, hint] { listener_->OnHint(hint); });
      if (tracked_.erase(id.text()) > 0) Put([this, id] { listener_->OnChanged(id); });
    });
  }

  void Follow(Listener& listener) override { listener_ = &listener; }
  bool tracks() const override { return tracks_; }

  void Track(SessionId id, Done<Tracked> done) override {
    ++reads;
    Tracked tracked;
    const auto found = store_.records.find(id.text());
    const bool is_there = found != store_.records.end() &&
                          (found->second.expires_ms < 0 || found->second.expires_ms > clock_.WallMillis());
    if (is_there) {
      tracked.record = found->second.text;
      if (found->second.expires_ms >= 0) {
        tracked.ttl = std::chrono::milliseconds(found->second.expires_ms - clock_.WallMillis());
      }
    }
    tracked_.insert(id.text());
    executor_.Post([this, lost = lost_, tracked = std::move(tracked), done = std::move(done)]() mutable {
      if (!tracks_ || lost != lost_) return std::move(done)(absl::UnavailableError("lost"));
      std::move(done)(std::move(tracked));
    });
  }

  void Fence(Done<void> done) override {
    ++fences;
    if (!tracks_) {
      executor_.Post([done = std::move(done)]() mutable { std::move(done)(absl::UnavailableError("lost")); });
      return;
    }
    const auto fence = std::make_shared<Done<void>>(std::move(done));
    open_fences_.push_back(fence);
    Put([fence] { Pass(*fence, absl::OkStatus()); });
  }

  void Hold(bool held) {
    held_ = held;
    if (!held) {
      for (std::size_t i = 0; i < notices_.size(); ++i) executor_.Post([this] { DeliverOne(); });
    }
  }
  bool DeliverOne() {
    if (notices_.empty()) return false;
    const std::function<void()> notice = std::move(notices_.front());
    notices_.pop_front();
    notice();
    return true;
  }
  void Lose() {
    tracks_ = false;
    ++lost_;
    tracked_.clear();
    notices_.clear();
    for (const auto& fence : std::exchange(open_fences_, {})) Pass(*fence, absl::UnavailableError("lost"));
    listener_->OnLost();
  }
  void ComeUp() {
    tracks_ = true;
    listener_->OnDoubt();
  }

  int reads = 0;
  int fences = 0;

 private:
  static void Pass(Done<void>& fence, const absl::Status& status) {
    if (fence) std::move(std::exchange(fence, nullptr))(status);
  }
  void Put(std::function<void()> notice) {
    if (!tracks_) return;
    notices_.push_back(std::move(notice));
    if (!held_) executor_.Post([this] { DeliverOne(); });
  }

  InMemorySessionStore& store_;
  session::Executor& executor_;
  const Clock& clock_;
  Listener* listener_ = nullptr;
  bool tracks_ = true;
  bool held_ = false;
  int lost_ = 0;
  std::set<std::string> tracked_;
  std::deque<std::function<void()>> notices_;
  std::vector<std::shared_ptr<Done<void>>> open_fences_;
};

}  // namespace sesior::testing
