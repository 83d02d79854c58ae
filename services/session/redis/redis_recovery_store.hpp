// RecoveryStore on Redis. Keys: sesior:rec:{<private id>} (a record), sesior:recs:<replica> (the ids of its open ones),
// sesior:rectaken:<replica> (what was taken from it and it does not know yet).
// Threading: confined to the client's thread.
#pragma once

#include <string>
#include <vector>

#include "services/session/domain/recovery_store.hpp"
#include "services/session/redis/client.hpp"
#include "services/session/redis/redis_session_store.hpp"

namespace sesior::session::redis {

class RedisRecoveryStore final : public RecoveryStore {
 public:
  RedisRecoveryStore(Client& client, StoreOptions options) : client_(client), options_(std::move(options)) {}

  void Save(std::vector<RecoveryRecord> records, Done<std::vector<std::string>> done) override;
  void Take(TakeRecovery take, Done<TakenRecovery> done) override;

 private:
  Client& client_;
  const StoreOptions options_;
};

}  // namespace sesior::session::redis
