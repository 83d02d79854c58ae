#include "replica.hpp"

#include <utility>

#include "affinity.hpp"
#include "asio/post.hpp"
#include "sesior/base/error.hpp"
#include "sesior/telemetry/log.hpp"

namespace sesior::session_client {

namespace {

constexpr std::chrono::seconds kStable(10);  // a stream that stood so long starts the backoff anew
constexpr std::chrono::seconds kLetGoDelay(1);

grpc::ChannelArguments ChannelArguments() {
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
  return arguments;
}

// Spreads a hash over all bits (the finalizer of MurmurHash3).
std::uint64_t Mix(std::uint64_t x) {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdULL;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53ULL;
  return x ^ (x >> 33);
}

}  // namespace

Replica::Replica(std::string address, const std::string& host, std::shared_ptr<Access> access, asio::io_context& worker,
                 const InFlight& in_flight, Callbacks callbacks)
    : address_(std::move(address)),
      address_hash_(StableHash(address_)),
      access_(std::move(access)),
      worker_(worker),
      in_flight_(in_flight),
      callbacks_(std::move(callbacks)),
      channel_(access_->MakeChannel(address_, host, ChannelArguments())),
      exchange_stub_(internal::v1::ExchangeService::NewStub(channel_)),
      sessions_(session::v1::SessionService::NewStub(channel_)),
      broadcasts_(broadcast::v1::BroadcastService::NewStub(channel_)),
      presence_(presence::v1::PresenceService::NewStub(channel_)),
      reopen_timer_(worker),
      let_go_timer_(worker),
      backoff_({.initial = std::chrono::milliseconds(50), .max = std::chrono::milliseconds(1000)}) {}

void Replica::Open() {
  auto self = shared_from_this();
  auto exchange = std::make_shared<Exchange>(Exchange::Callbacks{
      .on_open = [self](const ExchangePtr& opened) { self->OnOpen(opened); },
      .on_go_away = [self](const ExchangePtr& leaving) { self->OnGoAway(leaving); },
      .on_lost = [self](const ExchangePtr& lost,
                        std::vector<OpenCallPtr> calls) { self->OnLost(lost, std::move(calls)); },
  });
  {
    absl::MutexLock lock(&mutex_);
    if (closed_ || next_) return;
    next_ = exchange;
  }
  opened_at_ = std::chrono::steady_clock::now();
  exchange->Start(*exchange_stub_, *access_, in_flight_.Take());
}

void Replica::OnOpen(const ExchangePtr& exchange) {
  ExchangePtr replaced;
  {
    absl::MutexLock lock(&mutex_);
    if (next_ != exchange) return;
    replaced = std::exchange(current_, std::exchange(next_, nullptr));
    if (replaced) finishing_.push_back(replaced);
    UpdateState();
  }
  telemetry::Log(telemetry::Level::kInfo, "session_service_connected", {{"addr", address_}});
  if (replaced) replaced->Finish();
  callbacks_.on_change();
  // The word to go came before this.
  if (exchange->going_away()) OnGoAway(exchange);
}

void Replica::OnGoAway(const ExchangePtr& exchange) {
  {
    absl::MutexLock lock(&mutex_);
    if (current_ != exchange) return;  // replaced already, or OnOpen comes back to it
    UpdateState();
  }
  telemetry::Log(telemetry::Level::kInfo, "session_service_going_away", {{"addr", address_}});
  callbacks_.on_change();
  Reopen();
  ArmLetGo();
}

void Replica::OnLost(const ExchangePtr& exchange, std::vector<OpenCallPtr> calls) {
  bool was_current = false;
  bool closed = false;
  bool reopen = false;
  {
    absl::MutexLock lock(&mutex_);
    std::erase(finishing_, exchange);
    was_current = current_ == exchange;
    if (was_current) current_ = nullptr;
    if (next_ == exchange) next_ = nullptr;
    closed = closed_;
    reopen = !closed_ && !next_ && !current_;
    UpdateState();
  }
  if (was_current) {
    if (!closed) telemetry::Log(telemetry::Level::kWarn, "session_service_lost", {{"addr", address_}});
    callbacks_.on_change();
  }
  if (reopen) Reopen();
  callbacks_.on_lost(std::move(calls));
}

void Replica::UpdateState() {
  state_ = !current_ ? State::kDown : current_->going_away() ? State::kLeaving : State::kUp;
}

void Replica::Reopen() {
  asio::post(worker_, [self = shared_from_this()] {
    {
      absl::MutexLock lock(&self->mutex_);
      if (self->closed_) return;
    }
    if (std::chrono::steady_clock::now() - self->opened_at_ > kStable) self->backoff_.Reset();
    self->reopen_timer_.expires_after(self->backoff_.Next());
    self->reopen_timer_.async_wait([self](std::error_code error) {
      if (!error) self->Open();
    });
  });
}

void Replica::ArmLetGo() {
  asio::post(worker_, [self = shared_from_this()] {
    {
      absl::MutexLock lock(&self->mutex_);
      if (self->closed_) return;
    }
    self->let_go_timer_.expires_after(kLetGoDelay);
    self->let_go_timer_.async_wait([self](std::error_code error) {
      if (!error) self->LetGo();
    });
  });
}

void Replica::LetGo() {
  ExchangePtr leaving;
  {
    absl::MutexLock lock(&mutex_);
    if (!current_ || !current_->going_away()) return;
    leaving = std::exchange(current_, nullptr);
    finishing_.push_back(leaving);
    UpdateState();
  }
  leaving->Finish();
  callbacks_.on_change();
}

void Replica::Close() {
  std::vector<ExchangePtr> open;
  {
    absl::MutexLock lock(&mutex_);
    closed_ = true;
    open = finishing_;
    if (next_) open.push_back(next_);
    if (current_) open.push_back(current_);
  }
  reopen_timer_.cancel();
  let_go_timer_.cancel();
  // Without the lock: a cancellation may call back at once.
  for (const ExchangePtr& exchange : open) exchange->Cancel();
}

void Replica::Expire(std::chrono::steady_clock::time_point now) {
  std::vector<ExchangePtr> open;
  {
    absl::MutexLock lock(&mutex_);
    open = finishing_;
    if (current_) open.push_back(current_);
  }
  for (const ExchangePtr& exchange : open) exchange->Expire(now);
}

Exchange::SendResult Replica::Send(OpenCallPtr call) {
  ExchangePtr current;
  {
    absl::MutexLock lock(&mutex_);
    current = current_;
  }
  return current ? current->Send(std::move(call)) : Exchange::SendResult::kLost;
}

ReplicaPtr Choose(const std::vector<ReplicaPtr>& replicas, std::uint64_t affinity) {
  for (const Replica::State wanted : {Replica::State::kUp, Replica::State::kLeaving}) {
    ReplicaPtr best;
    std::uint64_t best_score = 0;
    for (const ReplicaPtr& replica : replicas) {
      if (replica->state() != wanted) continue;
      const std::uint64_t score = Mix(replica->address_hash() ^ affinity);
      if (!best || score > best_score) {
        best = replica;
        best_score = score;
      }
    }
    if (best) return best;
  }
  return nullptr;
}

absl::Status NoReplicaError() {
  return Error(absl::StatusCode::kUnavailable, "no session service can be reached",
               {.reason = "SESSION_SERVICE_UNAVAILABLE", .field = {}, .retry_after = std::chrono::milliseconds(1000)});
}

}  // namespace sesior::session_client
