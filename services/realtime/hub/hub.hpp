// Hub: the Socket.IO server of one thread: its namespaces, their handlers, and the sockets that live here.
//
//   Namespace& chat = hub.Of("/");
//   chat.Use([](Socket& socket, Next next) { std::move(next)(Refusal{"Not authorized"}); });
//   chat.OnConnect([](Socket& socket) { socket.Join("lobby"); });
//   chat.On("say", [](Socket& socket, const Event& event) {
//     socket.To("lobby").Emit("said", event.arg(0));
//     event.reply()(nullptr, "ok");
//   });
//
// Every thread has a hub of its own with the same handlers: what sets one up runs once for each. Hubs share nothing;
// a broadcast to all goes through the bus, which brings it to every hub of every replica.
//
// Ownership: owns namespaces and sockets; loop and bus outlive it.
// Threading: confined to its loop, but OnBroadcast, which is thread-safe.
// Bounds:    HubOptions; each says what happens.
// Shutdown:  every socket is disconnected before its hub is destroyed.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "services/realtime/bus/bus.hpp"
#include "services/realtime/hub/loop.hpp"
#include "services/realtime/hub/socket.hpp"

namespace sesior::realtime::hub {

struct HubOptions {
  std::size_t max_rooms = 1'000;         // of a socket; more: Join answers false
  std::size_t max_room_bytes = 256;      // of a room's name; longer: Join answers false
  std::size_t max_queued_work = 1'000;   // of a socket, see Socket::InOrder
  std::size_t max_pending_acks = 1'000;  // of a socket; more: the handler gets kResourceExhausted
};

// Why a client may not join a namespace: CONNECT_ERROR {message, data?}.
struct Refusal {
  std::string message;
  std::optional<Json> data = std::nullopt;
};
// Ends one middleware: with a refusal, or without. Call once, on the hub's thread, now or later; if never, the
// connection ends at its connectTimeout.
using Next = absl::AnyInvocable<void(std::optional<Refusal>) &&>;

using Middleware = std::function<void(Socket&, Next)>;
using ConnectHandler = std::function<void(Socket&)>;
using EventHandler = std::function<void(Socket&, const Event&)>;
using DisconnectHandler = std::function<void(Socket&, CloseReason)>;
// Sees every event before its handler; false: the event is dropped.
using EventFilter = std::function<bool(Socket&, const Event&)>;

class Hub;

class Namespace {
 public:
  Namespace(Hub& hub, std::string name);
  ~Namespace();
  Namespace(const Namespace&) = delete;
  Namespace& operator=(const Namespace&) = delete;

  const std::string& name() const { return name_; }
  Hub& hub() const { return hub_; }
  std::size_t socket_count() const { return sockets_.size(); }
  // Null: not here (it may be elsewhere).
  Socket* Find(std::string_view id) const;

  // -- set up before the first client comes; each may be called several times, all run in that order --
  Namespace& Use(Middleware middleware);
  Namespace& UseEvents(EventFilter filter);
  Namespace& OnConnect(ConnectHandler handler);
  // One handler an event: the last one counts.
  Namespace& On(std::string event, EventHandler handler);
  // Every event, before its own handler.
  Namespace& OnAny(EventHandler handler);
  // Runs while the socket still has its rooms and data.
  Namespace& OnDisconnect(DisconnectHandler handler);

  // -- to all replicas --
  Target All() { return Target(*this, {}); }
  Target To(std::string room) { return Target(*this, {{std::move(room)}, {}}); }

  // To the sockets that live here; answers how many took it.
  std::size_t Deliver(const Selection& to, const socketio::FramePtr& frame, bool is_volatile);

 private:
  friend class Hub;
  friend class Socket;

  void RunMiddleware(const std::shared_ptr<Socket>& socket, std::size_t index, Next answer);
  bool Join(Socket& socket, std::string_view room);
  void Leave(Socket& socket, Room& room);
  Room* FindRoom(std::string_view name) const;

  Hub& hub_;
  std::string name_;
  std::vector<Middleware> middleware_;
  std::vector<EventFilter> filters_;
  std::vector<ConnectHandler> on_connect_;
  std::vector<EventHandler> on_any_;
  std::vector<DisconnectHandler> on_disconnect_;
  absl::flat_hash_map<std::string, EventHandler> on_;
  // The keys are the ids and names that the values hold. Rooms without members go.
  absl::flat_hash_map<std::string_view, std::shared_ptr<Socket>> sockets_;
  absl::flat_hash_map<std::string_view, std::unique_ptr<Room>> rooms_;
  std::uint64_t deliveries_ = 0;
  std::uint64_t last_ack_id_ = 0;
};

class Hub {
 public:
  Hub(const HubOptions& options, Loop& loop, Bus& bus) : options_(options), loop_(loop), bus_(bus) {}
  ~Hub();

  // The namespace of this name ("/" or "/name"), made if need be.
  Namespace& Of(std::string_view name);
  // Dynamic namespaces: when a client asks for an unknown one and `matches` says yes, it is made and `setup` runs on
  // it. Rules are tried in order. `limit`: how many namespaces a rule may make; beyond it "Invalid namespace". They
  // stay, as in the reference.
  void OfMatching(std::function<bool(std::string_view name)> matches, std::function<void(Namespace&)> setup,
                  std::size_t limit = 1'000);

  // May clients ask for it?
  bool Has(std::string_view name) const;

  // -- from the connection --
  // A client asks for a namespace. The socket exists from now on; `answer` gets the verdict of the middleware, now or
  // later on this thread. Without a refusal the connection answers CONNECT first and then calls Admit.
  std::shared_ptr<Socket> Connect(std::string_view nsp, std::string id, JsonValue auth, Link& link, Next answer);
  // Runs the connect handlers.
  void Admit(Socket& socket);
  void OnEvent(Socket& socket, const socketio::Packet& packet);
  void OnAck(Socket& socket, std::uint64_t id, const socketio::Packet& packet) { socket.OnAck(id, packet); }
  // Runs the disconnect handlers (of an admitted socket) and forgets the socket and its link.
  void OnDisconnect(Socket& socket, CloseReason reason);

  // From the bus, on any thread.
  void OnBroadcast(std::shared_ptr<const EncodedBroadcast> broadcast);

  const HubOptions& options() const { return options_; }
  Loop& loop() const { return loop_; }
  Bus& bus() const { return bus_; }

 private:
  struct Rule {
    std::function<bool(std::string_view)> matches;
    std::function<void(Namespace&)> setup;
    std::size_t limit = 0;
    std::size_t made = 0;
  };

  Namespace* FindOrMake(std::string_view name);

  const HubOptions& options_;
  Loop& loop_;
  Bus& bus_;
  absl::flat_hash_map<std::string, std::unique_ptr<Namespace>> namespaces_;
  std::vector<Rule> rules_;
};

}  // namespace sesior::realtime::hub
