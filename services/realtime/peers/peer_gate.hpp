// PeerGate: the peer port of one loop: lets other replicas in, whose connections then are channels like any client's,
// but marked as a replica's.
//
// Bounds:    who has not proved itself within `timeout`, or says anything wrong, is closed and counted; no more than
//            kMaxStrangers of them at a time, the next one is closed at once.
// Threading: confined to its loop.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "services/realtime/peers/peer_handshake.hpp"
#include "services/realtime/transport/channel.hpp"
#include "sesior/http/ip_address.hpp"

namespace sesior::realtime {

class PeerGate {
 public:
  static constexpr std::size_t kMaxStrangers = 64;

  // `context`: of the channels of replicas; it, too, outlives the gate.
  PeerGate(ChannelContext& context, const PeerSecrets& secrets, const std::string& replica_id,
           std::chrono::milliseconds timeout)
      : context_(context), secrets_(secrets), replica_id_(replica_id), timeout_(timeout) {}

  // Takes an accepted descriptor over, counted in the context's connections.
  void Admit(int fd, const http::IpAddress& peer);

 private:
  class Stranger;

  ChannelContext& context_;
  const PeerSecrets& secrets_;
  const std::string& replica_id_;
  const std::chrono::milliseconds timeout_;
  std::size_t strangers_ = 0;
};

}  // namespace sesior::realtime
