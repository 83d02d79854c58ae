#include "services/realtime/app/error_text.hpp"

namespace sesior::realtime::app {

std::string ErrorText(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kAlreadyExists:
      return "User already exists";
    case absl::StatusCode::kInvalidArgument:
      return std::string(status.message());
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kUnauthenticated:
      return "Not authorized";
    case absl::StatusCode::kAborted:
      return "Changed by somebody else at the same time, please try again";
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kCancelled:
      return "Not available at the moment, please try again";
    default:
      return "Internal error";
  }
}

}  // namespace sesior::realtime::app
