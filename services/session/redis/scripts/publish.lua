-- KEYS request key ('': not remembered). ARGV namespace, payload, now, replid, is volatile.
if KEYS[1] then
  local known = call('GET', KEYS[1])
  if known then return {'REPLAY', known} end
end
local epoch, offset
if ARGV[5] == '1' then
  epoch, offset = position(ARGV[4], ARGV[1])
else
  epoch, offset = announce(ARGV[4], ARGV[3], ARGV[1], ARGV[2])
end
if KEYS[1] then call('SET', KEYS[1], epoch .. ' ' .. offset, 'PX', 60000) end
if ARGV[5] == '1' then announce_volatile(ARGV[1], ARGV[2]) end
return {'OK', epoch .. ' ' .. offset}
