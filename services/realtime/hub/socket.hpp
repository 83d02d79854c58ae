// Socket: one client in one namespace, as handlers see it.
//
// Life:      made when a client asks for the namespace; connected after all middleware let it pass; ends with the
//            disconnect handlers of its namespace.
// Ownership: the hub owns it. Handlers get a reference that is good during the call; to come back later, take a
//            weak_ptr from `weak()` or let `Then` carry you over.
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
#include "services/realtime/hub/event.hpp"
#include "services/realtime/hub/handshake.hpp"
#include "services/realtime/hub/loop.hpp"
#include "services/realtime/hub/target.hpp"
#include "sesior/base/done.hpp"
#include "sesior/session_client/session_client.hpp"
#include "sesior/socketio/json.hpp"
#include "sesior/socketio/server_connection.hpp"

namespace sesior::realtime::hub {

class Namespace;
struct Room;

using session_client::SessionPtr;
using socketio::CloseReason;
using socketio::SendResult;

// The answer of a client to EmitWithAck: its arguments, or kDeadlineExceeded ("operation has timed out"), kCancelled
// when the socket is gone, kResourceExhausted when too many are asked for already. The views end with the call.
using AckHandler = absl::AnyInvocable<void(absl::StatusOr<const Arguments*>) &&>;

// State that an application keeps with a socket.
struct SocketData {
  virtual ~SocketData() = default;
  // What others see of it, on any replica: RemoteSocket::data.
  virtual Json ToJson() const { return nullptr; }
};

// Link: the socket below, as the connection has it. Outlives its Socket's connected life: it calls Hub::OnDisconnect
// first.
class Link {
 public:
  virtual SendResult Send(socketio::FramePtr frame, bool is_volatile) = 0;
  virtual void SendAck(std::uint64_t id, std::string_view args, std::span<const std::string> attachments) = 0;
  // Tells the client; Hub::Disconnect comes from inside this call. `close`: all its namespaces and the connection.
  virtual void Disconnect(bool close) = 0;
  // As the watch knows it; null: none is demanded.
  virtual const SessionPtr& session() const = 0;
  virtual const Handshake& handshake() const = 0;

 protected:
  ~Link() = default;
};

// What the reference says when an acknowledgement does not come in time.
inline constexpr const char* kTimedOut = "operation has timed out";

class Socket : public std::enable_shared_from_this<Socket> {
 public:
  Socket(std::shared_ptr<Namespace> nsp, Link& link, std::string id, std::string auth);
  ~Socket();
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  const std::string& id() const { return id_; }
  Namespace& nsp() const { return *nsp_; }
  Loop& loop() const;
  bool connected() const { return state_ == State::kConnected; }
  // What the client sent as `auth`, a JSON object. Kept until the connect handlers have run; {} afterwards.
  JsonValue auth() const;
  // The client's session, kept current by its watch; null where none is demanded, and after the disconnect.
  SessionPtr session() const { return link_ != nullptr ? link_->session() : nullptr; }
  // Whence the client came. Once it is gone: an empty one.
  const Handshake& handshake() const;

  // -- to this client --
  // kDropped, and nothing is sent, when `event` is one of the protocol's own names ("connect", "disconnect", ...) or
  // the arguments hold more than kMaxAttachments binaries.
  template <typename... Values>
  SendResult Emit(std::string_view event, const Values&... args) {
    if (socketio::IsReservedEvent(event)) return SendResult::kDropped;
    return EmitArgs(Json::Array(event, args...));
  }
  // Dropped when the client could not take it at once.
  template <typename... Values>
  SendResult EmitVolatile(std::string_view event, const Values&... args) {
    if (socketio::IsReservedEvent(event)) return SendResult::kDropped;
    return EmitArgs(Json::Array(event, args...), true);
  }
  // `args`: a JSON array, the event's name first.
  SendResult EmitArgs(const Json& args, bool is_volatile = false);
  // `on_ack` is called once, within `timeout` (> 0), on this thread, never inside this call. An answer that comes later
  // is ignored, as is a second one.
  void EmitWithAck(const Json& args, std::chrono::milliseconds timeout, AckHandler on_ack);

  // -- to others --
  Target Broadcast();               // all of the namespace but this one
  Target To(std::string room);      // all in the room but this one
  Target Except(std::string room);  // all but those in the room and this one

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
  socketio::FramePtr Encoded(const Json& args, std::optional<std::uint64_t> ack_id) const;
  bool TakesBinaries(const Json& args) const;
  void TellOutgoing(const Json& args);
  bool OnAck(std::uint64_t id, const socketio::Packet& packet);  // false: not one of this socket alone
  void FailAcks();

  const std::shared_ptr<Namespace> nsp_;  // also after a dynamic one was dropped
  Link* link_;                            // null once gone
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
