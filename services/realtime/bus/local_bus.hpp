// LocalBus: a Bus for a process without a session service, where every client is here: the conformance server, trials.
// Threading: thread-safe after Start.
#pragma once

#include <utility>
#include <vector>

#include "services/realtime/bus/bus.hpp"
#include "services/realtime/hub/hub.hpp"

namespace sesior::realtime {

class LocalBus final : public Bus {
 public:
  void Start(std::vector<hub::Hub*> hubs) { hubs_ = std::move(hubs); }

  void Publish(Broadcast broadcast, Done<void> done) override {
    const auto encoded = EncodedBroadcast::From(std::move(broadcast), hubs_.front()->options().format);
    for (hub::Hub* hub : hubs_) hub->OnBroadcast(encoded);
    hubs_.front()->loop().Post([done = std::move(done)]() mutable { std::move(done)(absl::OkStatus()); });
  }
  void Open(const std::string&) override {}
  void Close(const std::string&) override {}

 private:
  std::vector<hub::Hub*> hubs_;
};

}  // namespace sesior::realtime
