// Socket.IO 5 packets: <type>[<attachments>-][<namespace>,][<ack id>][JSON], and binary attachments behind them.
//
// Where we differ from the reference parser on purpose: an ack id beyond 2^64 and a placeholder number that is no
// integer are errors (the reference rounds the one and loses the argument for the other); JSON is passed on verbatim.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sesior/socketio/argument.hpp"
#include "sesior/socketio/frame.hpp"
#include "sesior/socketio/json_text.hpp"

namespace sesior::socketio {

enum class PacketType : std::uint8_t {
  kConnect = 0,
  kDisconnect = 1,
  kEvent = 2,
  kAck = 3,
  kConnectError = 4,
  kBinaryEvent = 5,
  kBinaryAck = 6,
};

// Which Socket.IO parser both sides use.
enum class PacketFormat : std::uint8_t {
  kJson,     // socket.io-parser, the default: a text message, and a binary one for each attachment
  kMsgpack,  // socket.io-msgpack-parser: one binary message a packet
};

// A bound that a client has hit.
enum class Limit : std::uint8_t {
  kNone,
  kNamespaces,   // asked for at a time, or the length of a name
  kAttachments,  // of a packet
  kPacketBytes,  // of a packet with its attachments
  kPackets,      // in a second
};

inline constexpr std::size_t kMaxAttachments = 10;  // of one packet, as the reference

// A packet from a client, whole and checked. Its views point into the text given to the decoder, which ends with that
// call, or into `storage`.
struct Packet {
  PacketType type = PacketType::kEvent;  // the binary types come as kEvent and kAck, with attachments
  std::string_view nsp = "/";
  std::optional<std::uint64_t> id;
  std::string_view data;         // the JSON as sent; empty: none
  JsonValue::Elements elements;  // of an event or ack: the top level of `data`; [0] of an event is its name
  std::string_view event;  // of an event: its name, unescaped (a number as written); empty for "42" without payload

  // What had to be kept or made on the way; null for most packets.
  struct Storage {
    std::string text;
    std::string event;
    std::vector<std::string> attachments;
  };
  std::unique_ptr<Storage> storage;

  std::span<const std::string> attachments() const;
  std::size_t arg_count() const;          // of an event: without its name
  Argument arg(std::size_t index) const;  // null beyond the end
};

// Has the name of this event a meaning of its own ("connect", "disconnect", ...)? Clients may not send it, nor get it.
bool IsReservedEvent(std::string_view name);

// Fills `packet` with an event as a client would have sent it; its views point into `args`, a JSON array, the name
// first. False: it is none, or means other attachments than these.
bool MakeEvent(std::string_view args, std::span<const std::string> attachments, Packet& packet);

// PacketDecoder turns the messages of one connection into packets.
// Whatever the format, a packet comes out as JSON text and attachments: nobody above needs to know.
// Threading: thread-compatible.
// Memory:    a pointer, except while attachments are due; text and attachments of one packet together stay within
//            `max_packet_bytes`.
class PacketDecoder {
 public:
  enum class Result : std::uint8_t {
    kPacket,  // `packet` is filled
    kMore,    // attachments are due
    kError,   // not a packet: close the connection; error() says why
  };

  explicit PacketDecoder(std::uint32_t max_packet_bytes = 10'000'000, PacketFormat format = PacketFormat::kJson);
  ~PacketDecoder();

  Result OnText(std::string_view text, Packet& packet);
  Result OnBinary(std::string_view bytes, Packet& packet);

  // A few fixed words for logs; never a piece of the packet.
  std::string_view error() const { return error_; }
  Limit limit() const;

 private:
  struct Pending;
  Result Fail(const char* error);
  Result OnMsgpack(std::string_view message, Packet& packet);

  std::unique_ptr<Pending> pending_;
  std::uint32_t max_packet_bytes_;
  PacketFormat format_;
  const char* error_ = "";
};

// -- to clients. `nsp` begins with "/"; JSON texts must be valid. All encode once; the frames can be shared by all who
// use the same parser. --

struct OutPacket {
  PacketType type = PacketType::kEvent;  // kEvent and kAck become their binary forms when there are attachments
  std::string_view nsp = "/";
  std::optional<std::uint64_t> id;
  std::string_view data;  // JSON; empty: none
  std::span<const std::string> attachments;
};
FramePtr EncodePacket(const OutPacket& packet, PacketFormat format = PacketFormat::kJson);

// `args`: JSON array whose first element is the event name.
FramePtr EncodeEvent(std::string_view nsp, std::string_view args, std::span<const std::string> attachments = {},
                     std::optional<std::uint64_t> ack_id = std::nullopt, PacketFormat format = PacketFormat::kJson);
// `args`: JSON array of what the acknowledgement function gets.
FramePtr EncodeAck(std::string_view nsp, std::uint64_t ack_id, std::string_view args,
                   std::span<const std::string> attachments = {}, PacketFormat format = PacketFormat::kJson);
// `pid`: the private id of connection state recovery; empty: none.
FramePtr EncodeConnect(std::string_view nsp, std::string_view sid, std::string_view pid = {},
                       PacketFormat format = PacketFormat::kJson);
// `data`: JSON; empty: none.
FramePtr EncodeConnectError(std::string_view nsp, std::string_view message, std::string_view data = {},
                            PacketFormat format = PacketFormat::kJson);
FramePtr EncodeDisconnect(std::string_view nsp, PacketFormat format = PacketFormat::kJson);

}  // namespace sesior::socketio
