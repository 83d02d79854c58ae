#include "services/session/redis/redis_expiry_store.hpp"

#include <utility>

namespace sesior::session::redis {

RedisExpiryStore::RedisExpiryStore(Client& client, StoreOptions options, const Clock& clock)
    : client_(client), options_(std::move(options)), clock_(clock) {}

void RedisExpiryStore::Sweep(int shard, std::string holder, std::chrono::milliseconds lease, int batch,
                             Done<ExpirySweep> done) {
  Arguments arguments;
  arguments.Reserve(10);
  arguments.Add("").Add(clock_.WallMillis()).Add(client_.server().master_replid);
  arguments.Add(options_.foreign_absolute_ttl.count()).Add(options_.tombstone.count());
  arguments.Add(std::int64_t{shard}).Add(std::move(holder)).Add(lease.count()).Add(options_.key_prefix);
  arguments.Add(std::int64_t{batch});
  client_.Run(ScriptId::kExpire, 0, std::move(arguments),
              [done = std::move(done)](absl::StatusOr<Reply> reply) mutable {
                if (!reply.ok()) return std::move(done)(reply.status());
                if (reply->size() != 3) return std::move(done)(absl::InternalError("expire script: bad answer"));
                std::move(done)(ExpirySweep{.seen = static_cast<int>((*reply)[0].number()),
                                            .ended = static_cast<int>((*reply)[1].number()),
                                            .late = std::chrono::milliseconds((*reply)[2].number())});
              });
}

}  // namespace sesior::session::redis
