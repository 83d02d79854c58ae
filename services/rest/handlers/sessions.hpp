// GET /sessions: all sessions of the caller's user, newest first: what device, from where, since and until when used;
// named by handles, never by ids. DELETE /sessions/{handle} ends one of them, DELETE /sessions?except=current all
// others, DELETE /sessions all. The session service sees to it that a caller reaches its own user's sessions only. POST
// /sessions/link: for another device, which gives it to POST /register as `link` and becomes the same user; good once,
// for five minutes. It is a session of the user that waits for its device: listed, and ended like any other.
#pragma once

#include "services/rest/http/exchange.hpp"
#include "sesior/session_client/session_client.hpp"

namespace sesior::rest {

void ListSessions(session_client::SessionClient& sessions, Exchange exchange);
void EndSessions(session_client::SessionClient& sessions, Exchange exchange);
void EndSession(session_client::SessionClient& sessions, Exchange exchange);
void MakeLink(session_client::SessionClient& sessions, Exchange exchange);

}  // namespace sesior::rest
