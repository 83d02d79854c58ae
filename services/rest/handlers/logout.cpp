#include "services/rest/handlers/logout.hpp"

#include <utility>

#include "sesior/base/error_metadata.hpp"

namespace sesior::rest {
namespace {

namespace v1 = session::v1;

// Where the service was not asked, or does not say how its cookie is forgotten.
constexpr char kForgetCookie[] = "connect.sid=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly";

http::Response LoggedOut(const std::string& clear_cookie) {
  http::Response response(204);
  response.Add("Cache-Control", "no-store");
  response.Add("Set-Cookie", clear_cookie.empty() ? kForgetCookie : clear_cookie);
  return response;
}

}  // namespace

void Logout(session_client::SessionClient& sessions, Exchange exchange) {
  v1::DestroySessionRequest request;
  request.mutable_session()->set_cookie_header(exchange.cookie_header());
  if (request.session().cookie_header().empty()) return std::move(exchange).Answer(LoggedOut(""));
  request.set_reason(v1::END_REASON_LOGOUT);
  session_client::CallOptions options = exchange.call_options();
  sessions.DestroySession(
      std::move(request), std::move(options),
      [exchange = std::move(exchange)](absl::StatusOr<v1::DestroySessionResponse> destroyed) mutable {
        // A cookie that is not good: there is nothing to destroy.
        if (absl::IsUnauthenticated(destroyed.status())) {
          return std::move(exchange).Answer(LoggedOut(MetadataOf(destroyed.status())["clear_cookie"]));
        }
        if (!destroyed.ok()) return std::move(exchange).Fail(destroyed.status());
        std::move(exchange).Answer(LoggedOut(destroyed->clear_cookie()));
      });
}

}  // namespace sesior::rest
