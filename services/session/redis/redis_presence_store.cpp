#include "services/session/redis/redis_presence_store.hpp"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "sesior/base/error.hpp"

namespace sesior::session::redis {

RedisPresenceStore::RedisPresenceStore(Client& client, StoreOptions options, const Clock& clock)
    : client_(client), options_(std::move(options)), clock_(clock) {}

void RedisPresenceStore::KeepLease(LeaseRequest request, Done<LeaseState> done) {
  Arguments arguments;
  arguments.Add(std::move(request.replica_id)).Add(request.ttl.count()).Add(std::move(request.peer_address));
  arguments.Add(client_.server().master_replid).Add(std::move(request.entered_epoch)).Add(clock_.WallMillis());
  client_.Run(ScriptId::kLease, 0, std::move(arguments), [done = std::move(done)](absl::StatusOr<Reply> reply) mutable {
    if (!reply.ok()) return std::move(done)(reply.status());
    LeaseState state;
    state.fresh = reply->size() > 0 && (*reply)[0].text() == "1";
    if (reply->size() > 2) {
      state.epoch = std::string((*reply)[1].text());
      const Reply taken = (*reply)[2];
      for (std::size_t i = 0; i < taken.size(); ++i) {
        const std::vector<std::string> parts = absl::StrSplit(ToAbsl(taken[i].text()), ' ');
        std::uint64_t generation = 0;
        if (parts.size() == 4 && absl::SimpleAtoi(parts[3], &generation)) {
          state.taken.push_back({parts[0], parts[1], parts[2], generation});
        }
      }
    }
    for (std::size_t i = 3; i + 1 < reply->size(); i += 2) {
      state.replicas.push_back({std::string((*reply)[i].text()), std::string((*reply)[i + 1].text())});
    }
    std::move(done)(std::move(state));
  });
}

void RedisPresenceStore::ReleaseLease(std::string replica_id, Done<void> done) {
  client_.Run(ScriptId::kRelease, 0, std::move(Arguments().Add(std::move(replica_id))),
              [done = std::move(done)](absl::StatusOr<Reply> reply) mutable { std::move(done)(reply.status()); });
}

void RedisPresenceStore::Enter(EnterRequest request, Done<bool> done) {
  const std::string sess = absl::StrCat(options_.key_prefix, request.session_id.text());
  Arguments arguments;
  arguments.Reserve(15);
  arguments.Add(sess).Add(absl::StrCat("sesior:meta:{", sess, "}")).Add(absl::StrCat("sesior:tomb:{", sess, "}"));
  arguments.Add(request.session_id.text()).Add(clock_.WallMillis()).Add(client_.server().master_replid);
  arguments.Add("0").Add("0");
  arguments.Add(std::move(request.replica_id)).Add(std::move(request.name_space)).Add(std::move(request.key));
  arguments.Add(std::move(request.value_json)).Add(std::move(request.joined_payload));
  arguments.Add(std::move(request.left_payload)).Add(static_cast<std::int64_t>(request.session_revision));
  client_.Run(ScriptId::kEnter, 3, std::move(arguments), [done = std::move(done)](absl::StatusOr<Reply> reply) mutable {
    if (!reply.ok()) return std::move(done)(reply.status());
    const std::string_view outcome = reply->size() > 0 ? (*reply)[0].text() : std::string_view();
    if (outcome == "FIRST") return std::move(done)(true);
    if (outcome == "OK") return std::move(done)(false);
    if (outcome == "LEASE") {
      return std::move(done)(Error(absl::StatusCode::kFailedPrecondition, "the replica's lease is over",
                                   {.reason = "LEASE_EXPIRED", .field = "replica_id", .retry_after = {}}));
    }
    std::move(done)(Error(
        absl::StatusCode::kNotFound, "there is no such session",
        {.reason = outcome == "GONE" ? "SESSION_DESTROYED" : "SESSION_NOT_FOUND", .field = {}, .retry_after = {}}));
  });
}

void RedisPresenceStore::Leave(std::string replica_id, std::string name_space, SessionId session_id, Done<bool> done) {
  Arguments arguments;
  arguments.Add(session_id.text()).Add(clock_.WallMillis()).Add(client_.server().master_replid);
  arguments.Add(std::move(replica_id)).Add(std::move(name_space));
  client_.Run(ScriptId::kLeave, 0, std::move(arguments), [done = std::move(done)](absl::StatusOr<Reply> reply) mutable {
    if (!reply.ok()) return std::move(done)(reply.status());
    std::move(done)(reply->number() == 1);
  });
}

void RedisPresenceStore::ListByKey(std::string name_space, std::string after, int limit, Done<OnlineList> done) {
  List(std::move(name_space), "key", std::move(after), limit, std::move(done));
}

void RedisPresenceStore::ListNewest(std::string name_space, int limit, Done<OnlineList> done) {
  List(std::move(name_space), "newest", {}, limit, std::move(done));
}

void RedisPresenceStore::List(std::string name_space, std::string_view order, std::string after, int limit,
                              Done<OnlineList> done) {
  Arguments arguments;
  arguments.Add(std::move(name_space)).Add(order).Add(std::move(after)).Add(std::int64_t{limit});
  client_.Run(ScriptId::kList, 0, std::move(arguments), [done = std::move(done)](absl::StatusOr<Reply> reply) mutable {
    if (!reply.ok()) return std::move(done)(reply.status());
    OnlineList list;
    if (reply->size() > 0) list.total = (*reply)[0].number();
    list.entries.reserve(reply->size() / 3);
    for (std::size_t i = 1; i + 2 < reply->size(); i += 3) {
      list.entries.push_back(
          {std::string((*reply)[i].text()), std::string((*reply)[i + 1].text()), (*reply)[i + 2].number()});
    }
    std::move(done)(std::move(list));
  });
}

void RedisPresenceStore::CountOnline(std::string name_space, Done<std::int64_t> done) {
  client_.Command(std::move(Arguments().Add("ZCARD").Add(absl::StrCat("sesior:on:{", name_space, "}:s"))),
                  [done = std::move(done)](absl::StatusOr<Reply> reply) mutable {
                    if (!reply.ok()) return std::move(done)(reply.status());
                    std::move(done)(reply->number());
                  });
}

void RedisPresenceStore::Sweep(std::chrono::milliseconds well_for, Done<SweepResult> done) {
  Arguments arguments;
  arguments.Add(clock_.WallMillis()).Add(client_.server().master_replid).Add(well_for.count());
  arguments.Add(options_.recovery_window.count());
  client_.Run(ScriptId::kSweep, 0, std::move(arguments), [done = std::move(done)](absl::StatusOr<Reply> reply) mutable {
    if (!reply.ok()) return std::move(done)(reply.status());
    if (reply->size() != 2) return std::move(done)(absl::InternalError("sweep script: bad answer"));
    std::move(done)(SweepResult{static_cast<int>((*reply)[0].number()), (*reply)[1].number() == 1});
  });
}

}  // namespace sesior::session::redis
