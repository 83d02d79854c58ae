// sesior-rest: the list of its parts.
#include <utility>

#include "services/rest/app.hpp"
#include "services/rest/config.hpp"
#include "services/rest/handlers/page.hpp"
#include "services/rest/http/server.hpp"
#include "sesior/grpc_threads/fewer_threads.hpp"
#include "sesior/ops/ops_server.hpp"
#include "sesior/runtime/run.hpp"
#include "sesior/session_client/grpc_session_client.hpp"
#include "sesior/telemetry/log.hpp"
#include "sesior/telemetry/metrics.hpp"

namespace {

using sesior::rest::Config;

void StartLog(const Config& config) {
  using sesior::telemetry::Level;
  const Level level = config.log_level == "debug"  ? Level::kDebug
                      : config.log_level == "info" ? Level::kInfo
                      : config.log_level == "warn" ? Level::kWarn
                                                   : Level::kError;
  const bool json = config.log_format == "json";
  sesior::telemetry::ConfigureLog(level,
                                  json ? sesior::telemetry::LogFormat::kJson : sesior::telemetry::LogFormat::kKeyValue);
}

sesior::rest::ServerOptions ServerOptionsOf(const Config& config) {
  sesior::rest::ServerOptions options;
  options.listen = config.listen;
  options.threads = static_cast<int>(config.threads);
  options.max_connections = static_cast<int>(config.max_connections);
  options.limits.body_bytes = static_cast<std::size_t>(config.max_body_bytes);
  options.head_timeout = config.head_timeout;
  options.idle_timeout = config.idle_timeout;
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  sesior::runtime::BlockSignals();
  const sesior::grpc_threads::FewerThreads fewer_threads;
  Config config;
  const auto action = sesior::rest::LoadConfig(argc, argv, config);
  if (!action.ok()) return sesior::config::FailStart(action.status());
  if (*action == sesior::config::Flags::Action::kExit) return 0;
  absl::StatusOr<sesior::rest::Page> page = sesior::rest::Page::Load(config.web_root, config.realtime_urls);
  if (!page.ok()) return sesior::config::FailStart(page.status());
  StartLog(config);

  sesior::telemetry::Registry registry;
  sesior::rest::App app(config, *std::move(page),
                        sesior::session_client::MakeSessionClient(
                            {.addresses = config.session_addresses, .credentials = config.session_credentials}),
                        registry);
  sesior::rest::Server server(
      ServerOptionsOf(config), registry,
      [&app](sesior::http::Request request, const std::string& peer, sesior::rest::Reply reply) {
        app.Handle(std::move(request), peer, std::move(reply));
      });
  sesior::ops::OpsServer ops(config.ops_listen, registry, [&app] { return app.ready(); });
  return sesior::runtime::Run({&server, &ops}, config.stop_timeout);
}
