#include "sesior/http/cors.hpp"

#include <algorithm>
#include <optional>
#include <utility>

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

// The ":80" or ":443" at the end of an origin that browsers leave out; empty: it has none.
std::string_view DefaultPortOf(std::string_view origin) {
  for (const auto& [scheme, port] :
       {std::pair<std::string_view, std::string_view>{"http:", ":80"}, {"https:", ":443"}}) {
    if (origin.starts_with(scheme) && origin.ends_with(port)) return port;
  }
  return "";
}

}  // namespace

std::string OwnOrigin(const Request& request, bool peer_is_trusted_proxy) {
  std::string scheme = "http";
  const std::string* host_header = request.Find("host");
  std::string host = host_header != nullptr ? *host_header : std::string();
  if (peer_is_trusted_proxy) {
    const std::string* proto = request.Find("x-forwarded-proto");
    if (proto != nullptr && !proto->empty()) scheme = ToLower(FirstOf(*proto));
    // Some proxies name the scheme of the WebSocket; the Origin is that of the page.
    if (scheme == "ws") scheme = "http";
    if (scheme == "wss") scheme = "https";
    const std::string* forwarded = request.Find("x-forwarded-host");
    if (forwarded != nullptr && !forwarded->empty()) host = FirstOf(*forwarded);
  }
  if (host.empty()) return "";
  std::string origin = scheme + "://" + ToLower(host);
  origin.resize(origin.size() - DefaultPortOf(origin).size());
  return origin;
}

absl::Status CorsPolicy::Validate(const std::vector<std::string>& allowed_origins) {
  for (const std::string& origin : allowed_origins) {
    const std::size_t scheme = origin.find("://");
    const bool valid = scheme != std::string::npos && scheme > 0 && scheme + 3 < origin.size() &&
                       origin.find_first_of("/?#@* ,", scheme + 3) == std::string::npos && origin == ToLower(origin) &&
                       DefaultPortOf(origin).empty();
    if (!valid) {
      return absl::InvalidArgumentError(absl::StrCat(
          "\"", origin, "\" is not an origin (scheme://host[:port] in lower case, no default port, no path)"));
    }
  }
  return absl::OkStatus();
}

OriginVerdict CorsPolicy::Judge(const Request& request, std::string_view own_origin) const {
  // Several lines, which no browser sends, join to something that is no origin.
  const std::optional<std::string> origin = request.Joined("origin", ",");
  if (!origin) return OriginVerdict::kAbsent;
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
