// ExchangeService: the batched stream of sesior.internal.v1. A batch is one post to the core executor, its calls run in
// order; answers go out whenever the last write is done, all that wait in one message (of about 1 MiB at most).
// Order:   calls start in the order they arrive, and calls on one session take effect in it; answers come in any.
// Bounds:  a stream has at most 1,024 open calls, from arrival until the reply is taken for writing, and 4 MiB of
//          requests that the core has not reached; a call beyond is answered RESOURCE_EXHAUSTED (TOO_MANY_CALLS) at
//          once. Reading never stops; the stream of a client that goes on sending and does not read is cancelled, that
//          of one that uses the id of an open call again is ended with INVALID_ARGUMENT.
// Expiry:  a call past its deadline, or cancelled, when its turn comes is not executed. One that is executing goes on;
//          if it was cancelled meanwhile its answer is dropped, and it counts as open until then.
// Roles:   the stream needs the role edge; each call in it the one that it would need by itself.
// Threading: thread-safe. Streams refer to `operations`, `core` and the metrics, which must outlive the gRPC server.
#pragma once

#include "services/session/domain/callers.hpp"
#include "services/session/domain/executor.hpp"
#include "services/session/rpc/live_streams.hpp"
#include "services/session/rpc/operations.hpp"
#include "services/session/rpc/rpc_metrics.hpp"
#include "sesior/internal/v1/exchange.grpc.pb.h"

namespace sesior::session::rpc {

class ExchangeService final : public internal::v1::ExchangeService::CallbackService {
 public:
  // `callers` null: everybody may do everything.
  ExchangeService(Operations& operations, Executor& core, RpcMetrics& metrics, const Callers* callers = nullptr);
  ~ExchangeService() override;

  grpc::ServerBidiReactor<internal::v1::ExchangeRequest, internal::v1::ExchangeResponse>* Exchange(
      grpc::CallbackServerContext* context) override;

  // Asks the clients of all streams to go elsewhere; what they have sent is still answered.
  void GoAway();
  // On the core, when what callers have to show has changed.
  void RecheckCallers();

 private:
  class Stream;

  Operations& operations_;
  Executor& core_;
  RpcMetrics& metrics_;
  const Callers* callers_;
  LiveStreams<Stream> streams_;
};

}  // namespace sesior::session::rpc
