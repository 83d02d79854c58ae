// A SessionStore in memory, with the same steps as the scripts in services/session/redis/scripts.
// Without presence: announcements that want an online session are dropped, `presence` is ignored.
// Threading: thread-compatible; `done` goes through the executor.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "services/session/domain/executor.hpp"
#include "services/session/domain/session_store.hpp"
#include "sesior/base/clock.hpp"

namespace sesior::testing {

class InMemorySessionStore final : public session::SessionStore {
 public:
  InMemorySessionStore(session::Executor& executor, const Clock& clock) : executor_(executor), clock_(clock) {}

  void Read(SessionId id, std::string request_id, Done<session::StoreReply> done) override;
  void Create(session::StoreCreate create, Done<session::StoreReply> done) override;
  void Update(session::StoreUpdate update, Done<session::StoreReply> done) override;
  void Touch(SessionId id, std::chrono::milliseconds idle, session::Device device,
             Done<session::StoreReply> done) override;
  void Regenerate(session::StoreRegenerate regenerate, Done<session::StoreReply> done) override;
  void Destroy(SessionId id, std::string etag, int reason, std::string request_id,
               Done<session::StoreReply> done) override;
  void ListUser(std::string user_id, Done<std::vector<session::UserSession>> done) override;
  void EndUser(session::StoreEndUser end, Done<int> done) override;
  void Publish(std::string name_space, std::string payload, std::string request_id, bool is_volatile,
               Done<session::StoreReply> done) override;
  void ReadHistory(session::StorePosition after, int limit, Done<session::StoreHistory> done) override;
  void Positions(std::vector<std::string> name_spaces, Done<std::vector<session::StorePosition>> done) override;

  // Behind the service's back.
  struct Value {
    std::string text;
    std::int64_t expires_ms = -1;  // -1: never
  };
  std::map<std::string, Value> records;
  std::vector<std::string> published;
  // Every broadcast ever numbered, by namespace; the history keeps those from `kept_from` on. `epoch`: the next one's.
  std::map<std::string, std::vector<session::StoredBroadcast>> broadcasts;
  std::uint64_t kept_from = 1;
  std::string epoch = "memory";
  // While set, every call ends with it.
  absl::Status outage;
  // Told of what a change feed tells, at the moment of the change; `hint`: a message of kChangeChannel, else empty.
  std::vector<std::function<void(const SessionId& id, const std::string& hint)>> observers;
  void ForeignSet(const SessionId& id, Value value) {
    records[id.text()] = std::move(value);
    Notice(id);
  }
  void ForeignDelete(const SessionId& id) {
    if (records.erase(id.text()) > 0) Notice(id);
  }

 private:
  struct Meta {
    session::StoredSession state;  // without record and ttl
    struct Request {
      std::string result;
      std::int64_t at_ms;
    };
    std::map<std::string, Request> requests;  // kept for a minute
    std::int64_t good_since_ms = 0;           // older marks of its user do not count
  };
  struct Tomb {
    int reason;
    std::string request_id;
  };

  void Notice(const SessionId& id, const std::string& hint = {}) {
    for (const auto& observer : observers) observer(id, hint);
  }
  void Answer(Done<session::StoreReply> done, session::StoreReply reply);
  Value* Live(const SessionId& id);
  // The state brought up to date, or nullopt with reply.outcome set.
  std::optional<session::StoredSession> Load(const SessionId& id, session::StoreReply& reply);
  const std::string* FindRequest(const Meta& meta, const std::string& request_id) const;
  void Remember(Meta& meta, const session::StoreEffects& effects);
  bool CheckMoves(const std::vector<session::ClaimMove>& moves, session::StoreReply& reply);
  void ApplyMoves(const std::vector<session::ClaimMove>& moves);
  void Announce(const session::StoreEffects& effects, session::StoreReply& reply);
  session::StorePosition Number(const std::string& name_space, const std::string& payload);
  session::StorePosition Head(const std::string& name_space);
  void Bury(const SessionId& id, int reason, const std::string& request_id);
  // The ids of a user's live sessions, oldest first.
  std::vector<SessionId> SessionsOf(const std::string& user_id);
  // False: the user has no room for one more; reply.outcome says so.
  bool MakeRoom(const std::string& user_id, const SessionId& leaving, const session::UserLimit& limit,
                session::StoreReply& reply);
  void Put(const session::StoreCreate& create, std::uint64_t revision, std::int64_t created_ms,
           session::StoreReply& reply);
  std::uint64_t NextRevision(std::uint64_t previous) const {
    return std::max(previous + 1, static_cast<std::uint64_t>(clock_.WallMillis()));
  }

  session::Executor& executor_;
  const Clock& clock_;
  std::map<std::string, Meta> metas_;
  std::map<std::string, Tomb> tombs_;
  std::map<std::string, std::string> claims_;           // "<namespace>:<value>"
  std::map<std::string, std::int64_t> revoked_before_;  // by user
  std::map<std::string, session::StorePosition> published_requests_;
};

}  // namespace sesior::testing
