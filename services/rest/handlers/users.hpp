// GET /users?after=&limit=: who is online on any replica, by name.
#pragma once

#include "services/rest/http/exchange.hpp"
#include "sesior/session_client/session_client.hpp"

namespace sesior::rest {

void ListUsers(session_client::SessionClient& sessions, Exchange exchange);

}  // namespace sesior::rest
