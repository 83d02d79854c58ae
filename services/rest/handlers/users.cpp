#include "services/rest/handlers/users.hpp"

#include <charconv>
#include <utility>

#include "services/rest/http/json.hpp"
#include "sesior/base/json_string.hpp"
#include "sesior/base/utf8.hpp"
#include "sesior/http/form.hpp"

namespace sesior::rest {
namespace {

constexpr int kMaxLimit = 1000;
constexpr std::size_t kMaxAfterBytes = 1024;

absl::StatusOr<presence::v1::ListOnlineRequest> ReadQuery(std::string_view query) {
  presence::v1::ListOnlineRequest request;
  request.set_namespace_("/");
  request.set_order(presence::v1::ONLINE_ORDER_BY_KEY);
  request.set_limit(kMaxLimit);
  const http::Form form = http::ParseForm(query);
  if (const std::string* after = http::FindField(form, "after")) {
    if (after->size() > kMaxAfterBytes || !IsValidUtf8(*after)) {
      return absl::InvalidArgumentError("after must be valid UTF-8 of at most 1024 bytes");
    }
    request.set_after(*after);
  }
  if (const std::string* text = http::FindField(form, "limit")) {
    int limit = 0;
    const char* end = text->data() + text->size();
    const std::from_chars_result result = std::from_chars(text->data(), end, limit);
    if (result.ec != std::errc() || result.ptr != end || limit < 1 || limit > kMaxLimit) {
      return absl::InvalidArgumentError("limit must be a number from 1 to 1000");
    }
    request.set_limit(limit);
  }
  return request;
}

http::Response UsersResponse(const presence::v1::ListOnlineResponse& online) {
  std::string body = R"({"users":{)";
  for (const presence::v1::OnlineEntry& entry : online.entries()) {
    if (body.back() != '{') body += ',';
    AppendJsonString(body, entry.key());
    body.append(":").append(entry.value_json());
  }
  http::Response response = JsonResponse(200, body + "}}");
  response.Add("X-Total-Count", std::to_string(online.total_count()));
  return response;
}

}  // namespace

void ListUsers(session_client::SessionClient& sessions, Exchange exchange) {
  absl::StatusOr<presence::v1::ListOnlineRequest> request = ReadQuery(exchange.request().query);
  if (!request.ok()) return std::move(exchange).Fail(request.status());
  session_client::CallOptions options = exchange.call_options();
  sessions.ListOnline(
      *std::move(request), std::move(options),
      [exchange = std::move(exchange)](absl::StatusOr<presence::v1::ListOnlineResponse> online) mutable {
        if (!online.ok()) return std::move(exchange).Fail(online.status());
        std::move(exchange).Answer(UsersResponse(*online));
      });
}

}  // namespace sesior::rest
