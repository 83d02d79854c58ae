// Target: to whom, and how; then what. Made by Socket::Broadcast, Socket::To and Namespace::To; used at once.
//
//   nsp.To("lobby").Except("muted").Emit("said", text);
//   nsp.To("game-7").EmitWithAck(Json::Array("ready?"), 5s, [](Answers answers) { ... });
//   nsp.To(socket_id).DisconnectSockets();
//
// Reach: Emit goes to all replicas through the bus. EmitWithAck, FetchSockets and the ...Sockets... calls reach the
// sockets of this replica, on all its threads; the calls are made so that those of other replicas can come behind them:
// they answer later, within a timeout, and say when somebody was silent.
// Threading: confined to the hub's thread, as are the handlers.
// Shutdown:  a handler whose answers are still out when the process stops is destroyed without having run.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "services/realtime/bus/bus.hpp"
#include "sesior/base/done.hpp"
#include "sesior/socketio/json.hpp"
#include "sesior/socketio/packet_codec.hpp"

namespace sesior::realtime::hub {

class Namespace;
using socketio::Json;

// What the clients said to an EmitWithAck.
struct Answers {
  // Ok: all of them have answered. kDeadlineExceeded: some have not ("operation has timed out", as in the reference),
  // or have left. kResourceExhausted: nobody was asked, `max_pending_acks` of the hub is reached.
  absl::Status status;
  std::size_t asked = 0;
  std::vector<Json> answers;  // the first argument of each (null: none), in the order they came
};
using AnswersHandler = absl::AnyInvocable<void(Answers) &&>;

// A socket, wherever it lives, as FetchSockets tells of it: a copy, as of that moment.
struct RemoteSocket {
  std::string id;
  std::vector<std::string> rooms;  // the one named by its id included
  Json data = nullptr;             // SocketData::ToJson
};

class Target {
 public:
  Target(Namespace& nsp, Selection to) : nsp_(nsp), to_(std::move(to)) {}

  // Several rooms: their union; a socket in two of them gets one copy.
  Target&& To(std::string room) &&;
  Target&& Except(std::string room) &&;
  // Not for those who could not take it at once.
  Target&& Volatile() &&;
  // Only the sockets of this process.
  Target&& Local() &&;

  // Nothing is sent when `event` is one of the protocol's own names ("connect", "disconnect", ...).
  template <typename... Values>
  void Emit(std::string_view event, const Values&... args) && {
    if (!socketio::IsReservedEvent(event)) std::move(*this).EmitArgs(Json::Array(event, args...));
  }
  // `args`: a JSON array, the event's name first. `done`, if given, tells whether it went out (on any thread).
  void EmitArgs(Json args, Done<void> done = nullptr) &&;

  // Asks every client of the target; `on_answers` comes once, when all have answered or `timeout` (> 0) has passed.
  void EmitWithAck(Json args, std::chrono::milliseconds timeout, AnswersHandler on_answers) &&;

  // kDeadlineExceeded: a thread of this process was silent for `timeout` (> 0).
  void FetchSockets(std::chrono::milliseconds timeout, Done<std::vector<RemoteSocket>> done) &&;
  // Each socket of the target joins or leaves these rooms, those of this thread before the call returns. Rooms beyond
  // `max_rooms` of a socket are not joined.
  void SocketsJoin(std::vector<std::string> rooms) &&;
  void SocketsLeave(std::vector<std::string> rooms) &&;
  // As Socket::Disconnect.
  void DisconnectSockets(bool close = false) &&;

 private:
  Namespace& nsp_;
  Selection to_;
  bool is_volatile_ = false;
  bool local_ = false;
};

}  // namespace sesior::realtime::hub
