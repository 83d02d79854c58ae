// WithSession: the first step of every handler that needs the caller's session. Threading: as its caller's.
#pragma once

#include <utility>

#include "services/rest/http/exchange.hpp"
#include "sesior/session_client/session_client.hpp"

namespace sesior::rest {

// Calls `then(exchange, response)` when the caller has a valid session, which counts as use of it; else answers.
template <typename Then>
void WithSession(session_client::SessionClient& sessions, Exchange exchange, Then then) {
  session::v1::ResolveCookieRequest request;
  request.set_cookie_header(exchange.cookie_header());
  if (request.cookie_header().empty()) return std::move(exchange).Fail(absl::UnauthenticatedError(""));
  request.set_touch(true);
  *request.mutable_device() = exchange.device();
  session_client::CallOptions options = exchange.call_options();
  sessions.ResolveCookie(std::move(request), std::move(options),
                         [exchange = std::move(exchange),
                          then = std::move(then)](absl::StatusOr<session::v1::ResolveCookieResponse> resolved) mutable {
                           if (!resolved.ok()) return std::move(exchange).Fail(resolved.status());
                           if (resolved->verdict() != session::v1::COOKIE_VERDICT_VALID) {
                             return std::move(exchange).Fail(absl::UnauthenticatedError(""));
                           }
                           then(std::move(exchange), *std::move(resolved));
                         });
}

}  // namespace sesior::rest
