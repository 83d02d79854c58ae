-- ARGV replica, ttl ms, peer address, replid, the epoch under which it has entered all, now.
local now, replica = clock_ms(), ARGV[1]
local known = call('ZSCORE', 'sesior:lease', replica)
local epoch = known and string.match(call('HGET', 'sesior:peer', replica) or '', '^%d+ (%S*) ')
-- In doubt since this Redis is another, which may have lost writes, or since a sweep has begun.
local is_new = not epoch or string.sub(epoch, 1, #ARGV[4] + 1) ~= ARGV[4] .. ':'
if is_new then epoch = ARGV[4] .. ':' .. num(now) end
call('ZADD', 'sesior:lease', num(now + tonumber(ARGV[2])), replica)
call('HSET', 'sesior:peer', replica, table.concat({ARGV[2], epoch, ARGV[3]}, ' '))
for _, ns in ipairs(call('SMEMBERS', 'sesior:on:ns')) do
  local doubtful = online_key(ns, 'd:' .. replica)
  if is_new then
    call('SUNIONSTORE', doubtful, doubtful, online_key(ns, 'r:' .. replica))
  elseif ARGV[5] == epoch then
    for _, sid in ipairs(call('SRANDMEMBER', doubtful, 1000)) do leave(ns, sid, replica, ARGV[4], ARGV[6]) end
  end
end
local out = {is_new and '1' or '0', epoch, call('LPOP', recovery_taken(replica), 100) or {}}
local live = call('ZRANGEBYSCORE', 'sesior:lease', '(' .. num(now), '+inf')
if #live > 0 then
  local peers = call('HMGET', 'sesior:peer', unpack(live))
  for i, other in ipairs(live) do
    out[#out + 1] = other
    out[#out + 1] = string.match(peers[i] or '', '^%S* %S* (.*)') or ''
  end
end
return out
