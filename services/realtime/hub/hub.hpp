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
// Handlers belong to a namespace, not to each socket: ten thousand sockets with closures of their own would hold the
// same thing ten thousand times. What is a socket's own goes into Socket::data.
//
// Every thread has a hub of its own with the same handlers: what sets one up runs once for each. Hubs share nothing;
// a broadcast to all goes through the bus, which brings it to every hub of every replica.
//
// Ownership: owns namespaces and sockets; loop and bus outlive it.
// Threading: confined to its loop, but OnBroadcast, which is thread-safe.
// Bounds:    HubOptions; each says what happens.
// Shutdown:  every socket is disconnected before its hub is destroyed.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "services/realtime/bus/bus.hpp"
#include "services/realtime/hub/loop.hpp"
#include "services/realtime/hub/socket.hpp"
#include "services/realtime/hub/target.hpp"
#include "services/realtime/metrics.hpp"

namespace sesior::realtime::hub {

struct HubOptions {
  std::size_t max_rooms = 1'000;        // of a socket; more: Join answers false
  std::size_t max_room_bytes = 256;     // of a room's name; longer: Join answers false
  std::size_t max_queued_work = 1'000;  // of a socket, see Socket::InOrder
  // Of a socket, and for broadcasts and FetchSockets of a hub; more: the handler gets kResourceExhausted.
  std::size_t max_pending_acks = 1'000;
  socketio::PacketFormat format = socketio::PacketFormat::kJson;  // of all clients
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
// Sees every event before its handler; an error: the event is dropped and the error handlers run.
using EventMiddleware = std::function<absl::Status(Socket&, const Event&)>;
using ErrorHandler = std::function<void(Socket&, const Event&, const absl::Status&)>;

class Hub;

class Namespace : public std::enable_shared_from_this<Namespace> {
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
  Namespace& UseEvents(EventMiddleware middleware);
  Namespace& OnConnect(ConnectHandler handler);
  // One handler an event: the last one counts.
  Namespace& On(std::string event, EventHandler handler);
  // Every event that comes, before middleware and its own handler.
  Namespace& OnAny(EventHandler handler);
  // Every event that goes out, once for each socket that it was queued for, broadcasts included. It may change nothing
  // about it any more. A broadcast to many costs a call for each of them.
  Namespace& OnAnyOutgoing(EventHandler handler);
  // An event that a middleware has refused.
  Namespace& OnError(ErrorHandler handler);
  // The socket is on its way out and still has its rooms.
  Namespace& OnDisconnecting(DisconnectHandler handler);
  // The socket has left its rooms and is no longer found; data and session are still there.
  Namespace& OnDisconnect(DisconnectHandler handler);

  // -- to all replicas (see target.hpp) --
  Target All() { return Target(*this, {}); }
  Target To(std::string room) { return Target(*this, {{std::move(room)}, {}}); }
  Target Except(std::string room) { return Target(*this, {{}, {std::move(room)}}); }

  // To the sockets that live here; answers how many took it.
  std::size_t Deliver(const EncodedBroadcast& broadcast);

 private:
  friend class Hub;
  friend class Socket;
  friend class Target;
  struct Asked;  // a broadcast whose acknowledgements are awaited

  template <typename Visit>
  void ForEach(const Selection& to, const Visit& visit);
  std::vector<std::shared_ptr<Socket>> Select(const Selection& to);
  void Ask(const Selection& to, const Json& args, std::chrono::milliseconds timeout, Hub& asker, std::uint64_t id);
  bool OnBroadcastAck(Socket& socket, std::uint64_t ack_id, const socketio::Packet& packet);
  void ForgetAsked(Socket& socket);
  void TellOutgoing(std::span<const std::shared_ptr<Socket>> to, std::string_view args,
                    std::span<const std::string> attachments);

  void RunMiddleware(const std::shared_ptr<Socket>& socket, std::size_t index, Next answer);
  bool Join(Socket& socket, std::string_view room);
  void Leave(Socket& socket, Room& room);
  Room* FindRoom(std::string_view name) const;

  Hub& hub_;
  std::string name_;
  std::vector<Middleware> middleware_;
  std::vector<EventMiddleware> event_middleware_;
  std::vector<ConnectHandler> on_connect_;
  std::vector<EventHandler> on_any_;
  std::vector<EventHandler> on_any_outgoing_;
  std::vector<ErrorHandler> on_error_;
  std::vector<DisconnectHandler> on_disconnecting_;
  std::vector<DisconnectHandler> on_disconnect_;
  absl::flat_hash_map<std::string, EventHandler> on_;
  // The keys are the ids and names that the values hold. Rooms without members go.
  absl::flat_hash_map<std::string_view, std::shared_ptr<Socket>> sockets_;
  absl::flat_hash_map<std::string_view, std::unique_ptr<Room>> rooms_;
  absl::flat_hash_map<std::uint64_t, std::unique_ptr<Asked>> asked_;  // by ack id
  std::uint64_t deliveries_ = 0;
  std::uint64_t last_ack_id_ = 0;
  std::size_t connecting_ = 0;   // sockets that middleware has not let pass yet
  std::size_t* made_ = nullptr;  // the count of its rule, when it goes with its last socket
};

// Which names a rule for dynamic namespaces takes, and from whom: `auth` is what the client sent with CONNECT.
using NamespaceMatcher = std::function<bool(std::string_view name, JsonValue auth)>;

struct DynamicOptions {
  std::size_t limit = 1'000;  // namespaces that a rule may have at a time; beyond it clients get "Invalid namespace"
  // Drop a namespace when its last socket has left (cleanupEmptyChildNamespaces); else it stays, as in the reference.
  bool drop_empty = false;
};

class Hub {
 public:
  Hub(const HubOptions& options, Loop& loop, Bus& bus, LoopTallies& tallies);
  ~Hub();
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  // All hubs of the process, this one included; before the first client comes. Until then a hub is alone.
  void SetPeers(std::vector<Hub*> hubs) { peers_ = std::move(hubs); }

  // The namespace of this name ("/" or "/name"), made if need be.
  Namespace& Of(std::string_view name);
  // Null: there is none here (now).
  Namespace* Find(std::string_view name) const;
  // Dynamic namespaces: when a client asks for an unknown one and `matches` says yes, it is made and `setup` runs on
  // it. Rules are tried in order.
  void OfMatching(NamespaceMatcher matches, std::function<void(Namespace&)> setup, DynamicOptions options = {});
  // The same for names that `pattern`, an ECMAScript regular expression, matches as a whole. Aborts when it is none.
  void OfPattern(const std::string& pattern, std::function<void(Namespace&)> setup, DynamicOptions options = {});

  // May a client with this `auth` ask for it?
  bool Has(std::string_view name, JsonValue auth) const;

  // -- from the connection --
  // A client asks for a namespace. The socket exists from now on; `answer` gets the verdict of the middleware, now or
  // later on this thread. Without a refusal the connection answers CONNECT first and then calls Admit.
  std::shared_ptr<Socket> Connect(std::string_view nsp, std::string id, JsonValue auth, Link& link, Next answer);
  // Runs the connect handlers.
  void Admit(Socket& socket);
  void OnEvent(Socket& socket, const socketio::Packet& packet);
  void OnAck(Socket& socket, std::uint64_t id, const socketio::Packet& packet);
  // Runs the disconnect handlers (of an admitted socket) and forgets the socket and its link.
  void OnDisconnect(Socket& socket, CloseReason reason);

  // From the bus, on any thread.
  void OnBroadcast(std::shared_ptr<const EncodedBroadcast> broadcast);

  const HubOptions& options() const { return options_; }
  Loop& loop() const { return loop_; }
  Bus& bus() const { return bus_; }
  LoopTallies& tallies() const { return tallies_; }

 private:
  friend class Namespace;
  friend class Target;
  struct Rule {
    NamespaceMatcher matches;
    std::function<void(Namespace&)> setup;
    DynamicOptions options;
    std::size_t made = 0;
  };
  struct Gathering;  // what all hubs are asked, and what has come back

  std::shared_ptr<Namespace> FindOrMake(std::string_view name, JsonValue auth);
  void DropIfEmpty(Namespace& nsp);

  // At once on this hub, on their own threads for its peers; those without the namespace are left out.
  void OnEachHub(const std::string& nsp, const std::function<void(Namespace&)>& task);
  // The same where every hub owes an answer: those without the namespace get null.
  void AskEachHub(const std::string& nsp, const std::function<void(Namespace*)>& task);
  // 0: too many already.
  std::uint64_t StartGathering(Gathering gathering, std::chrono::milliseconds timeout);
  // Posted by the hubs that were asked.
  void OnAsked(std::uint64_t id, std::size_t clients);
  void OnAnswer(std::uint64_t id, Json answer);
  void OnFetched(std::uint64_t id, std::vector<RemoteSocket> sockets);
  void FinishGathering(std::uint64_t id, absl::Status status);

  const HubOptions& options_;
  Loop& loop_;
  Bus& bus_;
  LoopTallies& tallies_;
  std::vector<Hub*> peers_;
  absl::flat_hash_map<std::string, std::shared_ptr<Namespace>> namespaces_;
  std::deque<Rule> rules_;  // stays where it is: namespaces point at the counts
  absl::flat_hash_map<std::uint64_t, std::unique_ptr<Gathering>> gatherings_;
  std::uint64_t last_gathering_ = 0;
};

}  // namespace sesior::realtime::hub
