// SessionClient: how REST and realtime reach the session service. An interface, so that handlers are tested with a fake
// (tests/support/fake_session_client.hpp); MakeSessionClient (grpc_session_client.hpp) makes the real one.
//
// Delivery:  a call goes to the replica that the hash of its session (or of the client's home) chooses, so that calls
//            which name one session in the same way (by id, or by one Cookie header) stay in order as long as the
//            replicas do.
//            A call whose replica is lost is repeated elsewhere, with the same request_id, within its timeout and at
//            most 4 times; the client gives mutating calls a request_id when they have none.
// Ownership: the client owns every `done` until it has called it. It outlives its watches and subscriptions.
// Threading: thread-safe. `done` and handlers run on threads of the client, never inside the starting call; they must
//            not block: hop to your own executor.
// Errors:    as the proto of the rpc says; besides kUnavailable (no replica can be reached: a wait is advised, see
//            DetailsOf), kDeadlineExceeded, kResourceExhausted (1,024 calls or 4 MiB waiting on one replica: at once).
//            kUnavailable and kDeadlineExceeded never mean "logged out".
// Shutdown:  the destructor fails what is open with kCancelled and returns only when no callback is running.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "sesior/base/done.hpp"
#include "sesior/broadcast/v1/broadcast.pb.h"
#include "sesior/presence/v1/presence.pb.h"
#include "sesior/session/v1/session.pb.h"

namespace sesior::session_client {

struct CallOptions {
  std::chrono::milliseconds timeout{2000};  // > 0
  std::string correlation_id{};             // for logs; from X-Request-Id
  std::string traceparent{};                // W3C trace context, passed on as it is
};

using SessionPtr = std::shared_ptr<const session::v1::Session>;

// What a watch tells. The first event answers the Watch() call: kCurrent, kRefused, or an error status.
struct WatchEvent {
  enum class Kind {
    kCurrent,  // the session as it is now; also after a reconnect when something changed meanwhile
    kRefused,  // no valid session behind the cookie or id; the watch is over
    kUpdated,
    kTouched,  // only expire_time moved
    kEnded,    // destroyed, expired or replaced; the watch is over
  };
  Kind kind = Kind::kCurrent;
  SessionPtr session;  // with kCurrent, kUpdated, kTouched; never null there
  session::v1::EndReason reason = session::v1::END_REASON_UNSPECIFIED;           // with kEnded
  session::v1::CookieVerdict verdict = session::v1::COOKIE_VERDICT_UNSPECIFIED;  // with kRefused
};
// An error can only be the first event; the watch is over then. Outages later on are bridged in silence: the watch is
// taken up on another replica and tells what changed meanwhile.
using OnWatchEvent = absl::AnyInvocable<void(absl::StatusOr<WatchEvent>)>;

// What a subscription tells, in order.
class SubscriptionHandler {
 public:
  virtual ~SubscriptionHandler() = default;
  // Batches as they came; the responses' deliveries, started positions and gaps.
  virtual void OnBroadcasts(const broadcast::v1::SubscribeResponse& response) = 0;
  // The stream is lost (`false`) or stands again (`true`). Between the two nothing arrives; what was missed follows, or
  // a gap is told, as far as the service keeps a history.
  virtual void OnConnected(bool connected) = 0;
};

// Destroying it ends the watch or subscription; its handler is never called after the destructor returned, unless the
// destructor runs inside that handler.
class Registration {
 public:
  virtual ~Registration() = default;
};

class SessionClient {
 public:
  virtual ~SessionClient() = default;

  virtual void ResolveCookie(session::v1::ResolveCookieRequest request, CallOptions options,
                             Done<session::v1::ResolveCookieResponse> done) = 0;
  virtual void CreateSession(session::v1::CreateSessionRequest request, CallOptions options,
                             Done<session::v1::CreateSessionResponse> done) = 0;
  virtual void GetSession(session::v1::GetSessionRequest request, CallOptions options,
                          Done<session::v1::GetSessionResponse> done) = 0;
  virtual void UpdateSession(session::v1::UpdateSessionRequest request, CallOptions options,
                             Done<session::v1::UpdateSessionResponse> done) = 0;
  virtual void TouchSession(session::v1::TouchSessionRequest request, CallOptions options,
                            Done<session::v1::TouchSessionResponse> done) = 0;
  virtual void RegenerateSession(session::v1::RegenerateSessionRequest request, CallOptions options,
                                 Done<session::v1::RegenerateSessionResponse> done) = 0;
  virtual void DestroySession(session::v1::DestroySessionRequest request, CallOptions options,
                              Done<session::v1::DestroySessionResponse> done) = 0;
  // A user's sessions. An edge names its caller's session, never a user.
  virtual void ListSessions(session::v1::ListSessionsRequest request, CallOptions options,
                            Done<session::v1::ListSessionsResponse> done) = 0;
  virtual void DestroyUserSessions(session::v1::DestroyUserSessionsRequest request, CallOptions options,
                                   Done<session::v1::DestroyUserSessionsResponse> done) = 0;

  virtual void Publish(broadcast::v1::PublishRequest request, CallOptions options,
                       Done<broadcast::v1::PublishResponse> done) = 0;

  virtual void KeepLease(presence::v1::KeepLeaseRequest request, CallOptions options,
                         Done<presence::v1::KeepLeaseResponse> done) = 0;
  virtual void ReleaseLease(presence::v1::ReleaseLeaseRequest request, CallOptions options,
                            Done<presence::v1::ReleaseLeaseResponse> done) = 0;
  virtual void Enter(presence::v1::EnterRequest request, CallOptions options,
                     Done<presence::v1::EnterResponse> done) = 0;
  virtual void Leave(presence::v1::LeaveRequest request, CallOptions options,
                     Done<presence::v1::LeaveResponse> done) = 0;
  virtual void ListOnline(presence::v1::ListOnlineRequest request, CallOptions options,
                          Done<presence::v1::ListOnlineResponse> done) = 0;
  virtual void SaveRecovery(presence::v1::SaveRecoveryRequest request, CallOptions options,
                            Done<presence::v1::SaveRecoveryResponse> done) = 0;
  // Repeated elsewhere after a loss, it may find nothing although it took the record.
  virtual void TakeRecovery(presence::v1::TakeRecoveryRequest request, CallOptions options,
                            Done<presence::v1::TakeRecoveryResponse> done) = 0;

  // Resolves the session and watches it, in one round trip. `first_timeout` bounds the wait for the first event.
  virtual std::unique_ptr<Registration> Watch(session::v1::SessionRef session, std::chrono::milliseconds first_timeout,
                                              OnWatchEvent on_event) = 0;

  // Receives the broadcasts of `namespace_name` ("/") from now on. `handler` must outlive the registration.
  virtual std::unique_ptr<Registration> Subscribe(std::string replica_id, std::string namespace_name,
                                                  SubscriptionHandler& handler) = 0;

  // Whether at least one replica can be called right now.
  virtual bool connected() const = 0;
};

}  // namespace sesior::session_client
