#include "services/realtime/server.hpp"

#include <algorithm>
#include <thread>
#include <utility>

#include "services/realtime/connection/session_watches.hpp"
#include "services/realtime/transport/listener.hpp"
#include "services/realtime/transport/loop.hpp"
#include "sesior/telemetry/log.hpp"
#include "sesior/websocket/message_reader.hpp"

namespace sesior::realtime {
namespace {

constexpr std::chrono::milliseconds kSlicePause{20};
constexpr int kSlices = 50;  // a drain takes about a second

ServerOptions WithOneFormat(ServerOptions options) {
  options.hub.format = options.socketio.format;
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
                    : std::make_unique<SessionWatches>(*server.sessions_, loop, server.options_.session_timeout)),
        front(server.options_.front, server.cors_, server.bundle_, server.contexts_, server.draining_,
              {loop, server.options_.engine, server.options_.socketio, server.options_.cookie_name, hub, watches.get(),
               tallies, server.options_.raw_messages, nullptr}),
        context{loop, server.options_.channel, front, tallies, server.connections_},
        listener(loop, tallies, server.connections_, server.options_.max_connections,
                 [this](int fd) { Channel::Adopt(context, fd); }) {}

  LoopTallies tallies;
  Loop loop;
  hub::Hub hub;
  std::unique_ptr<SessionWatches> watches;
  EngineFront front;
  ChannelContext context;
  Listener listener;
};

Server::Server(ServerOptions options, session_client::SessionClient* sessions, Bus& bus)
    : options_(WithOneFormat(std::move(options))), sessions_(sessions), bus_(bus), cors_(options_.allowed_origins) {
  for (std::size_t i = 0; i < options_.threads; ++i) {
    threads_.push_back(std::make_unique<Thread>(*this, i));
    contexts_.push_back(&threads_.back()->context);
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
  const std::size_t slice = Sum(&LoopTallies::clients) / threads_.size() / kSlices + 1;
  while (Loop::Now() < deadline && Sum(&LoopTallies::clients) > 0) {
    for (const std::unique_ptr<Thread>& thread : threads_) {
      thread->loop.Post(
          [&front = thread->front, slice] { front.CloseSome(slice, socketio::CloseReason::kServerShutdown); });
    }
    std::this_thread::sleep_until(std::min(deadline, Loop::Now() + kSlicePause));
  }
}

void Server::Stop() {
  for (const std::unique_ptr<Thread>& thread : threads_) {
    thread->loop.Stop();
    thread->listener.Close();
    thread->front.CloseAll(socketio::CloseReason::kServerShutdown);
  }
}

std::vector<hub::Hub*> Server::hubs() {
  std::vector<hub::Hub*> hubs;
  for (const std::unique_ptr<Thread>& thread : threads_) hubs.push_back(&thread->hub);
  return hubs;
}

std::string Server::address() const { return ToText(endpoint_); }

std::uint64_t Server::Sum(Tally LoopTallies::*tally) const {
  std::uint64_t sum = 0;
  for (const std::unique_ptr<Thread>& thread : threads_) sum += (thread->tallies.*tally).value();
  return sum;
}

}  // namespace sesior::realtime
