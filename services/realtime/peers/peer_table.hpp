// PeerTable: where the other replicas of this service are reached: what the last renewal of our lease told. A table
// that cannot be renewed stays as it is. Threading: thread-safe once the callbacks are set. Listeners are called on the
// thread of Update.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"

namespace sesior::realtime {

class PeerTable {
 public:
  // Replica id to host:port of its peer port.
  using Addresses = absl::flat_hash_map<std::string, std::string>;

  // Called after each Update. Before the first one.
  void AddListener(std::function<void()> listener) { listeners_.push_back(std::move(listener)); }
  // What brings an Update soon, however often it is called. Before the first Renew.
  void SetRenew(std::function<void()> renew) { renew_ = std::move(renew); }

  // Empty: no such replica is known.
  std::string Find(std::string_view replica_id) const;
  // The newest truth: every live replica that others can reach.
  void Update(Addresses addresses);
  // Asks for an Update. One that is under way may be older than what the caller knows: wait for two.
  void Renew() const {
    if (renew_) renew_();
  }

 private:
  std::vector<std::function<void()>> listeners_;
  std::function<void()> renew_;
  mutable absl::Mutex mutex_;
  Addresses addresses_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sesior::realtime
