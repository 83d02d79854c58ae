// Peers: what one loop does with requests of clients whose session lives on another replica. Each is passed on to its
// owner over a link of the pool, and the answer comes back; an upgrade becomes a relay of bytes. The address comes from
// the lease table, never from the client; an id that no table has is looked up once more, since its replica may be new.
//
// What the owner sees is a client of its own: a poll that its client aborts is an aborted poll there, since the link is
// closed with it; so is a POST that ends in the middle. A reader that is slow here is slow there.
// Errors:    the owner cannot be reached, or is gone before it has answered: PeerFailure, at once. Nothing is repeated.
// Bounds:    `max_links` of the process, divided among its loops: connections in use and pooled; beyond it kBusy.
//            kMaxLookups wait for a newer table, at most `lookup_timeout`; beyond it kUnknown. A request is held in
//            memory until it is sent (max_payload), an answer until it is there (PeerLink::kMaxAnswerBytes).
// Ownership: a request that is passed on belongs to its exchange.
// Threading: confined to its loop; OnTable from there, too.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "services/realtime/connection/engine_id.hpp"
#include "services/realtime/metrics.hpp"
#include "services/realtime/peers/peer_handshake.hpp"
#include "services/realtime/peers/peer_link.hpp"
#include "services/realtime/peers/peer_table.hpp"
#include "services/realtime/transport/channel.hpp"
#include "services/realtime/transport/loop.hpp"
#include "services/realtime/transport/relay.hpp"
#include "sesior/http/ip_address.hpp"
#include "sesior/http/request.hpp"

namespace sesior::realtime {

struct PeerOptions {
  std::string listen;                // host:port for other replicas; empty: nothing is passed on, either way
  std::string address;               // where they reach it; empty: `listen`
  std::vector<std::string> secrets;  // the first proves, all are accepted
  std::size_t max_links = 10'000;    // to other replicas; and as many from them
  std::chrono::milliseconds lookup_timeout{1'500};
  PeerLinkOptions link;
};

// The head of a request as it is passed on, with the length of its body: hop-by-hop headers are left out, the client's
// address is put in. `trusted`: it came by a trusted proxy, whose X-Forwarded-Host and -Proto count.
std::string PassedHead(const http::Request& request, const http::IpAddress& client, bool trusted,
                       std::size_t body_bytes);

// A request that is on its way.
class PassedOn;

class Peers {
 public:
  // Answers in place of the owner. Called on the loop, perhaps from inside Pass.
  using OnFailed = std::function<void(const ExchangePtr& exchange, bool upgrade, PeerFailure failure)>;

  // `max_links`: this loop's share. `clients`: of this loop, whose connections relays take over. All references outlive
  // it.
  Peers(Loop& loop, LoopTallies& tallies, const PeerOptions& options, const PeerSecrets& secrets, PeerTable& table,
        std::size_t max_links, ChannelContext& clients, OnFailed on_failed);
  ~Peers();

  // Passes a request on: `head` with the `body_bytes` announced; what there is of the body is in head.body, the rest
  // follows by PassBody. The exchange is answered later, or on_failed called.
  void Pass(const EngineId& id, http::Request head, std::size_t body_bytes, const http::IpAddress& client, bool trusted,
            const ExchangePtr& exchange);
  static void PassBody(const ExchangePtr& exchange, std::string body);

  // The lease table is a newer one.
  void OnTable();

  // -- when this replica goes away --
  // Closes up to `count` relays, so that their clients reconnect elsewhere, and takes them off `count`; how many are
  // left.
  std::size_t CloseRelays(std::size_t& count);
  // From now on owners are asked to answer polls that wait, so that the next ones go elsewhere and none is aborted.
  void ReleasePolls();

 private:
  friend class PassedOn;
  static constexpr std::size_t kMaxLookups = 256;
  static constexpr std::size_t kMaxIdleLinks = 256;

  std::shared_ptr<PeerLink> Take(const std::string& key);
  void Keep(const std::string& key, std::shared_ptr<PeerLink> link);
  std::shared_ptr<PeerLink> Open(const std::string& key, const EngineId& id, const std::string& address);
  void OnLinkEnd(const std::string& key, const PeerLink& link);

  Loop& loop_;
  LoopTallies& tallies_;
  const PeerOptions& options_;
  const PeerSecrets& secrets_;
  PeerTable& table_;
  const std::size_t max_links_;
  ChannelContext& clients_;
  const OnFailed on_failed_;
  std::size_t links_ = 0;                                                          // open, relays included
  absl::flat_hash_map<std::string, std::vector<std::shared_ptr<PeerLink>>> idle_;  // by "<replica>.<thread>"
  std::size_t idle_count_ = 0;
  std::vector<std::weak_ptr<PassedOn>> lookups_;
  absl::flat_hash_set<PassedOn*> under_way_;
  std::vector<std::weak_ptr<Relay>> relays_;
  bool releasing_ = false;
};

}  // namespace sesior::realtime
