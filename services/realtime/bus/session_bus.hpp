// SessionBus: the Bus over the session service. A broadcast goes out by Publish and comes back by the one subscription
// that this process has for its namespace; it is encoded once and handed to the hubs of all threads. Ownership: the
// client and the hubs outlive it. Threading: thread-safe after Start. Shutdown:  Stop, before the loops of the hubs
// end; nothing is handed to a hub after it returned.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "services/realtime/bus/bus.hpp"
#include "sesior/session_client/session_client.hpp"
#include "sesior/telemetry/metrics.hpp"

namespace sesior::realtime {

namespace hub {
class Hub;
}

struct BusMetrics {
  explicit BusMetrics(telemetry::Registry& registry);
  telemetry::Counter& published;
  telemetry::Counter& publish_failed;
  telemetry::Counter& received;
  telemetry::Counter& lost;  // broadcasts that the service could not give any more
};

// As the protos have it; for everybody who puts a broadcast into another message.
broadcast::v1::Broadcast ToProto(const Broadcast& broadcast);

class SessionBus final : public Bus {
 public:
  SessionBus(session_client::SessionClient& client, std::string replica_id, BusMetrics metrics);
  ~SessionBus() override;

  // `hubs`: all of the process. Subscribes to what was opened before, and from now on at once.
  void Start(std::vector<hub::Hub*> hubs);
  void Stop();

  void Publish(Broadcast broadcast, Done<void> done) override;
  void Open(const std::string& nsp) override;
  void Close(const std::string& nsp) override;

  // Do the subscriptions stand? False while broadcasts of others do not arrive: not ready. One that a client has begun,
  // by asking for a new namespace, counts only once it has stood: clients shall not make a process unready.
  bool connected() const;

 private:
  class Subscription;

  session_client::SessionClient& client_;
  const std::string replica_id_;
  BusMetrics metrics_;
  std::vector<hub::Hub*> hubs_;  // set once, by Start
  mutable absl::Mutex mutex_;
  bool started_ ABSL_GUARDED_BY(mutex_) = false;
  absl::flat_hash_map<std::string, std::unique_ptr<Subscription>> subscriptions_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, int> opened_ ABSL_GUARDED_BY(mutex_);  // how often, by namespace
};

}  // namespace sesior::realtime
