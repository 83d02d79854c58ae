#include "services/session/redis/redis_session_store.hpp"

#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "sesior/base/string_view.hpp"

namespace sesior::session::redis {

namespace {

std::string ClaimKey(const ClaimMove& move) {
  return absl::StrCat("sesior:claim:{", move.name_space, ":", move.value, "}");
}

void AddMoves(Arguments& arguments, std::vector<ClaimMove>& moves) {
  arguments.Add(static_cast<std::int64_t>(moves.size()));
  for (ClaimMove& move : moves) {
    arguments.Add(ClaimKey(move)).Add(std::move(move.expected)).Add(std::move(move.next));
  }
}

void AddAnnouncement(Arguments& arguments, std::optional<StoreAnnouncement>& announcement) {
  if (!announcement) {
    arguments.Add("0");
    return;
  }
  arguments.Add(announcement->is_volatile ? "2" : "1")
      .Add(std::move(announcement->name_space))
      .Add(std::move(announcement->payload));
  arguments.Add(announcement->only_if_online ? "1" : "0");
}

std::string OptionalMillis(const std::optional<std::chrono::milliseconds>& value) {
  return value ? std::to_string(value->count()) : std::string();
}

std::optional<std::chrono::milliseconds> Ttl(std::int64_t millis) {
  return millis < 0 ? std::nullopt : std::optional(std::chrono::milliseconds(millis));
}

// "<reason> <request id>"
int TombReason(std::string_view text) {
  int reason = 0;
  return absl::SimpleAtoi(ToAbsl(text.substr(0, text.find(' '))), &reason) ? reason : 0;
}

absl::StatusOr<StoreReply> Parse(const Reply& reply) {
  // What the scripts answer: an outcome's name, then what common.lua says at reply().
  const auto at = [&reply](std::size_t i) { return i < reply.size() ? reply[i].text() : std::string_view(); };
  const std::string_view outcome = at(0);
  StoreReply result;
  if (outcome == "MISSING") {
    result.outcome = StoreOutcome::kMissing;
    result.end_reason = TombReason(at(1));
    return result;
  }
  if (outcome == "GONE") {
    result.outcome = StoreOutcome::kGone;
    result.end_reason = TombReason(at(1));
    result.revived = at(2) == "1";
    return result;
  }
  if (outcome == "EXISTS") {
    result.outcome = StoreOutcome::kExists;
    return result;
  }
  if (outcome == "FULL") {
    result.outcome = StoreOutcome::kFull;
    return result;
  }
  if (outcome == "TAKEN") {
    result.outcome = StoreOutcome::kTaken;
    result.taken_index = static_cast<std::size_t>(reply[1].number());
    result.taken_text = std::string(at(2));
    return result;
  }
  if (outcome == "OK") {
    result.outcome = StoreOutcome::kOk;
  } else if (outcome == "CONFLICT") {
    result.outcome = StoreOutcome::kConflict;
  } else if (outcome == "REPLAY") {
    result.outcome = StoreOutcome::kReplay;
  } else {
    return absl::InternalError("a session script gave an answer without meaning");
  }
  if (reply.size() < 17) return result;  // outcomes without a state
  result.replay = std::string(at(1));
  result.position.epoch = std::string(at(2));
  result.position.offset = static_cast<std::uint64_t>(reply[3].number());
  StoredSession& session = result.session;
  session.record = std::string(at(4));
  session.etag = std::string(at(5));
  session.revision = static_cast<std::uint64_t>(reply[6].number());
  session.foreign_writer = at(7) == "1";
  session.created_ms = reply[8].number();
  session.absolute_expiry_ms = reply[9].number();
  if (!at(10).empty()) session.own_idle = std::chrono::milliseconds(reply[10].number());
  session.user_id = std::string(at(11));
  session.claims = DecodeClaims(at(12));
  session.ttl = Ttl(reply[13].number());
  session.recent = std::string(at(14));
  session.last_seen_ms = reply[15].number();
  session.device = DecodeDevice(at(16));
  return result;
}

// The most common way to end: parse, then hand on. `record` and `recent` fill in what the caller had sent and Redis did
// not echo.
Client::Done Parsed(Done<StoreReply> done, std::string record = {}, std::optional<std::string> recent = {}) {
  return [done = std::move(done), record = std::move(record),
          recent = std::move(recent)](absl::StatusOr<Reply> reply) mutable {
    if (!reply.ok()) return std::move(done)(reply.status());
    absl::StatusOr<StoreReply> result = Parse(*reply);
    if (result.ok() && result->outcome == StoreOutcome::kOk) {
      if (!record.empty()) result->session.record = std::move(record);
      if (recent) result->session.recent = *std::move(recent);
    }
    std::move(done)(std::move(result));
  };
}

}  // namespace

RedisSessionStore::RedisSessionStore(Client& client, StoreOptions options, const Clock& clock)
    : client_(client), options_(std::move(options)), clock_(clock) {}

void RedisSessionStore::AddKeys(Arguments& arguments, const SessionId& id) const {
  const std::string sess = absl::StrCat(options_.key_prefix, id.text());
  arguments.Add(sess);
  arguments.Add(absl::StrCat("sesior:meta:{", sess, "}"));
  arguments.Add(absl::StrCat("sesior:tomb:{", sess, "}"));
}

void RedisSessionStore::AddUserLimit(Arguments& arguments, const UserLimit& limit) const {
  arguments.Add(std::int64_t{limit.sessions}).Add(limit.end_oldest ? "oldest" : "refuse").Add(options_.key_prefix);
}

void RedisSessionStore::AddEnvironment(Arguments& arguments, const SessionId& id) const {
  arguments.Add(id.text()).Add(clock_.WallMillis()).Add(client_.server().master_replid);
  arguments.Add(options_.foreign_absolute_ttl.count()).Add(options_.tombstone.count());
}

Arguments RedisSessionStore::SessionArguments(const SessionId& id, std::size_t more) const {
  Arguments arguments;
  arguments.Reserve(8 + more);
  AddKeys(arguments, id);
  AddEnvironment(arguments, id);
  return arguments;
}

void RedisSessionStore::Read(SessionId id, std::string request_id, Done<StoreReply> done) {
  Arguments arguments = SessionArguments(id, 1);
  arguments.Add(std::move(request_id));
  client_.Run(ScriptId::kRead, 3, std::move(arguments), Parsed(std::move(done)));
}

void RedisSessionStore::Create(StoreCreate create, Done<StoreReply> done) {
  Arguments arguments = SessionArguments(create.id, 18);
  StoreEffects& effects = create.effects;
  arguments.Add(std::move(effects.request_id)).Add(std::move(effects.result));
  arguments.Add(create.record).Add(Sha1Hex(create.record)).Add(create.ttl.count()).Add(create.absolute_expiry_ms);
  arguments.Add(OptionalMillis(create.own_idle)).Add(std::move(create.user_id));
  arguments.Add(effects.claims ? EncodeClaims(*effects.claims) : std::string());
  arguments.Add(EncodeDevice(effects.device));
  AddUserLimit(arguments, effects.user_limit);
  AddMoves(arguments, effects.claim_moves);
  AddAnnouncement(arguments, effects.announcement);
  client_.Run(ScriptId::kCreate, 3, std::move(arguments), Parsed(std::move(done), std::move(create.record)));
}

void RedisSessionStore::Update(StoreUpdate update, Done<StoreReply> done) {
  Arguments arguments = SessionArguments(update.id, 27);
  StoreEffects& effects = update.effects;
  arguments.Add(std::move(effects.request_id)).Add(std::move(effects.result));
  arguments.Add(std::move(update.expected_etag)).Add(static_cast<std::int64_t>(update.expected_revision));
  std::string record;
  if (update.record) {
    record = *std::move(update.record);
    arguments.Add("1").Add(record).Add(Sha1Hex(record));
  } else {
    arguments.Add("0").Add("").Add("");
  }
  arguments.Add(OptionalMillis(update.ttl));
  arguments.Add(effects.claims ? "1" : "0").Add(effects.claims ? EncodeClaims(*effects.claims) : std::string());
  arguments.Add(update.recent ? "1" : "0").Add(update.recent.value_or(std::string()));
  arguments.Add(update.own_idle ? "1" : "0").Add(update.own_idle ? OptionalMillis(*update.own_idle) : std::string());
  arguments.Add(std::move(update.user_id_if_none)).Add(EncodeDevice(effects.device));
  AddUserLimit(arguments, effects.user_limit);
  AddMoves(arguments, effects.claim_moves);
  AddAnnouncement(arguments, effects.announcement);
  if (effects.presence) {
    StorePresenceChange& presence = *effects.presence;
    arguments.Add("1").Add(std::move(presence.name_space)).Add(std::move(presence.key));
    arguments.Add(std::move(presence.value_json)).Add(std::move(presence.left_payload));
  } else {
    arguments.Add("0");
  }
  client_.Run(ScriptId::kUpdate, 3, std::move(arguments),
              Parsed(std::move(done), std::move(record), std::move(update.recent)));
}

void RedisSessionStore::Touch(SessionId id, std::chrono::milliseconds idle, Device device, Done<StoreReply> done) {
  Arguments arguments = SessionArguments(id, 2);
  arguments.Add(idle.count()).Add(EncodeDevice(device));
  client_.Run(ScriptId::kTouch, 3, std::move(arguments), [done = std::move(done)](absl::StatusOr<Reply> reply) mutable {
    if (!reply.ok()) return std::move(done)(reply.status());
    absl::StatusOr<StoreReply> result = Parse(*reply);
    if (result.ok() && result->outcome == StoreOutcome::kOk && reply->size() == 2) {
      result->session.ttl = Ttl((*reply)[1].number());
    }
    std::move(done)(std::move(result));
  });
}

void RedisSessionStore::Regenerate(StoreRegenerate regenerate, Done<StoreReply> done) {
  StoreCreate& next = regenerate.next;
  StoreEffects& effects = next.effects;
  Arguments arguments;
  arguments.Reserve(44);
  AddKeys(arguments, regenerate.old_id);
  AddKeys(arguments, next.id);
  AddEnvironment(arguments, regenerate.old_id);
  arguments.Add(std::move(effects.request_id)).Add(std::move(effects.result));
  arguments.Add(next.record).Add(Sha1Hex(next.record)).Add(next.ttl.count()).Add(next.absolute_expiry_ms);
  arguments.Add(OptionalMillis(next.own_idle)).Add(std::move(next.user_id));
  arguments.Add(effects.claims ? EncodeClaims(*effects.claims) : std::string());
  arguments.Add(next.id.text()).Add(std::move(regenerate.expected_etag));
  arguments.Add(static_cast<std::int64_t>(regenerate.expected_revision));
  arguments.Add(std::int64_t{regenerate.reason}).Add(regenerate.move_presence ? "1" : "0");
  arguments.Add(EncodeDevice(effects.device));
  AddUserLimit(arguments, effects.user_limit);
  AddMoves(arguments, effects.claim_moves);
  AddAnnouncement(arguments, effects.announcement);
  client_.Run(ScriptId::kRegenerate, 6, std::move(arguments), Parsed(std::move(done), std::move(next.record)));
}

void RedisSessionStore::Destroy(SessionId id, std::string etag, int reason, std::string request_id,
                                Done<StoreReply> done) {
  Arguments arguments = SessionArguments(id, 3);
  arguments.Add(std::move(request_id)).Add(std::move(etag)).Add(std::int64_t{reason});
  client_.Run(ScriptId::kDestroy, 3, std::move(arguments), Parsed(std::move(done)));
}

void RedisSessionStore::ListUser(std::string user_id, Done<std::vector<UserSession>> done) {
  Arguments arguments;
  arguments.Add(std::move(user_id)).Add(options_.key_prefix).Add(clock_.WallMillis());
  arguments.Add(client_.server().master_replid);
  client_.Run(ScriptId::kUserList, 0, std::move(arguments),
              [done = std::move(done)](absl::StatusOr<Reply> reply) mutable {
                if (!reply.ok()) return std::move(done)(reply.status());
                constexpr std::size_t kValues = 9;
                std::vector<UserSession> sessions(reply->size() / kValues);
                for (std::size_t i = 0; i < sessions.size(); ++i) {
                  const auto at = [&](std::size_t value) { return (*reply)[i * kValues + value]; };
                  sessions[i].id = SessionId(std::string(at(0).text()));
                  StoredSession& stored = sessions[i].stored;
                  stored.etag = std::string(at(1).text());
                  stored.revision = static_cast<std::uint64_t>(at(2).number());
                  stored.foreign_writer = at(3).text() == "1";
                  stored.created_ms = at(4).number();
                  stored.absolute_expiry_ms = at(5).number();
                  stored.last_seen_ms = at(6).number();
                  stored.device = DecodeDevice(at(7).text());
                  stored.ttl = Ttl(at(8).number());
                }
                std::move(done)(std::move(sessions));
              });
}

void RedisSessionStore::EndUser(StoreEndUser end, Done<int> done) { EndSomeOfUser(std::move(end), 0, std::move(done)); }

void RedisSessionStore::EndSomeOfUser(StoreEndUser end, int ended, Done<int> done) {
  Arguments arguments;
  arguments.Add(end.user_id).Add(options_.key_prefix).Add(clock_.WallMillis()).Add(client_.server().master_replid);
  arguments.Add(options_.tombstone.count()).Add(end.spare.text()).Add(std::int64_t{end.reason});
  arguments.Add(options_.revoked_mark.count()).Add(end.erase ? "1" : "0");
  client_.Run(ScriptId::kUserEnd, 0, std::move(arguments),
              [this, end = std::move(end), ended, done = std::move(done)](absl::StatusOr<Reply> reply) mutable {
                if (!reply.ok()) return std::move(done)(reply.status());
                if (reply->size() != 2) return std::move(done)(absl::InternalError("user_end script: bad answer"));
                const int total = ended + static_cast<int>((*reply)[0].number());
                if ((*reply)[1].number() == 0) return std::move(done)(total);
                EndSomeOfUser(std::move(end), total, std::move(done));
              });
}

void RedisSessionStore::Publish(std::string name_space, std::string payload, std::string request_id, bool is_volatile,
                                Done<StoreReply> done) {
  Arguments arguments;
  const bool remembered = !request_id.empty();
  if (remembered) arguments.Add(absl::StrCat("sesior:pub:{", name_space, "}:", request_id));
  arguments.Add(name_space).Add(std::move(payload)).Add(clock_.WallMillis()).Add(client_.server().master_replid);
  arguments.Add(is_volatile ? "1" : "0");
  client_.Run(ScriptId::kPublish, remembered ? 1 : 0, std::move(arguments),
              [done = std::move(done), name_space = std::move(name_space)](absl::StatusOr<Reply> reply) mutable {
                if (!reply.ok()) return std::move(done)(reply.status());
                StoreReply result;
                if (reply->size() != 2) return std::move(done)(absl::InternalError("publish script: bad answer"));
                result.outcome = (*reply)[0].text() == "OK" ? StoreOutcome::kOk : StoreOutcome::kReplay;
                const std::string_view text = (*reply)[1].text();
                const std::size_t blank = text.find(' ');
                result.position.name_space = std::move(name_space);
                result.position.epoch = std::string(text.substr(0, blank));
                (void)absl::SimpleAtoi(ToAbsl(text.substr(blank + 1)), &result.position.offset);
                std::move(done)(std::move(result));
              });
}

void RedisSessionStore::ReadHistory(StorePosition after, int limit, Done<StoreHistory> done) {
  Arguments arguments;
  arguments.Add(after.name_space).Add(std::move(after.epoch)).Add(static_cast<std::int64_t>(after.offset));
  arguments.Add(std::int64_t{limit}).Add(client_.server().master_replid);
  client_.Run(ScriptId::kHistory, 0, std::move(arguments),
              [done = std::move(done), name_space = std::move(after.name_space)](absl::StatusOr<Reply> reply) mutable {
                if (!reply.ok()) return std::move(done)(reply.status());
                constexpr std::size_t kHead = 4;
                constexpr std::size_t kValues = 3;
                if (reply->size() < kHead) return std::move(done)(absl::InternalError("history script: bad answer"));
                StoreHistory history;
                history.head = {.name_space = std::move(name_space),
                                .epoch = std::string((*reply)[0].text()),
                                .offset = static_cast<std::uint64_t>((*reply)[1].number())};
                history.found = (*reply)[2].text() == "1";
                history.from = static_cast<std::uint64_t>((*reply)[3].number());
                history.broadcasts.resize((reply->size() - kHead) / kValues);
                for (std::size_t i = 0; i < history.broadcasts.size(); ++i) {
                  const auto at = [&](std::size_t value) { return (*reply)[kHead + i * kValues + value]; };
                  history.broadcasts[i] = {.epoch = std::string(at(0).text()),
                                           .offset = static_cast<std::uint64_t>(at(1).number()),
                                           .payload = std::string(at(2).text())};
                }
                std::move(done)(std::move(history));
              });
}

void RedisSessionStore::Positions(std::vector<std::string> name_spaces, Done<std::vector<StorePosition>> done) {
  // One HMGET each, all in one write; they answer in order.
  struct Gathering {
    std::vector<StorePosition> positions;
    std::size_t answered = 0;
    absl::Status status;
    Done<std::vector<StorePosition>> done;
  };
  auto gathering = std::make_shared<Gathering>();
  gathering->positions.resize(name_spaces.size());
  gathering->done = std::move(done);
  if (name_spaces.empty()) {
    client_.Command(Arguments().Add("ECHO").Add(""), [gathering](absl::StatusOr<Reply> reply) {
      if (!reply.ok()) return std::move(gathering->done)(reply.status());
      std::move(gathering->done)(std::move(gathering->positions));
    });
    return;
  }
  for (std::size_t i = 0; i < name_spaces.size(); ++i) {
    gathering->positions[i].name_space = name_spaces[i];
    Arguments arguments;
    arguments.Add("HMGET").Add(absl::StrCat("sesior:seq:{", name_spaces[i], "}")).Add("n").Add("e");
    client_.Command(
        std::move(arguments), [gathering, i, replid = client_.server().master_replid](absl::StatusOr<Reply> reply) {
          if (!reply.ok()) {
            gathering->status = reply.status();
          } else if (reply->size() == 2) {
            StorePosition& position = gathering->positions[i];
            position.offset = static_cast<std::uint64_t>((*reply)[0].number());
            const std::string_view epochs = (*reply)[1].text();  // see common.lua
            const std::size_t newest = epochs.rfind(' ');
            position.epoch = newest == std::string_view::npos ? replid + "-" : std::string(epochs.substr(newest + 1));
          }
          if (++gathering->answered < gathering->positions.size()) return;
          if (!gathering->status.ok()) return std::move(gathering->done)(gathering->status);
          std::move(gathering->done)(std::move(gathering->positions));
        });
  }
}

}  // namespace sesior::session::redis
