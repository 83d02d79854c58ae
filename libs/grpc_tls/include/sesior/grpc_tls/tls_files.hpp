// TlsFiles: where one end of a TLS connection finds its PEM files. Empty paths: not used.
#pragma once

#include <string>
#include <vector>

namespace sesior::grpc_tls {

struct TlsFiles {
  std::string cert;  // our own certificate, then those that lead to the authority
  std::string key;   // its private key, without a passphrase
  std::string ca;    // certificates of the authorities that the other side's must come from
};

// Reads the files and tells everything that is wrong with them, one text each: cannot be read, hold no certificate or
// key, do not belong together, one of cert and key alone. `flag` begins the names of the flags that set them ("tls":
// --tls-cert, --tls-key), `ca_flag` is the whole name of the third.
std::vector<std::string> Problems(const TlsFiles& files, const std::string& flag, const std::string& ca_flag);

}  // namespace sesior::grpc_tls
