// BroadcastHub: takes each broadcast once from Redis, whatever the number of streams, and hands the same bytes to all
// of them, in the namespace's one order.
//
// Delivery:  what is missing between two numbers, after an outage or before a resumed stream is read from the history
//            and comes in its place; what the history does not keep any more is announced as a gap, never left out in
//            silence. A lost tail, which no later number gives away, is found within two position checks.
// Bounds:    while a namespace is held back, live broadcasts beyond kMaxHeldBytes are dropped: they are read from the
//            history too. A stream catches up a page at a time, the next when its sink has little waiting.
// Threading: confined to the core executor.
#pragma once

#include <grpcpp/support/slice.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "services/session/domain/event_bus.hpp"
#include "services/session/domain/executor.hpp"
#include "services/session/domain/session_store.hpp"
#include "services/session/rpc/rpc_metrics.hpp"
#include "sesior/broadcast/v1/broadcast.pb.h"

namespace sesior::session::rpc {

class BroadcastHub {
 public:
  static constexpr std::size_t kMaxHeldBytes = std::size_t{4} << 20;  // of a namespace that is held back
  static constexpr std::chrono::milliseconds kCheck{1000};            // between two position checks

  // Where a stream's messages go. Called on the core executor; must not block.
  class Sink {
   public:
    virtual ~Sink() = default;
    // A part of a SubscribeResponse, serialized: parts put one behind another make one response. The slice shares its
    // bytes with all streams.
    virtual void Push(const grpc::Slice& part) = 0;
    // How much of it has not been sent yet.
    virtual std::size_t WaitingBytes() const = 0;
  };

  BroadcastHub(SessionStore& store, EventBus& bus, Executor& core, RpcMetrics& metrics)
      : store_(store), bus_(bus), core_(core), metrics_(metrics) {}

  // `after`: empty epoch: from now on. The first part is the position that the subscription starts behind.
  void Add(std::shared_ptr<Sink> sink, const std::string& name_space, const broadcast::v1::Position& after);
  void Remove(const Sink* sink, const std::string& name_space);
  void DropSink(const Sink* sink);

 private:
  // The id of a broadcast in its namespace.
  struct Place {
    std::string epoch;  // empty: not known yet
    std::uint64_t offset = 0;
    friend bool operator==(const Place&, const Place&) = default;
  };
  struct Subscriber {
    // kAhead: it has what the channel has yet to deliver, up to `place`.
    enum class State { kWaiting, kCatchingUp, kAhead, kLive };
    std::uint64_t id = 0;
    std::shared_ptr<Sink> sink;
    Place place;  // what it has got, unless live
    State state = State::kWaiting;
  };
  struct Channel {
    std::string name_space;
    std::unique_ptr<EventBus::Subscription> subscription;
    std::vector<Subscriber> subscribers;
    Place place;           // the newest broadcast handed out, or the head found at first
    Place head;            // as of the last position check
    bool reading = false;  // held back: what is missing is being read
    std::deque<std::string> held;
    std::size_t held_bytes = 0;
    bool dropped_held = false;
  };

  void OnUp(Channel& channel);
  void AskPosition(Channel& channel);
  void OnMessage(Channel& channel, std::string_view message);
  void Take(Channel& channel, std::string_view message);
  void Hold(Channel& channel, std::string_view message);
  void Fill(Channel& channel);
  void OnFilled(Channel& channel, StoreHistory history);
  void Deliver(Channel& channel, const Place& place, std::string_view broadcast);
  void PushAll(const Channel& channel, const grpc::Slice& part);

  void Start(Channel& channel, Subscriber& subscriber);
  void CatchUp(Channel& channel, std::uint64_t id);
  void OnCaughtUp(Channel& channel, std::uint64_t id, const StoreHistory& history);
  void LookAgainAhead(Channel& channel);
  static Subscriber* Find(Channel& channel, std::uint64_t id);

  void CheckPositions();
  void OnChecked(const std::vector<StorePosition>& heads);

  SessionStore& store_;
  EventBus& bus_;
  Executor& core_;
  RpcMetrics& metrics_;
  absl::flat_hash_map<std::string, std::unique_ptr<Channel>> channels_;  // never erased: handlers refer to them
  std::uint64_t last_id_ = 0;
  bool checking_ = false;
};

}  // namespace sesior::session::rpc
