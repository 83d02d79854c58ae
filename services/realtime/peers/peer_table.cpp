#include "services/realtime/peers/peer_table.hpp"

#include <utility>

#include "sesior/base/string_view.hpp"

namespace sesior::realtime {

std::string PeerTable::Find(std::string_view replica_id) const {
  const absl::MutexLock lock(&mutex_);
  const auto found = addresses_.find(ToAbsl(replica_id));
  return found == addresses_.end() ? std::string() : found->second;
}

void PeerTable::Update(Addresses addresses) {
  {
    const absl::MutexLock lock(&mutex_);
    addresses_.swap(addresses);
  }
  for (const std::function<void()>& listener : listeners_) listener();
}

}  // namespace sesior::realtime
