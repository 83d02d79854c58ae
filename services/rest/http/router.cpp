#include "services/rest/http/router.hpp"

#include <algorithm>
#include <utility>

namespace sesior::rest {
namespace {

bool ChangesState(http::Method method) {
  switch (method) {
    case http::Method::kGet:
    case http::Method::kHead:
    case http::Method::kOptions:
      return false;
    default:
      return true;
  }
}

std::string_view AllowText(http::Method method) {
  switch (method) {
    case http::Method::kGet:
      return "GET, HEAD";
    case http::Method::kPost:
      return "POST";
    case http::Method::kPut:
      return "PUT";
    case http::Method::kPatch:
      return "PATCH";
    case http::Method::kDelete:
      return "DELETE";
    default:
      return "";
  }
}

}  // namespace

Router::Router(http::CorsPolicy cors, http::TrustedProxies proxies, telemetry::Registry& registry)
    : cors_(std::move(cors)),
      proxies_(std::move(proxies)),
      registry_(registry),
      no_route_(std::make_shared<RouteMetrics>(registry, "none")) {}

void Router::Add(http::Method method, std::string path, Handler handler, const std::string& name) {
  Path& entry = paths_[std::move(path)];
  if (entry.allow.empty()) entry.allow = "OPTIONS";
  entry.allow.append(", ").append(AllowText(method));
  entry.entries.push_back({method, std::move(handler), std::make_shared<RouteMetrics>(registry_, name)});
}

const Router::Path* Router::Find(const std::string& path) const {
  auto found = paths_.find(path);
  const std::size_t slash = path.rfind('/');
  if (found == paths_.end() && slash != std::string::npos && slash + 1 < path.size()) {
    found = paths_.find(path.substr(0, slash + 1) + '*');
  }
  return found == paths_.end() ? nullptr : &found->second;
}

void Router::Route(http::Request request, const std::string& peer_address, Reply reply) const {
  const http::IpAddress peer = http::IpAddress::Parse(peer_address).value_or(http::IpAddress());
  const http::OriginVerdict origin = cors_.Judge(request, http::OwnOrigin(request, proxies_.Contains(peer)));
  std::string client = proxies_.ClientAddress(request, peer).ToText();
  const http::Method wanted = request.method == http::Method::kHead ? http::Method::kGet : request.method;

  const Path* const path = Find(request.path);
  const Entry* entry = nullptr;
  if (path != nullptr) {
    const std::vector<Entry>& entries = path->entries;
    const auto found = std::find_if(entries.begin(), entries.end(), [&](const Entry& e) { return e.method == wanted; });
    if (found != entries.end()) entry = &*found;
  }
  Exchange exchange(std::move(request), std::move(client), cors_, origin,
                    entry != nullptr ? *entry->metrics : *no_route_, std::move(reply));

  if (path == nullptr) return std::move(exchange).Answer(ErrorResponse(404, "no such route"));
  if (http::CorsPolicy::IsPreflight(exchange.request())) {
    http::Response response = cors_.Preflight(exchange.request(), origin);
    return std::move(exchange).Answer(std::move(response));
  }
  if (entry == nullptr) {
    const bool options = wanted == http::Method::kOptions;
    http::Response response = options ? http::Response(204) : ErrorResponse(405, "the route has no such method");
    response.Add("Allow", path->allow);
    return std::move(exchange).Answer(std::move(response));
  }
  if (origin == http::OriginVerdict::kForeign && ChangesState(wanted)) {
    return std::move(exchange).Answer(ErrorResponse(403, "this origin may not change anything (--allowed-origins)"));
  }
  entry->handler(std::move(exchange));
}

}  // namespace sesior::rest
