// App: the example application's routes on a session client. An application of one's own begins here.
// Ownership: owns the client, which outlives nothing that its callbacks use.
// Threading: thread-safe; Handle runs on the server's workers.
#pragma once

#include <memory>

#include "services/rest/config.hpp"
#include "services/rest/handlers/page.hpp"
#include "services/rest/handlers/verify_session.hpp"
#include "services/rest/http/reply.hpp"
#include "services/rest/http/router.hpp"
#include "sesior/session_client/session_client.hpp"

namespace sesior::rest {

class App {
 public:
  // `registry` outlives it.
  App(const Config& config, Page page, std::unique_ptr<session_client::SessionClient> sessions,
      telemetry::Registry& registry);

  void Handle(http::Request request, const std::string& peer_address, Reply reply) const {
    router_.Route(std::move(request), peer_address, std::move(reply));
  }
  bool ready() const { return sessions_->connected(); }

 private:
  void AddRoutes();

  const Page page_;
  AdoptedNames adopted_;
  Router router_;
  // Last, so first to go: its destructor ends the calls that use the rest.
  const std::unique_ptr<session_client::SessionClient> sessions_;
};

}  // namespace sesior::rest
