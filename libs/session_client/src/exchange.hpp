// Exchange: the open calls of one batched stream (sesior.internal.v1) to one session replica.
// Ownership: shared; a call belongs to the exchange from Send until it is finished or handed to `on_lost`.
// Threading: thread-safe. Calls are finished on gRPC threads or inside Expire.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "access.hpp"
#include "bidi_stream.hpp"
#include "in_flight.hpp"
#include "sesior/internal/v1/exchange.grpc.pb.h"

namespace sesior::session_client {

// One call on its way, with what is needed to repeat it elsewhere.
struct OpenCall {
  internal::v1::Call call;
  std::chrono::steady_clock::time_point deadline;
  std::uint64_t affinity = 0;                                               // which replica, by rendezvous hashing
  int tries = 0;                                                            // how often it was sent
  absl::AnyInvocable<void(absl::StatusOr<internal::v1::Reply>) &&> finish;  // called once
};
using OpenCallPtr = std::shared_ptr<OpenCall>;

class Exchange : public std::enable_shared_from_this<Exchange> {
 public:
  static constexpr std::size_t kMaxOpenCalls = 1024;
  static constexpr std::size_t kMaxWaitingBytes = std::size_t{4} << 20;

  // On gRPC threads. on_open and on_go_away at most once and in any order; on_lost once and last.
  struct Callbacks {
    // The stream stands.
    std::function<void(const std::shared_ptr<Exchange>&)> on_open;
    // The server is about to end the stream: open another, then Finish() this one.
    std::function<void(const std::shared_ptr<Exchange>&)> on_go_away;
    // The stream has ended; these calls have no answer, in the order they were sent.
    std::function<void(const std::shared_ptr<Exchange>&, std::vector<OpenCallPtr>)> on_lost;
  };
  explicit Exchange(Callbacks callbacks) : callbacks_(std::move(callbacks)) {}

  // Once; waits for the server as long as it takes. Nothing else may be called before.
  void Start(internal::v1::ExchangeService::Stub& stub, Access& access, InFlight::Token in_flight);

  enum class SendResult {
    kSent,
    kFull,  // too many calls or bytes wait: refuse the call
    kLost,  // the stream takes no more calls: try another replica
  };
  SendResult Send(OpenCallPtr call) ABSL_LOCKS_EXCLUDED(mutex_);

  // Takes no more calls; what is open is still answered.
  void Finish() ABSL_LOCKS_EXCLUDED(mutex_);

  // Finishes the calls past their deadline with kDeadlineExceeded.
  void Expire(std::chrono::steady_clock::time_point now) ABSL_LOCKS_EXCLUDED(mutex_);

  // The server has said GoAway.
  bool going_away() const ABSL_LOCKS_EXCLUDED(mutex_);

  void Cancel();

 private:
  using Stream = BidiStream<internal::v1::ExchangeRequest, internal::v1::ExchangeResponse>;

  bool Fill(internal::v1::ExchangeRequest& request) ABSL_LOCKS_EXCLUDED(mutex_);
  void OnRead(internal::v1::ExchangeResponse& response) ABSL_LOCKS_EXCLUDED(mutex_);
  void OnDone(const grpc::Status& status) ABSL_LOCKS_EXCLUDED(mutex_);

  const Callbacks callbacks_;
  std::shared_ptr<Stream> stream_;
  mutable absl::Mutex mutex_;
  std::uint64_t next_id_ ABSL_GUARDED_BY(mutex_) = 1;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;  // finished or ended
  bool going_away_ ABSL_GUARDED_BY(mutex_) = false;
  std::size_t waiting_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<OpenCallPtr> waiting_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::uint64_t> cancelled_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::uint64_t, OpenCallPtr> open_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sesior::session_client
