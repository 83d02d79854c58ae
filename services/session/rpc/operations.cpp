#include "services/session/rpc/operations.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "services/session/domain/cookie.hpp"
#include "services/session/domain/errors.hpp"
#include "services/session/rpc/convert.hpp"
#include "sesior/base/error.hpp"
#include "sesior/base/error_metadata.hpp"
#include "sesior/base/json_string.hpp"

namespace sesior::session::rpc {

namespace {

using std::chrono::milliseconds;

constexpr int kMaxBatch = 100;
constexpr int kMaxListed = 1000;
constexpr int kMaxRecoveryRecords = 100;
constexpr std::size_t kMaxRecoveryBytes = std::size_t{64} << 10;

milliseconds ToMillis(const google::protobuf::Duration& duration) {
  return std::chrono::seconds(duration.seconds()) + milliseconds(duration.nanos() / 1'000'000);
}

std::optional<milliseconds> ToMillisOrUnset(bool has, const google::protobuf::Duration& duration) {
  if (!has || ToMillis(duration) == milliseconds(0)) return std::nullopt;
  return ToMillis(duration);
}

// The member `express` of a request.
template <typename Request>
std::optional<ExpressWrite> TakeExpress(Request& request) {
  if (!request.has_express()) return std::nullopt;
  session::v1::ExpressWrite& express = *request.mutable_express();
  return ExpressWrite{.id = SessionId(std::move(*express.mutable_session_id())),
                      .cookie_json = std::move(*express.mutable_cookie_json()),
                      .idle_ttl = ToMillisOrUnset(express.has_idle_ttl(), express.idle_ttl()),
                      .null_placeholder = std::move(*express.mutable_null_placeholder())};
}

void AddClaimResults(const std::vector<std::optional<std::string>>& previous,
                     google::protobuf::RepeatedPtrField<session::v1::ClaimResult>& results) {
  for (const std::optional<std::string>& value : previous) {
    session::v1::ClaimResult& result = *results.Add();
    if (value) result.set_previous_value(*value);
  }
}

// Answers with what a write returns: the three responses have the same fields.
template <typename Response>
Done<SessionResult> AnswerWrite(const Clock& clock, Done<Response> done) {
  return [&clock, done = std::move(done)](absl::StatusOr<SessionResult> result) mutable {
    if (!result.ok()) return std::move(done)(result.status());
    Response response;
    ToProto(std::move(result->session), clock.WallMillis(), *response.mutable_session());
    response.set_set_cookie(std::move(result->set_cookie));
    AddClaimResults(result->previous, *response.mutable_claims());
    std::move(done)(std::move(response));
  };
}

absl::Status CheckAnnouncement(const session::v1::Announcement& announcement) {
  return announcement.has_broadcast() ? CheckBroadcast(announcement.broadcast()) : absl::OkStatus();
}

absl::Status CheckReason(session::v1::EndReason reason) {
  return session::v1::EndReason_IsValid(reason) ? absl::OkStatus() : InvalidField("reason", "is not known");
}

// Whose sessions are meant.
template <typename Request>
absl::StatusOr<UserRef> UserFromProto(const Request& request) {
  UserRef user;
  if (request.has_caller() == !request.user_id().empty()) {
    return InvalidField("user_id", "or caller: exactly one of them must be set");
  }
  if (request.has_caller()) {
    user.caller = FromProto(request.caller());
    return user;
  }
  if (absl::Status status = CheckUserId(request.user_id()); !status.ok()) return status;
  user.user_id = request.user_id();
  return user;
}

// Which rooms stand for whom: realtime has each socket in the one of its session's handle and of its user, and lets no
// application join them otherwise (services/realtime/hub/socket.cpp). Ids of sessions stay here.
std::string SessionRoom(const std::string& session_id) { return "$session:" + HandleOf(SessionId(session_id)); }
std::string UserRoom(const std::string& user_id) { return "$user:" + user_id; }

// What an Emit is to those who deliver it. The packet as a whole is judged with the broadcast: an argument list that is
// no JSON array makes none.
absl::StatusOr<broadcast::v1::Broadcast> BroadcastOf(broadcast::v1::EmitRequest& request) {
  if (request.event().empty()) return InvalidField("event", "is empty");
  const absl::string_view args = absl::StripAsciiWhitespace(request.args_json());
  if (!args.empty() && (args.size() < 2 || args.front() != '[' || args.back() != ']')) {
    return InvalidField("args_json", "must be a JSON array");
  }
  const absl::string_view inner = args.empty() ? args : absl::StripAsciiWhitespace(args.substr(1, args.size() - 2));
  broadcast::v1::Broadcast broadcast;
  broadcast.set_namespace_(request.namespace_().empty() ? "/" : std::move(*request.mutable_namespace_()));
  std::string& packet = *broadcast.mutable_packet()->mutable_args_json();
  packet = absl::StrCat("[", JsonString(request.event()), inner.empty() ? "" : ",", inner, "]");
  broadcast.mutable_packet()->mutable_attachments()->Swap(request.mutable_attachments());
  broadcast.mutable_rooms()->Swap(request.mutable_rooms());
  for (const std::string& user_id : request.user_ids()) {
    if (!CheckUserId(user_id).ok()) return InvalidField("user_ids", "must be ids of users");
    broadcast.add_rooms(UserRoom(user_id));
  }
  for (const std::string& session_id : request.session_ids()) {
    if (session_id.empty()) return InvalidField("session_ids", "must not be empty");
    broadcast.add_rooms(SessionRoom(session_id));
  }
  broadcast.mutable_except()->Swap(request.mutable_except());
  return broadcast;
}

// Keys are kept with a NUL behind them.
bool IsPresenceKey(std::string_view key) {
  return !key.empty() && key.size() <= 1024 && key.find('\0') == std::string_view::npos;
}

// Stands between blanks in what is kept.
bool IsToken(std::string_view text, std::size_t least, std::size_t most) {
  return text.size() >= least && text.size() <= most && std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-';
         });
}

bool IsPrivateId(std::string_view text) { return IsToken(text, 16, 64); }
bool IsReplicaId(std::string_view text) { return IsToken(text, 1, 128); }
constexpr char kPrivateIdRule[] = "must be 16 to 64 characters of [A-Za-z0-9_-]";
constexpr char kReplicaIdRule[] = "must be 1 to 128 characters of [A-Za-z0-9_-]";

absl::Status CheckRecovery(const presence::v1::RecoveryRecord& record) {
  if (!IsPrivateId(record.private_id())) return InvalidField("records.private_id", kPrivateIdRule);
  if (!IsToken(record.socket_id(), 1, 64)) {
    return InvalidField("records.socket_id", "must be 1 to 64 characters of [A-Za-z0-9_-]");
  }
  if (!IsNamespace(record.namespace_())) return InvalidField("records.namespace", kNamespaceRule);
  if (!IsUsableSessionId(record.session_id())) return InvalidField("records.session_id", "is no id of a session");
  if (!IsReplicaId(record.owner_replica_id())) return InvalidField("records.owner_replica_id", kReplicaIdRule);
  if (!presence::v1::RecoveryState_IsValid(record.state())) return InvalidField("records.state", "is not known");
  if (record.ByteSizeLong() > kMaxRecoveryBytes) {
    return Error(absl::StatusCode::kResourceExhausted, "a recovery record is too large (limit 64 KiB)",
                 {.reason = "RECOVERY_TOO_LARGE", .field = "records", .retry_after = {}});
  }
  return absl::OkStatus();
}

RecoveryState FromProto(presence::v1::RecoveryState state) {
  switch (state) {
    case presence::v1::RECOVERY_STATE_CLOSED:
      return RecoveryState::kClosed;
    case presence::v1::RECOVERY_STATE_ENDED:
      return RecoveryState::kEnded;
    default:
      return RecoveryState::kOpen;
  }
}

// Leaves the data out of a session that the caller holds already.
template <typename Response>
void DropIfKnown(const std::string& if_none_match, Response& response) {
  if (if_none_match.empty() || if_none_match != response.session().etag()) return;
  response.set_not_modified(true);
  response.mutable_session()->clear_data_json();
}

}  // namespace

void Operations::Run(session::v1::CreateSessionRequest request, Done<session::v1::CreateSessionResponse> done) {
  if (absl::Status status = CheckAnnouncement(request.announcement()); !status.ok()) return std::move(done)(status);
  CreateRequest create{
      .data_json = std::move(*request.mutable_data_json()),
      .user_id = std::move(*request.mutable_user_id()),
      .client_address = request.device().address(),
      .idle_ttl = ToMillisOrUnset(request.has_idle_ttl(), request.idle_ttl()),
      .absolute_ttl = ToMillisOrUnset(request.has_absolute_ttl(), request.absolute_ttl()),
      .claims = FromProto(request.claims()),
      .announcement = FromProto(std::move(*request.mutable_announcement())),
      .request_id = std::move(*request.mutable_request_id()),
      .express = TakeExpress(request),
      .device = FromProto(request.device()),
  };
  sessions_.Create(std::move(create), AnswerWrite<session::v1::CreateSessionResponse>(clock_, std::move(done)));
}

void Operations::Run(session::v1::GetSessionRequest request, Done<session::v1::GetSessionResponse> done) {
  sessions_.Get(FromProto(request.session()), request.touch(),
                [this, known = std::move(*request.mutable_if_none_match()), with_cookie = request.with_cookie_json(),
                 done = std::move(done)](absl::StatusOr<SessionResult> result) mutable {
                  if (!result.ok()) return std::move(done)(result.status());
                  session::v1::GetSessionResponse response;
                  if (with_cookie) {
                    response.mutable_session()->set_cookie_json(std::move(result->session.cookie_json));
                  }
                  ToProto(std::move(result->session), clock_.WallMillis(), *response.mutable_session());
                  response.set_set_cookie(std::move(result->set_cookie));
                  DropIfKnown(known, response);
                  std::move(done)(std::move(response));
                });
}

void Operations::Run(session::v1::BatchGetSessionsRequest request, Done<session::v1::BatchGetSessionsResponse> done) {
  if (request.session_ids_size() > kMaxBatch) {
    return std::move(done)(InvalidField("session_ids", "are more than 100"));
  }
  // Answers when the last of its reads has; the first error that is not "there is none" fails the whole.
  struct Batch {
    int open = 1;
    absl::Status status;
    session::v1::BatchGetSessionsResponse response;
    Done<session::v1::BatchGetSessionsResponse> done;
    void Close() {
      if (--open > 0) return;
      if (!status.ok()) return std::move(done)(status);
      std::move(done)(std::move(response));
    }
  };
  auto batch = std::make_shared<Batch>();
  batch->done = std::move(done);
  for (const std::string& id : request.session_ids()) {
    ++batch->open;
    sessions_.Get({.id = SessionId(id), .cookie_header = {}}, false,
                  [this, batch, id](absl::StatusOr<SessionResult> result) {
                    if (result.ok()) {
                      ToProto(std::move(result->session), clock_.WallMillis(), *batch->response.add_sessions());
                    } else if (absl::IsNotFound(result.status())) {
                      batch->response.add_missing_ids(id);
                    } else {
                      batch->status.Update(result.status());
                    }
                    batch->Close();
                  });
  }
  batch->Close();
}

void Operations::Run(session::v1::UpdateSessionRequest request, Done<session::v1::UpdateSessionResponse> done) {
  if (request.has_presence() && !IsPresenceKey(request.presence().key())) {
    return std::move(done)(InvalidField("presence.key", "must be 1 to 1024 bytes without NUL"));
  }
  if (absl::Status status = CheckAnnouncement(request.announcement()); !status.ok()) return std::move(done)(status);
  UpdateRequest update{
      .session = FromProto(request.session()),
      .merge_patch_json = std::move(*request.mutable_merge_patch_json()),
      .etag = std::move(*request.mutable_etag()),
      .claims = FromProto(request.claims()),
      .announcement = FromProto(std::move(*request.mutable_announcement())),
      .presence = FromProto(request.presence()),
      .touch = request.touch(),
      .request_id = std::move(*request.mutable_request_id()),
      .express = TakeExpress(request),
      .user_id_if_none = std::move(*request.mutable_user_id_if_none()),
      .device = FromProto(request.device()),
  };
  sessions_.Update(std::move(update), AnswerWrite<session::v1::UpdateSessionResponse>(clock_, std::move(done)));
}

void Operations::Run(session::v1::TouchSessionRequest request, Done<session::v1::TouchSessionResponse> done) {
  sessions_.Touch(FromProto(request.session()), [done = std::move(done)](absl::StatusOr<TouchResult> result) mutable {
    if (!result.ok()) return std::move(done)(result.status());
    session::v1::TouchSessionResponse response;
    if (result->expire_ms) {
      response.mutable_expire_time()->set_seconds(*result->expire_ms / 1000);
      response.mutable_expire_time()->set_nanos(static_cast<int>(*result->expire_ms % 1000) * 1'000'000);
    }
    response.set_touched(result->touched);
    std::move(done)(std::move(response));
  });
}

void Operations::Run(session::v1::RegenerateSessionRequest request, Done<session::v1::RegenerateSessionResponse> done) {
  absl::Status status = CheckAnnouncement(request.announcement());
  status.Update(CheckReason(request.reason()));
  if (!status.ok()) return std::move(done)(status);
  RegenerateRequest regenerate{
      .session = FromProto(request.session()),
      .etag = std::move(*request.mutable_etag()),
      .keep_data = request.keep_data(),
      .reason = request.reason(),
      .rotation = request.reason() == session::v1::END_REASON_ROTATION,
      .merge_patch_json = std::move(*request.mutable_merge_patch_json()),
      .claims = FromProto(request.claims()),
      .user_id = std::move(*request.mutable_user_id()),
      .announcement = FromProto(std::move(*request.mutable_announcement())),
      .request_id = std::move(*request.mutable_request_id()),
      .device = FromProto(request.device()),
  };
  sessions_.Regenerate(std::move(regenerate),
                       AnswerWrite<session::v1::RegenerateSessionResponse>(clock_, std::move(done)));
}

void Operations::Run(session::v1::DestroySessionRequest request, Done<session::v1::DestroySessionResponse> done) {
  if (absl::Status status = CheckReason(request.reason()); !status.ok()) return std::move(done)(status);
  DestroyRequest destroy{
      .session = FromProto(request.session()),
      .etag = std::move(*request.mutable_etag()),
      .reason = request.reason(),
      .request_id = std::move(*request.mutable_request_id()),
  };
  sessions_.Destroy(std::move(destroy), [this, done = std::move(done)](absl::StatusOr<bool> destroyed) mutable {
    if (absl::IsUnauthenticated(destroyed.status())) {
      return std::move(done)(WithMetadata(destroyed.status(), "clear_cookie", sessions_.ClearCookie()));
    }
    if (!destroyed.ok()) return std::move(done)(destroyed.status());
    session::v1::DestroySessionResponse response;
    response.set_destroyed(*destroyed);
    response.set_clear_cookie(sessions_.ClearCookie());
    std::move(done)(std::move(response));
  });
}

void Operations::Run(session::v1::ResolveCookieRequest request, Done<session::v1::ResolveCookieResponse> done) {
  sessions_.Resolve(std::move(*request.mutable_cookie_header()), request.touch(), FromProto(request.device()),
                    [this, known = std::move(*request.mutable_if_none_match()),
                     done = std::move(done)](absl::StatusOr<ResolveResult> result) mutable {
                      if (!result.ok()) return std::move(done)(result.status());
                      session::v1::ResolveCookieResponse response;
                      response.set_verdict(ToProto(result->verdict));
                      if (result->session) {
                        ToProto(*std::move(result->session), clock_.WallMillis(), *response.mutable_session());
                        DropIfKnown(known, response);
                      }
                      response.set_set_cookie(std::move(result->set_cookie));
                      std::move(done)(std::move(response));
                    });
}

void Operations::Run(session::v1::DestroyUserSessionsRequest request,
                     Done<session::v1::DestroyUserSessionsResponse> done) {
  absl::StatusOr<UserRef> user = UserFromProto(request);
  if (!user.ok()) return std::move(done)(user.status());
  if (absl::Status status = CheckReason(request.reason()); !status.ok()) return std::move(done)(status);
  EndRequest end;
  end.user = *std::move(user);
  end.handle = std::move(*request.mutable_handle());
  end.spare = SessionId(std::move(*request.mutable_except_session_id()));
  end.spare_caller = request.except_caller();
  end.reason = request.reason();
  users_.End(std::move(end), [this, done = std::move(done)](absl::StatusOr<EndResult> ended) mutable {
    if (!ended.ok()) return std::move(done)(ended.status());
    session::v1::DestroyUserSessionsResponse response;
    response.set_destroyed_count(ended->count);
    if (ended->caller_ended) response.set_clear_cookie(sessions_.ClearCookie());
    std::move(done)(std::move(response));
  });
}

void Operations::Run(session::v1::ListSessionsRequest request, Done<session::v1::ListSessionsResponse> done) {
  absl::StatusOr<UserRef> user = UserFromProto(request);
  if (!user.ok()) return std::move(done)(user.status());
  if (request.page_size() < 0) return std::move(done)(InvalidField("page_size", "is negative"));
  ListRequest list;
  list.user = *std::move(user);
  list.page_size = request.page_size();
  list.page_token = std::move(*request.mutable_page_token());
  users_.List(std::move(list), [this, done = std::move(done)](absl::StatusOr<ListResult> result) mutable {
    if (!result.ok()) return std::move(done)(result.status());
    session::v1::ListSessionsResponse response;
    for (ListedSession& listed : result->sessions) {
      ToProto(std::move(listed), clock_.WallMillis(), *response.add_sessions());
    }
    response.set_next_page_token(std::move(result->next_page_token));
    response.set_current_handle(std::move(result->current_handle));
    response.set_set_cookie(std::move(result->set_cookie));
    std::move(done)(std::move(response));
  });
}

void Operations::Run(session::v1::EraseUserRequest request, Done<session::v1::EraseUserResponse> done) {
  if (absl::Status status = CheckUserId(request.user_id()); !status.ok()) return std::move(done)(status);
  users_.Erase(std::move(*request.mutable_user_id()), session::v1::END_REASON_ERASED,
               [done = std::move(done)](absl::StatusOr<int> count) mutable {
                 if (!count.ok()) return std::move(done)(count.status());
                 session::v1::EraseUserResponse response;
                 response.set_destroyed_count(*count);
                 std::move(done)(std::move(response));
               });
}

void Operations::ExportIds(session::v1::ExportUserRequest request, Done<std::vector<SessionId>> done) {
  if (absl::Status status = CheckUserId(request.user_id()); !status.ok()) return std::move(done)(status);
  users_.Ids(std::move(*request.mutable_user_id()), std::move(done));
}

void Operations::ExportOne(SessionId id, Done<session::v1::ExportUserResponse> done) {
  sessions_.Get({.id = std::move(id), .cookie_header = {}}, false,
                [this, done = std::move(done)](absl::StatusOr<SessionResult> result) mutable {
                  if (!result.ok()) return std::move(done)(result.status());
                  session::v1::ExportUserResponse response;
                  ToProto(std::move(result->session), clock_.WallMillis(), *response.mutable_session());
                  response.mutable_session()->clear_session_id();
                  std::move(done)(std::move(response));
                });
}

void Operations::Run(broadcast::v1::PublishRequest request, Done<broadcast::v1::PublishResponse> done) {
  if (absl::Status status = CheckBroadcast(request.broadcast()); !status.ok()) return std::move(done)(status);
  store_.Publish(request.broadcast().namespace_(), request.broadcast().SerializeAsString(),
                 std::move(*request.mutable_request_id()), request.broadcast().volatile_(),
                 [done = std::move(done)](absl::StatusOr<StoreReply> reply) mutable {
                   if (!reply.ok()) return std::move(done)(reply.status());
                   broadcast::v1::PublishResponse response;
                   ToProto(reply->position, *response.mutable_position());
                   std::move(done)(std::move(response));
                 });
}

void Operations::Run(broadcast::v1::ReadHistoryRequest request, Done<broadcast::v1::ReadHistoryResponse> done) {
  const int limit = request.limit() == 0 ? 100 : request.limit();
  if (!IsNamespace(request.after().namespace_())) {
    return std::move(done)(InvalidField("after.namespace", kNamespaceRule));
  }
  if (limit < 1 || limit > 1'000) return std::move(done)(InvalidField("limit", "must be 1 to 1,000"));
  store_.ReadHistory(FromProto(request.after()), limit,
                     [done = std::move(done)](absl::StatusOr<StoreHistory> history) mutable {
                       if (!history.ok()) return std::move(done)(history.status());
                       broadcast::v1::ReadHistoryResponse response;
                       response.set_complete(history->found && !MissingIn(*history));
                       ToProto(history->head, *response.mutable_head());
                       for (StoredBroadcast& stored : history->broadcasts) {
                         broadcast::v1::Delivery& delivery = *response.add_deliveries();
                         delivery.set_epoch(std::move(stored.epoch));
                         delivery.set_offset(stored.offset);
                         delivery.mutable_broadcast()->ParseFromString(stored.payload);
                       }
                       std::move(done)(std::move(response));
                     });
}

void Operations::Run(broadcast::v1::GetPositionsRequest request, Done<broadcast::v1::GetPositionsResponse> done) {
  constexpr int kMaxNamespaces = 1'000;
  if (request.namespaces_size() > kMaxNamespaces) {
    return std::move(done)(InvalidField("namespaces", "are more than 1,000"));
  }
  for (const std::string& name_space : request.namespaces()) {
    if (!IsNamespace(name_space)) return std::move(done)(InvalidField("namespaces", kNamespaceRule));
  }
  store_.Positions({request.namespaces().begin(), request.namespaces().end()},
                   [done = std::move(done)](absl::StatusOr<std::vector<StorePosition>> positions) mutable {
                     if (!positions.ok()) return std::move(done)(positions.status());
                     broadcast::v1::GetPositionsResponse response;
                     for (const StorePosition& position : *positions) ToProto(position, *response.add_positions());
                     std::move(done)(std::move(response));
                   });
}

void Operations::Run(broadcast::v1::EmitRequest request, Done<broadcast::v1::EmitResponse> done) {
  absl::StatusOr<broadcast::v1::Broadcast> broadcast = BroadcastOf(request);
  if (!broadcast.ok()) return std::move(done)(broadcast.status());
  broadcast::v1::PublishRequest publish;
  *publish.mutable_broadcast() = *std::move(broadcast);
  publish.set_request_id(std::move(*request.mutable_request_id()));
  Run(std::move(publish), [done = std::move(done)](absl::StatusOr<broadcast::v1::PublishResponse> published) mutable {
    if (!published.ok()) return std::move(done)(published.status());
    broadcast::v1::EmitResponse response;
    *response.mutable_position() = std::move(*published->mutable_position());
    std::move(done)(std::move(response));
  });
}

void Operations::Run(presence::v1::KeepLeaseRequest request, Done<presence::v1::KeepLeaseResponse> done) {
  const milliseconds ttl = request.has_ttl() ? ToMillis(request.ttl()) : milliseconds(10'000);
  if (request.replica_id().empty()) return std::move(done)(InvalidField("replica_id", "is empty"));
  if (ttl < milliseconds(1'000) || ttl > milliseconds(60'000)) {
    return std::move(done)(InvalidField("ttl", "must be 1 s to 60 s"));
  }
  presence_.KeepLease({std::move(*request.mutable_replica_id()), ttl, std::move(*request.mutable_peer_address()),
                       std::move(*request.mutable_entered_epoch())},
                      [done = std::move(done)](absl::StatusOr<LeaseState> state) mutable {
                        if (!state.ok()) return std::move(done)(state.status());
                        presence::v1::KeepLeaseResponse response;
                        response.set_fresh(state->fresh);
                        response.set_epoch(std::move(state->epoch));
                        for (LiveReplica& replica : state->replicas) {
                          presence::v1::KeepLeaseResponse::Replica& listed = *response.add_replicas();
                          listed.set_replica_id(std::move(replica.replica_id));
                          listed.set_peer_address(std::move(replica.peer_address));
                        }
                        for (TakenSocket& socket : state->taken) {
                          presence::v1::KeepLeaseResponse::TakenSocket& taken = *response.add_taken();
                          taken.set_private_id(std::move(socket.private_id));
                          taken.set_socket_id(std::move(socket.socket_id));
                          taken.set_namespace_(std::move(socket.name_space));
                          taken.set_generation(socket.generation);
                        }
                        std::move(done)(std::move(response));
                      });
}

void Operations::Run(presence::v1::ReleaseLeaseRequest request, Done<presence::v1::ReleaseLeaseResponse> done) {
  presence_.ReleaseLease(std::move(*request.mutable_replica_id()),
                         [done = std::move(done)](absl::Status status) mutable {
                           if (!status.ok()) return std::move(done)(status);
                           std::move(done)(presence::v1::ReleaseLeaseResponse());
                         });
}

void Operations::Run(presence::v1::EnterRequest request, Done<presence::v1::EnterResponse> done) {
  for (const broadcast::v1::Broadcast* broadcast : {&request.joined(), &request.left()}) {
    if (!broadcast->has_packet()) continue;
    if (absl::Status status = CheckBroadcast(*broadcast); !status.ok()) return std::move(done)(status);
  }
  if (!IsPresenceKey(request.key())) {
    return std::move(done)(InvalidField("key", "must be 1 to 1024 bytes without NUL"));
  }
  if (!IsNamespace(request.namespace_())) return std::move(done)(InvalidField("namespace", kNamespaceRule));
  EnterRequest enter{
      .replica_id = std::move(*request.mutable_replica_id()),
      .name_space = std::move(*request.mutable_namespace_()),
      .session_id = SessionId(std::move(*request.mutable_session_id())),
      .key = std::move(*request.mutable_key()),
      .value_json = std::move(*request.mutable_value_json()),
      .joined_payload = request.has_joined() ? request.joined().SerializeAsString() : std::string(),
      .left_payload = request.has_left() ? request.left().SerializeAsString() : std::string(),
      .session_revision = request.session_revision(),
  };
  presence_.Enter(std::move(enter), [done = std::move(done)](absl::StatusOr<bool> first) mutable {
    if (!first.ok()) return std::move(done)(first.status());
    presence::v1::EnterResponse response;
    response.set_first(*first);
    std::move(done)(std::move(response));
  });
}

void Operations::Run(presence::v1::LeaveRequest request, Done<presence::v1::LeaveResponse> done) {
  presence_.Leave(std::move(*request.mutable_replica_id()), std::move(*request.mutable_namespace_()),
                  SessionId(std::move(*request.mutable_session_id())),
                  [done = std::move(done)](absl::StatusOr<bool> last) mutable {
                    if (!last.ok()) return std::move(done)(last.status());
                    presence::v1::LeaveResponse response;
                    response.set_last(*last);
                    std::move(done)(std::move(response));
                  });
}

void Operations::Run(presence::v1::ListOnlineRequest request, Done<presence::v1::ListOnlineResponse> done) {
  if (request.limit() < 0 || request.limit() > kMaxListed) {
    return std::move(done)(InvalidField("limit", "must be 0 to 1000"));
  }
  const int limit = request.limit() == 0 ? kMaxListed : request.limit();
  Done<OnlineList> answer = [done = std::move(done)](absl::StatusOr<OnlineList> list) mutable {
    if (!list.ok()) return std::move(done)(list.status());
    presence::v1::ListOnlineResponse response;
    for (OnlineEntry& entry : list->entries) {
      presence::v1::OnlineEntry& listed = *response.add_entries();
      listed.set_key(std::move(entry.key));
      listed.set_value_json(std::move(entry.value_json));
      listed.mutable_since()->set_seconds(entry.since_ms / 1000);
      listed.mutable_since()->set_nanos(static_cast<int>(entry.since_ms % 1000) * 1'000'000);
    }
    response.set_total_count(list->total);
    std::move(done)(std::move(response));
  };
  if (request.order() == presence::v1::ONLINE_ORDER_NEWEST) {
    presence_.ListNewest(std::move(*request.mutable_namespace_()), limit, std::move(answer));
  } else {
    presence_.ListByKey(std::move(*request.mutable_namespace_()), std::move(*request.mutable_after()), limit,
                        std::move(answer));
  }
}

void Operations::Run(presence::v1::CountOnlineRequest request, Done<presence::v1::CountOnlineResponse> done) {
  presence_.CountOnline(std::move(*request.mutable_namespace_()),
                        [done = std::move(done)](absl::StatusOr<std::int64_t> count) mutable {
                          if (!count.ok()) return std::move(done)(count.status());
                          presence::v1::CountOnlineResponse response;
                          response.set_total_count(*count);
                          std::move(done)(std::move(response));
                        });
}

void Operations::Run(presence::v1::SaveRecoveryRequest request, Done<presence::v1::SaveRecoveryResponse> done) {
  if (request.records().empty() || request.records_size() > kMaxRecoveryRecords) {
    return std::move(done)(InvalidField("records", "must be 1 to 100"));
  }
  std::vector<RecoveryRecord> records;
  records.reserve(static_cast<std::size_t>(request.records_size()));
  for (presence::v1::RecoveryRecord& proto : *request.mutable_records()) {
    if (absl::Status status = CheckRecovery(proto); !status.ok()) return std::move(done)(status);
    RecoveryRecord& record = records.emplace_back();
    record.private_id = proto.private_id();
    record.socket_id = proto.socket_id();
    record.name_space = proto.namespace_();
    record.session_id = SessionId(proto.session_id());
    record.owner = proto.owner_replica_id();
    record.generation = proto.generation();
    record.state = FromProto(proto.state());
    presence::v1::RecoveryRecord body;  // what stands nowhere else
    body.mutable_rooms()->Swap(proto.mutable_rooms());
    body.mutable_data_json()->swap(*proto.mutable_data_json());
    record.body = body.SerializeAsString();
  }
  recovery_.Save(std::move(records), [done = std::move(done)](absl::StatusOr<std::vector<std::string>> taken) mutable {
    if (!taken.ok()) return std::move(done)(taken.status());
    presence::v1::SaveRecoveryResponse response;
    for (std::string& private_id : *taken) response.add_taken_private_ids(std::move(private_id));
    std::move(done)(std::move(response));
  });
}

void Operations::Run(presence::v1::TakeRecoveryRequest request, Done<presence::v1::TakeRecoveryResponse> done) {
  if (!IsPrivateId(request.private_id())) return std::move(done)(InvalidField("private_id", kPrivateIdRule));
  if (!IsNamespace(request.namespace_())) return std::move(done)(InvalidField("namespace", kNamespaceRule));
  if (!IsReplicaId(request.new_owner_replica_id())) {
    return std::move(done)(InvalidField("new_owner_replica_id", kReplicaIdRule));
  }
  TakeRecovery take{.private_id = std::move(*request.mutable_private_id()),
                    .name_space = std::move(*request.mutable_namespace_()),
                    .session_id = SessionId(std::move(*request.mutable_session_id())),
                    .new_owner = std::move(*request.mutable_new_owner_replica_id())};
  recovery_.Take(std::move(take), [done = std::move(done)](absl::StatusOr<TakenRecovery> taken) mutable {
    if (!taken.ok()) return std::move(done)(taken.status());
    presence::v1::TakeRecoveryResponse response;
    presence::v1::RecoveryRecord& record = *response.mutable_record();
    if (!record.ParseFromString(taken->record.body)) {
      return std::move(done)(absl::InternalError("a recovery record cannot be read"));
    }
    record.set_private_id(std::move(taken->record.private_id));
    record.set_socket_id(std::move(taken->record.socket_id));
    record.set_namespace_(std::move(taken->record.name_space));
    record.set_session_id(taken->record.session_id.text());
    record.set_owner_replica_id(std::move(taken->record.owner));
    record.set_generation(taken->record.generation);
    record.set_state(presence::v1::RECOVERY_STATE_OPEN);
    response.set_former_owner_replica_id(std::move(taken->former_owner));
    std::move(done)(std::move(response));
  });
}

}  // namespace sesior::session::rpc
