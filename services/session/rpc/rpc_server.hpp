// RpcServer: the gRPC port: public services, the batched stream, health, reflection.
// Health: "" and each package's service name are SERVING while SetServing(true) and not draining, else NOT_SERVING; the
//         port stays open.
// Callers: without `callers` among the parts every caller has all roles, and Start refuses to listen anywhere but on
// loopback; with them it listens elsewhere over TLS, or where the network is said to encrypt. Health and reflection ask
// for no role: the protos are public.
// Threading: Start, Drain and Stop on the main thread; SetServing is thread-safe.
#pragma once

#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "services/session/rpc/exchange_service.hpp"
#include "services/session/rpc/public_services.hpp"
#include "sesior/grpc_tls/tls_files.hpp"
#include "sesior/runtime/run.hpp"

namespace grpc {
class Server;
}

namespace sesior::session::rpc {

struct RpcServerOptions {
  grpc_tls::TlsFiles tls;  // no cert: plaintext
  bool network_encrypts = false;
};

class RpcServer final : public runtime::Part {
 public:
  // `listen`: host:port (port 0: any free one) or unix:PATH. Everything referred to must outlive the server; the core
  // must run until Stop has returned.
  RpcServer(std::string listen, ServiceParts parts, WatchHub& watches, BroadcastHub& broadcasts,
            RpcServerOptions options = {});
  ~RpcServer() override;

  absl::Status Start() override;
  // Tells the clients of all streams to go elsewhere and waits for them.
  void Drain(std::chrono::steady_clock::time_point deadline) override;
  void Stop() override;

  void SetServing(bool serving);
  // On the core, when what callers have to show has changed: streams that stood on what is gone are moved, then ended.
  void RecheckCallers();
  // The bound port; 0 for a unix socket.
  int port() const { return port_; }

 private:
  void ReportHealth() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string listen_;
  const RpcServerOptions options_;
  const bool knows_callers_;
  ExchangeService exchange_;
  SessionRpcs sessions_;
  BroadcastRpcs broadcasts_;
  PresenceRpcs presence_;
  int port_ = 0;
  absl::Mutex mutex_;
  bool serving_ ABSL_GUARDED_BY(mutex_) = false;
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  std::unique_ptr<grpc::Server> server_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sesior::session::rpc
