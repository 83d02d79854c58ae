// How the example application keeps a user's name: a member of the record, claimed so that it belongs to one session.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "services/rest/http/json.hpp"
#include "sesior/base/ids.hpp"
#include "sesior/session/v1/session.pb.h"

namespace sesior::rest {

inline constexpr char kUserNameMember[] = "userName";

inline session::v1::Claim UserNameClaim(std::string_view name) {
  session::v1::Claim claim;
  claim.set_namespace_(kUserNameMember);
  claim.set_value(std::string(name));
  claim.set_member(kUserNameMember);
  return claim;
}

// A user is an id of its own, made when a session gets its first name: names change, and may be another's later.
inline std::string NewUserId() { return "u-" + NewRequestId(); }

// The name in a record; nullopt: it has none.
inline std::optional<std::string> UserNameIn(const session::v1::Session& session) {
  std::optional<std::string> name = StringMember(session.data_json(), kUserNameMember);
  if (name && name->empty()) name.reset();
  return name;
}

}  // namespace sesior::rest
