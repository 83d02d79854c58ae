// Server: the Socket.IO server of one process: threads, listeners, connections, and a hub for each thread.
//
// Drain:     new handshakes get 503 and draining() is true; after `drain_delay`, in which everything else goes on, the
//            clients are closed, `drain_rate` a second, in uneven slices, and reconnect elsewhere; then the listeners
//            close, and polls that are passed on for other replicas are answered. What is left at the deadline is
//            closed at once.
// Replicas:  with PeerOptions::listen, requests that belong elsewhere are passed on, and those of others are taken on
// the
//            peer port.
// Threading: Part's methods on the main thread; draining and the tallies from any.
// Shutdown:  Stop ends the threads, then disconnects what is left; nothing runs after it. The loops stay until the
//            destructor: destroy the session client in between, whose open calls end in them.
#pragma once

#include <asio/ip/tcp.hpp>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "services/realtime/bus/bus.hpp"
#include "services/realtime/connection/address_limits.hpp"
#include "services/realtime/connection/client_bundle.hpp"
#include "services/realtime/connection/engine_front.hpp"
#include "services/realtime/connection/handshake_gate.hpp"
#include "services/realtime/connection/session_watches.hpp"
#include "services/realtime/hub/hub.hpp"
#include "services/realtime/metrics.hpp"
#include "services/realtime/peers/peer_table.hpp"
#include "services/realtime/peers/peers.hpp"
#include "services/realtime/transport/channel.hpp"
#include "sesior/http/cors.hpp"
#include "sesior/runtime/run.hpp"
#include "sesior/session_client/session_client.hpp"
#include "sesior/socketio/engine_session.hpp"
#include "sesior/socketio/server_connection.hpp"

namespace sesior::realtime {

struct ServerOptions {
  std::string listen = "127.0.0.1:0";
  std::size_t threads = 1;
  std::size_t max_connections = 15'000;
  std::string client_bundle_dir;             // empty: the client is not served
  std::vector<std::string> allowed_origins;  // beside the server's own
  std::string cookie_name = "connect.sid";
  SessionTouch session_touch;
  std::vector<std::string> session_changed_members;  // their changes are told to the session's own sockets
  std::chrono::milliseconds session_timeout{2'000};  // for the answer whether a client's session is good
  std::chrono::milliseconds drain_delay{1'000};
  std::int64_t drain_rate = 1'000;             // clients closed in a second, at most
  std::int64_t handshakes_per_second = 5'000;  // more get 503
  std::chrono::milliseconds max_connection_age{std::chrono::hours(24)};
  EngineFrontOptions front;
  PeerOptions peers;
  AddressLimitOptions addresses;
  ChannelOptions channel;
  socketio::EngineOptions engine;
  socketio::ServerConnectionOptions socketio;  // its format is the hubs' as well
  hub::HubOptions hub;
  RawMessages* raw_messages = nullptr;  // gets the messages in place of the hubs: Engine.IO alone; outlives the server
};

class Server final : public runtime::Part {
 public:
  // `sessions`: null when no session is demanded; else it lives until Stop has returned. `bus` outlives the server.
  Server(ServerOptions options, session_client::SessionClient* sessions, Bus& bus);
  ~Server() override;

  // One for each thread; give them their handlers before Start.
  std::vector<hub::Hub*> hubs();

  absl::Status Start() override;
  void Drain(std::chrono::steady_clock::time_point deadline) override;
  void Stop() override;

  bool draining() const { return draining_.load(std::memory_order_relaxed); }
  // host:port, after Start.
  std::string address() const;
  // Where other replicas reach this one; empty: they do not.
  std::string peer_address() const;
  // Of the other replicas; to be kept up to date by the owner.
  PeerTable& peers() { return peer_table_; }
  // Of all threads together, now.
  std::uint64_t Sum(Tally LoopTallies::*tally) const;

 private:
  struct Thread;

  void CloseClients(std::chrono::steady_clock::time_point deadline);
  void LeaveOthers(std::chrono::steady_clock::time_point deadline);

  const ServerOptions options_;
  session_client::SessionClient* const sessions_;
  Bus& bus_;
  const http::CorsPolicy cors_;
  ClientBundle bundle_;
  std::atomic<bool> draining_ = false;
  HandshakeGate gate_;
  std::atomic<std::size_t> connections_ = 0;
  AddressLimits addresses_;
  asio::ip::tcp::endpoint endpoint_;
  // Of other replicas.
  const ChannelOptions peer_channel_;
  const PeerSecrets peer_secrets_;
  PeerTable peer_table_;
  std::atomic<std::size_t> peer_connections_ = 0;
  asio::ip::tcp::endpoint peer_endpoint_;
  std::vector<ChannelContext*> contexts_;  // by thread
  std::vector<ChannelContext*> peer_contexts_;
  std::vector<std::unique_ptr<Thread>> threads_;
};

}  // namespace sesior::realtime
