// The rooms that stand for a session and for a user, where BroadcastService.Emit sends to: the same words as in
// services/session/rpc/operations.cpp. The connection has each socket in those of its own session; Socket::Join lets it
// into no other of them, Socket::Leave not out of its own, and Socket::Rooms does not tell them. A handle stands for
// the session, whose id goes nowhere.
#pragma once

#include <string>
#include <string_view>

#include "sesior/session/v1/session.pb.h"

namespace sesior::realtime::hub {

inline constexpr std::string_view kSessionRoomPrefix = "$session:";
inline constexpr std::string_view kUserRoomPrefix = "$user:";

inline bool IsReservedRoom(std::string_view room) {
  return room.starts_with(kSessionRoomPrefix) || room.starts_with(kUserRoomPrefix);
}

// Empty: none yet.
inline std::string SessionRoomOf(const session::v1::Session& session) {
  return session.handle().empty() ? std::string() : std::string(kSessionRoomPrefix) + session.handle();
}
inline std::string UserRoomOf(const session::v1::Session& session) {
  return session.user_id().empty() ? std::string() : std::string(kUserRoomPrefix) + session.user_id();
}

}  // namespace sesior::realtime::hub
