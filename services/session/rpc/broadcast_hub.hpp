// BroadcastHub: takes each broadcast once from Redis, whatever the number of streams, and hands the same bytes to all
// of them. Notices by the numbers what got lost and announces it as a gap: no history is kept yet. Threading: confined
// to the core executor.
#pragma once

#include <grpcpp/support/slice.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "services/session/domain/event_bus.hpp"
#include "services/session/domain/executor.hpp"
#include "services/session/domain/session_store.hpp"
#include "sesior/broadcast/v1/broadcast.pb.h"

namespace sesior::session::rpc {

class BroadcastHub {
 public:
  // Where a stream's messages go. Called on the core executor; must not block.
  class Sink {
   public:
    virtual ~Sink() = default;
    // A part of a SubscribeResponse, serialized: parts put one behind another make one response. The slice shares its
    // bytes with all streams.
    virtual void Push(const grpc::Slice& part) = 0;
  };

  BroadcastHub(SessionStore& store, EventBus& bus, Executor& core) : store_(store), bus_(bus), core_(core) {}

  // `after`: empty epoch: from now on. The first part is the position that the subscription starts behind, with a gap
  // before it when something after `after` cannot be had any more.
  void Add(std::shared_ptr<Sink> sink, const std::string& name_space, const broadcast::v1::Position& after);
  void Remove(const Sink* sink, const std::string& name_space);
  void DropSink(const Sink* sink);

 private:
  struct Subscriber {
    std::shared_ptr<Sink> sink;
    broadcast::v1::Position after;
    bool started = false;
  };
  struct Channel {
    std::unique_ptr<EventBus::Subscription> subscription;
    std::vector<Subscriber> subscribers;
    // The newest message handed out, or the head found at first; epoch empty: not known yet.
    std::string epoch;
    std::uint64_t offset = 0;
  };

  void AskPosition(const std::string& name_space);
  void OnPosition(const std::string& name_space, const StorePosition& head);
  void FindLostTail(const std::string& name_space, const StorePosition& head);
  void OnMessage(const std::string& name_space, std::string_view message);
  void Start(const std::string& name_space, Channel& channel, Subscriber& subscriber);
  void AnnounceGap(const std::string& name_space, Channel& channel, std::uint64_t first, std::uint64_t last);

  SessionStore& store_;
  EventBus& bus_;
  Executor& core_;
  absl::flat_hash_map<std::string, std::unique_ptr<Channel>> channels_;
};

}  // namespace sesior::session::rpc
