// CorsPolicy: which origins may read answers with credentials, and which may change anything at all.
// Threading: immutable.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "sesior/http/request.hpp"
#include "sesior/http/response.hpp"

namespace sesior::http {

enum class OriginVerdict {
  kAbsent,   // no Origin header: not a cross-site request of a browser
  kSame,     // the origin the request came to
  kListed,   // another one that is allowed
  kForeign,  // anything else, "null" too: no CORS headers, state-changing requests and handshakes are refused
};

// The origin that the request came to, e.g. "https://example.com": Host and "http", or what X-Forwarded-Host and
// X-Forwarded-Proto say when the peer is a trusted proxy. Default ports are left out; empty when there is no Host.
std::string OwnOrigin(const Request& request, bool peer_is_trusted_proxy);

class CorsPolicy {
 public:
  // Origins as browsers send them: scheme://host[:port], no path.
  explicit CorsPolicy(std::vector<std::string> allowed_origins) : allowed_(std::move(allowed_origins)) {}
  // Names the first entry that is not an origin.
  static absl::Status Validate(const std::vector<std::string>& allowed_origins);

  OriginVerdict Judge(const Request& request, std::string_view own_origin) const;

  // Adds Access-Control-Allow-Origin and -Credentials where the verdict allows, and Vary: Origin whenever origins are
  // listed at all (a cache must keep the answers apart).
  void AddHeaders(const Request& request, OriginVerdict verdict, Response& response) const;

  // OPTIONS with Access-Control-Request-Method.
  static bool IsPreflight(const Request& request);
  // 204; with the allowing headers for a listed or same origin only.
  Response Preflight(const Request& request, OriginVerdict verdict) const;

 private:
  std::vector<std::string> allowed_;
};

}  // namespace sesior::http
