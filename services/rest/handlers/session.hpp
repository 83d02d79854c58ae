// GET /session: the caller's own record, with its ETag. PATCH /session: a merge patch into it, with If-Match.
#pragma once

#include "services/rest/http/exchange.hpp"
#include "sesior/session_client/session_client.hpp"

namespace sesior::rest {

void GetSession(session_client::SessionClient& sessions, Exchange exchange);
void PatchSession(session_client::SessionClient& sessions, Exchange exchange);

}  // namespace sesior::rest
