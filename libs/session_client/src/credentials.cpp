#include "sesior/session_client/credentials.hpp"

namespace sesior::session_client {

void AddFlags(config::Flags& flags, ClientCredentials& credentials) {
  flags.Add("session-tls-ca", &credentials.tls.ca,
            "PEM file of the authority of the session service's certificate; empty: plaintext");
  flags.Add("session-tls-cert", &credentials.tls.cert, "PEM file of our certificate for it; read again on change");
  flags.Add("session-tls-key", &credentials.tls.key, "PEM file of the certificate's key");
  flags.Add("session-tls-name", &credentials.server_name,
            "name in the session service's certificate; empty: the host in --session-addresses");
  flags.AddSecret("session-token", &credentials.tokens, &credentials.token_file,
                  "bearer token of our role (edge) at the session service; a file is read again when it changes");
  flags.AddCheck([&credentials] {
    std::vector<std::string> problems = grpc_tls::Problems(credentials.tls, "session-tls", "session-tls-ca");
    if (credentials.tls.ca.empty() && !credentials.tls.cert.empty()) {
      problems.push_back("--session-tls-cert: needs --session-tls-ca");
    }
    return problems;
  });
}

}  // namespace sesior::session_client
