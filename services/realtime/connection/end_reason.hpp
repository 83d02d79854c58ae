// Why a session ended, in the words that clients get with "session:ended": the one table. Threading: pure functions.
#pragma once

#include <string_view>

#include "sesior/session/v1/session.pb.h"

namespace sesior::realtime {

// "logout", "login" (the id was replaced at a sign-in), "rotation", "revoked" (by the user, from another device),
// "banned", "expired", "erased", "limit" (the user has signed in elsewhere too often); "ended": not known.
std::string_view Text(session::v1::EndReason reason);

}  // namespace sesior::realtime
