-- ARGV replica, ttl ms, peer address.
local now = clock_ms()
local fresh = not call('ZSCORE', 'sesior:lease', ARGV[1])
call('ZADD', 'sesior:lease', num(now + tonumber(ARGV[2])), ARGV[1])
call('HSET', 'sesior:peer', ARGV[1], ARGV[2] .. ' ' .. ARGV[3])
local out = {fresh and '1' or '0', call('LPOP', recovery_taken(ARGV[1]), 100) or {}}
local live = call('ZRANGEBYSCORE', 'sesior:lease', '(' .. num(now), '+inf')
if #live > 0 then
  local peers = call('HMGET', 'sesior:peer', unpack(live))
  for i, replica in ipairs(live) do
    out[#out + 1] = replica
    out[#out + 1] = string.match(peers[i] or '', ' (.*)') or ''
  end
end
return out
