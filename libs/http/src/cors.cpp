#include "sesior/http/cors.hpp"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace sesior::http {

namespace {

constexpr std::string_view kMethods = "GET,PUT,PATCH,POST,DELETE";

// The first element of a list that proxies append to.
std::string_view FirstOf(std::string_view list) {
  std::string_view first = list.substr(0, list.find(','));
  while (!first.empty() && first.back() == ' ') first.remove_suffix(1);
  return first;
}

std::string ToLower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

}  // namespace

std::string OwnOrigin(const Request& request, bool peer_is_trusted_proxy) {
  std::string scheme = "http";
  const std::string* host_header = request.Find("host");
  std::string host = host_header != nullptr ? *host_header : std::string();
  if (peer_is_trusted_proxy) {
    if (const std::string* proto = request.Find("x-forwarded-proto")) scheme = FirstOf(*proto);
    if (const std::string* forwarded = request.Find("x-forwarded-host")) host = FirstOf(*forwarded);
  }
  if (host.empty()) return "";
  std::string origin = ToLower(scheme) + "://" + ToLower(host);
  const std::string_view port = origin.starts_with("https:") ? ":443" : ":80";
  if (origin.ends_with(port)) origin.resize(origin.size() - port.size());
  return origin;
}

absl::Status CorsPolicy::Validate(const std::vector<std::string>& allowed_origins) {
  for (const std::string& origin : allowed_origins) {
    const std::size_t scheme = origin.find("://");
    const bool valid = scheme != std::string::npos && scheme > 0 && scheme + 3 < origin.size() &&
                       origin.find_first_of("/?#@* ,", scheme + 3) == std::string::npos && origin == ToLower(origin);
    if (!valid) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", origin, "\" is not an origin (scheme://host[:port] in lower case, no path)"));
    }
  }
  return absl::OkStatus();
}

OriginVerdict CorsPolicy::Judge(const Request& request, std::string_view own_origin) const {
  const std::string* origin = request.Find("origin");
  if (origin == nullptr) return OriginVerdict::kAbsent;
  if (!own_origin.empty() && *origin == own_origin) return OriginVerdict::kSame;
  const bool listed = std::find(allowed_.begin(), allowed_.end(), *origin) != allowed_.end();
  return listed ? OriginVerdict::kListed : OriginVerdict::kForeign;
}

void CorsPolicy::AddHeaders(const Request& request, OriginVerdict verdict, Response& response) const {
  if (!allowed_.empty()) response.Add("Vary", "Origin");
  if (verdict != OriginVerdict::kListed) return;
  response.Add("Access-Control-Allow-Origin", *request.Find("origin"));
  response.Add("Access-Control-Allow-Credentials", "true");
}

bool CorsPolicy::IsPreflight(const Request& request) {
  return request.method == Method::kOptions && request.Find("origin") != nullptr &&
         request.Find("access-control-request-method") != nullptr;
}

Response CorsPolicy::Preflight(const Request& request, OriginVerdict verdict) const {
  Response response(204);
  AddHeaders(request, verdict, response);
  if (verdict == OriginVerdict::kListed || verdict == OriginVerdict::kSame) {
    response.Add("Access-Control-Allow-Methods", kMethods);
    if (const std::string* headers = request.Find("access-control-request-headers")) {
      response.Add("Access-Control-Allow-Headers", *headers);
      response.Add("Vary", "Access-Control-Request-Headers");
    }
    response.Add("Access-Control-Max-Age", "600");
  }
  return response;
}

}  // namespace sesior::http
