#include "services/realtime/hub/hub.hpp"

#include <algorithm>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "services/realtime/hub/gathering.hpp"
#include "services/realtime/hub/name_pattern.hpp"
#include "services/realtime/hub/room.hpp"
#include "sesior/base/check.hpp"
#include "sesior/base/string_view.hpp"

namespace sesior::realtime::hub {

// A broadcast whose acknowledgements are awaited by a hub, this one or a peer.
struct Namespace::Asked {
  Hub& asker;
  std::uint64_t gathering;
  absl::flat_hash_set<const Socket*> waiting = {};
  std::unique_ptr<Loop::Timer> timer = nullptr;
};

// -- Namespace: set up --

Namespace::Namespace(Hub& hub, std::string name) : hub_(hub), name_(std::move(name)) {}
Namespace::~Namespace() = default;

Namespace& Namespace::Use(Middleware middleware) {
  middleware_.push_back(std::move(middleware));
  return *this;
}

Namespace& Namespace::UseEvents(EventMiddleware middleware) {
  event_middleware_.push_back(std::move(middleware));
  return *this;
}

Namespace& Namespace::OnConnect(ConnectHandler handler) {
  on_connect_.push_back(std::move(handler));
  return *this;
}

Namespace& Namespace::On(std::string event, EventHandler handler) {
  on_[std::move(event)] = std::move(handler);
  return *this;
}

Namespace& Namespace::OnAny(EventHandler handler) {
  on_any_.push_back(std::move(handler));
  return *this;
}

Namespace& Namespace::OnAnyOutgoing(EventHandler handler) {
  on_any_outgoing_.push_back(std::move(handler));
  return *this;
}

Namespace& Namespace::OnError(ErrorHandler handler) {
  on_error_.push_back(std::move(handler));
  return *this;
}

Namespace& Namespace::OnDisconnecting(DisconnectHandler handler) {
  on_disconnecting_.push_back(std::move(handler));
  return *this;
}

Namespace& Namespace::OnDisconnect(DisconnectHandler handler) {
  on_disconnect_.push_back(std::move(handler));
  return *this;
}

// -- Namespace: sockets and rooms --

Socket* Namespace::Find(std::string_view id) const {
  const auto found = sockets_.find(id);
  return found == sockets_.end() ? nullptr : found->second.get();
}

Room* Namespace::FindRoom(std::string_view name) const {
  const auto found = rooms_.find(name);
  return found == rooms_.end() ? nullptr : found->second.get();
}

bool Namespace::Join(Socket& socket, std::string_view name) {
  if (socket.state_ == Socket::State::kGone) return false;
  if (socket.InRoom(name)) return true;
  if (socket.rooms_.size() >= hub_.options().max_rooms || name.size() > hub_.options().max_room_bytes) {
    hub_.tallies().rooms_refused.Add();
    return false;
  }
  Room* room = FindRoom(name);
  if (room == nullptr) {
    auto made = std::make_unique<Room>();
    made->name = name;
    room = made.get();
    rooms_.emplace(room->name, std::move(made));
  }
  room->members.insert(&socket);
  socket.rooms_.push_back(room);
  return true;
}

void Namespace::Leave(Socket& socket, Room& room) {
  if (room.members.erase(&socket) == 0) return;
  socket.rooms_.erase(std::find(socket.rooms_.begin(), socket.rooms_.end(), &room));
  if (room.members.empty()) rooms_.erase(rooms_.find(room.name));
}

// `visit` must not change which sockets and rooms there are.
template <typename Visit>
void Namespace::ForEach(const Selection& to, const Visit& visit) {
  // Names become pointers once; a name is a socket's id, a room's, or (rarely) both.
  absl::InlinedVector<const Socket*, 2> except_sockets;
  absl::InlinedVector<const Room*, 2> except_rooms;
  for (const std::string& name : to.except) {
    if (const Socket* socket = Find(name)) except_sockets.push_back(socket);
    if (const Room* room = FindRoom(name)) except_rooms.push_back(room);
  }
  const std::uint64_t delivery = ++deliveries_;
  const auto consider = [&](Socket& socket) {
    if (std::exchange(socket.last_delivery_, delivery) == delivery || !socket.connected()) return;
    for (const Socket* excepted : except_sockets) {
      if (excepted == &socket) return;
    }
    for (const Room* room : except_rooms) {
      if (room->members.contains(&socket)) return;
    }
    visit(socket);
  };

  if (to.rooms.empty()) {
    for (const auto& [id, socket] : sockets_) consider(*socket);
  }
  for (const std::string& name : to.rooms) {
    if (Socket* socket = Find(name)) consider(*socket);
    if (const Room* room = FindRoom(name)) {
      for (Socket* member : room->members) consider(*member);
    }
  }
}

std::vector<std::shared_ptr<Socket>> Namespace::Select(const Selection& to) {
  std::vector<std::shared_ptr<Socket>> selected;
  ForEach(to, [&selected](Socket& socket) { selected.push_back(socket.shared_from_this()); });
  return selected;
}

std::size_t Namespace::Deliver(const EncodedBroadcast& encoded) {
  const Broadcast& broadcast = encoded.broadcast;
  const bool is_watched = !on_any_outgoing_.empty();
  std::vector<std::shared_ptr<Socket>> watched;
  std::size_t delivered = 0;
  // Send never closes a connection, so nothing changes under the loop.
  ForEach(broadcast.to, [&](Socket& socket) {
    if (socket.link_->Send(encoded.frame, broadcast.is_volatile) == SendResult::kDropped) return;
    ++delivered;
    if (is_watched) watched.push_back(socket.shared_from_this());
  });
  if (is_watched) TellOutgoing(watched, broadcast.args, broadcast.attachments);
  return delivered;
}

void Namespace::TellOutgoing(std::span<const std::shared_ptr<Socket>> to, std::string_view args,
                             std::span<const std::string> attachments) {
  socketio::Packet packet;
  if (!socketio::MakeEvent(args, attachments, packet)) return;
  for (const std::shared_ptr<Socket>& socket : to) {
    const Event event(packet, socket);
    for (const EventHandler& handler : on_any_outgoing_) {
      if (socket->connected()) handler(*socket, event);
    }
  }
}

void Namespace::Ask(const Selection& to, const Json& args, std::chrono::milliseconds timeout, Hub& asker,
                    std::uint64_t id) {
  const std::uint64_t ack_id = last_ack_id_++;
  auto asked = std::make_unique<Asked>(Asked{asker, id});
  const socketio::FramePtr frame =
      socketio::EncodeEvent(name_, args.text(), args.attachments(), ack_id, hub_.options().format);
  ForEach(to, [&](Socket& socket) {
    socket.link_->Send(frame, false);  // who does not get it does not answer
    asked->waiting.insert(&socket);
  });
  asker.loop().Post([&asker, id, clients = asked->waiting.size()] { asker.OnAsked(id, clients); });
  if (!asked->waiting.empty()) {
    asked->timer = hub_.loop().After(timeout, [this, ack_id] { asked_.erase(ack_id); });
    asked_.emplace(ack_id, std::move(asked));
  }
  if (!on_any_outgoing_.empty()) TellOutgoing(Select(to), args.text(), args.attachments());
}

bool Namespace::OnBroadcastAck(Socket& socket, std::uint64_t ack_id, const socketio::Packet& packet) {
  const auto found = asked_.find(ack_id);
  if (found == asked_.end() || found->second->waiting.erase(&socket) == 0) return false;
  Hub& asker = found->second->asker;
  asker.loop().Post([&asker, id = found->second->gathering, answer = Json(packet.arg(0))]() mutable {
    asker.OnAnswer(id, std::move(answer));
  });
  if (found->second->waiting.empty()) asked_.erase(found);
  return true;
}

void Namespace::ForgetAsked(Socket& socket) {
  for (auto& [ack_id, asked] : asked_) asked->waiting.erase(&socket);
}

void Namespace::RunMiddleware(const std::shared_ptr<Socket>& socket, std::size_t index, Next answer) {
  if (socket->state_ != Socket::State::kConnecting) return;  // gone while a middleware was thinking
  if (index == middleware_.size()) return std::move(answer)(std::nullopt);
  middleware_[index](*socket,
                     [this, socket, index, answer = std::move(answer)](std::optional<Refusal> refusal) mutable {
                       if (refusal) return std::move(answer)(std::move(refusal));
                       RunMiddleware(socket, index + 1, std::move(answer));
                     });
}

// -- Hub --

Hub::Hub(const HubOptions& options, Loop& loop, Bus& bus, LoopTallies& tallies)
    : options_(options), loop_(loop), bus_(bus), tallies_(tallies), peers_({this}) {}

Hub::~Hub() {
  for (const auto& [name, nsp] : namespaces_) SESIOR_CHECK(nsp->sockets_.empty());
}

Namespace& Hub::Of(std::string_view name) {
  std::shared_ptr<Namespace>& nsp = namespaces_[ToAbsl(name)];
  if (!nsp) {
    nsp = std::make_shared<Namespace>(*this, std::string(name));
    bus_.Open(nsp->name());
  }
  return *nsp;
}

Namespace* Hub::Find(std::string_view name) const {
  const auto found = namespaces_.find(ToAbsl(name));
  return found == namespaces_.end() ? nullptr : found->second.get();
}

void Hub::OfMatching(NamespaceMatcher matches, std::function<void(Namespace&)> setup, DynamicOptions options) {
  rules_.push_back({std::move(matches), std::move(setup), options});
}

void Hub::OfPattern(const std::string& pattern, std::function<void(Namespace&)> setup, DynamicOptions options) {
  OfMatching([pattern = NamePattern(pattern)](std::string_view name, JsonValue) { return pattern.Matches(name); },
             std::move(setup), options);
}

bool Hub::Has(std::string_view name, JsonValue auth) const {
  return Find(name) != nullptr || std::any_of(rules_.begin(), rules_.end(), [&](const Rule& rule) {
           return rule.made < rule.options.limit && rule.matches(name, auth);
         });
}

std::shared_ptr<Namespace> Hub::FindOrMake(std::string_view name, JsonValue auth) {
  if (Namespace* found = Find(name)) return found->shared_from_this();
  for (Rule& rule : rules_) {
    if (rule.made >= rule.options.limit || !rule.matches(name, auth)) continue;
    ++rule.made;
    Namespace& nsp = Of(name);
    if (rule.options.drop_empty) nsp.made_ = &rule.made;
    rule.setup(nsp);
    return nsp.shared_from_this();
  }
  return nullptr;
}

void Hub::DropIfEmpty(Namespace& nsp) {
  if (nsp.made_ == nullptr || !nsp.sockets_.empty() || nsp.connecting_ > 0) return;
  --*std::exchange(nsp.made_, nullptr);
  bus_.Close(nsp.name());
  namespaces_.erase(nsp.name());
}

std::shared_ptr<Socket> Hub::Connect(std::string_view name, std::string id, JsonValue auth, Link& link, Next answer) {
  const std::shared_ptr<Namespace> nsp = FindOrMake(name, auth);
  if (nsp == nullptr) {
    std::move(answer)(Refusal{"Invalid namespace"});
    return nullptr;
  }
  ++nsp->connecting_;
  auto socket = std::make_shared<Socket>(nsp, link, std::move(id), std::string(auth.text()));
  nsp->RunMiddleware(socket, 0, std::move(answer));
  return socket;
}

void Hub::Admit(Socket& socket) {
  if (socket.state_ != Socket::State::kConnecting) return;
  socket.state_ = Socket::State::kConnected;
  Namespace& nsp = socket.nsp();
  --nsp.connecting_;
  nsp.sockets_.emplace(socket.id(), socket.shared_from_this());
  for (const ConnectHandler& handler : nsp.on_connect_) {
    if (socket.connected()) handler(socket);
  }
  socket.ForgetAuth();
}

void Hub::OnEvent(Socket& socket, const socketio::Packet& packet) {
  if (!socket.connected()) return;
  const std::shared_ptr<Socket> alive = socket.shared_from_this();
  const Namespace& nsp = socket.nsp();
  const Event event(packet, alive);
  for (const EventHandler& handler : nsp.on_any_) {
    handler(socket, event);
    if (!socket.connected()) return;
  }
  for (const EventMiddleware& middleware : nsp.event_middleware_) {
    if (const absl::Status status = middleware(socket, event); !status.ok()) {
      for (const ErrorHandler& handler : nsp.on_error_) handler(socket, event, status);
      return;
    }
    if (!socket.connected()) return;
  }
  const auto handler = nsp.on_.find(ToAbsl(event.name()));
  if (handler != nsp.on_.end()) handler->second(socket, event);
}

void Hub::OnAck(Socket& socket, std::uint64_t id, const socketio::Packet& packet) {
  const std::shared_ptr<Socket> alive = socket.shared_from_this();
  if (!socket.OnAck(id, packet)) socket.nsp().OnBroadcastAck(socket, id, packet);
}

void Hub::OnDisconnect(Socket& socket, CloseReason reason) {
  const std::shared_ptr<Socket> alive = socket.shared_from_this();
  Namespace& nsp = socket.nsp();
  const bool was_connected = socket.connected();
  if (was_connected) {
    for (const DisconnectHandler& handler : nsp.on_disconnecting_) handler(socket, reason);
  } else {
    --nsp.connecting_;
  }
  socket.state_ = Socket::State::kGone;
  while (!socket.rooms_.empty()) nsp.Leave(socket, *socket.rooms_.back());
  nsp.sockets_.erase(socket.id());
  nsp.ForgetAsked(socket);
  if (was_connected) {
    for (const DisconnectHandler& handler : nsp.on_disconnect_) handler(socket, reason);
  }
  socket.link_ = nullptr;
  socket.FailAcks();
  DropIfEmpty(nsp);
}

void Hub::OnBroadcast(std::shared_ptr<const EncodedBroadcast> broadcast) {
  loop_.Post([this, broadcast = std::move(broadcast)] {
    if (Namespace* nsp = Find(broadcast->broadcast.nsp)) nsp->Deliver(*broadcast);
  });
}

// -- Hub: with its peers --

void Hub::OnEachHub(const std::string& nsp, const std::function<void(Namespace&)>& task) {
  AskEachHub(nsp, [task](Namespace* found) {
    if (found != nullptr) task(*found);
  });
}

void Hub::AskEachHub(const std::string& nsp, const std::function<void(Namespace*)>& task) {
  for (Hub* peer : peers_) {
    if (peer == this) {
      task(Find(nsp));
    } else {
      peer->loop().Post([peer, nsp, task] { task(peer->Find(nsp)); });
    }
  }
}

std::uint64_t Hub::StartGathering(Gathering gathering, std::chrono::milliseconds timeout) {
  if (gatherings_.size() >= options_.max_pending_acks) {
    tallies_.acks_refused.Add();
    loop_.Post([gathering = std::move(gathering)]() mutable {
      gathering.Finish(absl::ResourceExhaustedError("too many acknowledgements of broadcasts pending"));
    });
    return 0;
  }
  const std::uint64_t id = ++last_gathering_;
  gathering.hubs_due = peers_.size();
  gathering.timer = loop_.After(timeout, [this, id] { FinishGathering(id, absl::DeadlineExceededError(kTimedOut)); });
  gatherings_.emplace(id, std::make_unique<Gathering>(std::move(gathering)));
  return id;
}

void Hub::OnAsked(std::uint64_t id, std::size_t clients) {
  const auto found = gatherings_.find(id);
  if (found == gatherings_.end()) return;
  Gathering& gathering = *found->second;
  --gathering.hubs_due;
  gathering.answers.asked += clients;
  gathering.answers_due += clients;
  if (gathering.hubs_due == 0 && gathering.answers_due == 0) FinishGathering(id, absl::OkStatus());
}

void Hub::OnAnswer(std::uint64_t id, Json answer) {
  const auto found = gatherings_.find(id);
  if (found == gatherings_.end()) return;
  Gathering& gathering = *found->second;
  gathering.answers.answers.push_back(std::move(answer));
  --gathering.answers_due;
  if (gathering.hubs_due == 0 && gathering.answers_due == 0) FinishGathering(id, absl::OkStatus());
}

void Hub::OnFetched(std::uint64_t id, std::vector<RemoteSocket> sockets) {
  const auto found = gatherings_.find(id);
  if (found == gatherings_.end()) return;
  Gathering& gathering = *found->second;
  for (RemoteSocket& socket : sockets) gathering.sockets.push_back(std::move(socket));
  if (--gathering.hubs_due == 0) FinishGathering(id, absl::OkStatus());
}

void Hub::FinishGathering(std::uint64_t id, absl::Status status) {
  auto gathering = gatherings_.extract(id);
  if (gathering) gathering.mapped()->Finish(std::move(status));
}

}  // namespace sesior::realtime::hub
