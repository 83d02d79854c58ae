// LiveStreams: the streams of a service that have not ended, to ask all their clients to go elsewhere. Owns none.
// Threading: thread-safe. GoAway calls the streams' GoAway under its lock; that must not block or come back here.
#pragma once

#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

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

 private:
  absl::Mutex mutex_;
  std::vector<std::weak_ptr<Stream>> streams_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sesior::session::rpc
