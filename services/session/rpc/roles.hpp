// The least role of every rpc, by its request, as the protos say it: for unary calls, streams and calls in the batched
// stream alike. A request without a line here does not compile as an rpc.
//
// An edge names sessions by cookie or by an id it was given for one. An id is as unguessable as a cookie's signature,
// so what it opens is not told apart; only asking for many at once, by user, or as Express, is.
#pragma once

#include <grpcpp/grpcpp.h>

#include "absl/status/statusor.h"
#include "services/session/domain/callers.hpp"
#include "sesior/broadcast/v1/broadcast.pb.h"
#include "sesior/internal/v1/exchange.pb.h"
#include "sesior/presence/v1/presence.pb.h"
#include "sesior/session/v1/session.pb.h"

namespace sesior::session::rpc {

inline Role LeastRole(const session::v1::CreateSessionRequest& request) {
  return request.has_express() ? Role::kBackend : Role::kEdge;
}
inline Role LeastRole(const session::v1::GetSessionRequest& request) {
  return request.with_cookie_json() ? Role::kBackend : Role::kEdge;
}
inline Role LeastRole(const session::v1::BatchGetSessionsRequest&) { return Role::kBackend; }
inline Role LeastRole(const session::v1::UpdateSessionRequest& request) {
  return request.has_express() ? Role::kBackend : Role::kEdge;
}
inline Role LeastRole(const session::v1::TouchSessionRequest&) { return Role::kEdge; }
inline Role LeastRole(const session::v1::RegenerateSessionRequest&) { return Role::kEdge; }
inline Role LeastRole(const session::v1::DestroySessionRequest&) { return Role::kEdge; }
inline Role LeastRole(const session::v1::ResolveCookieRequest&) { return Role::kEdge; }
inline Role LeastRole(const session::v1::WatchSessionsRequest&) { return Role::kEdge; }
inline Role LeastRole(const session::v1::DestroyUserSessionsRequest& request) {
  const bool own = request.has_caller() && request.user_id().empty() && request.except_session_id().empty();
  return own ? Role::kEdge : Role::kAdmin;
}
inline Role LeastRole(const session::v1::ListSessionsRequest& request) {
  return request.has_caller() && request.user_id().empty() ? Role::kEdge : Role::kAdmin;
}
inline Role LeastRole(const session::v1::EraseUserRequest&) { return Role::kAdmin; }
inline Role LeastRole(const session::v1::ExportUserRequest&) { return Role::kAdmin; }

inline Role LeastRole(const broadcast::v1::PublishRequest&) { return Role::kEdge; }
inline Role LeastRole(const broadcast::v1::EmitRequest&) { return Role::kBackend; }
inline Role LeastRole(const broadcast::v1::SubscribeRequest&) { return Role::kEdge; }
inline Role LeastRole(const broadcast::v1::ReadHistoryRequest&) { return Role::kEdge; }
inline Role LeastRole(const broadcast::v1::GetPositionsRequest&) { return Role::kEdge; }
inline Role LeastRole(const broadcast::v1::RunCommandRequest&) { return Role::kEdge; }

inline Role LeastRole(const presence::v1::KeepLeaseRequest&) { return Role::kEdge; }
inline Role LeastRole(const presence::v1::ReleaseLeaseRequest&) { return Role::kEdge; }
inline Role LeastRole(const presence::v1::EnterRequest&) { return Role::kEdge; }
inline Role LeastRole(const presence::v1::LeaveRequest&) { return Role::kEdge; }
inline Role LeastRole(const presence::v1::ListOnlineRequest&) { return Role::kEdge; }
inline Role LeastRole(const presence::v1::CountOnlineRequest&) { return Role::kEdge; }
inline Role LeastRole(const presence::v1::SaveRecoveryRequest&) { return Role::kEdge; }
inline Role LeastRole(const presence::v1::TakeRecoveryRequest&) { return Role::kEdge; }

inline Role LeastRole(const internal::v1::ExchangeRequest&) { return Role::kEdge; }

// The caller of one call or stream, with the role it had when that began.
// Threading: immutable.
class Caller {
 public:
  // `callers` null: everybody may do everything.
  Caller(const Callers* callers, const grpc::CallbackServerContext& context);

  // OK, or why not.
  absl::Status Allow(Role least) const;
  // False: another role by now, or none.
  bool IsStillWhatItWas() const;

 private:
  const Callers* callers_;
  ShownCredentials shown_;
  absl::StatusOr<Role> role_ = Role::kAdmin;
};

}  // namespace sesior::session::rpc
