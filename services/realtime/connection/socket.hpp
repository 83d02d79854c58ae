// Socket: one Socket.IO socket, that is one client in one namespace, as hub and application see it; and Application,
// what they implement.
// Life:      Application::OnConnect ... OnDisconnect, exactly once each. Afterwards connected() is false and calls do
//            nothing; a shared pointer kept across a wait is fine, to be used on the socket's loop only.
// Threading: confined to loop(). One Application serves all loops: what it shares between them it must guard.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "sesior/session_client/session_client.hpp"
#include "sesior/socketio/close_reason.hpp"
#include "sesior/socketio/engine_session.hpp"
#include "sesior/socketio/frame.hpp"
#include "sesior/socketio/packet_codec.hpp"
#include "sesior/socketio/server_connection.hpp"
#include "transport/loop.hpp"

namespace sesior::realtime {

class Client;

// What an application keeps with a socket; it derives its own.
class SocketData {
 public:
  virtual ~SocketData() = default;
};

class Socket final : public std::enable_shared_from_this<Socket> {
 public:
  Socket(Client& client, Loop& loop, socketio::ServerConnection::Slot slot, std::string nsp);

  // The Socket.IO id: random, public, 20 characters.
  const std::string& id() const { return id_; }
  const std::string& nsp() const { return nsp_; }
  Loop& loop() const { return loop_; }
  // The session as the watch knows it, kept current; null where no session is demanded.
  const session_client::SessionPtr& session() const { return session_; }
  bool connected() const { return client_ != nullptr; }

  // `frame` must be encoded for this namespace. kDropped: not connected, over the limit, or volatile and not writable.
  socketio::SendResult Send(socketio::FramePtr frame, bool is_volatile = false);
  // Answers an event that had packet.id. `args`: JSON array of what the client's function gets.
  void Ack(std::uint64_t id, std::string_view args, std::span<const std::string> attachments = {});
  // The client sees "io server disconnect". OnDisconnect comes from inside this call. With `close` its other
  // namespaces go, too, and then its connection.
  void Disconnect(bool close = false);

  std::unique_ptr<SocketData> data;

 private:
  friend class Client;
  Client* client_;  // null once disconnected
  Loop& loop_;
  session_client::SessionPtr session_;
  const std::string id_;
  const std::string nsp_;
  const socketio::ServerConnection::Slot slot_;
};

class Application {
 public:
  virtual ~Application() = default;

  // Whether clients may connect to this namespace; else CONNECT_ERROR "Invalid namespace".
  virtual bool HasNamespace(std::string_view nsp) const = 0;
  // The session is good (socket.session()); CONNECT goes out after this call, before anything sent in it.
  virtual void OnConnect(Socket& socket, socketio::JsonValue auth) = 0;
  // The packet's views end with the call.
  virtual void OnEvent(Socket& socket, const socketio::Packet& packet) = 0;
  virtual void OnAck(Socket& /*socket*/, std::uint64_t /*id*/, const socketio::Packet& /*packet*/) {}
  // socket.session() has changed.
  virtual void OnSessionChanged(Socket& /*socket*/) {}
  virtual void OnDisconnect(Socket& socket, socketio::CloseReason reason) = 0;
};

}  // namespace sesior::realtime
