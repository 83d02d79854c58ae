-- ARGV user, key prefix, now, replid, tomb_ms, session to spare ('': none), reason, mark ttl ms, erase. Ends up to 100 of a
-- user's sessions. How many, and whether others are left.
local user, prefix, now, replid, tomb_ms, spared, reason = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]
call('SET', revoked_key(user), now, 'PX', ARGV[8])
if spared ~= '' then
  local meta = keys_of(prefix, spared).meta
  if call('EXISTS', meta) == 1 then call('HSET', meta, 'g', now) end
end
local ended = 0
for _, sid in ipairs(call('ZRANGE', user_key(user), 0, -1)) do
  if sid ~= spared then
    if ended == 100 then return {ended, 1} end
    local keys = keys_of(prefix, sid)
    local ttl = call('PTTL', keys.sess)
    local m = call('HMGET', keys.meta, 'k', 'u')
    if ttl == -2 then
      lapse(keys, sid, replid, now)
      leave_user(user, sid)
    elseif m[2] ~= user then
      leave_user(user, sid)
    else
      bury(keys, sid, {ttl = ttl, k = m[1], u = user}, reason .. ' ', reason, tomb_ms, replid, now)
      ended = ended + 1
    end
  end
end
if ARGV[9] == '1' then call('DEL', revoked_key(user), user_key(user)) end
return {ended, 0}
