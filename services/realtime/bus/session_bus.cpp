#include "services/realtime/bus/session_bus.hpp"

#include <atomic>
#include <utility>

#include "services/realtime/hub/hub.hpp"
#include "sesior/base/json_string.hpp"
#include "sesior/telemetry/log.hpp"

namespace sesior::realtime {
namespace {

Broadcast FromProto(const broadcast::v1::Broadcast& proto) {
  Broadcast broadcast;
  broadcast.nsp = proto.namespace_();
  broadcast.to.rooms.assign(proto.rooms().begin(), proto.rooms().end());
  broadcast.to.except.assign(proto.except().begin(), proto.except().end());
  broadcast.args = proto.packet().args_json();
  broadcast.attachments.assign(proto.packet().attachments().begin(), proto.packet().attachments().end());
  broadcast.is_volatile = proto.volatile_();
  return broadcast;
}

// What the sockets of a namespace get when broadcasts cannot be had any more. `last` null: nobody knows how many.
Broadcast GapEvent(const broadcast::v1::SubscribeResponse::Gap& gap) {
  Broadcast event;
  event.nsp = gap.namespace_();
  const std::string last = gap.last_offset() == 0 ? "null" : std::to_string(gap.last_offset());
  event.args = R"(["sesior:gap",{"epoch":)" + JsonString(gap.epoch()) + R"(,"first":)" +
               std::to_string(gap.first_offset()) + R"(,"last":)" + last + "}]";
  return event;
}

}  // namespace

BusMetrics::BusMetrics(telemetry::Registry& registry)
    : published(
          registry.Counter("sesior_realtime_broadcasts_published_total", "Broadcasts sent to the session service.")),
      publish_failed(registry.Counter("sesior_realtime_broadcasts_failed_total",
                                      "Broadcasts that the session service did not take.")),
      received(registry.Counter("sesior_realtime_broadcasts_received_total", "Broadcasts from the session service.")),
      lost(registry.Counter("sesior_realtime_broadcasts_lost_total",
                            "Broadcasts announced as lost by the session service.")) {}

broadcast::v1::Broadcast ToProto(const Broadcast& broadcast) {
  broadcast::v1::Broadcast proto;
  proto.set_namespace_(broadcast.nsp);
  proto.mutable_rooms()->Assign(broadcast.to.rooms.begin(), broadcast.to.rooms.end());
  proto.mutable_except()->Assign(broadcast.to.except.begin(), broadcast.to.except.end());
  proto.mutable_packet()->set_args_json(broadcast.args);
  proto.mutable_packet()->mutable_attachments()->Assign(broadcast.attachments.begin(), broadcast.attachments.end());
  proto.set_volatile_(broadcast.is_volatile);
  return proto;
}

// The broadcasts of one namespace. Called on threads of the client, one call at a time.
class SessionBus::Subscription final : public session_client::SubscriptionHandler {
 public:
  // `counts`: for the readiness of the process from the beginning; else once it has stood.
  Subscription(SessionBus& bus, std::string nsp, bool counts) : bus_(bus), nsp_(std::move(nsp)), counts_(counts) {}

  void Start() { registration_ = bus_.client_.Subscribe(bus_.replica_id_, nsp_, *this); }
  // No call comes after it.
  void Stop() { registration_.reset(); }
  bool is_missing() const {
    return counts_.load(std::memory_order_relaxed) && !connected_.load(std::memory_order_relaxed);
  }

 private:
  void OnBroadcasts(const broadcast::v1::SubscribeResponse& response) override {
    for (const broadcast::v1::Delivery& delivery : response.deliveries()) {
      if (!delivery.has_broadcast()) continue;
      bus_.metrics_.received.Increment();
      const auto encoded =
          EncodedBroadcast::From(FromProto(delivery.broadcast()), bus_.hubs_.front()->options().format);
      for (hub::Hub* hub : bus_.hubs_) hub->OnBroadcast(encoded);
    }
    for (const auto& gap : response.gaps()) {
      // Nobody knows how many after a failover that went back: at least one.
      const std::uint64_t count = gap.last_offset() == 0 ? 1 : gap.last_offset() - gap.first_offset() + 1;
      bus_.metrics_.lost.Increment(static_cast<double>(count));
      telemetry::Log(telemetry::Level::kError, "broadcasts_lost", {{"count", count}, {"first", gap.first_offset()}});
      const auto told = EncodedBroadcast::From(GapEvent(gap), bus_.hubs_.front()->options().format);
      for (hub::Hub* hub : bus_.hubs_) hub->OnBroadcast(told);
    }
  }

  void OnConnected(bool connected) override {
    connected_.store(connected, std::memory_order_relaxed);
    if (connected) counts_.store(true, std::memory_order_relaxed);
    telemetry::Log(connected ? telemetry::Level::kInfo : telemetry::Level::kWarn,
                   connected ? "subscribed" : "subscription_lost");
  }

  SessionBus& bus_;
  const std::string nsp_;
  std::atomic<bool> counts_;
  std::atomic<bool> connected_ = false;
  std::unique_ptr<session_client::Registration> registration_;
};

SessionBus::SessionBus(session_client::SessionClient& client, std::string replica_id, BusMetrics metrics)
    : client_(client), replica_id_(std::move(replica_id)), metrics_(metrics) {}

SessionBus::~SessionBus() { Stop(); }

void SessionBus::Start(std::vector<hub::Hub*> hubs) {
  hubs_ = std::move(hubs);
  const absl::MutexLock lock(&mutex_);
  started_ = true;
  for (const auto& [nsp, subscription] : subscriptions_) subscription->Start();
}

void SessionBus::Stop() {
  absl::flat_hash_map<std::string, std::unique_ptr<Subscription>> subscriptions;
  {
    const absl::MutexLock lock(&mutex_);
    started_ = false;
    subscriptions.swap(subscriptions_);
    opened_.clear();
  }
  for (const auto& [nsp, subscription] : subscriptions) subscription->Stop();  // waits for a handler that is running
}

void SessionBus::Open(const std::string& nsp) {
  const absl::MutexLock lock(&mutex_);
  ++opened_[nsp];
  std::unique_ptr<Subscription>& subscription = subscriptions_[nsp];
  if (subscription) return;
  subscription = std::make_unique<Subscription>(*this, nsp, !started_);
  if (started_) subscription->Start();  // Subscribe never calls back from inside
}

void SessionBus::Close(const std::string& nsp) {
  std::unique_ptr<Subscription> last;
  {
    const absl::MutexLock lock(&mutex_);
    const auto opened = opened_.find(nsp);
    if (opened == opened_.end() || --opened->second > 0) return;
    opened_.erase(opened);
    last = std::move(subscriptions_.extract(nsp).mapped());
  }
  last->Stop();  // waits for a handler that is running, which only posts
}

void SessionBus::Publish(Broadcast broadcast, Done<void> done) {
  broadcast::v1::PublishRequest request;
  *request.mutable_broadcast() = ToProto(broadcast);
  metrics_.published.Increment();
  client_.Publish(std::move(request), {},
                  [this, done = std::move(done)](absl::StatusOr<broadcast::v1::PublishResponse> response) mutable {
                    if (!response.ok()) metrics_.publish_failed.Increment();
                    std::move(done)(response.status());
                  });
}

bool SessionBus::connected() const {
  const absl::MutexLock lock(&mutex_);
  for (const auto& [nsp, subscription] : subscriptions_) {
    if (subscription->is_missing()) return false;
  }
  return started_;
}

}  // namespace sesior::realtime
