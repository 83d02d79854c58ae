// The SessionClient over gRPC: hot calls in batches on one stream per replica (sesior.internal.v1), lists by unary
// rpcs, one watch stream per replica, one stream per subscription. Addresses are resolved again every 5 s; each gets
// its own channel.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sesior/session_client/credentials.hpp"
#include "sesior/session_client/session_client.hpp"

namespace sesior::session_client {

struct Options {
  // host:port each; a name stands for all its addresses.
  std::vector<std::string> addresses;
  enum class Transport {
    kStream,  // hot calls travel batched on a long-lived stream
    kUnary,   // one rpc per call, for comparison; the stream still tells which replicas stand
  };
  Transport transport = Transport::kStream;
  // Not empty: everything goes to the one replica that the hash of this name chooses, for as long as that stands:
  // calls, watches and subscriptions. A process that subscribes is better off so: what one step has to tell it (the
  // reply, the broadcast) comes from one place at one time and wakes it once. Empty: calls and watches are spread by
  // session.
  std::string home{};
  ClientCredentials credentials{};
};

// Connects in the background. The destructor may wait for a name server that does not answer.
std::unique_ptr<SessionClient> MakeSessionClient(Options options);

}  // namespace sesior::session_client
