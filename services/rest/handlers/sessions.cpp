#include "services/rest/handlers/sessions.hpp"

#include <charconv>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "services/rest/handlers/with_session.hpp"
#include "services/rest/http/json.hpp"
#include "sesior/base/json_string.hpp"
#include "sesior/base/utf8.hpp"
#include "sesior/http/form.hpp"

namespace sesior::rest {
namespace {

namespace v1 = session::v1;

constexpr int kMaxLimit = 200;
constexpr std::size_t kMaxTokenBytes = 256;
constexpr std::int64_t kLinkSeconds = 300;

std::string Iso(const google::protobuf::Timestamp& time) {
  const absl::Time at = absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", at, absl::UTCTimeZone());
}

std::string ListJson(const v1::ListSessionsResponse& list) {
  std::string body = R"({"sessions":[)";
  for (const v1::Session& session : list.sessions()) {
    if (body.back() != '[') body += ',';
    body += R"({"handle":)" + JsonString(session.handle());
    body += R"(,"device":{"userAgent":)" + JsonString(session.device().user_agent());
    body += R"(,"label":)" + JsonString(session.device().label());
    body += R"(},"address":)" + JsonString(session.device().address());
    body += R"(,"created":)" + JsonString(Iso(session.create_time()));
    body += R"(,"lastSeen":)" + JsonString(Iso(session.last_seen_time()));
    body += R"(,"current":)" + std::string(session.handle() == list.current_handle() ? "true" : "false") + "}";
  }
  body += ']';
  if (!list.next_page_token().empty()) body += R"(,"next":)" + JsonString(list.next_page_token());
  return body + '}';
}

absl::StatusOr<v1::ListSessionsRequest> ReadQuery(std::string_view query) {
  v1::ListSessionsRequest request;
  const http::Form form = http::ParseForm(query);
  if (const std::string* after = http::FindField(form, "after")) {
    if (after->size() > kMaxTokenBytes || !IsValidUtf8(*after)) {
      return absl::InvalidArgumentError("after must be the \"next\" of the page before");
    }
    request.set_page_token(*after);
  }
  if (const std::string* text = http::FindField(form, "limit")) {
    int limit = 0;
    const char* end = text->data() + text->size();
    const std::from_chars_result result = std::from_chars(text->data(), end, limit);
    if (result.ec != std::errc() || result.ptr != end || limit < 1 || limit > kMaxLimit) {
      return absl::InvalidArgumentError("limit must be a number from 1 to 200");
    }
    request.set_page_size(limit);
  }
  return request;
}

void Destroy(session_client::SessionClient& sessions, Exchange exchange, v1::DestroyUserSessionsRequest request) {
  request.mutable_caller()->set_cookie_header(exchange.cookie_header());
  if (request.caller().cookie_header().empty()) return std::move(exchange).Fail(absl::UnauthenticatedError(""));
  request.set_reason(v1::END_REASON_REVOKED);
  session_client::CallOptions options = exchange.call_options();
  sessions.DestroyUserSessions(
      std::move(request), std::move(options),
      [exchange = std::move(exchange)](absl::StatusOr<v1::DestroyUserSessionsResponse> ended) mutable {
        if (!ended.ok()) return std::move(exchange).Fail(ended.status());
        http::Response response(204);
        response.Add("Cache-Control", "no-store");
        if (!ended->clear_cookie().empty()) response.Add("Set-Cookie", ended->clear_cookie());
        std::move(exchange).Answer(std::move(response));
      });
}

}  // namespace

void ListSessions(session_client::SessionClient& sessions, Exchange exchange) {
  absl::StatusOr<v1::ListSessionsRequest> request = ReadQuery(exchange.request().query);
  if (!request.ok()) return std::move(exchange).Fail(request.status());
  request->mutable_caller()->set_cookie_header(exchange.cookie_header());
  if (request->caller().cookie_header().empty()) return std::move(exchange).Fail(absl::UnauthenticatedError(""));
  session_client::CallOptions options = exchange.call_options();
  sessions.ListSessions(*std::move(request), std::move(options),
                        [exchange = std::move(exchange)](absl::StatusOr<v1::ListSessionsResponse> list) mutable {
                          if (!list.ok()) return std::move(exchange).Fail(list.status());
                          http::Response response = JsonResponse(200, ListJson(*list));
                          if (!list->set_cookie().empty()) response.Add("Set-Cookie", list->set_cookie());
                          std::move(exchange).Answer(std::move(response));
                        });
}

void EndSession(session_client::SessionClient& sessions, Exchange exchange) {
  v1::DestroyUserSessionsRequest request;
  const std::string& path = exchange.request().path;
  request.set_handle(path.substr(path.rfind('/') + 1));
  if (!IsValidUtf8(request.handle())) return std::move(exchange).Answer(ErrorResponse(404, "no such session"));
  Destroy(sessions, std::move(exchange), std::move(request));
}

void EndSessions(session_client::SessionClient& sessions, Exchange exchange) {
  v1::DestroyUserSessionsRequest request;
  const http::Form form = http::ParseForm(exchange.request().query);
  if (const std::string* except = http::FindField(form, "except")) {
    if (*except != "current") return std::move(exchange).Fail(absl::InvalidArgumentError("except must be \"current\""));
    request.set_except_caller(true);
  }
  Destroy(sessions, std::move(exchange), std::move(request));
}

void MakeLink(session_client::SessionClient& sessions, Exchange exchange) {
  WithSession(sessions, std::move(exchange), [&sessions](Exchange asked, v1::ResolveCookieResponse resolved) {
    if (resolved.session().user_id().empty()) {
      return std::move(asked).Fail(absl::FailedPreconditionError("register a name first"));
    }
    v1::CreateSessionRequest request;
    request.set_user_id(resolved.session().user_id());
    request.mutable_absolute_ttl()->set_seconds(kLinkSeconds);
    request.mutable_device()->set_label("link");
    session_client::CallOptions options = asked.call_options();
    sessions.CreateSession(std::move(request), std::move(options),
                           [asked = std::move(asked)](absl::StatusOr<v1::CreateSessionResponse> made) mutable {
                             if (!made.ok()) return std::move(asked).Fail(made.status());
                             const std::string& cookie = made->set_cookie();
                             http::Response response =
                                 JsonResponse(200, R"({"link":)" + JsonString(cookie.substr(0, cookie.find(';'))) +
                                                       R"(,"seconds":)" + std::to_string(kLinkSeconds) + "}");
                             std::move(asked).Answer(std::move(response));
                           });
  });
}

}  // namespace sesior::rest
