#include "services/realtime/connection/end_reason.hpp"

namespace sesior::realtime {

std::string_view Text(session::v1::EndReason reason) {
  switch (reason) {
    case session::v1::END_REASON_LOGOUT:
      return "logout";
    case session::v1::END_REASON_LOGIN:
      return "login";
    case session::v1::END_REASON_ROTATION:
      return "rotation";
    case session::v1::END_REASON_REVOKED:
      return "revoked";
    case session::v1::END_REASON_BANNED:
      return "banned";
    case session::v1::END_REASON_EXPIRED:
      return "expired";
    case session::v1::END_REASON_ERASED:
      return "erased";
    case session::v1::END_REASON_LIMIT:
      return "limit";
    default:
      return "ended";
  }
}

}  // namespace sesior::realtime
