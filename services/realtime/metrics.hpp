// What sesior-realtime counts. The hot counters are Tallies, one object a loop, summed up when somebody asks.
#pragma once

#include <atomic>
#include <cstdint>

#include "sesior/telemetry/metrics.hpp"

namespace sesior::realtime {

// Tally: a count with one writing thread and any number of readers; costs an addition.
class Tally {
 public:
  void Add(std::uint64_t count = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
  }
  void Subtract(std::uint64_t count) {
    value_.store(value_.load(std::memory_order_relaxed) - count, std::memory_order_relaxed);
  }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_ = 0;
};

// The counts of one loop.
struct LoopTallies {
  Tally connections;          // TCP, of clients, open now
  Tally accepted;             // TCP
  Tally refused;              // TCP: over the limit
  Tally http_requests;        //
  Tally clients;              // Engine.IO sessions, open now
  Tally sockets;              // Socket.IO sockets, open now
  Tally frames_queued;        // for clients
  Tally writes;               // system calls for them
  Tally bytes_written;        //
  Tally queued_bytes;         // waiting now
  Tally messages_in;          // Engine.IO messages from clients
  Tally slow_closed;          // clients that did not read
  Tally aged_closed;          // clients at the longest time allowed
  Tally drain_closed;         // clients and relays, so that they go elsewhere
  Tally frames_dropped;       // not queued: volatile, over the limit, or too late
  Tally origins_refused;      // handshakes from foreign origins
  Tally handshakes_refused;   // more than a second may have
  Tally handshakes_draining;  // while this process goes away
  Tally connect_refused;      // CONNECT without a valid session
  Tally connect_failed;       // CONNECT while the session service could not be reached
  Tally sessions_ended;       // sockets ended with their session
  Tally standstills;          // the thread did not run for SessionWatches::kStandstill
  Tally not_confirmed;        // sessions that could not be asked for after one
  // What went over a bound: of a connection (ServerConnectionOptions), which was closed for it; of the hub
  // (HubOptions).
  Tally namespaces_refused;
  Tally attachments_refused;
  Tally packet_bytes_refused;
  Tally packets_refused;
  Tally address_clients_refused;     // handshakes (AddressLimits)
  Tally address_handshakes_refused;  //
  Tally rooms_refused;               // Join
  Tally acks_refused;                // EmitWithAck
  Tally work_refused;                // InOrder
  Tally binaries_refused;            // emits with too many of them
  Tally answers_packed;              // poll answers sent as gzip or deflate
  Tally answers_unpacked;            // sent as they were, since too many were being packed
  // Between replicas.
  Tally peer_connections;  // from others, open now
  Tally peers_refused;     // from others, or strangers: without proof, or over the limit
  Tally peer_links;        // to others, open now, relays included
  Tally relays;            // WebSockets of other replicas, open now
  Tally relayed_bytes;     //
  Tally passed_on;         // requests
  Tally passing_on;        // requests whose answer is not there yet, now
  Tally pass_unknown;      // not answered by their replica: see PeerFailure
  Tally pass_unreachable;
  Tally pass_untrusted;
  Tally pass_broken;
  Tally pass_busy;
};

}  // namespace sesior::realtime
