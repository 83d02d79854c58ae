// POST /logout: destroys the caller's session, which ends all its sockets everywhere, and clears the cookie. Without a
// session, or with a cookie that is not good, nothing is to be done, and the cookie is cleared all the same.
#pragma once

#include "services/rest/http/exchange.hpp"
#include "sesior/session_client/session_client.hpp"

namespace sesior::rest {

void Logout(session_client::SessionClient& sessions, Exchange exchange);

}  // namespace sesior::rest
