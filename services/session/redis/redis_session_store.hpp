// SessionStore on Redis: every call is one script (scripts/*.lua say what each does).
// Keys: sess:<id>, sesior:meta:{sess:<id>}, sesior:tomb:{sess:<id>}, sesior:claim:{<namespace>:<value>},
// sesior:user:{u:<user>}, sesior:rev:{u:<user>}, sesior:seq:{<namespace>}, sesior:on:{<namespace>}:*.
// Threading: confined to the client's thread.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "services/session/domain/session_store.hpp"
#include "services/session/redis/client.hpp"
#include "sesior/base/clock.hpp"

namespace sesior::session::redis {

struct StoreOptions {
  std::string key_prefix = "sess:";                           // connect-redis's `prefix`
  std::chrono::milliseconds tombstone{3'600'000};             // at least so long, or the rest of the record's TTL
  std::chrono::milliseconds foreign_absolute_ttl{0};          // absolute limit of sessions others made; 0: none
  std::chrono::milliseconds revoked_mark{31LL * 86'400'000};  // longer than any session lives
  std::chrono::milliseconds recovery_window{120'000};         // see recovery_store.hpp
  std::chrono::milliseconds recovery_recent{10'000};          // how long a record that was taken is not taken again
};

class RedisSessionStore final : public SessionStore {
 public:
  RedisSessionStore(Client& client, StoreOptions options, const Clock& clock);

  void Read(SessionId id, std::string request_id, Done<StoreReply> done) override;
  void Create(StoreCreate create, Done<StoreReply> done) override;
  void Update(StoreUpdate update, Done<StoreReply> done) override;
  void Touch(SessionId id, std::chrono::milliseconds idle, Device device, Done<StoreReply> done) override;
  void Regenerate(StoreRegenerate regenerate, Done<StoreReply> done) override;
  void Destroy(SessionId id, std::string etag, int reason, std::string request_id, Done<StoreReply> done) override;
  void ListUser(std::string user_id, Done<std::vector<UserSession>> done) override;
  void EndUser(StoreEndUser end, Done<int> done) override;
  void Publish(std::string name_space, std::string payload, std::string request_id, bool is_volatile,
               Done<StoreReply> done) override;
  void ReadHistory(StorePosition after, int limit, Done<StoreHistory> done) override;
  void Positions(std::vector<std::string> name_spaces, Done<std::vector<StorePosition>> done) override;

 private:
  Arguments SessionArguments(const SessionId& id, std::size_t more) const;
  void AddKeys(Arguments& arguments, const SessionId& id) const;
  void AddUserLimit(Arguments& arguments, const UserLimit& limit) const;
  void EndSomeOfUser(StoreEndUser end, int ended, Done<int> done);
  void AddEnvironment(Arguments& arguments, const SessionId& id) const;

  Client& client_;
  const StoreOptions options_;
  const Clock& clock_;
};

}  // namespace sesior::session::redis
