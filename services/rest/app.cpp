#include "services/rest/app.hpp"

#include <utility>

#include "services/rest/handlers/logout.hpp"
#include "services/rest/handlers/register.hpp"
#include "services/rest/handlers/session.hpp"
#include "services/rest/handlers/sessions.hpp"
#include "services/rest/handlers/users.hpp"
#include "sesior/base/check.hpp"

namespace sesior::rest {
namespace {

// Config's check has seen them.
http::TrustedProxies Proxies(const Config& config) {
  absl::StatusOr<http::TrustedProxies> proxies = http::TrustedProxies::Parse(config.trusted_proxies);
  SESIOR_CHECK(proxies.ok());
  return *std::move(proxies);
}

}  // namespace

App::App(const Config& config, Page page, std::unique_ptr<session_client::SessionClient> sessions,
         telemetry::Registry& registry)
    : page_(std::move(page)),
      router_(http::CorsPolicy(config.allowed_origins), Proxies(config), registry),
      sessions_(std::move(sessions)) {
  AddRoutes();
}

void App::AddRoutes() {
  using http::Method;
  session_client::SessionClient& sessions = *sessions_;
  const auto add = [this](Method method, const char* path, Router::Handler handler) {
    router_.Add(method, path, std::move(handler), path);
  };
  add(Method::kPost, "/register", [&](Exchange e) { Register(sessions, std::move(e)); });
  add(Method::kGet, "/verify-session", [&, this](Exchange e) { VerifySession(sessions, adopted_, std::move(e)); });
  add(Method::kGet, "/users", [&](Exchange e) { ListUsers(sessions, std::move(e)); });
  add(Method::kGet, "/session", [&](Exchange e) { GetSession(sessions, std::move(e)); });
  add(Method::kPatch, "/session", [&](Exchange e) { PatchSession(sessions, std::move(e)); });
  add(Method::kPost, "/logout", [&](Exchange e) { Logout(sessions, std::move(e)); });
  add(Method::kGet, "/sessions", [&](Exchange e) { ListSessions(sessions, std::move(e)); });
  add(Method::kDelete, "/sessions", [&](Exchange e) { EndSessions(sessions, std::move(e)); });
  add(Method::kDelete, "/sessions/*", [&](Exchange e) { EndSession(sessions, std::move(e)); });
  add(Method::kPost, "/sessions/link", [&](Exchange e) { MakeLink(sessions, std::move(e)); });
  for (const std::string& path : page_.paths()) {
    router_.Add(
        Method::kGet, path, [this](Exchange e) { page_.Get(std::move(e)); }, "page");
  }
}

}  // namespace sesior::rest
