// Exchange: one request on its way through a handler, and the answer owed to it. Adds to every answer what all of them
// carry: CORS headers, X-Request-Id, X-Content-Type-Options.
// Ownership: moved from step to step; whoever holds it owes the answer. Destroyed unanswered: 500.
// Threading: thread-compatible; Answer from any thread.
#pragma once

#include <chrono>
#include <string>

#include "services/rest/http/error_mapping.hpp"
#include "services/rest/http/reply.hpp"
#include "services/rest/metrics.hpp"
#include "sesior/http/cors.hpp"
#include "sesior/http/request.hpp"
#include "sesior/http/response.hpp"
#include "sesior/session_client/session_client.hpp"

namespace sesior::rest {

class Exchange {
 public:
  // `cors` and `metrics` outlive it.
  Exchange(http::Request request, std::string client_address, const http::CorsPolicy& cors, http::OriginVerdict origin,
           RouteMetrics& metrics, Reply reply);
  Exchange(Exchange&&) noexcept = default;

  const http::Request& request() const { return request_; }
  // The Cookie header; empty: none.
  std::string cookie_header() const { return request_.Joined("Cookie", "; ").value_or(std::string()); }
  session::v1::Device device() const;
  // With the ids that bind this request's logs together over all services.
  session_client::CallOptions call_options() const;

  void Answer(http::Response response) &&;
  void Fail(const absl::Status& status) && { std::move(*this).Answer(ErrorResponse(MapError(status))); }

 private:
  http::Request request_;
  std::string client_address_;
  const http::CorsPolicy* cors_;
  http::OriginVerdict origin_;
  RouteMetrics* metrics_;
  std::string request_id_;
  std::chrono::steady_clock::time_point begin_;
  Reply reply_;
};

}  // namespace sesior::rest
