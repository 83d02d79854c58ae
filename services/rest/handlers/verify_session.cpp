#include "services/rest/handlers/verify_session.hpp"

#include <functional>
#include <optional>
#include <utility>

#include "services/rest/handlers/user_name_claim.hpp"
#include "services/rest/http/json.hpp"
#include "sesior/base/json_string.hpp"
#include "sesior/base/user_name.hpp"

namespace sesior::rest {
namespace {

namespace v1 = session::v1;

void AnswerName(Exchange exchange, const std::optional<std::string>& name, const std::string& set_cookie) {
  http::Response answer =
      name ? JsonResponse(200, R"({"sessionVerified":true,"user":{"userName":)" + JsonString(*name) + "}}")
           : JsonResponse(200, R"({"sessionVerified":false})");
  if (!set_cookie.empty()) answer.Add("Set-Cookie", set_cookie);
  std::move(exchange).Answer(std::move(answer));
}

// Whether registering it would keep it as it is.
bool IsUserName(const std::string& name) {
  const absl::StatusOr<std::string> valid = ValidateUserName(name);
  return valid.ok() && *valid == name;
}

// Whatever becomes of the claim, the session is valid.
void Adopt(session_client::SessionClient& sessions, const std::string& session_id, std::string name,
           std::string set_cookie, Exchange exchange) {
  v1::UpdateSessionRequest request;
  request.mutable_session()->set_session_id(session_id);
  request.set_merge_patch_json("{}");
  *request.add_claims() = UserNameClaim(name);
  request.set_user_id_if_none(NewUserId());
  session_client::CallOptions options = exchange.call_options();
  sessions.UpdateSession(
      std::move(request), std::move(options),
      [exchange = std::move(exchange), name = std::move(name), set_cookie = std::move(set_cookie)](
          absl::StatusOr<v1::UpdateSessionResponse>) mutable { AnswerName(std::move(exchange), name, set_cookie); });
}

}  // namespace

bool AdoptedNames::TakeTurn(const v1::Session& session) {
  const std::uint64_t key = std::hash<std::string>()(session.session_id() + session.etag());
  const auto now = clock_.Steady();
  const std::lock_guard lock(mutex_);
  if (tried_.size() >= kLimit) tried_.clear();
  const auto [it, first] = tried_.try_emplace(key, now);
  if (!first && now - it->second < kInterval) return false;
  it->second = now;
  return true;
}

void VerifySession(session_client::SessionClient& sessions, AdoptedNames& adopted, Exchange exchange) {
  v1::ResolveCookieRequest request;
  request.set_cookie_header(exchange.cookie_header());
  if (request.cookie_header().empty()) return AnswerName(std::move(exchange), std::nullopt, "");
  request.set_touch(true);
  *request.mutable_device() = exchange.device();
  session_client::CallOptions options = exchange.call_options();
  sessions.ResolveCookie(std::move(request), std::move(options),
                         [&sessions, &adopted,
                          exchange = std::move(exchange)](absl::StatusOr<v1::ResolveCookieResponse> resolved) mutable {
                           if (!resolved.ok()) return std::move(exchange).Fail(resolved.status());
                           if (resolved->verdict() != v1::COOKIE_VERDICT_VALID)
                             return AnswerName(std::move(exchange), std::nullopt, "");
                           const v1::Session& session = resolved->session();
                           std::optional<std::string> name = UserNameIn(session);
                           const bool adoptable = name && session.foreign_writer() && IsUserName(*name);
                           if (!adoptable || !adopted.TakeTurn(session)) {
                             return AnswerName(std::move(exchange), name, resolved->set_cookie());
                           }
                           Adopt(sessions, session.session_id(), *std::move(name), resolved->set_cookie(),
                                 std::move(exchange));
                         });
}

}  // namespace sesior::rest
