// Reply: the answer to one request, owed by whoever holds it. Sent from any thread, once; it reaches the connection
// that asked or, when that is gone, nobody. One that is destroyed unsent answers 500, so that no client waits for ever.
// Threading: thread-compatible.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "services/rest/http/mailbox.hpp"
#include "sesior/http/request.hpp"
#include "sesior/http/response.hpp"

namespace sesior::rest {

class Worker;

// Names a connection for as long as the process lives: descriptors are used again, serials are not.
struct ConnectionId {
  int fd = -1;
  std::uint64_t serial = 0;
};

class Reply {
 public:
  Reply(std::shared_ptr<Mailbox> mailbox, Worker* worker, ConnectionId connection)
      : mailbox_(std::move(mailbox)), worker_(worker), connection_(connection) {}
  Reply(Reply&& other) noexcept = default;
  Reply& operator=(Reply&&) = delete;
  ~Reply();

  void Send(http::Response response) &&;

 private:
  std::shared_ptr<Mailbox> mailbox_;  // null: sent, or moved from
  Worker* worker_;                    // touched on its own thread only, while the mailbox runs tasks
  ConnectionId connection_;
};

// Called on a worker's thread; must not block. `address` is the client's, without port. The reply may be sent at once
// or later, from any thread.
using RequestHandler = std::function<void(http::Request request, const std::string& address, Reply reply)>;

}  // namespace sesior::rest
