// Operations: what every rpc does, once, whether it came as a unary call or in the batched stream: messages in,
// messages out, the rules of the domain in between. Ownership: refers to the parts of the domain, which must outlive
// it. Threading: confined to the core executor; `done` runs there, once, and may run inside the call when nothing had
// to be
//            asked of Redis.
// Errors:    as the protos say.
#pragma once

#include <vector>

#include "services/session/domain/presence_store.hpp"
#include "services/session/domain/recovery_store.hpp"
#include "services/session/domain/session_service.hpp"
#include "services/session/domain/session_store.hpp"
#include "services/session/domain/user_sessions.hpp"
#include "sesior/base/clock.hpp"
#include "sesior/base/done.hpp"
#include "sesior/broadcast/v1/broadcast.pb.h"
#include "sesior/presence/v1/presence.pb.h"
#include "sesior/session/v1/session.pb.h"

namespace sesior::session::rpc {

class Operations {
 public:
  Operations(SessionService& sessions, SessionStore& store, PresenceStore& presence, RecoveryStore& recovery,
             const Clock& clock)
      : sessions_(sessions), store_(store), presence_(presence), recovery_(recovery), clock_(clock) {}

  void Run(session::v1::CreateSessionRequest request, Done<session::v1::CreateSessionResponse> done);
  void Run(session::v1::GetSessionRequest request, Done<session::v1::GetSessionResponse> done);
  void Run(session::v1::BatchGetSessionsRequest request, Done<session::v1::BatchGetSessionsResponse> done);
  void Run(session::v1::UpdateSessionRequest request, Done<session::v1::UpdateSessionResponse> done);
  void Run(session::v1::TouchSessionRequest request, Done<session::v1::TouchSessionResponse> done);
  void Run(session::v1::RegenerateSessionRequest request, Done<session::v1::RegenerateSessionResponse> done);
  void Run(session::v1::DestroySessionRequest request, Done<session::v1::DestroySessionResponse> done);
  void Run(session::v1::ResolveCookieRequest request, Done<session::v1::ResolveCookieResponse> done);

  void Run(session::v1::DestroyUserSessionsRequest request, Done<session::v1::DestroyUserSessionsResponse> done);
  void Run(session::v1::ListSessionsRequest request, Done<session::v1::ListSessionsResponse> done);
  void Run(session::v1::EraseUserRequest request, Done<session::v1::EraseUserResponse> done);
  // The parts of an export: the ids, then each session, without its id (kNotFound: it has ended meanwhile).
  void ExportIds(session::v1::ExportUserRequest request, Done<std::vector<SessionId>> done);
  void ExportOne(SessionId id, Done<session::v1::ExportUserResponse> done);

  void Run(broadcast::v1::PublishRequest request, Done<broadcast::v1::PublishResponse> done);
  void Run(broadcast::v1::ReadHistoryRequest request, Done<broadcast::v1::ReadHistoryResponse> done);
  void Run(broadcast::v1::GetPositionsRequest request, Done<broadcast::v1::GetPositionsResponse> done);
  void Run(broadcast::v1::EmitRequest request, Done<broadcast::v1::EmitResponse> done);

  void Run(presence::v1::KeepLeaseRequest request, Done<presence::v1::KeepLeaseResponse> done);
  void Run(presence::v1::ReleaseLeaseRequest request, Done<presence::v1::ReleaseLeaseResponse> done);
  void Run(presence::v1::EnterRequest request, Done<presence::v1::EnterResponse> done);
  void Run(presence::v1::LeaveRequest request, Done<presence::v1::LeaveResponse> done);
  void Run(presence::v1::ListOnlineRequest request, Done<presence::v1::ListOnlineResponse> done);
  void Run(presence::v1::CountOnlineRequest request, Done<presence::v1::CountOnlineResponse> done);

  void Run(presence::v1::SaveRecoveryRequest request, Done<presence::v1::SaveRecoveryResponse> done);
  void Run(presence::v1::TakeRecoveryRequest request, Done<presence::v1::TakeRecoveryResponse> done);

 private:
  SessionService& sessions_;
  SessionStore& store_;
  UserSessions users_{sessions_, store_};
  PresenceStore& presence_;
  RecoveryStore& recovery_;
  const Clock& clock_;
};

}  // namespace sesior::session::rpc
