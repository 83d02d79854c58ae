#include "services/realtime/app/error_text.hpp"

#include "gtest/gtest.h"

namespace sesior::realtime::app {
namespace {

TEST(ErrorText, SaysWhatAUserCanDoAndNothingElse) {
  EXPECT_EQ(ErrorText(absl::AlreadyExistsError("claim taken by sess:abc")), "User already exists");
  EXPECT_EQ(ErrorText(absl::InvalidArgumentError("userName must not be empty")), "userName must not be empty");
  EXPECT_EQ(ErrorText(absl::NotFoundError("x")), "Not authorized");
  EXPECT_EQ(ErrorText(absl::UnauthenticatedError("x")), "Not authorized");
  EXPECT_EQ(ErrorText(absl::AbortedError("x")), "Changed by somebody else at the same time, please try again");
  for (const absl::Status& status : {absl::UnavailableError("x"), absl::DeadlineExceededError("x"),
                                     absl::ResourceExhaustedError("x"), absl::CancelledError("x")}) {
    EXPECT_EQ(ErrorText(status), "Not available at the moment, please try again");
  }
  EXPECT_EQ(ErrorText(absl::InternalError("secret")), "Internal error");
}

}  // namespace
}  // namespace sesior::realtime::app
