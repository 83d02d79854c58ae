-- ARGV sid (none), now, replid, absolute, tomb_ms, shard, holder, lease ms, key prefix, batch. Looks at sessions of one
-- shard whose time may be up: those alive are looked at again when theirs is, the others are ended.
-- Answers: looked at, ended, ms by which the longest waiting one was late. Nothing is due: nothing is written.
local env = {now = ARGV[2], replid = ARGV[3], absolute = ARGV[4], tomb_ms = ARGV[5], any_size = true}
local key, lease, prefix = 'sesior:exp:{' .. ARGV[6] .. '}', 'sesior:sweep:{' .. ARGV[6] .. '}', ARGV[9]
local clock = clock_ms()
local due = call('ZRANGEBYSCORE', key, '-inf', num(clock), 'WITHSCORES', 'LIMIT', 0, ARGV[10])
if #due == 0 then return {0, 0, 0} end
-- One replica sweeps a shard: an economy, since every batch is one atomic step.
local holder = call('GET', lease)
if holder and holder ~= ARGV[7] then return {0, 0, 0} end
call('SET', lease, ARGV[7], 'PX', ARGV[8])

-- Pushed before anything is done: one that cannot be ended now (a key of a wrong type, a full Redis) is tried again
-- later and holds nobody up. So an end is told at least once.
local pushed = {}
for i = 1, #due, 2 do
  pushed[#pushed + 1] = num(clock + VISIBILITY_MS)
  pushed[#pushed + 1] = due[i]
end
call('ZADD', key, 'XX', unpack(pushed))

local function look_at(sid, score)
  local sess = prefix .. sid
  local keys = {sess = sess, meta = 'sesior:meta:{' .. sess .. '}', tomb = 'sesior:tomb:{' .. sess .. '}'}
  if call('EXISTS', keys.tomb) == 1 then
    call('ZREM', key, sid)
    return 0
  end
  local ttl = call('PTTL', sess)  -- makes Redis notice that its time is up
  if ttl == -2 then
    call('ZADD', key, score, sid)  -- as it was: by this the reason is told
    lapse(keys, sid, env.replid, env.now)
    return 1
  end
  local m = call('HMGET', keys.meta, 'a', 'k', 'u')
  if m[1] and m[1] ~= '0' and tonumber(m[1]) <= tonumber(env.now) then
    env.sid = sid
    load(keys, env)
    return 1
  end
  call('ZADD', key, expiry_due(ttl, m[1]), sid)
  -- Somebody else kept it alive: what belongs to it lives on as well.
  if ttl > 0 then
    call('PEXPIRE', keys.meta, num(ttl + META_SLACK_MS))
    keep_claims(m[2], sid, ttl)
    join_user(m[3], sid, env.now, ttl)
  end
  return 0
end

local ended = 0
for i = 1, #due, 2 do
  local fine, count = pcall(look_at, due[i], due[i + 1])
  if fine then ended = ended + count end
end
return {#due / 2, ended, clock - tonumber(due[2])}
