#include "services/session/rpc/rpc_server.hpp"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

#include "sesior/grpc_tls/credentials.hpp"
#include "sesior/telemetry/log.hpp"

namespace sesior::session::rpc {

namespace {

bool IsLoopback(const std::string& listen) {
  for (const char* prefix : {"unix:", "localhost:", "[::1]:"}) {
    if (listen.rfind(prefix, 0) == 0) return true;
  }
  // Digits and dots only: "127.example.com" is a name, of any machine.
  const std::string host = listen.substr(0, listen.rfind(':'));
  return host.rfind("127.", 0) == 0 && host.find_first_not_of("0123456789.") == std::string::npos;
}

}  // namespace

RpcServer::RpcServer(std::string listen, ServiceParts parts, WatchHub& watches, BroadcastHub& broadcasts,
                     RpcServerOptions options)
    : listen_(std::move(listen)),
      options_(std::move(options)),
      knows_callers_(parts.callers != nullptr),
      exchange_(parts.operations, parts.core, parts.metrics, parts.callers),
      sessions_(parts, watches),
      broadcasts_(parts, broadcasts),
      presence_(parts) {}

RpcServer::~RpcServer() { Stop(); }

absl::Status RpcServer::Start() {
  const bool is_tls = !options_.tls.cert.empty();
  if (!IsLoopback(listen_) && !(knows_callers_ && (is_tls || options_.network_encrypts))) {
    return absl::InvalidArgumentError("listen: without credentials the session service listens on loopback only");
  }
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  // Without this two servers could share a port without a word.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5'000);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.SetMaxReceiveMessageSize(8 << 20);
  builder.AddListeningPort(
      listen_, is_tls ? grpc_tls::MakeServerCredentials(options_.tls) : grpc::InsecureServerCredentials(), &port_);
  builder.RegisterService(&exchange_);
  builder.RegisterService(&sessions_);
  builder.RegisterService(&broadcasts_);
  builder.RegisterService(&presence_);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return absl::UnavailableError("cannot listen on " + listen_);
  {
    absl::MutexLock lock(&mutex_);
    server_ = std::move(server);
    ReportHealth();
  }
  const std::string addr =
      listen_.rfind("unix:", 0) == 0 ? listen_ : listen_.substr(0, listen_.rfind(':') + 1) + std::to_string(port_);
  telemetry::Log(telemetry::Level::kInfo, "listening",
                 {{"name", "grpc"}, {"addr", addr}, {"tls", is_tls}, {"roles", knows_callers_}});
  return absl::OkStatus();
}

void RpcServer::SetServing(bool serving) {
  absl::MutexLock lock(&mutex_);
  serving_ = serving;
  ReportHealth();
}

void RpcServer::RecheckCallers() {
  exchange_.RecheckCallers();
  sessions_.RecheckCallers();
  broadcasts_.RecheckCallers();
}

void RpcServer::ReportHealth() {
  if (server_ == nullptr) return;
  const bool serving = serving_ && !draining_;
  grpc::HealthCheckServiceInterface* health = server_->GetHealthCheckService();
  health->SetServingStatus(serving);
  // For probes: a process that answers lives, whatever it depends on; and that by name.
  health->SetServingStatus("live", true);
  health->SetServingStatus("redis", serving_);
  for (const char* name : {"sesior.session.v1.SessionService", "sesior.broadcast.v1.BroadcastService",
                           "sesior.presence.v1.PresenceService", "sesior.internal.v1.ExchangeService"}) {
    health->SetServingStatus(name, serving);
  }
}

void RpcServer::Drain(std::chrono::steady_clock::time_point deadline) {
  grpc::Server* server = nullptr;
  {
    absl::MutexLock lock(&mutex_);
    if (server_ == nullptr) return;
    server = server_.get();
    draining_ = true;
    ReportHealth();
  }
  exchange_.GoAway();
  sessions_.GoAway();
  broadcasts_.GoAway();
  const auto left = deadline - std::chrono::steady_clock::now();
  server->Shutdown(std::chrono::system_clock::now() +
                   std::chrono::duration_cast<std::chrono::system_clock::duration>(left));
}

void RpcServer::Stop() {
  std::unique_ptr<grpc::Server> server;
  {
    absl::MutexLock lock(&mutex_);
    server = std::move(server_);
  }
  // Outside the lock: calls that end may ask the core, which may report health.
  if (server == nullptr) return;
  server->Shutdown(std::chrono::system_clock::now());
  server->Wait();
}

}  // namespace sesior::session::rpc
