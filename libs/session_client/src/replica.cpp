#include "replica.hpp"

#include <grpcpp/create_channel.h>

#include "asio/post.hpp"
#include "sesior/telemetry/log.hpp"

namespace sesior::session_client {

namespace {

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& address) {
  grpc::ChannelArguments arguments;
  // A connection of its own per replica, found dead within seconds, tried again within a second.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 3'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 500);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1'000);
  arguments.SetMaxReceiveMessageSize(16 << 20);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

// Spreads a hash over all bits (the finalizer of MurmurHash3).
std::uint64_t Mix(std::uint64_t x) {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdULL;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53ULL;
  return x ^ (x >> 33);
}

// FNV-1a: the same in every process, so that all processes spread alike.
std::uint64_t StableHash(const std::string& text) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return hash;
}

}  // namespace

Replica::Replica(std::string address, asio::io_context& worker, Callbacks callbacks)
    : address_(std::move(address)),
      address_hash_(StableHash(address_)),
      worker_(worker),
      callbacks_(std::move(callbacks)),
      channel_(MakeChannel(address_)),
      exchange_stub_(internal::v1::ExchangeService::NewStub(channel_)),
      sessions_(session::v1::SessionService::NewStub(channel_)),
      broadcasts_(broadcast::v1::BroadcastService::NewStub(channel_)),
      presence_(presence::v1::PresenceService::NewStub(channel_)),
      reopen_timer_(worker),
      backoff_({.initial = std::chrono::milliseconds(50), .max = std::chrono::milliseconds(1000)}) {}

void Replica::Open() { OpenExchange(); }

void Replica::OpenExchange() {
  auto self = shared_from_this();
  // Callbacks of a stream that has been replaced (after GoAway) must not speak for the new one.
  auto made = std::make_shared<std::weak_ptr<Exchange>>();
  auto exchange = std::make_shared<Exchange>(Exchange::Callbacks{
      .on_usable =
          [self, made](bool usable) {
            if (self->exchange() != made->lock()) return;
            self->usable_ = usable;
            telemetry::Log(telemetry::Level::kInfo, usable ? "session_service_connected" : "session_service_going_away",
                           {{"addr", self->address_}});
            self->callbacks_.on_change();
            if (!usable) self->Reopen();
          },
      .on_lost =
          [self, made](std::vector<OpenCallPtr> calls) {
            if (self->exchange() == made->lock()) {
              if (self->usable_.exchange(false)) {
                telemetry::Log(telemetry::Level::kWarn, "session_service_lost", {{"addr", self->address_}});
              }
              self->callbacks_.on_change();
              self->Reopen();
            }
            self->callbacks_.on_lost(std::move(calls));
          },
  });
  *made = exchange;
  {
    absl::MutexLock lock(&mutex_);
    if (closed_) return;
    exchange_ = exchange;
  }
  callbacks_.on_open();
  exchange->Start(*exchange_stub_);
  absl::MutexLock lock(&mutex_);
  if (closed_) exchange->Cancel();
}

void Replica::Reopen() {
  asio::post(worker_, [self = shared_from_this()] {
    if (self->usable_) self->backoff_.Reset();
    self->reopen_timer_.expires_after(self->backoff_.Next());
    self->reopen_timer_.async_wait([self](std::error_code error) {
      if (!error) self->OpenExchange();
    });
  });
}

void Replica::Close() {
  std::shared_ptr<Exchange> exchange;
  {
    absl::MutexLock lock(&mutex_);
    closed_ = true;
    exchange = exchange_;
  }
  asio::post(worker_, [self = shared_from_this()] { self->reopen_timer_.cancel(); });
  if (exchange) exchange->Cancel();
}

std::shared_ptr<Exchange> Replica::exchange() {
  absl::MutexLock lock(&mutex_);
  return exchange_;
}

Exchange::SendResult Replica::Send(OpenCallPtr call) {
  if (!usable_) return Exchange::SendResult::kLost;
  return exchange()->Send(std::move(call));
}

void Replica::Expire(std::chrono::steady_clock::time_point now) {
  if (const std::shared_ptr<Exchange> current = exchange()) current->Expire(now);
}

ReplicaPtr Choose(const std::vector<ReplicaPtr>& replicas, std::uint64_t affinity) {
  ReplicaPtr best;
  std::uint64_t best_score = 0;
  for (const ReplicaPtr& replica : replicas) {
    if (!replica->usable()) continue;
    const std::uint64_t score = Mix(replica->address_hash() ^ affinity);
    if (!best || score > best_score) {
      best = replica;
      best_score = score;
    }
  }
  return best;
}

}  // namespace sesior::session_client
