// LiveStreams: the streams of a service that have not ended, to ask all their clients to go elsewhere, or those whose
// callers are no longer what they were. Owns none.
// Threading: thread-safe. Streams are called under its lock; they must not block or come back here.
#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "services/session/domain/executor.hpp"

namespace sesior::session::rpc {

template <typename Stream>
class LiveStreams {
 public:
  void Remember(const std::shared_ptr<Stream>& stream) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    std::erase_if(streams_, [](const std::weak_ptr<Stream>& known) { return known.expired(); });
    streams_.push_back(stream);
  }

  void GoAway() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    for (const std::weak_ptr<Stream>& known : streams_) {
      if (const std::shared_ptr<Stream> stream = known.lock()) stream->GoAway();
    }
  }

  // On the core. Streams whose callers have another role by now are asked to go and ended a moment later: a client that
  // has its new token by then loses nothing.
  void RecheckCallers(Executor& core) ABSL_LOCKS_EXCLUDED(mutex_) {
    constexpr std::chrono::milliseconds kGrace(2000);
    absl::MutexLock lock(&mutex_);
    for (const std::weak_ptr<Stream>& known : streams_) {
      const std::shared_ptr<Stream> stream = known.lock();
      if (!stream || stream->caller().IsStillWhatItWas()) continue;
      stream->GoAway();
      core.After(kGrace, [known] {
        if (const std::shared_ptr<Stream> late = known.lock()) late->EndUnknown();
      });
    }
  }

 private:
  absl::Mutex mutex_;
  std::vector<std::weak_ptr<Stream>> streams_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sesior::session::rpc
