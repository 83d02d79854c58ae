// From the domain's values to the messages of the protos and back. Pure functions, thread-safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "services/session/domain/session_service.hpp"
#include "services/session/domain/user_sessions.hpp"
#include "sesior/broadcast/v1/broadcast.pb.h"
#include "sesior/session/v1/session.pb.h"

namespace sesior::session::rpc {

inline constexpr int kMaxAttachments = 10;
inline constexpr std::size_t kMaxBroadcastBytes = std::size_t{1} << 20;

// `now_ms`: wall clock, for expire_time.
void ToProto(SessionView view, std::int64_t now_ms, session::v1::Session& session);
// Without id and data.
void ToProto(ListedSession listed, std::int64_t now_ms, session::v1::Session& session);
session::v1::CookieVerdict ToProto(CookieVerdict verdict);
void ToProto(const StorePosition& position, broadcast::v1::Position& proto);
StorePosition FromProto(const broadcast::v1::Position& position);

Device FromProto(const session::v1::Device& device);
SessionRef FromProto(const session::v1::SessionRef& ref);
std::vector<ClaimRequest> FromProto(const google::protobuf::RepeatedPtrField<session::v1::Claim>& claims);

// A namespace of Socket.IO, as it may stand in our keys.
bool IsNamespace(std::string_view name);
inline constexpr char kNamespaceRule[] = "must begin with / and be at most 256 bytes without blanks and braces";

// kInvalidArgument naming the field: a namespace that does not begin with "/", arguments that are no JSON array
// beginning with a string, a name reserved by Socket.IO, too many attachments. kResourceExhausted: too large.
absl::Status CheckBroadcast(const broadcast::v1::Broadcast& broadcast);
std::optional<Announcement> FromProto(session::v1::Announcement announcement);
std::optional<StorePresenceChange> FromProto(const session::v1::PresenceChange& change);

}  // namespace sesior::session::rpc
