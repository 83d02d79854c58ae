// The public packages over gRPC: unary rpcs as thin adapters to Operations, WatchSessions on the WatchHub, Subscribe on
// the BroadcastHub. What is not listed here answers UNIMPLEMENTED. Each asks for its role first (roles.hpp).
// Threading: thread-safe; everything they refer to must outlive the gRPC server.
#pragma once

#include "services/session/domain/callers.hpp"
#include "services/session/domain/executor.hpp"
#include "services/session/rpc/broadcast_hub.hpp"
#include "services/session/rpc/live_streams.hpp"
#include "services/session/rpc/operations.hpp"
#include "services/session/rpc/rpc_metrics.hpp"
#include "services/session/rpc/watch_hub.hpp"
#include "sesior/broadcast/v1/broadcast.grpc.pb.h"
#include "sesior/presence/v1/presence.grpc.pb.h"
#include "sesior/session/v1/session.grpc.pb.h"

namespace sesior::session::rpc {

// What all of them need.
struct ServiceParts {
  Operations& operations;
  Executor& core;
  RpcMetrics& metrics;
  // Who may do what; null: every caller everything, which is for loopback alone.
  const Callers* callers = nullptr;
};

class SessionRpcs final : public session::v1::SessionService::CallbackService {
 public:
  SessionRpcs(ServiceParts parts, WatchHub& hub);
  ~SessionRpcs() override;
  void GoAway();
  // On the core, when what callers have to show has changed.
  void RecheckCallers();

  using Context = grpc::CallbackServerContext;
  using Reactor = grpc::ServerUnaryReactor;
  Reactor* CreateSession(Context*, const session::v1::CreateSessionRequest*,
                         session::v1::CreateSessionResponse*) override;
  Reactor* GetSession(Context*, const session::v1::GetSessionRequest*, session::v1::GetSessionResponse*) override;
  Reactor* BatchGetSessions(Context*, const session::v1::BatchGetSessionsRequest*,
                            session::v1::BatchGetSessionsResponse*) override;
  Reactor* UpdateSession(Context*, const session::v1::UpdateSessionRequest*,
                         session::v1::UpdateSessionResponse*) override;
  Reactor* TouchSession(Context*, const session::v1::TouchSessionRequest*, session::v1::TouchSessionResponse*) override;
  Reactor* RegenerateSession(Context*, const session::v1::RegenerateSessionRequest*,
                             session::v1::RegenerateSessionResponse*) override;
  Reactor* DestroySession(Context*, const session::v1::DestroySessionRequest*,
                          session::v1::DestroySessionResponse*) override;
  Reactor* ResolveCookie(Context*, const session::v1::ResolveCookieRequest*,
                         session::v1::ResolveCookieResponse*) override;
  Reactor* DestroyUserSessions(Context*, const session::v1::DestroyUserSessionsRequest*,
                               session::v1::DestroyUserSessionsResponse*) override;
  Reactor* ListSessions(Context*, const session::v1::ListSessionsRequest*, session::v1::ListSessionsResponse*) override;
  Reactor* EraseUser(Context*, const session::v1::EraseUserRequest*, session::v1::EraseUserResponse*) override;
  grpc::ServerWriteReactor<session::v1::ExportUserResponse>* ExportUser(Context*,
                                                                        const session::v1::ExportUserRequest*) override;
  grpc::ServerBidiReactor<session::v1::WatchSessionsRequest, session::v1::WatchSessionsResponse>* WatchSessions(
      Context*) override;

 private:
  class WatchStream;
  class Export;

  ServiceParts parts_;
  WatchHub& hub_;
  LiveStreams<WatchStream> streams_;
};

// Subscribe is served raw: the bytes of a delivery are the same for every stream and made once.
// The other rpcs are as everywhere.
class BroadcastRpcs final : public broadcast::v1::BroadcastService::WithRawCallbackMethod_Subscribe<
                                broadcast::v1::BroadcastService::WithCallbackMethod_Publish<
                                    broadcast::v1::BroadcastService::WithCallbackMethod_ReadHistory<
                                        broadcast::v1::BroadcastService::WithCallbackMethod_GetPositions<
                                            broadcast::v1::BroadcastService::WithCallbackMethod_Emit<
                                                broadcast::v1::BroadcastService::Service>>>>> {
 public:
  // A subscriber with more than this waiting is ended with RESOURCE_EXHAUSTED and resumes by position.
  static constexpr std::size_t kMaxWaitingBytes = std::size_t{8} << 20;

  BroadcastRpcs(ServiceParts parts, BroadcastHub& hub);
  ~BroadcastRpcs() override;
  void GoAway();
  void RecheckCallers();

  grpc::ServerUnaryReactor* Publish(grpc::CallbackServerContext*, const broadcast::v1::PublishRequest*,
                                    broadcast::v1::PublishResponse*) override;
  grpc::ServerUnaryReactor* ReadHistory(grpc::CallbackServerContext*, const broadcast::v1::ReadHistoryRequest*,
                                        broadcast::v1::ReadHistoryResponse*) override;
  grpc::ServerUnaryReactor* GetPositions(grpc::CallbackServerContext*, const broadcast::v1::GetPositionsRequest*,
                                         broadcast::v1::GetPositionsResponse*) override;
  grpc::ServerUnaryReactor* Emit(grpc::CallbackServerContext*, const broadcast::v1::EmitRequest*,
                                 broadcast::v1::EmitResponse*) override;
  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Subscribe(grpc::CallbackServerContext*) override;

 private:
  class SubscribeStream;

  ServiceParts parts_;
  BroadcastHub& hub_;
  LiveStreams<SubscribeStream> streams_;
};

class PresenceRpcs final : public presence::v1::PresenceService::CallbackService {
 public:
  explicit PresenceRpcs(ServiceParts parts) : parts_(parts) {}

  using Context = grpc::CallbackServerContext;
  using Reactor = grpc::ServerUnaryReactor;
  Reactor* KeepLease(Context*, const presence::v1::KeepLeaseRequest*, presence::v1::KeepLeaseResponse*) override;
  Reactor* ReleaseLease(Context*, const presence::v1::ReleaseLeaseRequest*,
                        presence::v1::ReleaseLeaseResponse*) override;
  Reactor* Enter(Context*, const presence::v1::EnterRequest*, presence::v1::EnterResponse*) override;
  Reactor* Leave(Context*, const presence::v1::LeaveRequest*, presence::v1::LeaveResponse*) override;
  Reactor* ListOnline(Context*, const presence::v1::ListOnlineRequest*, presence::v1::ListOnlineResponse*) override;
  Reactor* CountOnline(Context*, const presence::v1::CountOnlineRequest*, presence::v1::CountOnlineResponse*) override;
  Reactor* SaveRecovery(Context*, const presence::v1::SaveRecoveryRequest*,
                        presence::v1::SaveRecoveryResponse*) override;
  Reactor* TakeRecovery(Context*, const presence::v1::TakeRecoveryRequest*,
                        presence::v1::TakeRecoveryResponse*) override;

 private:
  ServiceParts parts_;
};

}  // namespace sesior::session::rpc
