#include "services/rest/handlers/session.hpp"

#include <utility>

#include "services/rest/handlers/user_name_claim.hpp"
#include "services/rest/handlers/with_session.hpp"
#include "services/rest/http/json.hpp"
#include "sesior/base/error.hpp"
#include "sesior/http/etag.hpp"

namespace sesior::rest {
namespace {

namespace v1 = session::v1;

http::Response RecordResponse(const v1::Session& session, const std::string& set_cookie) {
  http::Response response(200, "application/json; charset=utf-8", session.data_json());
  response.Add("Cache-Control", "private, no-cache").Add("ETag", session.etag());
  if (!set_cookie.empty()) response.Add("Set-Cookie", set_cookie);
  return response;
}

absl::StatusOr<std::string> ReadPatch(const http::Request& request) {
  absl::StatusOr<std::string> patch = ReadObject(request);
  // The service knows which members are claimed already; this one belongs to no session without a claim.
  if (patch.ok() && HasMember(*patch, kUserNameMember)) {
    return absl::InvalidArgumentError("userName cannot be changed here: it is claimed by POST /register");
  }
  return patch;
}

void Patch(session_client::SessionClient& sessions, Exchange exchange, std::string patch,
           const v1::ResolveCookieResponse& resolved) {
  v1::UpdateSessionRequest request;
  request.mutable_session()->set_session_id(resolved.session().session_id());
  request.set_merge_patch_json(std::move(patch));
  if (const std::optional<std::string> if_match = exchange.request().Joined("If-Match", ", ")) {
    const std::string& etag = resolved.session().etag();
    if (!http::MatchesStrongly(*if_match, etag)) {
      return std::move(exchange).Fail(
          Error(absl::StatusCode::kAborted, "", {.reason = "ETAG_MISMATCH", .field = {}, .retry_after = {}}));
    }
    // "*" asks for any version, the others for the one that was just seen.
    if (*if_match != "*") request.set_etag(etag);
  }
  session_client::CallOptions options = exchange.call_options();
  sessions.UpdateSession(std::move(request), std::move(options),
                         [exchange = std::move(exchange), due_cookie = resolved.set_cookie()](
                             absl::StatusOr<v1::UpdateSessionResponse> updated) mutable {
                           if (!updated.ok()) return std::move(exchange).Fail(updated.status());
                           const std::string& cookie =
                               updated->set_cookie().empty() ? due_cookie : updated->set_cookie();
                           std::move(exchange).Answer(RecordResponse(updated->session(), cookie));
                         });
}

}  // namespace

void GetSession(session_client::SessionClient& sessions, Exchange exchange) {
  WithSession(sessions, std::move(exchange), [](Exchange asked, v1::ResolveCookieResponse resolved) {
    http::Response response = RecordResponse(resolved.session(), resolved.set_cookie());
    const std::optional<std::string> known = asked.request().Joined("If-None-Match", ", ");
    if (known && http::MatchesWeakly(*known, resolved.session().etag())) {
      response = http::Response(304);
      response.Add("Cache-Control", "private, no-cache").Add("ETag", resolved.session().etag());
      if (!resolved.set_cookie().empty()) response.Add("Set-Cookie", resolved.set_cookie());
    }
    std::move(asked).Answer(std::move(response));
  });
}

void PatchSession(session_client::SessionClient& sessions, Exchange exchange) {
  absl::StatusOr<std::string> patch = ReadPatch(exchange.request());
  if (!patch.ok()) return std::move(exchange).Fail(patch.status());
  WithSession(sessions, std::move(exchange),
              [&sessions, patch = *std::move(patch)](Exchange asked, v1::ResolveCookieResponse resolved) mutable {
                Patch(sessions, std::move(asked), std::move(patch), resolved);
              });
}

}  // namespace sesior::rest
