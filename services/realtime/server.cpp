#include "services/realtime/server.hpp"

#include <algorithm>
#include <random>
#include <thread>
#include <utility>

#include "services/realtime/connection/session_watches.hpp"
#include "services/realtime/peers/peer_gate.hpp"
#include "services/realtime/transport/listener.hpp"
#include "services/realtime/transport/loop.hpp"
#include "sesior/telemetry/log.hpp"
#include "sesior/websocket/message_reader.hpp"

namespace sesior::realtime {
namespace {

using std::chrono::milliseconds;

// Between two slices of a drain: uneven, so that clients that came together do not come back together.
constexpr int kLeastPauseMs = 20;
constexpr int kMostPauseMs = 80;
// For clients that are between two polls to take their end, and for polls of others to be answered.
constexpr milliseconds kLastPolls{2'000};
constexpr milliseconds kLook{5};

// Looks again and again; false: not in time.
template <typename Condition>
bool WaitUntil(std::chrono::steady_clock::time_point deadline, const Condition& condition) {
  while (!condition()) {
    if (Loop::Now() >= deadline) return false;
    std::this_thread::sleep_for(kLook);
  }
  return true;
}

ServerOptions WithOneFormat(ServerOptions options) {
  options.hub.format = options.socketio.format;
  return options;
}

// A request that was within the limits stays so with what its first replica has added.
ChannelOptions ForPassedRequests(ChannelOptions options) {
  options.http.head_bytes += 1024;
  options.http.headers += 8;
  return options;
}

}  // namespace

// One thread and all that lives on it. Destroyed from the bottom up: clients before the hub, all before the loop.
struct Server::Thread {
  Thread(Server& server, std::size_t index)
      : loop(index),
        hub(server.options_.hub, loop, server.bus_, tallies),
        watches(server.sessions_ == nullptr
                    ? nullptr
                    : std::make_unique<SessionWatches>(*server.sessions_, loop, server.options_.session_timeout,
                                                       tallies, server.options_.session_touch)),
        packer(loop, tallies),
        peers(server.options_.peers.listen.empty()
                  ? nullptr
                  : std::make_unique<Peers>(
                        loop, tallies, server.options_.peers, server.peer_secrets_, server.peer_table_,
                        std::max<std::size_t>(1, server.options_.peers.max_links / server.options_.threads), context,
                        [this](const ExchangePtr& exchange, bool upgrade, PeerFailure failure) {
                          front.OnPassFailed(exchange, upgrade, failure);
                        })),
        front(server.options_.front, server.cors_, server.bundle_, server.options_.threads, peers.get(),
              server.draining_, server.gate_,
              {loop, server.options_.engine, server.options_.socketio, server.options_.cookie_name, hub,
               server.options_.max_connection_age, watches.get(), server.options_.session_changed_members, tallies,
               packer, server.addresses_, server.options_.channel.loop_queue_limit_bytes, server.options_.raw_messages,
               nullptr}),
        context{
            loop,  server.options_.channel, front, tallies, tallies.connections, server.connections_, server.contexts_,
            false, &server.draining_},
        listener(loop, tallies, server.connections_, server.options_.max_connections,
                 [this](int fd, const http::IpAddress& peer) { Channel::Adopt(context, fd, peer); }),
        peer_context{loop,
                     server.peer_channel_,
                     front,
                     tallies,
                     tallies.peer_connections,
                     server.peer_connections_,
                     server.peer_contexts_,
                     true},
        gate(peer_context, server.peer_secrets_, server.options_.front.replica_id,
             server.options_.peers.link.connect_timeout),
        peer_listener(loop, tallies, server.peer_connections_, server.options_.peers.max_links,
                      [this](int fd, const http::IpAddress& peer) { gate.Admit(fd, peer); }) {
    if (!peers) return;
    server.peer_table_.AddListener([this] { loop.Post([this] { peers->OnTable(); }); });
  }

  LoopTallies tallies;
  Loop loop;
  hub::Hub hub;
  std::unique_ptr<SessionWatches> watches;
  AnswerPacker packer;
  std::unique_ptr<Peers> peers;
  EngineFront front;
  ChannelContext context;
  Listener listener;
  ChannelContext peer_context;
  PeerGate gate;
  Listener peer_listener;
};

Server::Server(ServerOptions options, session_client::SessionClient* sessions, Bus& bus)
    : options_(WithOneFormat(std::move(options))),
      sessions_(sessions),
      bus_(bus),
      cors_(options_.allowed_origins),
      gate_(options_.handshakes_per_second),
      addresses_(options_.addresses),
      peer_channel_(ForPassedRequests(options_.channel)),
      peer_secrets_(options_.peers.secrets) {
  for (std::size_t i = 0; i < options_.threads; ++i) {
    threads_.push_back(std::make_unique<Thread>(*this, i));
    contexts_.push_back(&threads_.back()->context);
    peer_contexts_.push_back(&threads_.back()->peer_context);
  }
  for (const std::unique_ptr<Thread>& thread : threads_) thread->hub.SetPeers(hubs());
}

Server::~Server() { Stop(); }

absl::Status Server::Start() {
  absl::StatusOr<ClientBundle> bundle = ClientBundle::Load(options_.client_bundle_dir);
  if (!bundle.ok()) return bundle.status();
  bundle_ = *std::move(bundle);
  absl::StatusOr<asio::ip::tcp::endpoint> endpoint = ParseEndpoint(options_.listen);
  if (!endpoint.ok()) return endpoint.status();
  endpoint_ = *endpoint;
  websocket::Initialize();
  for (const std::unique_ptr<Thread>& thread : threads_) {
    // With port 0 the first thread finds a port, and the others join it.
    if (absl::Status status = thread->listener.Open(endpoint_); !status.ok()) return status;
  }
  if (!options_.peers.listen.empty()) {
    endpoint = ParseEndpoint(options_.peers.listen);
    if (!endpoint.ok()) return endpoint.status();
    peer_endpoint_ = *endpoint;
    for (const std::unique_ptr<Thread>& thread : threads_) {
      if (absl::Status status = thread->peer_listener.Open(peer_endpoint_); !status.ok()) return status;
      thread->peer_listener.Start();
    }
    telemetry::Log(telemetry::Level::kInfo, "listening", {{"name", "peers"}, {"addr", ToText(peer_endpoint_)}});
  }
  for (const std::unique_ptr<Thread>& thread : threads_) {
    thread->listener.Start();
    thread->loop.Start();
  }
  telemetry::Log(telemetry::Level::kInfo, "listening", {{"name", "http"}, {"addr", address()}});
  return absl::OkStatus();
}

void Server::Drain(std::chrono::steady_clock::time_point deadline) {
  draining_.store(true, std::memory_order_relaxed);
  std::this_thread::sleep_until(std::min(deadline, Loop::Now() + options_.drain_delay));
  CloseClients(deadline);
  LeaveOthers(deadline);
}

void Server::CloseClients(std::chrono::steady_clock::time_point deadline) {
  // What the threads have told of the slices so far. Shared with tasks that may run late.
  struct Slice {
    std::atomic<std::size_t> threads_due = 0;
    std::atomic<std::size_t> left = 0;
    std::atomic<std::size_t> unused = 0;
  };
  const auto begin = Loop::Now();
  std::minstd_rand random(std::random_device{}());
  std::uniform_int_distribution<int> pause_ms(kLeastPauseMs, kMostPauseMs);
  std::size_t left = Sum(&LoopTallies::clients) + Sum(&LoopTallies::relays);
  const std::size_t all = left;
  double share = 0;  // how many may be closed by now
  std::size_t turn = 0;
  while (left > 0 && Loop::Now() < deadline) {
    const milliseconds pause(pause_ms(random));
    share += static_cast<double>(options_.drain_rate) * std::chrono::duration<double>(pause).count();
    auto count = static_cast<std::size_t>(share);
    share -= static_cast<double>(count);
    const auto slice = std::make_shared<Slice>();
    slice->threads_due = threads_.size();
    const std::size_t part = (count + threads_.size() - 1) / threads_.size();
    for (std::size_t i = 0; i < threads_.size(); ++i) {
      Thread& thread = *threads_[(turn + i) % threads_.size()];
      std::size_t own = std::min(part, count);
      count -= own;
      thread.loop.Post([&thread, slice, own]() mutable {
        std::size_t open = thread.front.CloseSome(own, socketio::CloseReason::kServerShutdown);
        if (thread.peers) open += thread.peers->CloseRelays(own);
        slice->left += open;
        slice->unused += own;
        --slice->threads_due;
      });
    }
    ++turn;
    std::this_thread::sleep_for(pause);
    if (!WaitUntil(deadline, [&] { return slice->threads_due == 0; })) break;
    left = slice->left;
    share += static_cast<double>(slice->unused);
  }
  telemetry::Log(left == 0 ? telemetry::Level::kInfo : telemetry::Level::kWarn, "drained",
                 {{"clients", all},
                  {"left", left},
                  {"took_ms", std::chrono::duration_cast<milliseconds>(Loop::Now() - begin).count()}});
  const auto last_polls = std::min(deadline, Loop::Now() + kLastPolls);
  WaitUntil(last_polls, [this] { return Sum(&LoopTallies::clients) == 0; });
}

// Nothing new comes in any more, and what is passed on for others finds its end.
void Server::LeaveOthers(std::chrono::steady_clock::time_point deadline) {
  for (const std::unique_ptr<Thread>& thread : threads_) {
    thread->loop.Post([&thread = *thread] {
      thread.listener.Close();
      if (thread.peers) thread.peers->ReleasePolls();
    });
  }
  WaitUntil(std::min(deadline, Loop::Now() + kLastPolls), [this] { return Sum(&LoopTallies::passing_on) == 0; });
}

void Server::Stop() {
  for (const std::unique_ptr<Thread>& thread : threads_) {
    thread->loop.Stop();
    thread->listener.Close();
    thread->peer_listener.Close();
    thread->front.CloseAll(socketio::CloseReason::kServerShutdown);
  }
}

std::vector<hub::Hub*> Server::hubs() {
  std::vector<hub::Hub*> hubs;
  for (const std::unique_ptr<Thread>& thread : threads_) hubs.push_back(&thread->hub);
  return hubs;
}

std::string Server::address() const { return ToText(endpoint_); }

std::string Server::peer_address() const {
  if (options_.peers.listen.empty()) return {};
  return options_.peers.address.empty() ? ToText(peer_endpoint_) : options_.peers.address;
}

std::uint64_t Server::Sum(Tally LoopTallies::*tally) const {
  std::uint64_t sum = 0;
  for (const std::unique_ptr<Thread>& thread : threads_) sum += (thread->tallies.*tally).value();
  return sum;
}

}  // namespace sesior::realtime
