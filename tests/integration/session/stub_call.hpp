// Calls of a replica by the generated stub, as other languages make them.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "sesior/grpc_status/grpc_status.hpp"
#include "sesior/session/v1/session.grpc.pb.h"

namespace sesior::testing {

using SessionStub = session::v1::SessionService::Stub;

inline std::unique_ptr<SessionStub> StubFor(const std::string& address) {
  return session::v1::SessionService::NewStub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
}

template <typename Stub, typename Request, typename Response>
absl::StatusOr<Response> CallStub(Stub& stub,
                                  grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                                  const Request& request, grpc::Status* raw = nullptr) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  Response response;
  const grpc::Status status = (stub.*method)(&context, request, &response);
  if (raw != nullptr) *raw = status;
  if (!status.ok()) return grpc_status::FromGrpc(status);
  return response;
}

// False after 20 s.
inline bool WaitFor(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

}  // namespace sesior::testing
