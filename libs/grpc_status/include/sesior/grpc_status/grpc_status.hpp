// The one mapping between absl::Status with its ErrorDetails (base/error.hpp) and the two ways a status crosses gRPC:
// as grpc::Status with google.rpc details (unary rpcs), and as sesior.internal.v1.Status (batched stream).
// Codes are equal by number. Reason and metadata, field and wait travel as google.rpc.ErrorInfo, BadRequest and
// RetryInfo, what is exhausted as QuotaFailure, so that clients in other languages read them with their own classes.
// Threading: immutable functions, thread-safe.
#pragma once

#include <grpcpp/support/status.h>

#include "absl/status/status.h"
#include "sesior/internal/v1/status.pb.h"

namespace sesior::grpc_status {

internal::v1::Status ToProto(const absl::Status& status);
// A code that is not known becomes kUnknown; details that cannot be read are left out.
absl::Status FromProto(const internal::v1::Status& status);

grpc::Status ToGrpc(const absl::Status& status);
absl::Status FromGrpc(const grpc::Status& status);

}  // namespace sesior::grpc_status
