// App: the example application on a Server: the bus that carries its broadcasts, presence, and its event handlers. An
// application of one's own begins here.
//
// Drain and stop: the server closes the clients first; then the lease goes, and with it, announced, what is left of
// this replica's presence. Threading: Part's methods on the main thread; ready from any.
#pragma once

#include <memory>
#include <string>

#include "services/realtime/app/presence.hpp"
#include "services/realtime/app/users.hpp"
#include "services/realtime/bus/session_bus.hpp"
#include "services/realtime/config.hpp"
#include "services/realtime/server.hpp"
#include "sesior/runtime/run.hpp"
#include "sesior/session_client/session_client.hpp"
#include "sesior/telemetry/metrics.hpp"

namespace sesior::realtime {

class App final : public runtime::Part {
 public:
  // `sessions` lives until Stop has returned; `registry` outlives it.
  App(const Config& config, session_client::SessionClient& sessions, telemetry::Registry& registry);
  ~App() override;

  absl::Status Start() override;
  void Drain(std::chrono::steady_clock::time_point deadline) override;
  void Stop() override;

  // Clients can connect, and broadcasts of others arrive.
  bool ready() const;
  const Server& server() const { return server_; }

 private:
  const std::string replica_id_;  // of this start of the process: nobody takes up the lease after a crash
  session_client::SessionClient& sessions_;
  SessionBus bus_;
  Server server_;
  const std::shared_ptr<app::Presence> presence_;
  app::Users users_;
  bool started_ = false;
};

}  // namespace sesior::realtime
