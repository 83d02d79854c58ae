#include "services/session/redis/redis_recovery_store.hpp"

#include <utility>

#include "services/session/domain/errors.hpp"

namespace sesior::session::redis {

void RedisRecoveryStore::Save(std::vector<RecoveryRecord> records, Done<std::vector<std::string>> done) {
  Arguments arguments;
  arguments.Reserve(1 + 8 * records.size());
  arguments.Add(options_.recovery_window.count());
  for (RecoveryRecord& record : records) {
    arguments.Add(std::move(record.private_id)).Add(static_cast<std::int64_t>(record.generation));
    arguments.Add(std::int64_t{static_cast<std::uint8_t>(record.state)}).Add(std::move(record.owner));
    arguments.Add(std::move(record.socket_id)).Add(std::move(record.name_space));
    arguments.Add(record.session_id.text()).Add(std::move(record.body));
  }
  client_.Run(ScriptId::kRecoverySave, 0, std::move(arguments),
              [done = std::move(done)](absl::StatusOr<Reply> reply) mutable {
                if (!reply.ok()) return std::move(done)(reply.status());
                std::vector<std::string> taken;
                for (std::size_t i = 0; i < reply->size(); ++i) taken.emplace_back((*reply)[i].text());
                std::move(done)(std::move(taken));
              });
}

void RedisRecoveryStore::Take(TakeRecovery take, Done<TakenRecovery> done) {
  Arguments arguments;
  arguments.Add(take.private_id).Add(take.name_space).Add(take.session_id.text()).Add(take.new_owner);
  arguments.Add(options_.recovery_window.count()).Add(options_.recovery_recent.count());
  client_.Run(ScriptId::kRecoveryTake, 0, std::move(arguments),
              [take = std::move(take), done = std::move(done)](absl::StatusOr<Reply> reply) mutable {
                if (!reply.ok()) return std::move(done)(reply.status());
                if (reply->size() != 5) return std::move(done)(RecoveryNotFound());
                TakenRecovery taken;
                taken.record = {.private_id = std::move(take.private_id),
                                .socket_id = std::string((*reply)[2].text()),
                                .name_space = std::move(take.name_space),
                                .session_id = std::move(take.session_id),
                                .owner = std::move(take.new_owner),
                                .generation = static_cast<std::uint64_t>((*reply)[1].number()),
                                .state = RecoveryState::kOpen,
                                .body = std::string((*reply)[4].text())};
                taken.former_owner = std::string((*reply)[3].text());
                std::move(done)(std::move(taken));
              });
}

}  // namespace sesior::session::redis
