-- KEYS old sess meta tomb, new sess meta tomb. ARGV old sid, now replid absolute tomb_ms, request id, result,
-- record, etag, ttl ms, absolute expiry, own idle, user, claims,
-- new sid, expected etag, expected revision, reason, move presence, device ('': as before), sessions a user may have,
-- what if full, key prefix; moves; announcement.
local old = {sess = KEYS[1], meta = KEYS[2], tomb = KEYS[3]}
local new = {sess = KEYS[4], meta = KEYS[5], tomb = KEYS[6]}
local env = {sid = ARGV[1], now = ARGV[2], replid = ARGV[3], absolute = ARGV[4], tomb_ms = ARGV[5]}
local rid, sid, reason = ARGV[6], ARGV[15], ARGV[18]
local known = find_request(new, rid)
if known then
  local state = load(new, {sid = sid, now = env.now, replid = env.replid, absolute = env.absolute, tomb_ms = env.tomb_ms})
  if state then return reply(state, 'REPLAY', known) end
end
local state, failure = load(old, env)
if not state then return failure end
if state.h ~= ARGV[16] or state.r ~= ARGV[17] then return reply(state, 'CONFLICT') end
if call('EXISTS', new.sess, new.tomb) > 0 then return {'EXISTS'} end
local refused = check_moves(24) or make_room(ARGV[13], env.sid, ARGV[23], ARGV[21], ARGV[22], env)
if refused then return refused end

local ttl = tonumber(ARGV[10])
call('SET', new.sess, ARGV[8], 'PX', ARGV[10])
local made = {v = '', h = ARGV[9], r = next_revision(state.r, env.now), f = '0', c = env.now, a = ARGV[11], i = ARGV[12],
              u = ARGV[13], k = ARGV[14], s = env.now, d = ARGV[20], ttl = ttl}
if made.d == '' then made.d = state.d or '' end
if ARGV[19] == '1' then made.c = state.c end
call('HSET', new.meta, 'h', made.h, 'r', made.r, 'f', '0', 'c', made.c, 'a', made.a, 'i', made.i, 'u', made.u, 'k', made.k,
     's', made.s, 'd', made.d, 'g', good_since(made.u, env.now))
join_user(made.u, sid, env.now, ttl)
remember_request(new, rid, ARGV[7])
call('PEXPIRE', new.meta, num(ttl + META_SLACK_MS))
expect_expiry(sid, ttl, made.a)
local at = apply_moves(24, ttl)
if ARGV[19] == '1' then
  for _, ns in ipairs(call('SMEMBERS', 'sesior:on:ns')) do
    local entry = get_entry(ns, env.sid)
    if entry then
      erase_entry(ns, env.sid, entry)
      put_entry(ns, sid, entry)
      call('ZADD', online_key(ns, 's'), entry[1], sid)
      call('ZADD', online_key(ns, 'k'), 0, entry[3] .. '\0' .. sid)
      for i = ENTRY_FIXED + 1, #entry do call('SADD', online_key(ns, 'r:' .. entry[i]), sid) end
    end
  end
end
bury(old, env.sid, state, reason .. ' ' .. rid, reason, env.tomb_ms, env.replid, env.now)
local epoch, offset = apply_announcement(at, sid, env.replid, env.now)
return reply(made, 'OK', '', epoch, offset)
