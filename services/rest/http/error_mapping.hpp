// The one table from statuses to HTTP: what a client is told when a call to the session service fails.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "sesior/http/response.hpp"

namespace sesior::rest {

struct HttpError {
  int status = 500;
  std::string message;          // fit for users; a 5xx tells no details
  int retry_after_seconds = 0;  // 0: no Retry-After
};

// `status` must not be OK.
HttpError MapError(const absl::Status& status);

// {"error": message}
http::Response ErrorResponse(const HttpError& error);
http::Response ErrorResponse(int status, std::string_view message);

}  // namespace sesior::rest
