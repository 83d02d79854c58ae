#include "services/rest/handlers/logout.hpp"

#include <utility>

namespace sesior::rest {
namespace {

namespace v1 = session::v1;

void Destroy(session_client::SessionClient& sessions, Exchange exchange, std::string cookie_header) {
  v1::DestroySessionRequest request;
  const bool asked_for_none = cookie_header.empty();
  request.mutable_session()->set_cookie_header(std::move(cookie_header));
  request.set_reason(v1::END_REASON_LOGOUT);
  session_client::CallOptions options = exchange.call_options();
  sessions.DestroySession(std::move(request), std::move(options),
                          [&sessions, exchange = std::move(exchange),
                           asked_for_none](absl::StatusOr<v1::DestroySessionResponse> destroyed) mutable {
                            if (absl::IsUnauthenticated(destroyed.status()) && !asked_for_none) {
                              // The cookie is not good. What clears it only the service knows: ask as one who has none.
                              return Destroy(sessions, std::move(exchange), "");
                            }
                            if (!destroyed.ok() && !absl::IsUnauthenticated(destroyed.status())) {
                              return std::move(exchange).Fail(destroyed.status());
                            }
                            http::Response response(204);
                            response.Add("Cache-Control", "no-store");
                            if (destroyed.ok() && !destroyed->clear_cookie().empty())
                              response.Add("Set-Cookie", destroyed->clear_cookie());
                            std::move(exchange).Answer(std::move(response));
                          });
}

}  // namespace

void Logout(session_client::SessionClient& sessions, Exchange exchange) {
  std::string cookie_header = exchange.cookie_header();
  Destroy(sessions, std::move(exchange), std::move(cookie_header));
}

}  // namespace sesior::rest
