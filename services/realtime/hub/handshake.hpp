// Handshake: what a client said when it came, before it joined any namespace; of a polling client its first GET, of
// others the request of their WebSocket.
//
// Memory: 40 bytes a client; more only for parameters of its own and for headers that ServerOptions::handshake_headers
//         names, since ten thousand clients would hold ten thousand times the same "user-agent".
// Threading: immutable once the client exists.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sesior/http/form.hpp"
#include "sesior/http/ip_address.hpp"
#include "sesior/http/request.hpp"

namespace sesior::realtime::hub {

struct Handshake {
  http::IpAddress address;                     // the client's, as trusted proxies tell it
  bool secure = false;                         // over TLS, as trusted proxies tell it
  std::chrono::system_clock::time_point time;  // when it came

  struct More {
    http::Form query;  // without what is Engine.IO's: EIO, transport, sid, t, b64, j
    std::vector<http::Header> headers;
  };
  std::unique_ptr<const More> more;  // null: neither

  // Null: not sent. Names of parameters are compared as they are, those of headers without regard to case; of several,
  // the first counts.
  const std::string* Query(std::string_view name) const;
  const std::string* Header(std::string_view name) const;
};

}  // namespace sesior::realtime::hub
