-- KEYS sess meta tomb. ARGV sid now replid absolute tomb_ms, request id, result,
-- record, etag, ttl ms, absolute expiry, own idle, user, claims, device, sessions a user may have, what if full,
-- key prefix; moves; announcement.
local keys = {sess = KEYS[1], meta = KEYS[2], tomb = KEYS[3]}
local env = {sid = ARGV[1], now = ARGV[2], replid = ARGV[3], absolute = ARGV[4], tomb_ms = ARGV[5]}
local rid = ARGV[6]
local tomb = call('GET', keys.tomb)
if tomb then return {'GONE', tomb} end
if call('EXISTS', keys.sess) > 0 then
  local known = find_request(keys, rid)
  local state = known and load(keys, env)
  if not state then return {'EXISTS'} end
  return reply(state, 'REPLAY', known)
end
local refused = check_moves(19) or make_room(ARGV[13], env.sid, ARGV[18], ARGV[16], ARGV[17], env)
if refused then return refused end
local ttl = tonumber(ARGV[10])
call('SET', keys.sess, ARGV[8], 'PX', ARGV[10])
forget(keys)  -- of an expired session with this id
local state = {v = '', h = ARGV[9], r = env.now, f = '0', c = env.now, a = ARGV[11], i = ARGV[12], u = ARGV[13],
               k = ARGV[14], s = env.now, d = ARGV[15], ttl = ttl}
call('HSET', keys.meta, 'h', state.h, 'r', state.r, 'f', '0', 'c', state.c, 'a', state.a, 'i', state.i, 'u', state.u,
     'k', state.k, 's', state.s, 'd', state.d,
     'g', good_since(state.u, env.now))
join_user(state.u, env.sid, env.now, ttl)
remember_request(keys, rid, ARGV[7])
call('PEXPIRE', keys.meta, num(ttl + META_SLACK_MS))
expect_expiry(env.sid, ttl, state.a)
local at = apply_moves(19, ttl)
local epoch, offset = apply_announcement(at, env.sid, env.replid, env.now)
return reply(state, 'OK', '', epoch, offset)
