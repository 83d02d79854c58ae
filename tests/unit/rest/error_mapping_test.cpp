#include "services/rest/http/error_mapping.hpp"

#include <gtest/gtest.h>

#include "sesior/base/error.hpp"

namespace sesior::rest {
namespace {

using absl::StatusCode;
using std::chrono_literals::operator""ms;

TEST(ErrorMapping, FollowsItsTable) {
  const struct {
    StatusCode code;
    std::string reason;
    std::optional<std::chrono::milliseconds> retry_after;
    int status;
    std::string message;
    int retry_after_seconds;
  } cases[] = {
      {StatusCode::kInvalidArgument, "CLAIMED_MEMBER", {}, 400, "said", 0},
      {StatusCode::kOutOfRange, "", {}, 400, "said", 0},
      {StatusCode::kUnauthenticated, "SIGNATURE_INVALID", {}, 401, "no valid session", 0},
      {StatusCode::kNotFound, "SESSION_NOT_FOUND", {}, 401, "no valid session", 0},
      {StatusCode::kPermissionDenied, "", {}, 403, "not allowed", 0},
      {StatusCode::kAlreadyExists, "CLAIM_TAKEN", {}, 409, "User already exists", 0},
      {StatusCode::kAlreadyExists, "", {}, 409, "said", 0},
      {StatusCode::kAborted, "ETAG_MISMATCH", {}, 412, "the session has changed (If-Match)", 0},
      {StatusCode::kAborted, "WRITE_CONFLICT", {}, 409, "the session is being changed by others; try again", 0},
      {StatusCode::kFailedPrecondition, "", {}, 409, "said", 0},
      {StatusCode::kResourceExhausted, "RECORD_TOO_LARGE", {}, 413, "said", 0},
      {StatusCode::kResourceExhausted, "TOO_MANY_SESSIONS", {}, 429, "said", 0},
      {StatusCode::kResourceExhausted, "CREATE_RATE", 1500ms, 429, "said", 2},
      {StatusCode::kResourceExhausted, "", {}, 503, "busy; try again", 1},
      {StatusCode::kUnavailable, "", {}, 503, "the session service cannot be reached; try again", 1},
      {StatusCode::kUnavailable, "", 2500ms, 503, "the session service cannot be reached; try again", 3},
      {StatusCode::kUnavailable, "", -5ms, 503, "the session service cannot be reached; try again", 1},
      {StatusCode::kDeadlineExceeded, "", {}, 503, "the session service did not answer in time; try again", 1},
      {StatusCode::kCancelled, "", {}, 503, "stopping; try again", 1},
      {StatusCode::kUnimplemented, "", {}, 501, "not offered", 0},
      {StatusCode::kDataLoss, "RECORD_CORRUPT", {}, 500, "the session cannot be read", 0},
      {StatusCode::kInternal, "", {}, 500, "internal error", 0},
      {StatusCode::kUnknown, "", {}, 500, "internal error", 0},
  };
  for (const auto& c : cases) {
    const HttpError error =
        MapError(Error(c.code, "said", {.reason = c.reason, .field = {}, .retry_after = c.retry_after}));
    EXPECT_EQ(error.status, c.status) << c.code << c.reason;
    EXPECT_EQ(error.message, c.message) << c.code << c.reason;
    EXPECT_EQ(error.retry_after_seconds, c.retry_after_seconds) << c.code << c.reason;
  }
}

TEST(ErrorMapping, AnswersJsonThatNoCacheKeeps) {
  const http::Response response = ErrorResponse({.status = 503, .message = "a \"b\"", .retry_after_seconds = 2});
  EXPECT_EQ(response.status(), 503);
  EXPECT_EQ(response.body(), R"({"error":"a \"b\""})");
  std::string headers;
  for (const http::Header& header : response.headers()) headers += header.name + ": " + header.value + "\n";
  EXPECT_EQ(headers, "Content-Type: application/json; charset=utf-8\nCache-Control: no-store\nRetry-After: 2\n");
}

}  // namespace
}  // namespace sesior::rest
