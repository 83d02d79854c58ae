// POST /register: claims a name for the caller's session. Without a session one is made; an anonymous one gets a new id
// and keeps its data (else who planted the id would be signed in too); one that has a name is renamed, and others are
// told if it is online.
#pragma once

#include "services/rest/http/exchange.hpp"
#include "sesior/session_client/session_client.hpp"

namespace sesior::rest {

// `sessions` outlives the exchange.
void Register(session_client::SessionClient& sessions, Exchange exchange);

}  // namespace sesior::rest
