#include "services/rest/http/error_mapping.hpp"

#include <algorithm>

#include "services/rest/http/json.hpp"
#include "sesior/base/error.hpp"
#include "sesior/base/json_string.hpp"
#include "sesior/base/string_view.hpp"

namespace sesior::rest {
namespace {

struct Row {
  absl::StatusCode code;
  std::string_view reason;  // empty: any other
  int status;
  std::string_view message;  // empty: the status's own
  bool retry;
};

// The first row that fits counts.
constexpr Row kTable[] = {
    {absl::StatusCode::kInvalidArgument, "", 400, "", false},
    {absl::StatusCode::kOutOfRange, "", 400, "", false},
    {absl::StatusCode::kUnauthenticated, "", 401, "no valid session", false},
    {absl::StatusCode::kNotFound, "HANDLE_NOT_FOUND", 404, "no such session, or it has ended", false},
    {absl::StatusCode::kNotFound, "", 401, "no valid session", false},
    {absl::StatusCode::kPermissionDenied, "", 403, "not allowed", false},
    {absl::StatusCode::kAlreadyExists, "CLAIM_TAKEN", 409, "User already exists", false},
    {absl::StatusCode::kAlreadyExists, "", 409, "", false},
    {absl::StatusCode::kAborted, "ETAG_MISMATCH", 412, "the session has changed (If-Match)", false},
    {absl::StatusCode::kAborted, "", 409, "the session is being changed by others; try again", false},
    {absl::StatusCode::kFailedPrecondition, "", 409, "", false},
    {absl::StatusCode::kResourceExhausted, "RECORD_TOO_LARGE", 413, "", false},
    {absl::StatusCode::kResourceExhausted, "TOO_MANY_SESSIONS", 429, "", false},
    {absl::StatusCode::kResourceExhausted, "CREATE_RATE", 429, "", true},
    {absl::StatusCode::kResourceExhausted, "", 503, "busy; try again", true},
    {absl::StatusCode::kUnavailable, "", 503, "the session service cannot be reached; try again", true},
    {absl::StatusCode::kDeadlineExceeded, "", 503, "the session service did not answer in time; try again", true},
    {absl::StatusCode::kCancelled, "", 503, "stopping; try again", true},
    {absl::StatusCode::kUnimplemented, "", 501, "not offered", false},
    {absl::StatusCode::kDataLoss, "", 500, "the session cannot be read", false},
};

int RetryAfterSeconds(const ErrorDetails& details) {
  if (!details.retry_after) return 1;
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(*details.retry_after).count();
  return static_cast<int>(std::clamp<std::int64_t>(seconds, 1, 3600));
}

}  // namespace

HttpError MapError(const absl::Status& status) {
  const ErrorDetails details = DetailsOf(status);
  for (const Row& row : kTable) {
    if (row.code != status.code() || (!row.reason.empty() && row.reason != details.reason)) continue;
    return {.status = row.status,
            .message = std::string(row.message.empty() ? ToStd(status.message()) : row.message),
            .retry_after_seconds = row.retry ? RetryAfterSeconds(details) : 0};
  }
  return {.status = 500, .message = "internal error", .retry_after_seconds = 0};
}

http::Response ErrorResponse(const HttpError& error) {
  http::Response response = JsonResponse(error.status, R"({"error":)" + JsonString(error.message) + "}");
  if (error.retry_after_seconds > 0) response.Add("Retry-After", std::to_string(error.retry_after_seconds));
  return response;
}

http::Response ErrorResponse(int status, std::string_view message) {
  return ErrorResponse(HttpError{.status = status, .message = std::string(message), .retry_after_seconds = 0});
}

}  // namespace sesior::rest
