// Router: finds the handler of a request; answers itself what needs none: preflights, OPTIONS, 404, 405, and 403 to a
// state-changing request from a foreign origin.
// Threading: thread-safe once all routes are added.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "services/rest/http/exchange.hpp"
#include "services/rest/metrics.hpp"
#include "sesior/http/cors.hpp"
#include "sesior/http/proxies.hpp"

namespace sesior::rest {

class Router {
 public:
  // Called on a worker's thread; must not block.
  using Handler = std::function<void(Exchange)>;

  Router(http::CorsPolicy cors, http::TrustedProxies proxies, telemetry::Registry& registry);

  // `path` is compared byte for byte; where it ends with "/*", any one more segment may stand, unless a route names it.
  // A handler for GET answers HEAD too. Those of one `name` are counted together.
  void Add(http::Method method, std::string path, Handler handler, const std::string& name);

  void Route(http::Request request, const std::string& peer_address, Reply reply) const;

 private:
  struct Entry {
    http::Method method;
    Handler handler;
    std::shared_ptr<RouteMetrics> metrics;
  };
  struct Path {
    std::vector<Entry> entries;
    std::string allow;  // of an Allow header
  };

  const http::CorsPolicy cors_;
  const http::TrustedProxies proxies_;
  telemetry::Registry& registry_;
  const std::shared_ptr<RouteMetrics> no_route_;
  // Null: no route.
  const Path* Find(const std::string& path) const;

  absl::flat_hash_map<std::string, Path> paths_;
};

}  // namespace sesior::rest
