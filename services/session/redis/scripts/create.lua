-- KEYS sess meta tomb. ARGV sid now replid absolute tomb_ms, request id, result,
-- record, etag, ttl ms, absolute expiry, own idle, user, claims; moves; announcement.
local keys = {sess = KEYS[1], meta = KEYS[2], tomb = KEYS[3]}
local env = {sid = ARGV[1], now = ARGV[2], replid = ARGV[3], absolute = ARGV[4], tomb_ms = ARGV[5]}
local rid = ARGV[6]
local tomb = call('GET', keys.tomb)
if tomb then return {'GONE', tomb} end
if call('EXISTS', keys.sess) > 0 then
  local known = find_request(request_lines(keys.meta, rid), rid)
  local state = known and load(keys, env)
  if not state then return {'EXISTS'} end
  return reply(state, 'REPLAY', known)
end
local taken = check_moves(15)
if taken then return taken end
local ttl = tonumber(ARGV[10])
call('SET', keys.sess, ARGV[8], 'PX', ARGV[10])
call('DEL', keys.meta)  -- of an expired session with this id
local state = {v = '', h = ARGV[9], r = env.now, f = '0', c = env.now, a = ARGV[11], i = ARGV[12], u = ARGV[13],
               k = ARGV[14], ttl = ttl}
call('HSET', keys.meta, 'h', state.h, 'r', state.r, 'f', '0', 'c', state.c, 'a', state.a, 'i', state.i, 'u', state.u,
     'k', state.k)
if rid ~= '' then call('HSET', keys.meta, 'q', with_request(nil, rid, ARGV[7])) end
call('PEXPIRE', keys.meta, num(ttl + META_SLACK_MS))
expect_expiry(env.sid, ttl, state.a)
local at = apply_moves(15, ttl)
local epoch, offset = apply_announcement(at, env.sid, env.replid, env.now)
return reply(state, 'OK', '', epoch, offset)
