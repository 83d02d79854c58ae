#include "sesior/socketio/packet_codec.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "absl/strings/str_cat.h"
#include "msgpack.hpp"
#include "sesior/base/string_view.hpp"

namespace sesior::socketio {
namespace {

// What PacketDecoder::limit knows errors by.
constexpr std::string_view kTooLarge = "packet too large";
constexpr std::string_view kTooManyAttachments = "too many attachments";

// Event names with a meaning of their own on one side or the other.
constexpr std::array<std::string_view, 6> kReservedEvents = {"connect",       "connect_error", "disconnect",
                                                             "disconnecting", "newListener",   "removeListener"};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Takes the decimal number at the front of `text`. False: there is none, or it exceeds the type.
template <typename T>
bool TakeNumber(std::string_view& text, T& value) {
  const std::from_chars_result result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(result.ptr - text.data()));
  return true;
}

std::string_view TakeNamespace(std::string_view& text) {
  if (!text.starts_with('/')) return "/";
  const std::size_t comma = text.find(',');
  const std::string_view nsp = text.substr(0, comma);
  text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
  return nsp;
}

// Fills packet.event; null: fine, else what is wrong.
const char* ReadEventName(Packet& packet) {
  if (packet.elements.empty()) return "event without a name";
  const JsonValue name(packet.elements[0]);
  if (name.kind() == JsonKind::kNumber) {
    packet.event = name.text();
    return nullptr;
  }
  if (name.kind() != JsonKind::kString) return "event name is neither string nor number";
  if (const std::optional<std::string_view> plain = name.AsPlainString()) {
    packet.event = *plain;
  } else if (std::optional<std::string> text = name.AsString()) {
    if (!packet.storage) packet.storage = std::make_unique<Packet::Storage>();
    packet.storage->event = *std::move(text);
    packet.event = packet.storage->event;
  } else {  // a lone surrogate: no text, so no handler has this name; as written it is at least unique
    packet.event = name.text().substr(1, name.text().size() - 2);
  }
  return IsReservedEvent(packet.event) ? "reserved event name" : nullptr;
}

// Checks packet.data and reads what it holds; null: fine, else what is wrong.
const char* ReadData(Packet& packet, std::optional<std::size_t> attachments) {
  switch (packet.type) {
    case PacketType::kConnect:
    case PacketType::kConnectError: {
      if (packet.data.empty()) return nullptr;
      const std::optional<JsonValue> value = JsonValue::Parse(packet.data);
      if (!value || value->kind() != JsonKind::kObject) return "payload is not an object";
      packet.data = value->text();
      return nullptr;
    }
    case PacketType::kDisconnect:
      return packet.data.empty() ? nullptr : "DISCONNECT with a payload";
    default:
      if (packet.data.empty() && !attachments) return nullptr;  // tolerated by the reference
      if (!ParseJsonArray(packet.data, packet.elements, attachments)) return "payload is not an array";
      return packet.type == PacketType::kEvent ? ReadEventName(packet) : nullptr;
  }
}

}  // namespace

// -- Packet --

std::span<const std::string> Packet::attachments() const {
  return storage ? std::span<const std::string>(storage->attachments) : std::span<const std::string>();
}

std::size_t Packet::arg_count() const {
  if (type != PacketType::kEvent) return elements.size();
  return elements.empty() ? 0 : elements.size() - 1;
}

Argument Packet::arg(std::size_t index) const {
  if (index >= arg_count()) return Argument();
  return Argument(JsonValue(elements[type == PacketType::kEvent ? index + 1 : index]), attachments());
}

bool IsReservedEvent(std::string_view name) {
  return std::find(kReservedEvents.begin(), kReservedEvents.end(), name) != kReservedEvents.end();
}

bool MakeEvent(std::string_view args, std::span<const std::string> attachments, Packet& packet) {
  packet = Packet{};
  packet.data = args;
  if (attachments.empty()) return ReadData(packet, std::nullopt) == nullptr && !packet.elements.empty();
  packet.storage = std::make_unique<Packet::Storage>();
  packet.storage->attachments.assign(attachments.begin(), attachments.end());
  return ReadData(packet, attachments.size()) == nullptr;
}

// -- PacketDecoder --

struct PacketDecoder::Pending {
  Packet packet;  // all views into its own storage
  std::size_t due = 0;
  std::size_t bytes = 0;
};

PacketDecoder::PacketDecoder(std::uint32_t max_packet_bytes, PacketFormat format)
    : max_packet_bytes_(max_packet_bytes), format_(format) {}
PacketDecoder::~PacketDecoder() = default;

PacketDecoder::Result PacketDecoder::Fail(const char* error) {
  error_ = error;
  pending_.reset();
  return Result::kError;
}

Limit PacketDecoder::limit() const {
  if (error() == kTooLarge) return Limit::kPacketBytes;
  return error() == kTooManyAttachments ? Limit::kAttachments : Limit::kNone;
}

PacketDecoder::Result PacketDecoder::OnText(std::string_view text, Packet& packet) {
  if (format_ == PacketFormat::kMsgpack) return Fail("text where the parser is msgpack");
  if (pending_) return Fail("text while attachments are due");
  if (text.empty() || text[0] < '0' || text[0] > '6') return Fail("unknown packet type");
  packet = Packet{};
  packet.type = static_cast<PacketType>(text[0] - '0');

  std::optional<std::size_t> attachments;
  if (packet.type == PacketType::kBinaryEvent || packet.type == PacketType::kBinaryAck) {
    packet.type = packet.type == PacketType::kBinaryEvent ? PacketType::kEvent : PacketType::kAck;
    std::string_view rest = text.substr(1);
    std::size_t count = 0;
    if (!TakeNumber(rest, count) || !rest.starts_with('-')) return Fail("no number of attachments");
    if (count == 0) return Fail("binary packet without attachments");
    if (count > kMaxAttachments) return Fail(kTooManyAttachments.data());
    attachments = count;
    // What follows is kept until the attachments are here, and read where it will stay.
    if (text.size() > max_packet_bytes_) return Fail(kTooLarge.data());
    packet.storage = std::make_unique<Packet::Storage>();
    packet.storage->text = rest.substr(1);
    text = packet.storage->text;
  } else {
    text.remove_prefix(1);
  }

  packet.nsp = TakeNamespace(text);
  if (!text.empty() && IsDigit(text[0])) {
    std::uint64_t id = 0;
    if (!TakeNumber(text, id)) return Fail("ack id too large");
    packet.id = id;
  }
  packet.data = text;
  if (const char* error = ReadData(packet, attachments)) return Fail(error);
  if (!attachments) return Result::kPacket;

  pending_ = std::make_unique<Pending>();
  pending_->bytes = packet.storage->text.size();
  pending_->packet = std::move(packet);
  pending_->due = *attachments;
  return Result::kMore;
}

PacketDecoder::Result PacketDecoder::OnBinary(std::string_view bytes, Packet& packet) {
  if (format_ == PacketFormat::kMsgpack) return OnMsgpack(bytes, packet);
  if (!pending_) return Fail("binary message without a packet that announces it");
  pending_->bytes += bytes.size();
  if (pending_->bytes > max_packet_bytes_) return Fail(kTooLarge.data());
  pending_->packet.storage->attachments.emplace_back(bytes);
  if (--pending_->due > 0) return Result::kMore;
  packet = std::move(pending_->packet);
  pending_.reset();
  return Result::kPacket;
}

// A map of type, nsp, data and id; other members ("options") are passed over, of a member that comes twice the last one
// counts.
PacketDecoder::Result PacketDecoder::OnMsgpack(std::string_view message, Packet& packet) {
  if (message.size() > max_packet_bytes_) return Fail(kTooLarge.data());
  packet = Packet{};
  MsgpackReader reader(message, max_packet_bytes_, kMaxAttachments);
  const std::optional<std::uint32_t> members = reader.Map();
  if (!members) return Fail("not a map");
  std::optional<std::uint64_t> type;
  std::optional<std::string_view> nsp;
  std::string_view data;
  for (std::uint32_t i = 0; i < *members; ++i) {
    const std::optional<std::string_view> name = reader.String();
    if (!name) return Fail("a member without a name");
    if (reader.TakeUndefined()) continue;
    if (*name == "type") {
      type = reader.Unsigned();
    } else if (*name == "nsp") {
      nsp = reader.String();
    } else if (*name == "id") {
      packet.id = reader.Unsigned();
    } else if (!reader.Skip(*name == "data" ? data : message)) {
      return Fail(reader.error());
    }
    if (*reader.error() != '\0') return Fail(reader.error());
  }
  if (!reader.at_end()) return Fail("something behind the packet");
  if (!type || *type > static_cast<std::uint64_t>(PacketType::kConnectError)) return Fail("unknown packet type");
  if (!nsp) return Fail("no namespace");
  packet.type = static_cast<PacketType>(*type);
  packet.nsp = *nsp;
  const bool has_args = packet.type == PacketType::kEvent || packet.type == PacketType::kAck;
  if (data.empty()) {
    if (has_args) return Fail("payload is not an array");
    return Result::kPacket;
  }
  packet.storage = std::make_unique<Packet::Storage>();
  MsgpackReader payload(data, max_packet_bytes_, has_args ? kMaxAttachments : 0);
  if (!payload.ToJson(packet.storage->text, packet.storage->attachments)) return Fail(payload.error());
  packet.data = packet.storage->text;
  const std::size_t attachments = packet.attachments().size();
  if (const char* error = ReadData(packet, attachments > 0 ? std::optional(attachments) : std::nullopt)) {
    return Fail(error);
  }
  return Result::kPacket;
}

// -- to clients --

namespace {

FramePtr EncodeMsgpack(const OutPacket& packet) {
  std::string message;
  message.reserve(packet.data.size() + packet.nsp.size() + 40);
  AppendMsgpackMapHeader(message, 2u + !packet.data.empty() + packet.id.has_value());
  AppendMsgpackString(message, "type");
  AppendMsgpackUnsigned(message, static_cast<std::uint64_t>(packet.type));
  if (!packet.data.empty()) {
    AppendMsgpackString(message, "data");
    AppendMsgpackValue(message, packet.data, packet.attachments);
  }
  if (packet.id) {
    AppendMsgpackString(message, "id");
    AppendMsgpackUnsigned(message, *packet.id);
  }
  AppendMsgpackString(message, "nsp");
  AppendMsgpackString(message, packet.nsp);
  return Frame::Binary(message);
}

}  // namespace

FramePtr EncodePacket(const OutPacket& packet, PacketFormat format) {
  if (format == PacketFormat::kMsgpack) return EncodeMsgpack(packet);
  int type = static_cast<int>(packet.type);
  std::string head = "4";
  if (packet.attachments.empty()) {
    absl::StrAppend(&head, type);
  } else {
    type += static_cast<int>(PacketType::kBinaryEvent) - static_cast<int>(PacketType::kEvent);
    absl::StrAppend(&head, type, packet.attachments.size(), "-");
  }
  if (packet.nsp != "/") absl::StrAppend(&head, ToAbsl(packet.nsp), ",");
  if (packet.id) absl::StrAppend(&head, *packet.id);

  std::size_t wire_bytes = head.size() + packet.data.size() + 10;
  for (const std::string& attachment : packet.attachments) wire_bytes += attachment.size() + 10;
  std::string wire;
  wire.reserve(wire_bytes);
  Frame::AppendTextHeader(wire, head.size() + packet.data.size());
  wire.append(head).append(packet.data);
  for (const std::string& attachment : packet.attachments) Frame::AppendBinary(wire, attachment);
  return std::make_shared<const Frame>(std::move(wire));
}

FramePtr EncodeEvent(std::string_view nsp, std::string_view args, std::span<const std::string> attachments,
                     std::optional<std::uint64_t> ack_id, PacketFormat format) {
  return EncodePacket({PacketType::kEvent, nsp, ack_id, args, attachments}, format);
}

FramePtr EncodeAck(std::string_view nsp, std::uint64_t ack_id, std::string_view args,
                   std::span<const std::string> attachments, PacketFormat format) {
  return EncodePacket({PacketType::kAck, nsp, ack_id, args, attachments}, format);
}

FramePtr EncodeConnect(std::string_view nsp, std::string_view sid, std::string_view pid, PacketFormat format) {
  std::string data = absl::StrCat("{\"sid\":", JsonString(sid));
  if (!pid.empty()) absl::StrAppend(&data, ",\"pid\":", JsonString(pid));
  data.push_back('}');
  return EncodePacket({PacketType::kConnect, nsp, std::nullopt, data, {}}, format);
}

FramePtr EncodeConnectError(std::string_view nsp, std::string_view message, std::string_view data,
                            PacketFormat format) {
  std::string payload = absl::StrCat("{\"message\":", JsonString(message));
  if (!data.empty()) absl::StrAppend(&payload, ",\"data\":", ToAbsl(data));
  payload.push_back('}');
  return EncodePacket({PacketType::kConnectError, nsp, std::nullopt, payload, {}}, format);
}

FramePtr EncodeDisconnect(std::string_view nsp, PacketFormat format) {
  return EncodePacket({PacketType::kDisconnect, nsp, std::nullopt, {}, {}}, format);
}

}  // namespace sesior::socketio
