// What callers are told who may not do what they asked for, counted.
#pragma once

#include <grpcpp/support/status.h>

#include "absl/status/status.h"
#include "services/session/rpc/rpc_metrics.hpp"
#include "sesior/base/error.hpp"
#include "sesior/grpc_status/grpc_status.hpp"

namespace sesior::session::rpc {

inline void CountDenial(const absl::Status& why, RpcMetrics& metrics) {
  (absl::IsUnauthenticated(why) ? metrics.denied_unknown : metrics.denied_role).Increment();
}

inline grpc::Status Denied(const absl::Status& why, RpcMetrics& metrics) {
  CountDenial(why, metrics);
  return grpc_status::ToGrpc(why);
}

// To a stream that stood when its caller's credentials were withdrawn.
inline grpc::Status NoLongerKnown(RpcMetrics& metrics) {
  return Denied(Error(absl::StatusCode::kUnauthenticated, "the credentials of this stream are no longer good",
                      {.reason = "CREDENTIALS_UNKNOWN", .field = {}, .retry_after = {}}),
                metrics);
}

}  // namespace sesior::session::rpc
