// The SessionClient over gRPC: hot calls in batches on one stream per replica (sesior.internal.v1), lists by unary
// rpcs, one watch stream per replica, one subscription stream. Addresses are resolved again every 5 s; each address
// gets its own channel.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sesior/session_client/session_client.hpp"

namespace sesior::session_client {

struct Options {
  // host:port each; a name stands for all its addresses.
  std::vector<std::string> addresses;
  enum class Transport {
    kStream,  // hot calls travel batched on a long-lived stream
    kUnary,   // one rpc per call: for comparison, and for a service that has no sesior.internal.v1
  };
  Transport transport = Transport::kStream;
};

std::unique_ptr<SessionClient> MakeSessionClient(Options options);

}  // namespace sesior::session_client
