#include "tests/support/in_memory_session_store.hpp"

namespace sesior::testing {

using session::ClaimMove;
using session::StoredSession;
using session::StoreEffects;
using session::StoreOutcome;
using session::StoreReply;

namespace {
constexpr std::int64_t kRequestMillis = 60'000;
}  // namespace

void InMemorySessionStore::Answer(Done<StoreReply> done, StoreReply reply) {
  executor_.Post([this, done = std::move(done), reply = std::move(reply)]() mutable {
    if (!outage.ok()) return std::move(done)(outage);
    std::move(done)(std::move(reply));
  });
}

InMemorySessionStore::Value* InMemorySessionStore::Live(const SessionId& id) {
  const auto found = records.find(id.text());
  if (found == records.end()) return nullptr;
  if (found->second.expires_ms >= 0 && found->second.expires_ms <= clock_.WallMillis()) {
    records.erase(found);
    Notice(id);
    return nullptr;
  }
  return &found->second;
}

std::optional<StoredSession> InMemorySessionStore::Load(const SessionId& id, StoreReply& reply) {
  if (const auto tomb = tombs_.find(id.text()); tomb != tombs_.end()) {
    reply.revived = records.contains(id.text());
    ForeignDelete(id);
    reply.outcome = StoreOutcome::kGone;
    reply.end_reason = tomb->second.reason;
    return std::nullopt;
  }
  const Value* value = Live(id);
  if (value == nullptr) {
    reply.outcome = StoreOutcome::kMissing;
    return std::nullopt;
  }
  const std::string etag = Sha1Hex(value->text);
  const auto [place, is_new] = metas_.try_emplace(id.text());
  StoredSession& state = place->second.state;
  if (is_new) {
    state.etag = etag;
    state.revision = NextRevision(0);
    state.created_ms = clock_.WallMillis();
    state.foreign_writer = true;
  } else if (state.etag != etag) {
    state.etag = etag;
    state.revision = NextRevision(state.revision);
    state.foreign_writer = true;
    Notice(id, "up " + id.text() + " " + std::to_string(state.revision));
  }
  if (state.absolute_expiry_ms != 0 && state.absolute_expiry_ms <= clock_.WallMillis()) {
    Bury(id, 6, {});
    reply.outcome = StoreOutcome::kGone;
    reply.end_reason = 6;
    return std::nullopt;
  }
  if (const auto mark = revoked_before_.find(state.user_id); !state.user_id.empty() && mark != revoked_before_.end()) {
    const std::int64_t good_since = place->second.good_since_ms != 0 ? place->second.good_since_ms : state.created_ms;
    if (good_since < mark->second) {
      Bury(id, 4, {});
      reply.outcome = StoreOutcome::kGone;
      reply.end_reason = 4;
      return std::nullopt;
    }
  }
  StoredSession full = state;
  full.record = value->text;
  if (value->expires_ms >= 0) full.ttl = std::chrono::milliseconds(value->expires_ms - clock_.WallMillis());
  return full;
}

const std::string* InMemorySessionStore::FindRequest(const Meta& meta, const std::string& request_id) const {
  const auto found = meta.requests.find(request_id);
  const bool is_known = found != meta.requests.end() && clock_.WallMillis() - found->second.at_ms <= kRequestMillis;
  return is_known ? &found->second.result : nullptr;
}

void InMemorySessionStore::Remember(Meta& meta, const StoreEffects& effects) {
  if (effects.request_id.empty()) return;
  meta.requests[effects.request_id] = {effects.result, clock_.WallMillis()};
}

bool InMemorySessionStore::CheckMoves(const std::vector<ClaimMove>& moves, StoreReply& reply) {
  for (std::size_t i = 0; i < moves.size(); ++i) {
    const auto present = claims_.find(moves[i].name_space + ":" + moves[i].value);
    if (moves[i].next.empty() || present == claims_.end() || present->second == moves[i].expected) continue;
    reply.outcome = StoreOutcome::kTaken;
    reply.taken_index = i;
    reply.taken_text = present->second;
    return false;
  }
  return true;
}

void InMemorySessionStore::ApplyMoves(const std::vector<ClaimMove>& moves) {
  for (const ClaimMove& move : moves) {
    if (!move.next.empty()) claims_[move.name_space + ":" + move.value] = move.next;
  }
  for (const ClaimMove& move : moves) {
    const std::string key = move.name_space + ":" + move.value;
    if (move.next.empty() && claims_.contains(key) && claims_[key] == move.expected) claims_.erase(key);
  }
}

void InMemorySessionStore::Announce(const StoreEffects& effects, StoreReply& reply) {
  if (!effects.announcement || effects.announcement->only_if_online) return;
  const session::StoreAnnouncement& announcement = *effects.announcement;
  published.push_back(announcement.payload);
  reply.position =
      announcement.is_volatile ? Head(announcement.name_space) : Number(announcement.name_space, announcement.payload);
}

session::StorePosition InMemorySessionStore::Number(const std::string& name_space, const std::string& payload) {
  std::vector<session::StoredBroadcast>& all = broadcasts[name_space];
  all.push_back({.epoch = epoch, .offset = all.size() + 1, .payload = payload});
  return Head(name_space);
}

session::StorePosition InMemorySessionStore::Head(const std::string& name_space) {
  const std::vector<session::StoredBroadcast>& all = broadcasts[name_space];
  return {name_space, all.empty() ? epoch : all.back().epoch, all.size()};
}

void InMemorySessionStore::Bury(const SessionId& id, int reason, const std::string& request_id) {
  if (const auto meta = metas_.find(id.text()); meta != metas_.end()) {
    for (const session::HeldClaim& claim : meta->second.state.claims) {
      const std::string key = claim.name_space + ":" + claim.value;
      const auto found = claims_.find(key);
      if (found != claims_.end() && found->second == session::ClaimText(id, claim.nonce)) claims_.erase(found);
    }
    metas_.erase(meta);
  }
  ForeignDelete(id);
  tombs_[id.text()] = {reason, request_id};
  Notice(id, "end " + id.text() + " " + std::to_string(reason));
}

void InMemorySessionStore::Put(const session::StoreCreate& create, std::uint64_t revision, std::int64_t created_ms,
                               StoreReply& reply) {
  ForeignSet(create.id, {create.record, clock_.WallMillis() + create.ttl.count()});
  Meta& meta = metas_[create.id.text()];
  meta = {};
  meta.state.etag = Sha1Hex(create.record);
  meta.state.revision = revision;
  meta.state.created_ms = created_ms;
  meta.state.absolute_expiry_ms = create.absolute_expiry_ms;
  meta.state.own_idle = create.own_idle;
  meta.state.user_id = create.user_id;
  meta.state.last_seen_ms = clock_.WallMillis();
  meta.state.device = create.effects.device;
  meta.good_since_ms = clock_.WallMillis();
  if (create.effects.claims) meta.state.claims = *create.effects.claims;
  Remember(meta, create.effects);
  ApplyMoves(create.effects.claim_moves);
  Announce(create.effects, reply);
  reply.session = *Load(create.id, reply);
}

void InMemorySessionStore::Read(SessionId id, std::string request_id, Done<StoreReply> done) {
  StoreReply reply;
  if (outage.ok()) {
    if (std::optional<StoredSession> state = Load(id, reply)) {
      reply.session = *std::move(state);
      if (const std::string* known = FindRequest(metas_[id.text()], request_id)) {
        reply.outcome = StoreOutcome::kReplay;
        reply.replay = *known;
      }
    }
  }
  Answer(std::move(done), std::move(reply));
}

void InMemorySessionStore::Create(session::StoreCreate create, Done<StoreReply> done) {
  StoreReply reply;
  if (outage.ok()) {
    if (const auto tomb = tombs_.find(create.id.text()); tomb != tombs_.end()) {
      reply.outcome = StoreOutcome::kGone;
      reply.end_reason = tomb->second.reason;
    } else if (Live(create.id) != nullptr) {
      reply.outcome = StoreOutcome::kExists;
      const auto meta = metas_.find(create.id.text());
      const std::string* known = meta == metas_.end() ? nullptr : FindRequest(meta->second, create.effects.request_id);
      if (known != nullptr) {
        reply.outcome = StoreOutcome::kReplay;
        reply.replay = *known;
        reply.session = *Load(create.id, reply);
      }
    } else if (CheckMoves(create.effects.claim_moves, reply) &&
               MakeRoom(create.user_id, create.id, create.effects.user_limit, reply)) {
      Put(create, NextRevision(0), clock_.WallMillis(), reply);
    }
  }
  Answer(std::move(done), std::move(reply));
}

void InMemorySessionStore::Update(session::StoreUpdate update, Done<StoreReply> done) {
  StoreReply reply;
  std::optional<StoredSession> state = outage.ok() ? Load(update.id, reply) : std::nullopt;
  if (state) {
    Meta& meta = metas_[update.id.text()];
    if (const std::string* known = FindRequest(meta, update.effects.request_id)) {
      reply.outcome = StoreOutcome::kReplay;
      reply.replay = *known;
      reply.session = *std::move(state);
    } else if (state->etag != update.expected_etag || state->revision != update.expected_revision) {
      reply.outcome = StoreOutcome::kConflict;
      reply.session = *std::move(state);
    } else if (const bool joins = state->user_id.empty() && !update.user_id_if_none.empty();
               CheckMoves(update.effects.claim_moves, reply) &&
               (!joins || MakeRoom(update.user_id_if_none, update.id, update.effects.user_limit, reply))) {
      if (joins) meta.state.user_id = update.user_id_if_none;
      if (!update.effects.device.empty()) meta.state.device = update.effects.device;
      if (update.ttl) meta.state.last_seen_ms = clock_.WallMillis();
      Value& value = records[update.id.text()];
      if (update.record) {
        value.text = *update.record;
        meta.state.etag = Sha1Hex(value.text);
        meta.state.foreign_writer = false;
      }
      if (update.ttl && value.expires_ms >= 0) value.expires_ms = clock_.WallMillis() + update.ttl->count();
      if (update.effects.claims) meta.state.claims = *update.effects.claims;
      if (update.recent) meta.state.recent = *update.recent;
      if (update.own_idle) meta.state.own_idle = *update.own_idle;
      if (update.record || update.effects.claims || joins) meta.state.revision = NextRevision(meta.state.revision);
      Remember(meta, update.effects);
      ApplyMoves(update.effects.claim_moves);
      Announce(update.effects, reply);
      if (update.record || update.ttl) Notice(update.id);
      if (update.record || update.effects.claims) {
        Notice(update.id, "up " + update.id.text() + " " + std::to_string(meta.state.revision));
      }
      reply.session = *Load(update.id, reply);
    }
  }
  Answer(std::move(done), std::move(reply));
}

void InMemorySessionStore::Touch(SessionId id, std::chrono::milliseconds idle, session::Device device,
                                 Done<StoreReply> done) {
  StoreReply reply;
  if (outage.ok()) {
    if (std::optional<StoredSession> state = Load(id, reply)) {
      Value& value = records[id.text()];
      if (value.expires_ms >= 0) {
        value.expires_ms = clock_.WallMillis() + idle.count();
        if (state->absolute_expiry_ms != 0) value.expires_ms = std::min(value.expires_ms, state->absolute_expiry_ms);
        reply.session.ttl = std::chrono::milliseconds(value.expires_ms - clock_.WallMillis());
        Notice(id);
        Notice(id, "tt " + id.text() + " " + std::to_string(reply.session.ttl->count()));
        StoredSession& kept = metas_[id.text()].state;
        kept.last_seen_ms = clock_.WallMillis();
        if (!device.empty()) kept.device = std::move(device);
      }
    }
  }
  Answer(std::move(done), std::move(reply));
}

void InMemorySessionStore::Regenerate(session::StoreRegenerate regenerate, Done<StoreReply> done) {
  StoreReply reply;
  if (outage.ok()) {
    session::StoreCreate& next = regenerate.next;
    const auto made = metas_.find(next.id.text());
    const std::string* known = made == metas_.end() ? nullptr : FindRequest(made->second, next.effects.request_id);
    if (known != nullptr) {
      reply.outcome = StoreOutcome::kReplay;
      reply.replay = *known;
      reply.session = *Load(next.id, reply);
    } else if (std::optional<StoredSession> state = Load(regenerate.old_id, reply)) {
      if (state->etag != regenerate.expected_etag || state->revision != regenerate.expected_revision) {
        reply.outcome = StoreOutcome::kConflict;
        reply.session = *std::move(state);
      } else if (Live(next.id) != nullptr || tombs_.contains(next.id.text())) {
        reply.outcome = StoreOutcome::kExists;
      } else if (CheckMoves(next.effects.claim_moves, reply) &&
                 MakeRoom(next.user_id, regenerate.old_id, next.effects.user_limit, reply)) {
        if (next.effects.device.empty()) next.effects.device = state->device;
        Put(next, NextRevision(state->revision), regenerate.move_presence ? state->created_ms : clock_.WallMillis(),
            reply);
        Bury(regenerate.old_id, regenerate.reason, next.effects.request_id);
      }
    }
  }
  Answer(std::move(done), std::move(reply));
}

void InMemorySessionStore::Destroy(SessionId id, std::string etag, int reason, std::string request_id,
                                   Done<StoreReply> done) {
  StoreReply reply;
  if (outage.ok()) {
    if (const std::optional<StoredSession> state = Load(id, reply)) {
      if (!etag.empty() && etag != state->etag) {
        reply.outcome = StoreOutcome::kConflict;
        reply.session = *state;
      } else {
        Bury(id, reason, request_id);
      }
    } else if (reply.outcome == StoreOutcome::kGone && !request_id.empty() &&
               tombs_[id.text()].request_id == request_id) {
      reply.outcome = StoreOutcome::kOk;
    }
  }
  Answer(std::move(done), std::move(reply));
}

std::vector<SessionId> InMemorySessionStore::SessionsOf(const std::string& user_id) {
  std::vector<std::pair<std::int64_t, SessionId>> found;
  if (user_id.empty()) return {};
  for (const auto& [id, meta] : metas_) {
    if (meta.state.user_id == user_id && Live(SessionId(id)) != nullptr) {
      found.emplace_back(meta.state.created_ms, SessionId(id));
    }
  }
  std::sort(found.begin(), found.end());
  std::vector<SessionId> ids;
  for (auto& [created, id] : found) ids.push_back(std::move(id));
  return ids;
}

bool InMemorySessionStore::MakeRoom(const std::string& user_id, const SessionId& leaving,
                                    const session::UserLimit& limit, StoreReply& reply) {
  std::vector<SessionId> alive = SessionsOf(user_id);
  std::erase(alive, leaving);
  const auto room = static_cast<std::size_t>(limit.sessions);
  if (alive.size() < room) return true;
  if (!limit.end_oldest) {
    reply.outcome = StoreOutcome::kFull;
    return false;
  }
  for (std::size_t i = 0; i <= alive.size() - room; ++i) Bury(alive[i], 8, {});
  return true;
}

void InMemorySessionStore::ListUser(std::string user_id, Done<std::vector<session::UserSession>> done) {
  std::vector<session::UserSession> sessions;
  for (const SessionId& id : SessionsOf(user_id)) {
    StoredSession stored = metas_[id.text()].state;
    stored.claims.clear();
    stored.user_id.clear();
    const Value* value = Live(id);
    if (value->expires_ms >= 0) stored.ttl = std::chrono::milliseconds(value->expires_ms - clock_.WallMillis());
    sessions.push_back({id, std::move(stored)});
  }
  executor_.Post([this, done = std::move(done), sessions = std::move(sessions)]() mutable {
    if (!outage.ok()) return std::move(done)(outage);
    std::move(done)(std::move(sessions));
  });
}

void InMemorySessionStore::EndUser(session::StoreEndUser end, Done<int> done) {
  int ended = 0;
  if (outage.ok()) {
    revoked_before_[end.user_id] = clock_.WallMillis();
    if (const auto spared = metas_.find(end.spare.text()); spared != metas_.end()) {
      spared->second.good_since_ms = clock_.WallMillis();
    }
    for (const SessionId& id : SessionsOf(end.user_id)) {
      if (id == end.spare) continue;
      Bury(id, end.reason, {});
      ++ended;
    }
    if (end.erase) revoked_before_.erase(end.user_id);
  }
  executor_.Post([this, done = std::move(done), ended]() mutable {
    if (!outage.ok()) return std::move(done)(outage);
    std::move(done)(ended);
  });
}

void InMemorySessionStore::Publish(std::string name_space, std::string payload, std::string request_id,
                                   bool is_volatile, Done<StoreReply> done) {
  StoreReply reply;
  if (outage.ok()) {
    const std::string key = name_space + " " + request_id;
    if (!request_id.empty() && published_requests_.contains(key)) {
      reply.outcome = StoreOutcome::kReplay;
      reply.position = published_requests_[key];
    } else {
      reply.position = is_volatile ? Head(name_space) : Number(name_space, payload);
      published.push_back(std::move(payload));
      if (!request_id.empty()) published_requests_[key] = reply.position;
    }
  }
  Answer(std::move(done), std::move(reply));
}

void InMemorySessionStore::ReadHistory(session::StorePosition after, int limit, Done<session::StoreHistory> done) {
  const std::vector<session::StoredBroadcast>& all = broadcasts[after.name_space];
  session::StoreHistory history;
  history.head = Head(after.name_space);
  history.from = after.offset + 1;
  if (after.epoch.empty()) {
    history.from = std::min<std::uint64_t>(kept_from, all.size() + 1);
  } else if (after.offset > all.size() || (after.offset > 0 && all[after.offset - 1].epoch != after.epoch)) {
    history.found = false;
    history.from = 1;
    for (const session::StoredBroadcast& stored : all) {
      if (stored.epoch == after.epoch) history.from = stored.offset + 1;
    }
  }
  for (std::uint64_t i = std::max(history.from, kept_from); i <= all.size() && limit > 0; ++i, --limit) {
    history.broadcasts.push_back(all[i - 1]);
  }
  executor_.Post([this, done = std::move(done), history = std::move(history)]() mutable {
    if (!outage.ok()) return std::move(done)(outage);
    std::move(done)(std::move(history));
  });
}

void InMemorySessionStore::Positions(std::vector<std::string> name_spaces,
                                     Done<std::vector<session::StorePosition>> done) {
  std::vector<session::StorePosition> positions;
  for (const std::string& name : name_spaces) positions.push_back(Head(name));
  executor_.Post([this, done = std::move(done), positions = std::move(positions)]() mutable {
    if (!outage.ok()) return std::move(done)(outage);
    std::move(done)(std::move(positions));
  });
}

}  // namespace sesior::testing
