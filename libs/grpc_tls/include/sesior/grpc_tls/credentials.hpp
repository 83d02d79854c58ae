// TLS credentials for gRPC. The files are looked at every 2 s: what they hold then serves the connections made from
// then on; files that are half changed or bad leave in use what was.
// Threading: immutable functions, thread-safe.
#pragma once

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>

#include <memory>

#include "sesior/grpc_tls/tls_files.hpp"

namespace sesior::grpc_tls {

// Needs `cert` and `key`. With `ca`, clients are asked for a certificate: one from elsewhere ends the handshake, none
// is allowed.
std::shared_ptr<grpc::ServerCredentials> MakeServerCredentials(const TlsFiles& files);

// Needs `ca`; `cert` and `key` prove who we are to servers that ask. The server's certificate must name the host that
// is dialled, or the channel's GRPC_SSL_TARGET_NAME_OVERRIDE_ARG.
std::shared_ptr<grpc::ChannelCredentials> MakeChannelCredentials(const TlsFiles& files);

}  // namespace sesior::grpc_tls
