// ClientCredentials: what proves to the session service who we are, and to us that it is the session service. All
// empty: plaintext, and whatever role a loopback caller has.
#pragma once

#include <string>
#include <vector>

#include "sesior/config/flags.hpp"
#include "sesior/grpc_tls/tls_files.hpp"

namespace sesior::session_client {

struct ClientCredentials {
  grpc_tls::TlsFiles tls;           // ca: TLS; cert and key too: our certificate
  std::string server_name;          // in the service's certificate; empty: the host of the address as it is configured
  std::vector<std::string> tokens;  // the first is sent, as a bearer token; none: nothing is
  std::string token_file;           // where it came from, read again when it changes; empty: from no file
};

// --session-tls-ca, -cert, -key, -name, --session-token (and --session-token-file), with their checks.
void AddFlags(config::Flags& flags, ClientCredentials& credentials);

}  // namespace sesior::session_client
