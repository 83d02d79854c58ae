#include "services/realtime/app.hpp"

#include <future>
#include <utility>

#include "sesior/base/ids.hpp"

namespace sesior::realtime {
namespace {

constexpr const char* kNamespace = "/";
constexpr std::chrono::milliseconds kReleaseTimeout{2'500};  // more than one call takes

app::PresenceOptions PresenceOptionsOf(const std::string& replica_id) {
  app::PresenceOptions options;
  options.nsp = kNamespace;
  options.replica_id = replica_id;
  return options;
}

// Engine ids name this start of the process, as the lease does.
ServerOptions ServerOptionsOf(const Config& config, const std::string& replica_id) {
  ServerOptions options = config.server;
  options.front.replica_id = replica_id;
  return options;
}

PeerTable::Addresses AddressesIn(const presence::v1::KeepLeaseResponse& response) {
  PeerTable::Addresses addresses;
  for (const auto& replica : response.replicas()) {
    if (!replica.peer_address().empty()) addresses[replica.replica_id()] = replica.peer_address();
  }
  return addresses;
}

}  // namespace

App::App(const Config& config, session_client::SessionClient& sessions, telemetry::Registry& registry)
    : replica_id_(config.replica_name + "-" + NewShortId()),
      sessions_(sessions),
      bus_(sessions, replica_id_, BusMetrics(registry)),
      server_(ServerOptionsOf(config, replica_id_), &sessions, bus_),
      presence_(app::Presence::Make(sessions, server_.hubs().front()->loop(), app::Users::FaceOf,
                                    PresenceOptionsOf(replica_id_))),
      users_(sessions, presence_) {
  for (hub::Hub* hub : server_.hubs()) users_.Setup(hub->Of(kNamespace));
  presence_->SetOnLease(
      [this](const presence::v1::KeepLeaseResponse& response) { server_.peers().Update(AddressesIn(response)); });
  server_.peers().SetRenew([this] { presence_->RenewSoon(); });
}

App::~App() { Stop(); }

absl::Status App::Start() {
  if (absl::Status status = server_.Start(); !status.ok()) return status;
  bus_.Open(kNamespace);
  bus_.Start(server_.hubs());
  presence_->Start(server_.peer_address());
  started_ = true;
  return absl::OkStatus();
}

void App::Drain(std::chrono::steady_clock::time_point deadline) { server_.Drain(deadline); }

void App::Stop() {
  if (!std::exchange(started_, false)) return server_.Stop();
  auto released = std::make_shared<std::promise<void>>();
  presence_->Stop([released](const absl::Status&) { released->set_value(); });
  released->get_future().wait_for(kReleaseTimeout);
  bus_.Stop();
  server_.Stop();
}

bool App::ready() const {
  return sessions_.connected() && bus_.connected() && presence_->has_lease() && !server_.draining();
}

}  // namespace sesior::realtime
