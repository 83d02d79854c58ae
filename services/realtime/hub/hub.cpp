#include "services/realtime/hub/hub.hpp"

#include <algorithm>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "services/realtime/hub/room.hpp"
#include "sesior/base/check.hpp"
#include "sesior/base/string_view.hpp"

namespace sesior::realtime::hub {

// -- Namespace: set up --

Namespace::Namespace(Hub& hub, std::string name) : hub_(hub), name_(std::move(name)) {}
Namespace::~Namespace() = default;

Namespace& Namespace::Use(Middleware middleware) {
  middleware_.push_back(std::move(middleware));
  return *this;
}

Namespace& Namespace::UseEvents(EventFilter filter) {
  filters_.push_back(std::move(filter));
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
  if (socket.rooms_.size() >= hub_.options().max_rooms || name.size() > hub_.options().max_room_bytes) return false;
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

std::size_t Namespace::Deliver(const Selection& to, const socketio::FramePtr& frame, bool is_volatile) {
  // Names become pointers once; a name is a socket's id, a room's, or (rarely) both.
  absl::InlinedVector<const Socket*, 2> except_sockets;
  absl::InlinedVector<const Room*, 2> except_rooms;
  for (const std::string& name : to.except) {
    if (const Socket* socket = Find(name)) except_sockets.push_back(socket);
    if (const Room* room = FindRoom(name)) except_rooms.push_back(room);
  }
  const std::uint64_t delivery = ++deliveries_;
  std::size_t delivered = 0;
  const auto send = [&](Socket& socket) {
    if (std::exchange(socket.last_delivery_, delivery) == delivery || !socket.connected()) return;
    for (const Socket* excepted : except_sockets) {
      if (excepted == &socket) return;
    }
    for (const Room* room : except_rooms) {
      if (room->members.contains(&socket)) return;
    }
    // Send never closes a connection, so nothing here changes under the loop.
    delivered += socket.link_->Send(frame, is_volatile) != SendResult::kDropped;
  };

  if (to.rooms.empty()) {
    for (const auto& [id, socket] : sockets_) send(*socket);
  }
  for (const std::string& name : to.rooms) {
    if (Socket* socket = Find(name)) send(*socket);
    if (const Room* room = FindRoom(name)) {
      for (Socket* member : room->members) send(*member);
    }
  }
  return delivered;
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

Hub::~Hub() {
  for (const auto& [name, nsp] : namespaces_) SESIOR_CHECK(nsp->sockets_.empty());
}

Namespace& Hub::Of(std::string_view name) {
  std::unique_ptr<Namespace>& nsp = namespaces_[ToAbsl(name)];
  if (!nsp) {
    nsp = std::make_unique<Namespace>(*this, std::string(name));
    bus_.Open(nsp->name());
  }
  return *nsp;
}

void Hub::OfMatching(std::function<bool(std::string_view)> matches, std::function<void(Namespace&)> setup,
                     std::size_t limit) {
  rules_.push_back({std::move(matches), std::move(setup), limit});
}

bool Hub::Has(std::string_view name) const {
  return namespaces_.contains(ToAbsl(name)) || std::any_of(rules_.begin(), rules_.end(), [name](const Rule& rule) {
           return rule.made < rule.limit && rule.matches(name);
         });
}

Namespace* Hub::FindOrMake(std::string_view name) {
  const auto found = namespaces_.find(ToAbsl(name));
  if (found != namespaces_.end()) return found->second.get();
  for (Rule& rule : rules_) {
    if (rule.made >= rule.limit || !rule.matches(name)) continue;
    ++rule.made;
    Namespace& nsp = Of(name);
    rule.setup(nsp);
    return &nsp;
  }
  return nullptr;
}

std::shared_ptr<Socket> Hub::Connect(std::string_view name, std::string id, JsonValue auth, Link& link, Next answer) {
  Namespace* nsp = FindOrMake(name);
  if (nsp == nullptr) {
    std::move(answer)(Refusal{"Invalid namespace"});
    return nullptr;
  }
  auto socket = std::make_shared<Socket>(*nsp, link, std::move(id), std::string(auth.text()));
  nsp->RunMiddleware(socket, 0, std::move(answer));
  return socket;
}

void Hub::Admit(Socket& socket) {
  if (socket.state_ != Socket::State::kConnecting) return;
  socket.state_ = Socket::State::kConnected;
  Namespace& nsp = socket.nsp();
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
  for (const EventFilter& filter : nsp.filters_) {
    if (!filter(socket, event) || !socket.connected()) return;
  }
  for (const EventHandler& handler : nsp.on_any_) {
    handler(socket, event);
    if (!socket.connected()) return;
  }
  const auto handler = nsp.on_.find(ToAbsl(event.name()));
  if (handler != nsp.on_.end()) handler->second(socket, event);
}

void Hub::OnDisconnect(Socket& socket, CloseReason reason) {
  const std::shared_ptr<Socket> alive = socket.shared_from_this();
  Namespace& nsp = socket.nsp();
  if (socket.state_ == Socket::State::kConnected) {
    for (const DisconnectHandler& handler : nsp.on_disconnect_) handler(socket, reason);
  }
  socket.state_ = Socket::State::kGone;
  socket.link_ = nullptr;
  while (!socket.rooms_.empty()) nsp.Leave(socket, *socket.rooms_.back());
  nsp.sockets_.erase(socket.id());
  socket.FailAcks();
}

void Hub::OnBroadcast(std::shared_ptr<const EncodedBroadcast> broadcast) {
  loop_.Post([this, broadcast = std::move(broadcast)] {
    const auto nsp = namespaces_.find(broadcast->nsp);
    if (nsp != namespaces_.end()) nsp->second->Deliver(broadcast->to, broadcast->frame, broadcast->is_volatile);
  });
}

}  // namespace sesior::realtime::hub
