#include "sesior/base/error.hpp"

#include "gtest/gtest.h"
#include "sesior/base/status_macros.hpp"

namespace sesior {
namespace {

TEST(Error, GivesBackWhatWasAttached) {
  const absl::Status status =
      Error(absl::StatusCode::kUnavailable, "Redis is away",
            {.reason = "REDIS_UNAVAILABLE", .field = "x", .retry_after = std::chrono::milliseconds(700)});
  const ErrorDetails details = DetailsOf(status);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(details.reason, "REDIS_UNAVAILABLE");
  EXPECT_EQ(details.field, "x");
  EXPECT_EQ(details.retry_after, std::chrono::milliseconds(700));
}

TEST(Error, IsEmptyWhereNothingWasAttached) {
  const ErrorDetails details = DetailsOf(absl::InternalError("x"));
  EXPECT_TRUE(details.reason.empty() && details.field.empty() && !details.retry_after);
}

absl::StatusOr<int> Twice(absl::StatusOr<int> in) {
  SESIOR_ASSIGN_OR_RETURN(const int value, std::move(in));
  return value * 2;
}

TEST(StatusMacros, ReturnTheErrorOrGoOn) {
  EXPECT_EQ(*Twice(4), 8);
  EXPECT_EQ(Twice(absl::NotFoundError("x")).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace sesior
