// sesior-realtime: the list of its parts.
#include <memory>

#include "services/realtime/app.hpp"
#include "services/realtime/config.hpp"
#include "services/realtime/metrics_export.hpp"
#include "sesior/grpc_threads/fewer_threads.hpp"
#include "sesior/ops/ops_server.hpp"
#include "sesior/runtime/run.hpp"
#include "sesior/session_client/grpc_session_client.hpp"
#include "sesior/telemetry/log.hpp"
#include "sesior/telemetry/metrics.hpp"

namespace {

using sesior::realtime::Config;

void StartLog(const Config& config) {
  using sesior::telemetry::Level;
  using sesior::telemetry::LogFormat;
  const Level level = config.log_level == "debug"  ? Level::kDebug
                      : config.log_level == "info" ? Level::kInfo
                      : config.log_level == "warn" ? Level::kWarn
                                                   : Level::kError;
  sesior::telemetry::ConfigureLog(level, config.log_format == "json" ? LogFormat::kJson : LogFormat::kKeyValue);
}

}  // namespace

int main(int argc, char** argv) {
  sesior::runtime::BlockSignals();
  const sesior::grpc_threads::FewerThreads fewer_threads;
  Config config;
  const auto action = sesior::realtime::LoadConfig(argc, argv, config);
  if (!action.ok()) return sesior::config::FailStart(action.status());
  if (*action == sesior::config::Flags::Action::kExit) return 0;
  StartLog(config);

  sesior::telemetry::Registry registry;
  auto sessions = sesior::session_client::MakeSessionClient(
      {.addresses = config.session_addresses, .home = config.replica_name, .credentials = config.session_credentials});
  sesior::realtime::App app(config, *sessions, registry);
  sesior::realtime::MetricsExport metrics(registry, app.server());
  sesior::ops::OpsServer ops(
      config.ops_listen, registry, [&app] { return app.ready(); }, [&metrics] { metrics.Collect(); });
  const int code = sesior::runtime::Run({&app, &ops}, config.stop_timeout);
  sessions.reset();  // its open calls end in loops that still exist
  return code;
}
