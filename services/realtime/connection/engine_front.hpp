// EngineFront: the HTTP side of one loop: Engine.IO requests, the client bundle, CORS.
//   /socket.io/                     Engine.IO (any path given in the options)
//   /socket.io/socket.io.js ...     the official client
//   everything else                 404
// A request for a session of another loop takes its connection there; one for another replica is passed on (Peers), but
// not once more by who got it so.
// Owns the clients of its loop.
// Threading: confined to its loop; `draining` and the gate are shared by all.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "services/realtime/connection/client.hpp"
#include "services/realtime/connection/client_bundle.hpp"
#include "services/realtime/connection/engine_id.hpp"
#include "services/realtime/connection/handshake_gate.hpp"
#include "services/realtime/peers/peers.hpp"
#include "services/realtime/transport/channel.hpp"
#include "sesior/http/cors.hpp"
#include "sesior/http/form.hpp"
#include "sesior/http/proxies.hpp"

namespace sesior::realtime {

struct EngineFrontOptions {
  std::string path = "/socket.io";  // without a slash at the end
  std::string replica_id;           // of this start of the process; the first part of engine ids
  http::TrustedProxies proxies;     // whose X-Forwarded-... headers count
  bool http_compression = true;     // of large poll answers
  // Headers of handshakes that the application wants to see (hub::Handshake); "*": all but Cookie and Authorization.
  std::vector<std::string> handshake_headers;
};

class EngineFront final : public RequestHandler {
 public:
  // `threads`: how many loops there are. `peers`: null: there are no other replicas. All references outlive the front.
  EngineFront(const EngineFrontOptions& options, const http::CorsPolicy& cors, const ClientBundle& bundle,
              std::size_t threads, Peers* peers, const std::atomic<bool>& draining, HandshakeGate& gate,
              ClientContext clients);
  ~EngineFront();

  std::optional<std::size_t> Route(const http::Request& head) override;
  bool OnHead(const http::Request& head, const ExchangePtr& exchange) override;
  void OnRequest(http::Request request, const ExchangePtr& exchange) override;
  http::Response OnTooLarge(const http::Request& head, const Exchange& exchange, bool announced) override;
  // What Peers could not pass on.
  void OnPassFailed(const ExchangePtr& exchange, bool upgrade, PeerFailure failure);

  // Closes up to `count` open clients, so that they reconnect elsewhere, and takes them off `count`; how many open ones
  // are left. A client between two polls is told by the next one.
  std::size_t CloseSome(std::size_t& count, socketio::CloseReason reason);
  // When the loop has stopped: closes and destroys all clients, and with them their watches.
  void CloseAll(socketio::CloseReason reason);

 private:
  struct Query;

  void OnEngineRequest(http::Request request, const ExchangePtr& exchange);
  void OnUpgrade(const http::Request& request, const Query& query, const ExchangePtr& exchange);
  void PassOn(http::Request request, const Query& query, std::size_t body_bytes, const ExchangePtr& exchange);
  static void Refuse(bool websocket, const ExchangePtr& exchange, socketio::EngineError error);
  bool IsEnginePath(std::string_view path) const;
  Client* Find(const Query& query) const;
  // May the client behind a handshake come in? Then its address is counted. Else it has been answered.
  bool Admit(const http::Request& request, const ExchangePtr& exchange);
  Client& NewClient(const http::Request& request, const Query& query, const Exchange& exchange, std::string& sid);
  hub::Handshake HandshakeOf(const http::Request& request, const Query& query, const Exchange& exchange) const;
  // Is it for a session of another replica, and ours to pass on?
  bool IsForAnother(const Query& query, const Exchange& exchange) const;
  bool Trusts(const Exchange& exchange) const;
  http::IpAddress ClientAddress(const http::Request& request, const Exchange& exchange) const;
  http::OriginVerdict JudgeOrigin(const http::Request& request, const Exchange& exchange) const;
  void AddCors(const http::Request& request, const ExchangePtr& exchange) const;
  void Forget(const EngineId::Key& key);

  const EngineFrontOptions& options_;
  const http::CorsPolicy& cors_;
  const ClientBundle& bundle_;
  const std::size_t threads_;
  Peers* const peers_;
  const std::atomic<bool>& draining_;
  HandshakeGate& gate_;
  ClientContext clients_context_;
  absl::flat_hash_map<EngineId::Key, std::unique_ptr<Client>> clients_;
};

}  // namespace sesior::realtime
