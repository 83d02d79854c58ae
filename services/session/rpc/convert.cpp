#include "services/session/rpc/convert.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "services/session/domain/errors.hpp"
#include "services/session/domain/json_text.hpp"
#include "sesior/base/error.hpp"
#include "sesior/base/utf8.hpp"

namespace sesior::session::rpc {

namespace {

void SetTime(std::int64_t millis, google::protobuf::Timestamp& time) {
  time.set_seconds(millis / 1000);
  time.set_nanos(static_cast<int>(millis % 1000) * 1'000'000);
}

// The first element of a checked JSON array, when it is a string.
std::optional<std::string> EventName(std::string_view args_json) {
  const std::size_t open = args_json.find_first_not_of(" \t\r\n");
  if (open == std::string_view::npos || args_json[open] != '[') return std::nullopt;
  const std::size_t quote = args_json.find_first_not_of(" \t\r\n", open + 1);
  if (quote == std::string_view::npos || args_json[quote] != '"') return std::nullopt;
  std::size_t end = quote + 1;
  while (end < args_json.size() && args_json[end] != '"') end += args_json[end] == '\\' ? 2 : 1;
  if (end >= args_json.size()) return std::nullopt;
  return DecodeJsonString(args_json.substr(quote, end - quote + 1));
}

bool IsReservedEvent(std::string_view name) {
  constexpr std::array<std::string_view, 6> kReserved = {"connect",       "connect_error", "disconnect",
                                                         "disconnecting", "newListener",   "removeListener"};
  return std::find(kReserved.begin(), kReserved.end(), name) != kReserved.end();
}

void ReplaceAll(std::string& text, const std::string& what, const std::string& with) {
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size())) {
    text.replace(at, what.size(), with);
  }
}

void SetStored(StoredSession stored, std::int64_t now_ms, session::v1::Session& session) {
  session.set_user_id(std::move(stored.user_id));
  session.set_etag('"' + stored.etag + '"');
  session.set_revision(stored.revision);
  SetTime(stored.created_ms, *session.mutable_create_time());
  SetTime(std::max(stored.last_seen_ms, stored.created_ms), *session.mutable_last_seen_time());
  if (stored.ttl) SetTime(now_ms + stored.ttl->count(), *session.mutable_expire_time());
  if (stored.absolute_expiry_ms > 0) SetTime(stored.absolute_expiry_ms, *session.mutable_absolute_expire_time());
  session.set_foreign_writer(stored.foreign_writer);
  if (stored.device.empty()) return;
  session.mutable_device()->set_address(std::move(stored.device.address));
  session.mutable_device()->set_user_agent(std::move(stored.device.user_agent));
  session.mutable_device()->set_label(std::move(stored.device.label));
}

}  // namespace

void ToProto(SessionView view, std::int64_t now_ms, session::v1::Session& session) {
  session.set_session_id(view.id.text());
  session.set_handle(HandleOf(view.id));
  session.set_data_json(std::move(view.data_json));
  SetStored(std::move(view.stored), now_ms, session);
}

void ToProto(ListedSession listed, std::int64_t now_ms, session::v1::Session& session) {
  session.set_handle(std::move(listed.handle));
  SetStored(std::move(listed.stored), now_ms, session);
}

session::v1::CookieVerdict ToProto(CookieVerdict verdict) {
  switch (verdict) {
    case CookieVerdict::kAbsent:
      return session::v1::COOKIE_VERDICT_ABSENT;
    case CookieVerdict::kMalformed:
      return session::v1::COOKIE_VERDICT_MALFORMED;
    case CookieVerdict::kBadSignature:
      return session::v1::COOKIE_VERDICT_FORGED;
    case CookieVerdict::kGood:
      return session::v1::COOKIE_VERDICT_VALID;
    case CookieVerdict::kUnknown:
      return session::v1::COOKIE_VERDICT_UNKNOWN;
  }
  return session::v1::COOKIE_VERDICT_UNSPECIFIED;
}

void ToProto(const StorePosition& position, broadcast::v1::Position& proto) {
  proto.set_namespace_(position.name_space);
  proto.set_epoch(position.epoch);
  proto.set_offset(position.offset);
}

StorePosition FromProto(const broadcast::v1::Position& position) {
  return {.name_space = position.namespace_(), .epoch = position.epoch(), .offset = position.offset()};
}

Device FromProto(const session::v1::Device& device) {
  return {.address = device.address(), .user_agent = device.user_agent(), .label = device.label()};
}

SessionRef FromProto(const session::v1::SessionRef& ref) {
  return {.id = SessionId(ref.session_id()), .cookie_header = ref.cookie_header()};
}

std::vector<ClaimRequest> FromProto(const google::protobuf::RepeatedPtrField<session::v1::Claim>& claims) {
  std::vector<ClaimRequest> requests;
  for (const session::v1::Claim& claim : claims) {
    requests.push_back({.name_space = claim.namespace_(),
                        .value = claim.value(),
                        .member = claim.member(),
                        .previous_placeholder = claim.previous_placeholder()});
  }
  return requests;
}

bool IsNamespace(std::string_view name) {
  return name.starts_with('/') && name.size() <= 256 && IsValidUtf8(name) &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return static_cast<unsigned char>(c) > ' ' && c != '{' && c != '}' && c != '\x7f'; });
}

absl::Status CheckBroadcast(const broadcast::v1::Broadcast& broadcast) {
  if (!IsNamespace(broadcast.namespace_())) return InvalidField("broadcast.namespace", kNamespaceRule);
  const std::string& args = broadcast.packet().args_json();
  if (!CheckJson(args, kAnyDepth).ok()) return InvalidField("broadcast.packet.args_json", "is not JSON");
  const std::optional<std::string> event = EventName(args);
  if (!event) return InvalidField("broadcast.packet.args_json", "must be an array that begins with the event's name");
  if (IsReservedEvent(*event)) return InvalidField("broadcast.packet.args_json", "uses a name reserved by Socket.IO");
  if (broadcast.packet().attachments_size() > kMaxAttachments) {
    return InvalidField("broadcast.packet.attachments", "are more than 10");
  }
  if (broadcast.ByteSizeLong() > kMaxBroadcastBytes) {
    return Error(absl::StatusCode::kResourceExhausted, "the broadcast is larger than 1 MiB",
                 {.reason = "BROADCAST_TOO_LARGE", .field = "broadcast", .retry_after = {}});
  }
  return absl::OkStatus();
}

std::optional<Announcement> FromProto(session::v1::Announcement announcement) {
  if (!announcement.has_broadcast()) return std::nullopt;
  Announcement made;
  made.name_space = announcement.broadcast().namespace_();
  made.only_if_online = announcement.only_if_online();
  made.is_volatile = announcement.broadcast().volatile_();
  made.payload = [broadcast =
                      std::move(*announcement.mutable_broadcast())](const Announcement::Substitutions& substitutions) {
    broadcast::v1::Broadcast filled = broadcast;
    for (const auto& [placeholder, json] : substitutions) {
      if (!placeholder.empty()) {
        ReplaceAll(*filled.mutable_packet()->mutable_args_json(), '"' + placeholder + '"', json);
      }
    }
    return filled.SerializeAsString();
  };
  return made;
}

std::optional<StorePresenceChange> FromProto(const session::v1::PresenceChange& change) {
  if (change.namespace_().empty()) return std::nullopt;
  return StorePresenceChange{.name_space = change.namespace_(),
                             .key = change.key(),
                             .value_json = change.value_json(),
                             .left_payload = change.has_left() ? change.left().SerializeAsString() : std::string()};
}

}  // namespace sesior::session::rpc
