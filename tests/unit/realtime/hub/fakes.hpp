// Fakes for what stands around a hub: a loop with a clock of its own, a bus that comes straight back, a client.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "services/realtime/hub/hub.hpp"
#include "sesior/base/check.hpp"
#include "sesior/socketio/engine_codec.hpp"

namespace sesior::realtime::hub {

// Threading: none; the test runs tasks and moves the clock.
class FakeLoop final : public Loop {
 public:
  // What tasks hold may hold timers.
  ~FakeLoop() override { tasks_.clear(); }

  void Post(Task task) override { tasks_.push_back(std::move(task)); }

  std::unique_ptr<Timer> After(std::chrono::milliseconds delay, Task task) override {
    const auto key = std::make_pair(now_ + delay, ++serial_);
    timers_.emplace(key, std::move(task));
    return std::make_unique<FakeTimer>(*this, key);
  }

  SteadyTime now() const override { return now_; }

  // Runs what was posted, and what that posts.
  void Run() {
    while (!tasks_.empty()) {
      Task task = std::move(tasks_.front());
      tasks_.pop_front();
      std::move(task)();
    }
  }

  void Advance(std::chrono::milliseconds time) {
    const SteadyTime until = now_ + time;
    Run();
    while (!timers_.empty() && timers_.begin()->first.first <= until) {
      auto due = timers_.extract(timers_.begin());
      now_ = std::max(now_, due.key().first);
      std::move(due.mapped())();
      Run();
    }
    now_ = std::max(now_, until);
  }

  // Time passes, and the loop does not run: what is due comes late.
  void StandStill(std::chrono::milliseconds time) { now_ += time; }

  std::size_t timer_count() const { return timers_.size(); }

 private:
  using Key = std::pair<SteadyTime, int>;
  struct FakeTimer final : Timer {
    FakeTimer(FakeLoop& owner, Key its_key) : loop(owner), key(its_key) {}
    ~FakeTimer() override { loop.timers_.erase(key); }
    FakeLoop& loop;
    Key key;
  };

  std::deque<Task> tasks_;
  std::map<Key, Task> timers_;
  SteadyTime now_ = SteadyTime() + std::chrono::hours(1);
  int serial_ = 0;
};

// Keeps what is published, and hands it to `hub` when there is one.
class FakeBus final : public Bus {
 public:
  void Publish(Broadcast broadcast, Done<void> done) override {
    if (hub != nullptr) hub->OnBroadcast(EncodedBroadcast::From(broadcast, hub->options().format));
    published.push_back(std::move(broadcast));
    dones.push_back(std::move(done));
  }

  void Open(const std::string& nsp) override { opened.push_back(nsp); }
  void Close(const std::string& nsp) override { closed.push_back(nsp); }

  Hub* hub = nullptr;
  std::vector<std::string> opened;
  std::vector<std::string> closed;
  std::vector<Broadcast> published;
  std::vector<Done<void>> dones;
};

inline std::string TextOf(const socketio::FramePtr& frame) {
  std::string payload;
  socketio::AppendToPayload(*frame, payload);
  return payload;
}

// A client in one namespace: the connection layer in small. Writes down what it gets.
class FakeClient final : public Link {
 public:
  FakeClient(Hub& hub, std::string_view nsp, std::string id, std::string_view auth = "{}") : hub_(hub), nsp_(nsp) {
    socket = hub.Connect(nsp, std::move(id), JsonValue(auth), *this, [this](std::optional<Refusal> refusal) {
      answered = true;
      refused = std::move(refusal);
    });
    AdmitIfAnswered();
  }
  ~FakeClient() {
    if (!gone) Leave();
  }

  void AdmitIfAnswered() {
    if (answered && !refused) hub_.Admit(*socket);
  }
  // `packet`: without the Engine.IO digit, e.g. 2["a"].
  void Send(const std::string& text, std::vector<std::string> attachments = {}) {
    socketio::PacketDecoder decoder;
    socketio::Packet packet;
    socketio::PacketDecoder::Result result = decoder.OnText(text, packet);
    for (const std::string& bytes : attachments) result = decoder.OnBinary(bytes, packet);
    SESIOR_CHECK(result == socketio::PacketDecoder::Result::kPacket);
    if (packet.type == socketio::PacketType::kAck) {
      hub_.OnAck(*socket, *packet.id, packet);
    } else {
      hub_.OnEvent(*socket, packet);
    }
  }
  void Leave(CloseReason reason = CloseReason::kTransportClose) {
    gone = true;
    if (socket) hub_.OnDisconnect(*socket, reason);
  }
  std::vector<std::string> Take() { return std::exchange(received, {}); }

  SendResult Send(socketio::FramePtr frame, bool is_volatile) override {
    received.push_back((is_volatile ? "volatile " : "") + TextOf(frame));
    return SendResult::kSent;
  }
  void SendAck(std::uint64_t id, std::string_view args, std::span<const std::string> attachments) override {
    received.push_back(TextOf(socketio::EncodeAck(nsp_, id, args, attachments)));
  }
  void Disconnect(bool close) override {
    received.push_back(close ? "close" : "disconnect");
    Leave(CloseReason::kServerDisconnect);
  }
  const SessionPtr& session() const override { return session_; }
  const Handshake& handshake() const override { return handshake_; }

  std::shared_ptr<Socket> socket;
  std::optional<Refusal> refused;
  bool answered = false;
  bool gone = false;
  std::vector<std::string> received;
  SessionPtr session_;
  Handshake handshake_;

 private:
  Hub& hub_;
  std::string nsp_;
};

}  // namespace sesior::realtime::hub
