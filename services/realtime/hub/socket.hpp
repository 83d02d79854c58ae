// Socket: one client in one namespace, as handlers see it.
//
// Life:      made when a client asks for the namespace; connected after all middleware let it pass; ends with the
//            disconnect handlers of its namespace, which still see its rooms and data.
// Ownership: the hub owns it. Handlers get a reference that is good during the call; to come back later, take a
// weak_ptr
//            from `weak()` or let `Then` carry you over.
// Threading: confined to the loop of its hub.
// Memory:    about 200 bytes, with a room or two; what few sockets need at any moment is allocated when needed.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "services/realtime/bus/bus.hpp"
#include "services/realtime/hub/loop.hpp"
#include "sesior/base/done.hpp"
#include "sesior/session_client/session_client.hpp"
#include "sesior/socketio/json.hpp"
#include "sesior/socketio/server_connection.hpp"

namespace sesior::realtime::hub {

class Namespace;
class Socket;
struct Room;

using session_client::SessionPtr;
using socketio::CloseReason;
using socketio::Json;
using socketio::JsonValue;
using socketio::SendResult;

// Reply: the acknowledgement a client waits for. Empty when it waits for none; answering an empty one does nothing.
// May outlive its socket. Answer once, on the socket's thread; a reply that is dropped leaves the client waiting, as in
// the reference.
class Reply {
 public:
  Reply() = default;
  Reply(std::weak_ptr<Socket> socket, std::uint64_t id) : socket_(std::move(socket)), id_(id), wanted_(true) {}

  bool wanted() const { return wanted_; }
  // Calls the client's function with these arguments.
  template <typename... Values>
  void operator()(const Values&... values) && {
    std::move(*this).SendArgs(Json::Array(values...));
  }
  // `args`: a JSON array of the arguments.
  void SendArgs(const Json& args, std::span<const std::string> attachments = {}) &&;

 private:
  std::weak_ptr<Socket> socket_;
  std::uint64_t id_ = 0;
  bool wanted_ = false;
};

// Event: what a client has emitted. Its views end with the handler's call.
class Event {
 public:
  Event(const socketio::Packet& packet, std::weak_ptr<Socket> socket) : packet_(packet), socket_(std::move(socket)) {}

  std::string_view name() const { return packet_.event; }
  std::size_t arg_count() const { return packet_.arg_count(); }
  JsonValue arg(std::size_t index) const { return packet_.arg(index); }  // null beyond the end
  // The text of an argument; nullopt: it is no string.
  std::optional<std::string> text(std::size_t index) const { return arg(index).AsString(); }
  // The bytes of an argument; nullopt: it is not binary.
  std::optional<std::string_view> binary(std::size_t index) const { return packet_.binary_arg(index); }
  std::span<const std::string> attachments() const { return packet_.attachments(); }
  // All arguments as a JSON array, verbatim.
  Json args() const;

  Reply reply() const { return packet_.id ? Reply(socket_, *packet_.id) : Reply(); }

 private:
  const socketio::Packet& packet_;
  std::weak_ptr<Socket> socket_;
};

// The answer of a client to EmitWithAck: its arguments, or kDeadlineExceeded, or kCancelled when the socket is gone.
// The packet's views end with the call.
using AckHandler = absl::AnyInvocable<void(absl::StatusOr<const socketio::Packet*>) &&>;

// State that an application keeps with a socket.
struct SocketData {
  virtual ~SocketData() = default;
};

// Link: the socket below, as the connection has it. Outlives its Socket's connected life: it calls Hub::Disconnect
// first.
class Link {
 public:
  virtual SendResult Send(socketio::FramePtr frame, bool is_volatile) = 0;
  virtual void SendAck(std::uint64_t id, std::string_view args, std::span<const std::string> attachments) = 0;
  // Tells the client; Hub::Disconnect comes from inside this call. `close`: all its namespaces and the connection.
  virtual void Disconnect(bool close) = 0;
  // As the watch knows it; null: none is demanded.
  virtual const SessionPtr& session() const = 0;

 protected:
  ~Link() = default;
};

// Target: to whom, and how; then what. Made by Socket::Broadcast and Namespace::To; used at once.
class Target {
 public:
  Target(Namespace& nsp, Selection to) : nsp_(nsp), to_(std::move(to)) {}
  Target&& To(std::string room) &&;
  Target&& Except(std::string room) &&;
  Target&& Volatile() &&;
  // Only the sockets of this thread's hub.
  Target&& Local() &&;

  // Goes out through the bus; `done`, if given, tells whether it did (on any thread).
  template <typename... Values>
  void Emit(std::string_view event, const Values&... args) && {
    std::move(*this).EmitArgs(Json::Array(event, args...), {}, nullptr);
  }
  // `args`: a JSON array, the event's name first.
  void EmitArgs(Json args, std::vector<std::string> attachments, Done<void> done) &&;

 private:
  Namespace& nsp_;
  Selection to_;
  bool is_volatile_ = false;
  bool local_ = false;
};

class Socket : public std::enable_shared_from_this<Socket> {
 public:
  Socket(Namespace& nsp, Link& link, std::string id, std::string auth);
  ~Socket();
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  const std::string& id() const { return id_; }
  Namespace& nsp() const { return nsp_; }
  Loop& loop() const;
  bool connected() const { return state_ == State::kConnected; }
  // What the client sent as `auth`, a JSON object. Kept until the connect handlers have run; {} afterwards.
  JsonValue auth() const;
  // The client's session, kept current by its watch; null where none is demanded, and after the disconnect.
  SessionPtr session() const { return link_ != nullptr ? link_->session() : nullptr; }

  // -- to this client --
  template <typename... Values>
  SendResult Emit(std::string_view event, const Values&... args) {
    return EmitArgs(Json::Array(event, args...));
  }
  template <typename... Values>
  SendResult EmitVolatile(std::string_view event, const Values&... args) {
    return EmitArgs(Json::Array(event, args...), {}, true);
  }
  // `args`: a JSON array, the event's name first.
  SendResult EmitArgs(const Json& args, std::span<const std::string> attachments = {}, bool is_volatile = false);
  // `on_ack` is called once, within `timeout` (> 0), on this thread, never inside this call.
  void EmitWithAck(const Json& args, std::chrono::milliseconds timeout, AckHandler on_ack);

  // -- to others --
  Target Broadcast();           // all of the namespace but this one
  Target To(std::string room);  // all in the room but this one

  // -- rooms --
  // False: `max_rooms` or `max_room_bytes` of the hub reached, or the socket has disconnected.
  bool Join(std::string_view room);
  void Leave(std::string_view room);
  bool InRoom(std::string_view room) const;
  std::vector<std::string> Rooms() const;  // without the one named by its id

  // -- ends --
  // The client is told and does not come back by itself. The disconnect handlers run inside this call. `close`: the
  // same for its other namespaces, and then its connection.
  void Disconnect(bool close = false);

  // -- asynchronous work --
  std::weak_ptr<Socket> weak() { return weak_from_this(); }
  // A Done<T> that may be called on any thread: it runs `next` on this socket's thread. The socket may have
  // disconnected by then; calls on it do nothing.
  template <typename T>
  Done<T> Then(absl::AnyInvocable<void(Socket&, absl::StatusOr<T>) &&> next);
  // The same for calls that end with a plain status.
  Done<void> Finish(absl::AnyInvocable<void(Socket&, absl::Status) &&> next);
  // Runs `work` when all work given before it has finished; `work` gets a function to call, on this thread, when it has
  // finished itself. For events that must take effect in the order they came, also when the client leaves meanwhile.
  // Never runs it inside this call. Bounded by `max_queued_work` of the hub;
  // false: full, nothing was kept.
  using Finished = absl::AnyInvocable<void() &&>;
  using Work = absl::AnyInvocable<void(Socket&, Finished) &&>;
  bool InOrder(Work work);

  // The application's own.
  std::unique_ptr<SocketData> data;

 private:
  friend class Hub;
  friend class Namespace;
  friend class Reply;
  enum class State : std::uint8_t { kConnecting, kConnected, kGone };
  struct Extra;  // what few sockets have: auth, acknowledgements waited for, work queued

  Extra& extra();
  void ForgetAuth();
  void ForgetEmptyExtra();
  void RunNextWork();
  void OnAck(std::uint64_t id, const socketio::Packet& packet);
  void FailAcks();

  Namespace& nsp_;
  Link* link_;  // null once gone
  std::string id_;
  std::vector<Room*> rooms_;
  std::unique_ptr<Extra> extra_;
  std::uint64_t last_delivery_ = 0;  // of a broadcast to several rooms: one copy a socket
  State state_ = State::kConnecting;
};

template <typename T>
Done<T> Socket::Then(absl::AnyInvocable<void(Socket&, absl::StatusOr<T>) &&> next) {
  return [&loop = loop(), socket = shared_from_this(), next = std::move(next)](absl::StatusOr<T> result) mutable {
    loop.Post([socket = std::move(socket), next = std::move(next), result = std::move(result)]() mutable {
      std::move(next)(*socket, std::move(result));
    });
  };
}

}  // namespace sesior::realtime::hub
