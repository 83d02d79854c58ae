// EngineFront: the HTTP side of one loop: Engine.IO requests, the client bundle, CORS.
//   /socket.io/                     Engine.IO (any path given in the options)
//   /socket.io/socket.io.js ...     the official client
//   everything else                 404
// A request for a session of another loop takes its connection there; one for another replica is answered with error
// code 1, for now.
// Owns the clients of its loop.
// Threading: confined to its loop; `contexts` and `draining` are read by all.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "services/realtime/connection/client.hpp"
#include "services/realtime/connection/client_bundle.hpp"
#include "services/realtime/connection/engine_id.hpp"
#include "services/realtime/transport/channel.hpp"
#include "sesior/http/cors.hpp"
#include "sesior/http/form.hpp"

namespace sesior::realtime {

struct EngineFrontOptions {
  std::string path = "/socket.io";  // without a slash at the end
  std::string replica_name;
  bool trust_proxy = false;  // X-Forwarded-Host and -Proto say where a request came to
};

class EngineFront final : public RequestHandler {
 public:
  // `contexts`: of all loops, by index. All references outlive the front.
  EngineFront(const EngineFrontOptions& options, const http::CorsPolicy& cors, const ClientBundle& bundle,
              const std::vector<ChannelContext*>& contexts, const std::atomic<bool>& draining, ClientContext clients);
  ~EngineFront();

  ChannelContext* Route(const http::Request& head) override;
  bool OnHead(const http::Request& head, const ExchangePtr& exchange) override;
  void OnRequest(http::Request request, const ExchangePtr& exchange) override;
  http::Response OnTooLarge(const http::Request& head, bool announced) override;

  // Closes up to `count` clients, so that they reconnect elsewhere; how many are left.
  std::size_t CloseSome(std::size_t count, socketio::CloseReason reason);
  // When the loop has stopped: closes and destroys all clients, and with them their watches.
  void CloseAll(socketio::CloseReason reason);

 private:
  struct Query;

  void OnEngineRequest(const http::Request& request, const ExchangePtr& exchange);
  void OnUpgrade(const http::Request& request, const Query& query, const ExchangePtr& exchange);
  void Refuse(const http::Request& request, const ExchangePtr& exchange, socketio::EngineError error) const;
  bool IsEnginePath(std::string_view path) const;
  Client* Find(const Query& query) const;
  Client& NewClient(const http::Request& request, std::string& sid);
  http::OriginVerdict JudgeOrigin(const http::Request& request) const;
  void AddCors(const http::Request& request, const ExchangePtr& exchange) const;
  void Forget(const EngineId::Key& key);

  const EngineFrontOptions& options_;
  const http::CorsPolicy& cors_;
  const ClientBundle& bundle_;
  const std::vector<ChannelContext*>& contexts_;
  const std::atomic<bool>& draining_;
  ClientContext clients_context_;
  absl::flat_hash_map<EngineId::Key, std::unique_ptr<Client>> clients_;
};

}  // namespace sesior::realtime
