// Frame: what one send puts on the wire, encoded once and shared by all its receivers, on any thread.
//
// The bytes are finished WebSocket frames (server side: final, unmasked, uncompressed): one text frame holding an
// Engine.IO packet, followed by one binary frame for each attachment. They describe themselves, so nothing else is
// stored, and long-polling takes the same parts out again.
// Threading: immutable once built.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace sesior::socketio {

class Frame;
using FramePtr = std::shared_ptr<const Frame>;

class Frame {
 public:
  struct Part {
    std::string_view payload;  // text: a whole Engine.IO packet ("4..."); binary: the bytes of a message
    bool binary;
  };

  // `wire` must be made of what AppendText and AppendBinary write.
  explicit Frame(std::string wire) : wire_(std::move(wire)) {}

  // A frame of one text packet, e.g. "2".
  static FramePtr Text(std::string_view packet);
  // A frame of one binary message.
  static FramePtr Binary(std::string_view bytes);

  static void AppendText(std::string& wire, std::string_view packet);
  static void AppendBinary(std::string& wire, std::string_view bytes);
  // The header of a text frame for `payload_bytes` that the caller appends itself.
  static void AppendTextHeader(std::string& wire, std::size_t payload_bytes);

  // What goes into a WebSocket as it is.
  const std::string& wire() const { return wire_; }
  std::size_t size_bytes() const { return wire_.size(); }

  // Takes the first part off `rest` (initially wire()); false when nothing is left.
  static bool NextPart(std::string_view& rest, Part& part);

 private:
  std::string wire_;
};

}  // namespace sesior::socketio
