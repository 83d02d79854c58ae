// sesior-session: the parts and how they are put together.
#include "services/session/config.hpp"
#include "services/session/core.hpp"
#include "services/session/metrics.hpp"
#include "services/session/rpc/broadcast_hub.hpp"
#include "services/session/rpc/operations.hpp"
#include "services/session/rpc/rpc_metrics.hpp"
#include "services/session/rpc/rpc_server.hpp"
#include "services/session/rpc/watch_hub.hpp"
#include "sesior/base/clock.hpp"
#include "sesior/grpc_threads/fewer_threads.hpp"
#include "sesior/ops/ops_server.hpp"
#include "sesior/runtime/run.hpp"

int main(int argc, char** argv) {
  using namespace sesior;
  using namespace sesior::session;
  runtime::BlockSignals();
  const sesior::grpc_threads::FewerThreads fewer_threads;
  Config config;
  const absl::StatusOr<config::Flags::Action> action = LoadConfig(argc, argv, config);
  if (!action.ok()) return config::FailStart(action.status());
  if (*action == config::Flags::Action::kExit) return 0;
  telemetry::ConfigureLog(config.log_level, config.log_format);

  telemetry::Registry registry;
  Metrics metrics(registry);
  rpc::RpcMetrics rpc_metrics(registry);
  Core core(config, metrics);
  rpc::Operations operations(core.sessions(), core.store(), core.presence(), core.recovery(), SystemClock());
  rpc::WatchHub watches(core.sessions(), core.executor(), SystemClock(), config.recheck);
  rpc::BroadcastHub broadcasts(core.store(), core.bus(), core.executor(), rpc_metrics);
  Callers callers(config.certificate_names);
  rpc::RpcServer rpc_server(config.listen,
                            {operations, core.executor(), rpc_metrics, config.knows_callers() ? &callers : nullptr},
                            watches, broadcasts, {.tls = config.tls, .network_encrypts = config.network_encrypts});
  core.FollowTokens(config, callers, [&rpc_server] { rpc_server.RecheckCallers(); });
  core.OnServing([&rpc_server](bool serving) { rpc_server.SetServing(serving); });
  ops::OpsServer ops(config.ops_listen, registry, [&core] { return core.serving(); });
  return runtime::Run({&core, &ops, &rpc_server}, config.stop_timeout);
}
