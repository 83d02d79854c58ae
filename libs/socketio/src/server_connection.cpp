#include "sesior/socketio/server_connection.hpp"

#include <utility>

#include "absl/strings/string_view.h"

namespace sesior::socketio {

ServerConnection::ServerConnection(const ServerConnectionOptions& options, Owner& owner, Time now)
    : options_(options),
      owner_(owner),
      decoder_(options.max_packet_bytes, options.format),
      connect_deadline_(now + options.connect_timeout) {}

// -- from the EngineSession --

void ServerConnection::OnMessage(std::string_view data, bool binary, Time now) {
  if (closed_) return;
  Packet packet;
  const PacketDecoder::Result result = binary ? decoder_.OnBinary(data, packet) : decoder_.OnText(data, packet);
  switch (result) {
    case PacketDecoder::Result::kPacket:
      if (IsFlooding(now)) return Fail(CloseReason::kFlooding, "too many packets in a second", Limit::kPackets);
      return OnPacket(packet);
    case PacketDecoder::Result::kMore:
      return;
    case PacketDecoder::Result::kError:
      return Fail(CloseReason::kParseError, decoder_.error(), decoder_.limit());
  }
}

bool ServerConnection::IsFlooding(Time now) {
  if (now - std::chrono::seconds(1) >= second_begin_) {
    second_begin_ = now;
    packets_ = 0;
  }
  return ++packets_ > options_.max_packets_per_second;
}

void ServerConnection::OnClosed(CloseReason reason) {
  closed_ = true;
  connect_deadline_ = kNever;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const State state = std::exchange(entries_[i].state, State::kFree);
    if (state == State::kPending || state == State::kJoined) owner_.OnDisconnect(static_cast<Slot>(i), reason);
  }
}

void ServerConnection::OnTimer(Time now) {
  if (now >= connect_deadline_) Fail(CloseReason::kForcedServerClose, "no namespace joined in time");
}

void ServerConnection::OnPacket(const Packet& packet) {
  if (packet.type == PacketType::kConnect) return OnConnectPacket(packet);
  const Entry* entry = Find(packet.nsp);
  if (packet.type == PacketType::kConnectError)
    return Fail(CloseReason::kForcedServerClose, "CONNECT_ERROR from a client");
  if (entry != nullptr && entry->state == State::kLeft) return;
  if (entry == nullptr || entry->state != State::kJoined) {
    return Fail(CloseReason::kForcedServerClose, "packet for a namespace not joined");
  }
  const Slot slot = static_cast<Slot>(entry - entries_.data());
  switch (packet.type) {
    case PacketType::kEvent:
      if (!packet.event.empty() || !packet.elements.empty()) owner_.OnEvent(slot, packet);
      return;
    case PacketType::kAck:
      if (packet.id) owner_.OnAck(slot, *packet.id, packet);
      return;
    default:  // DISCONNECT
      entries_[slot].state = State::kLeft;
      owner_.OnDisconnect(slot, CloseReason::kClientDisconnect);
  }
}

void ServerConnection::OnConnectPacket(const Packet& packet) {
  if (packet.nsp.size() > options_.max_namespace_bytes) {
    return Fail(CloseReason::kForcedServerClose, "namespace name too long", Limit::kNamespaces);
  }
  Entry* entry = Find(packet.nsp);
  if (entry != nullptr && entry->state != State::kLeft) {
    return Fail(CloseReason::kForcedServerClose, "second CONNECT to a namespace");
  }
  if (entry == nullptr) entry = FindRoom();
  if (entry == nullptr) return Fail(CloseReason::kForcedServerClose, "too many namespaces", Limit::kNamespaces);
  entry->nsp = packet.nsp;
  entry->state = State::kPending;
  owner_.OnConnect(static_cast<Slot>(entry - entries_.data()), packet.nsp,
                   packet.data.empty() ? JsonValue("{}") : JsonValue(packet.data));
}

void ServerConnection::Fail(CloseReason reason, std::string_view error, Limit limit) {
  error_ = error;
  limit_ = limit;
  connect_deadline_ = kNever;
  owner_.CloseEngine(reason);
}

ServerConnection::Entry* ServerConnection::Find(std::string_view nsp) {
  for (Entry& entry : entries_) {
    if (entry.state != State::kFree && entry.nsp == nsp) return &entry;
  }
  return nullptr;
}

// A slot for another namespace: a free one, else a new one, else one that only remembers a name; null: none.
ServerConnection::Entry* ServerConnection::FindRoom() {
  for (Entry& entry : entries_) {
    if (entry.state == State::kFree) return &entry;
  }
  if (entries_.size() < options_.max_namespaces) return &entries_.emplace_back();
  for (Entry& entry : entries_) {
    if (entry.state == State::kLeft) return &entry;
  }
  return nullptr;
}

// -- from the owner --

bool ServerConnection::Accept(Slot slot, std::string_view sid, std::string_view pid) {
  if (closed_ || slot >= entries_.size() || entries_[slot].state != State::kPending) return false;
  entries_[slot].state = State::kJoined;
  connect_deadline_ = kNever;
  owner_.SendFrame(EncodeConnect(entries_[slot].nsp, sid, pid, options_.format), false);
  return true;
}

bool ServerConnection::Refuse(Slot slot, std::string_view message, std::string_view data) {
  if (closed_ || slot >= entries_.size() || entries_[slot].state != State::kPending) return false;
  entries_[slot].state = State::kFree;
  owner_.SendFrame(EncodeConnectError(entries_[slot].nsp, message, data, options_.format), false);
  return true;
}

bool ServerConnection::Disconnect(Slot slot, CloseReason reason) {
  if (closed_ || !joined(slot)) return false;
  entries_[slot].state = State::kLeft;
  owner_.SendFrame(EncodeDisconnect(entries_[slot].nsp, options_.format), false);
  owner_.OnDisconnect(slot, reason);
  return true;
}

void ServerConnection::DisconnectAll(CloseReason reason) {
  for (std::size_t i = 0; i < entries_.size(); ++i) Disconnect(static_cast<Slot>(i), reason);
  if (!closed_) owner_.CloseEngine(reason);
}

SendResult ServerConnection::Send(Slot slot, FramePtr frame, bool is_volatile) {
  if (closed_ || !joined(slot)) return SendResult::kDropped;
  return owner_.SendFrame(std::move(frame), is_volatile);
}

SendResult ServerConnection::SendAck(Slot slot, std::uint64_t id, std::string_view args,
                                     std::span<const std::string> attachments) {
  if (closed_ || !joined(slot)) return SendResult::kDropped;
  return owner_.SendFrame(EncodeAck(entries_[slot].nsp, id, args, attachments, options_.format), false);
}

}  // namespace sesior::socketio
