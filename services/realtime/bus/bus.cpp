#include "services/realtime/bus/bus.hpp"

#include "sesior/socketio/packet_codec.hpp"

namespace sesior::realtime {

std::shared_ptr<const EncodedBroadcast> EncodedBroadcast::From(const Broadcast& broadcast) {
  auto encoded = std::make_shared<EncodedBroadcast>();
  encoded->nsp = broadcast.nsp;
  encoded->to = broadcast.to;
  encoded->is_volatile = broadcast.is_volatile;
  encoded->frame = socketio::EncodeEvent(broadcast.nsp, broadcast.args, broadcast.attachments);
  return encoded;
}

}  // namespace sesior::realtime
