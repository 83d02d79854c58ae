-- KEYS sess meta tomb. ARGV sid now replid absolute tomb_ms, request id, result,
-- expected etag, expected revision, has record, record, etag, ttl ms ('': keep), has claims, claims, has recent, recent,
-- has own idle, own idle, user for one without, device (empty: as before), sessions a user may have, what if full, key
-- prefix; moves; announcement;
-- presence (count 0 or 1, then namespace, key, value, left).
local keys = {sess = KEYS[1], meta = KEYS[2], tomb = KEYS[3]}
local env = {sid = ARGV[1], now = ARGV[2], replid = ARGV[3], absolute = ARGV[4], tomb_ms = ARGV[5]}
local rid = ARGV[6]
local state, failure = load(keys, env)
if not state then return failure end
local known = find_request(keys, rid)
if known then return reply(state, 'REPLAY', known) end
if state.h ~= ARGV[8] or state.r ~= ARGV[9] then return reply(state, 'CONFLICT') end
local joins = ARGV[20] ~= '' and (state.u or '') == ''
local refused = check_moves(25) or (joins and make_room(ARGV[20], env.sid, ARGV[24], ARGV[22], ARGV[23], env))
if refused then return refused end
local has_record, has_claims, has_recent, px = ARGV[10] == '1', ARGV[14] == '1', ARGV[16] == '1', ARGV[13]
local is_shorter = px ~= '' and state.ttl > tonumber(px)
if px ~= '' and state.ttl > 0 then
  state.ttl = tonumber(px)
elseif px ~= '' then
  px = ''  -- a key without TTL keeps none
end
if has_record then
  if px ~= '' then
    call('SET', keys.sess, ARGV[11], 'PX', px)
  else
    call('SET', keys.sess, ARGV[11], 'KEEPTTL')
  end
  state.h, state.f = ARGV[12], '0'
elseif px ~= '' then
  call('PEXPIRE', keys.sess, px)
end
if has_claims then state.k = ARGV[15] end
if has_recent then state.l = ARGV[17] end
if ARGV[18] == '1' then state.i = ARGV[19] end
if joins then state.u = ARGV[20] end
if px ~= '' then state.s = env.now end
if ARGV[21] ~= '' then state.d = ARGV[21] end
if has_record or has_claims or joins then
  state.r = next_revision(state.r, env.now)
  local fields = {'h', state.h, 'r', state.r, 'f', state.f}
  local function set(name, value) fields[#fields + 1], fields[#fields + 2] = name, value end
  if has_claims then set('k', state.k) end
  if has_recent then set('l', state.l) end
  if ARGV[18] == '1' then set('i', state.i) end
  if joins then
    set('u', state.u)
    set('g', good_since(state.u, env.now))
  end
  call('HSET', keys.meta, unpack(fields))
elseif has_recent then
  call('HSET', keys.meta, 'l', state.l)
end
remember_request(keys, rid, ARGV[7])
if px ~= '' or ARGV[21] ~= '' then call('HSET', keys.meta, 's', state.s or env.now, 'd', state.d or '') end
if joins or px ~= '' then join_user(state.u, env.sid, env.now, state.ttl) end
-- What the record's TTL was already, the sidecar's follows: by who set it, or by the sweep (expire.lua).
if px ~= '' then call('PEXPIRE', keys.meta, num(state.ttl + META_SLACK_MS)) end
if is_shorter then lower_expiry(env.sid, state.ttl) end
local at = apply_moves(25, state.ttl)
local presence = at + (ARGV[at] == '0' and 1 or 4)
if ARGV[presence] == '1' then
  local ns = ARGV[presence + 1]
  local entry = get_entry(ns, env.sid)
  if entry then
    set_face(ns, env.sid, entry, state.r, ARGV[presence + 2], ARGV[presence + 3], ARGV[presence + 4])
  end
end
local epoch, offset = apply_announcement(at, env.sid, env.replid, env.now)
if has_record or has_claims or joins then call('PUBLISH', HINTS, 'up ' .. env.sid .. ' ' .. state.r) end
state.v = ''  -- the caller knows it
if has_recent then state.l = '' end
return reply(state, 'OK', '', epoch, offset)
