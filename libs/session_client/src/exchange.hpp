// Exchange: the open calls of one batched stream (sesior.internal.v1) to one session replica.
// Ownership: shared; a call belongs to the exchange from Send until it is finished or handed to `on_lost`.
// Threading: thread-safe. Calls are finished on gRPC threads or inside Expire.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "bidi_stream.hpp"
#include "sesior/internal/v1/exchange.grpc.pb.h"

namespace sesior::session_client {

// One call on its way, with what is needed to repeat it elsewhere.
struct OpenCall {
  internal::v1::Call call;
  std::chrono::steady_clock::time_point deadline;
  std::uint64_t affinity = 0;  // which replica, by rendezvous hashing
  int tries = 0;
  absl::AnyInvocable<void(absl::StatusOr<internal::v1::Reply>) &&> finish;  // called once
};
using OpenCallPtr = std::shared_ptr<OpenCall>;

class Exchange : public std::enable_shared_from_this<Exchange> {
 public:
  static constexpr std::size_t kMaxOpenCalls = 1024;
  static constexpr std::size_t kMaxWaitingBytes = std::size_t{4} << 20;

  struct Callbacks {
    // The stream stands (true), or takes no more calls (false: GoAway). Not called after on_lost.
    std::function<void(bool)> on_usable;
    // The stream has ended; these calls have no answer.
    std::function<void(std::vector<OpenCallPtr>)> on_lost;
  };
  explicit Exchange(Callbacks callbacks) : callbacks_(std::move(callbacks)) {}

  void Start(internal::v1::ExchangeService::Stub& stub);

  enum class SendResult {
    kSent,
    kFull,  // too many calls or bytes wait: refuse the call
    kLost,  // the stream has ended: try another replica
  };
  SendResult Send(OpenCallPtr call) ABSL_LOCKS_EXCLUDED(mutex_);

  // Finishes the calls past their deadline with kDeadlineExceeded.
  void Expire(std::chrono::steady_clock::time_point now) ABSL_LOCKS_EXCLUDED(mutex_);

  void Cancel();

 private:
  using Stream = BidiStream<internal::v1::ExchangeRequest, internal::v1::ExchangeResponse>;

  bool Fill(internal::v1::ExchangeRequest& request) ABSL_LOCKS_EXCLUDED(mutex_);
  void OnRead(internal::v1::ExchangeResponse& response) ABSL_LOCKS_EXCLUDED(mutex_);
  void OnDone() ABSL_LOCKS_EXCLUDED(mutex_);

  Callbacks callbacks_;
  std::shared_ptr<Stream> stream_;
  absl::Mutex mutex_;
  std::uint64_t next_id_ ABSL_GUARDED_BY(mutex_) = 1;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  bool going_away_ ABSL_GUARDED_BY(mutex_) = false;
  std::size_t waiting_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<OpenCallPtr> waiting_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::uint64_t> cancelled_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::uint64_t, OpenCallPtr> open_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sesior::session_client
