// PresenceStore on Redis. Keys: sesior:lease (replica -> end of its lease), sesior:peer (replica -> length of its
// lease, replid of the Redis that had it, address), sesior:on:ns (namespaces), sesior:on:{<namespace>}:e (entries), :s
// (by time), :k (by key), :r:<replica> (its sessions), :d:<replica> (those of them that nobody has told since Redis may
// have lost writes). Threading: confined to the client's thread.
#pragma once

#include <string>

#include "services/session/domain/presence_store.hpp"
#include "services/session/redis/client.hpp"
#include "services/session/redis/redis_session_store.hpp"
#include "sesior/base/clock.hpp"

namespace sesior::session::redis {

class RedisPresenceStore final : public PresenceStore {
 public:
  RedisPresenceStore(Client& client, StoreOptions options, const Clock& clock);

  void KeepLease(LeaseRequest request, Done<LeaseState> done) override;
  void ReleaseLease(std::string replica_id, Done<void> done) override;
  void Enter(EnterRequest request, Done<bool> done) override;
  void Leave(std::string replica_id, std::string name_space, SessionId session_id, Done<bool> done) override;
  void ListByKey(std::string name_space, std::string after, int limit, Done<OnlineList> done) override;
  void ListNewest(std::string name_space, int limit, Done<OnlineList> done) override;
  void CountOnline(std::string name_space, Done<std::int64_t> done) override;
  void Sweep(std::chrono::milliseconds well_for, Done<SweepResult> done) override;

 private:
  void List(std::string name_space, std::string_view order, std::string after, int limit, Done<OnlineList> done);

  Client& client_;
  const StoreOptions options_;
  const Clock& clock_;
};

}  // namespace sesior::session::redis
