// One replica of the session service in this process, put together as main.cpp does, on a port of its own.
// Threading: made and destroyed on the test's thread.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "services/session/core.hpp"
#include "services/session/rpc/broadcast_hub.hpp"
#include "services/session/rpc/operations.hpp"
#include "services/session/rpc/rpc_metrics.hpp"
#include "services/session/rpc/rpc_server.hpp"
#include "services/session/rpc/watch_hub.hpp"

namespace sesior::testing {

class Replica {
 public:
  // With the secret "keyboard cat" unless `flags` say otherwise.
  explicit Replica(const std::string& redis_url, std::vector<std::string> flags = {"--cookie-secret=keyboard cat"}) {
    std::vector<const char*> arguments = {"sesior-session", "--listen=127.0.0.1:0", "--redis-url", redis_url.c_str()};
    for (const std::string& flag : flags) arguments.push_back(flag.c_str());
    const auto action = session::LoadConfig(static_cast<int>(arguments.size()), arguments.data(), config_);
    EXPECT_TRUE(action.ok()) << action.status();
    core_.emplace(config_, metrics_);
    operations_.emplace(core_->sessions(), core_->store(), core_->presence(), core_->recovery(), SystemClock());
    watches_.emplace(core_->sessions(), core_->executor(), SystemClock());
    broadcasts_.emplace(core_->store(), core_->bus(), core_->executor(), rpc_metrics_);
    callers_.emplace(config_.certificate_names);
    server_.emplace(config_.listen,
                    session::rpc::ServiceParts{*operations_, core_->executor(), rpc_metrics_,
                                               config_.knows_callers() ? &*callers_ : nullptr},
                    *watches_, *broadcasts_, session::rpc::RpcServerOptions{.tls = config_.tls});
    core_->FollowTokens(config_, *callers_, [this] { server_->RecheckCallers(); });
    core_->OnServing([this](bool serving) { server_->SetServing(serving); });
    EXPECT_TRUE(core_->Start().ok());
    EXPECT_TRUE(server_->Start().ok());
  }
  ~Replica() {
    server_->Drain(std::chrono::steady_clock::now() + std::chrono::seconds(2));
    server_->Stop();
    core_->Stop();
  }
  Replica(const Replica&) = delete;
  Replica& operator=(const Replica&) = delete;

  int port() const { return server_->port(); }
  std::string address() const { return "127.0.0.1:" + std::to_string(port()); }
  bool serving() const { return core_->serving(); }
  // What /metrics would answer.
  std::string MetricsText() const { return registry_.Serialize(); }

 private:
  session::Config config_;
  telemetry::Registry registry_;
  session::Metrics metrics_{registry_};
  session::rpc::RpcMetrics rpc_metrics_{registry_};
  std::optional<session::Core> core_;
  std::optional<session::rpc::Operations> operations_;
  std::optional<session::rpc::WatchHub> watches_;
  std::optional<session::rpc::BroadcastHub> broadcasts_;
  std::optional<session::Callers> callers_;
  std::optional<session::rpc::RpcServer> server_;
};

}  // namespace sesior::testing
