-- KEYS sess meta tomb. ARGV sid now replid absolute tomb_ms, idle ms, device ('': as before).
local keys = {sess = KEYS[1], meta = KEYS[2], tomb = KEYS[3]}
local sid, now, idle = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[6])
local tomb = call('GET', keys.tomb)
if tomb then
  return {'GONE', tomb, num(call('DEL', keys.sess))}
end
local ttl = call('PTTL', keys.sess)
if ttl == -2 then return {'MISSING', lapse(keys, sid, ARGV[3], ARGV[2])} end
if ttl == -1 then return {'OK', '-1'} end
local m = call('HMGET', keys.meta, 'a', 'k', 'u')
if m[1] and m[1] ~= '0' then idle = math.min(idle, tonumber(m[1]) - now) end
if idle < 1 then idle = 1 end
call('PEXPIRE', keys.sess, num(idle))  -- first: a full Redis does not refuse it, nor what follows in the same script
call('PEXPIRE', keys.meta, num(idle + META_SLACK_MS))
keep_claims(m[2], sid, idle)
if idle < ttl then lower_expiry(sid, idle) end
if m[1] then  -- a session of others gets its sidecar with the first step that reads it
  call('HSET', keys.meta, 's', ARGV[2])
  if ARGV[7] ~= '' then call('HSET', keys.meta, 'd', ARGV[7]) end
  join_user(m[3], sid, now, idle)
end
call('PUBLISH', HINTS, 'tt ' .. sid .. ' ' .. num(idle))
return {'OK', num(idle)}
