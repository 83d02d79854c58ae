// ServerConnection: the Socket.IO 5 side of one Engine.IO session, a state machine: which namespaces the client has
// joined, what it may send where, and when the whole connection has to go.
//
// Each namespace the client asks for gets a Slot, a small number that stays its name until OnDisconnect or Refuse;
// owners keep their own socket objects by slot.
//
// Life:      the owner feeds messages and OnClosed of its EngineSession; after OnClosed nothing goes out.
// Ownership: does not own its Owner or options; both outlive it. Not to be destroyed from inside an Owner call.
// Threading: thread-compatible, confined to its owner's thread. Owner calls happen inside calls of this class and may
// call
//            back in.
// Errors:    a client that breaks the protocol or goes over a bound loses its whole connection:
//            CloseEngine(kForcedServerClose, kParseError or kFlooding), as the reference does. Not so for a packet to a
//            namespace that was left: it may have crossed our DISCONNECT on the way and is ignored (the reference
//            forgives it only within one turn of its loop).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "absl/container/inlined_vector.h"
#include "sesior/socketio/close_reason.hpp"
#include "sesior/socketio/engine_session.hpp"
#include "sesior/socketio/frame.hpp"
#include "sesior/socketio/packet_codec.hpp"

namespace sesior::socketio {

struct ServerConnectionOptions {
  std::chrono::milliseconds connect_timeout{45'000};  // until the first namespace is joined; else the connection closes
  std::size_t max_namespaces = 32;                    // asked for by one client and not refused; more: closed
  std::size_t max_namespace_bytes = 256;              // of one name; longer: closed
  std::uint32_t max_packet_bytes = 10'000'000;        // of a packet with its attachments; more: closed
  std::uint32_t max_packets_per_second = 20'000;      // of one client, also acknowledgements; more: closed as kFlooding
  PacketFormat format = PacketFormat::kJson;          // of all clients
};

class ServerConnection {
 public:
  using Slot = std::uint8_t;

  class Owner {
   public:
    // Give it to EngineSession::Send.
    virtual SendResult SendFrame(FramePtr frame, bool is_volatile) = 0;
    // Call EngineSession::Close; this may call OnClosed below at once.
    virtual void CloseEngine(CloseReason reason) = 0;

    // The client asks for a namespace. Answer with Accept or Refuse, now or later. `auth` is a JSON object ({} when the
    // client sent none), valid during the call.
    virtual void OnConnect(Slot slot, std::string_view nsp, JsonValue auth) = 0;
    // An event for a joined namespace. With packet.id the client expects one SendAck.
    virtual void OnEvent(Slot slot, const Packet& packet) = 0;
    // An acknowledgement of an event sent with an ack id; unknown ids are to be ignored.
    virtual void OnAck(Slot slot, std::uint64_t id, const Packet& packet) = 0;
    // Once for every slot that OnConnect announced and Refuse did not end. The slot may be used again afterwards.
    virtual void OnDisconnect(Slot slot, CloseReason reason) = 0;

   protected:
    ~Owner() = default;
  };

  // The connect timeout runs from `now`.
  ServerConnection(const ServerConnectionOptions& options, Owner& owner, Time now);

  // -- from the EngineSession --
  void OnMessage(std::string_view data, bool binary, Time now);
  void OnClosed(CloseReason reason);
  // Call at deadline() or later; earlier is harmless.
  void OnTimer(Time now);
  Time deadline() const { return connect_deadline_; }  // kNever once a namespace was joined

  // -- from the owner. A slot that is not in the state required is ignored: false. --
  // Answers OnConnect. `sid` is the id of the new socket, unguessable and not the engine's; `pid` see EncodeConnect.
  bool Accept(Slot slot, std::string_view sid, std::string_view pid = {});
  // Answers OnConnect: CONNECT_ERROR {message, data?}. The slot is free.
  bool Refuse(Slot slot, std::string_view message, std::string_view data = {});
  // Sends DISCONNECT; OnDisconnect(slot, reason) comes from inside this call.
  bool Disconnect(Slot slot, CloseReason reason = CloseReason::kServerDisconnect);
  // DISCONNECT to every joined namespace, OnDisconnect for each, then CloseEngine(reason).
  void DisconnectAll(CloseReason reason);

  // To a joined namespace; kDropped when it is not. `frame` must have been encoded for this namespace.
  SendResult Send(Slot slot, FramePtr frame, bool is_volatile = false);
  SendResult SendAck(Slot slot, std::uint64_t id, std::string_view args, std::span<const std::string> attachments = {});

  bool joined(Slot slot) const { return slot < entries_.size() && entries_[slot].state == State::kJoined; }
  std::string_view nsp(Slot slot) const { return slot < entries_.size() ? entries_[slot].nsp : std::string_view(); }
  bool closed() const { return closed_; }
  // Fixed words about what the client did wrong, for logs; empty: nothing.
  std::string_view error() const { return error_; }
  // The bound that made it close.
  Limit limit() const { return limit_; }

 private:
  // kLeft keeps the name, so that stragglers are told from strangers; the slot is reused when another is needed.
  enum class State : std::uint8_t { kFree, kPending, kJoined, kLeft };
  struct Entry {
    std::string nsp;
    State state = State::kFree;
  };

  bool IsFlooding(Time now);
  void OnPacket(const Packet& packet);
  void OnConnectPacket(const Packet& packet);
  void Fail(CloseReason reason, std::string_view error, Limit limit = Limit::kNone);
  Entry* Find(std::string_view nsp);
  Entry* FindRoom();

  const ServerConnectionOptions& options_;
  Owner& owner_;
  PacketDecoder decoder_;
  absl::InlinedVector<Entry, 1> entries_;  // by slot
  Time connect_deadline_;
  Time second_begin_ = Time::min();  // of the second in which packets are counted
  std::uint32_t packets_ = 0;
  Limit limit_ = Limit::kNone;
  bool closed_ = false;
  std::string_view error_;
};

}  // namespace sesior::socketio
