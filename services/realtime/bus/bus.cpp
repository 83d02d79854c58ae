#include "services/realtime/bus/bus.hpp"

#include <utility>

namespace sesior::realtime {

std::shared_ptr<const EncodedBroadcast> EncodedBroadcast::From(Broadcast broadcast, socketio::PacketFormat format) {
  auto encoded = std::make_shared<EncodedBroadcast>();
  encoded->frame = socketio::EncodeEvent(broadcast.nsp, broadcast.args, broadcast.attachments, std::nullopt, format);
  encoded->broadcast = std::move(broadcast);
  return encoded;
}

}  // namespace sesior::realtime
