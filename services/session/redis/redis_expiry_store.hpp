// ExpiryStore on Redis. Keys: sesior:exp:{0..63} (session -> lower bound of its end, ms of Redis's clock),
// sesior:sweep:{0..63} (who sweeps it now). The shard of a session is made from the SHA-1 of its id, which scripts have
// at hand, not from the CRC16 of a cluster's slots. Threading: confined to the client's thread.
#pragma once

#include <string>

#include "services/session/domain/expiry_store.hpp"
#include "services/session/redis/client.hpp"
#include "services/session/redis/redis_session_store.hpp"
#include "sesior/base/clock.hpp"

namespace sesior::session::redis {

class RedisExpiryStore final : public ExpiryStore {
 public:
  RedisExpiryStore(Client& client, StoreOptions options, const Clock& clock);

  void Sweep(int shard, std::string holder, std::chrono::milliseconds lease, int batch,
             Done<ExpirySweep> done) override;

 private:
  Client& client_;
  const StoreOptions options_;
  const Clock& clock_;
};

}  // namespace sesior::session::redis
