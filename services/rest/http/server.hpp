// Server: HTTP/1.1 for any handler, on Pistache's listener, worker threads and event loop, with our own connections.
// ../README.md says why Pistache's are not used.
// Delivery:  an answer reaches the connection that asked, in order, or nobody.
// Threading: the handler runs on worker threads, several at a time; Part's methods on the main thread.
// Errors:    Start: kUnavailable naming the address, when it cannot be listened on.
// Shutdown:  Drain answers what is asked, closing each connection behind its answer; Stop ends at once. Replies sent
//            afterwards go nowhere.
#pragma once

#include <memory>

#include "services/rest/http/reply.hpp"
#include "services/rest/http/server_options.hpp"
#include "sesior/runtime/run.hpp"

namespace sesior::rest {

class Server final : public runtime::Part {
 public:
  Server(ServerOptions options, telemetry::Registry& registry, RequestHandler handler);
  ~Server() override;

  absl::Status Start() override;
  void Drain(std::chrono::steady_clock::time_point deadline) override;
  void Stop() override;
  // The port listened on; 0 before Start.
  int port() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sesior::rest
