-- ARGV now, replid, ms for which our connection has been well, recovery window. Takes up to 100 entries of one replica
-- whose lease is over, or gives up to 100 recovery records of it their last window.
local clock = clock_ms()
for _, replica in ipairs(call('ZRANGEBYSCORE', 'sesior:lease', '-inf', num(clock), 'LIMIT', 0, 100)) do
  local length = string.match(call('HGET', 'sesior:peer', replica) or '', '^%d+') or '0'
  if tonumber(length) <= tonumber(ARGV[3]) then
    local taken = 0
    call('HSET', 'sesior:peer', replica, '0 - ')  -- should it come back before all is taken: it has to tell all again
    for _, ns in ipairs(call('SMEMBERS', 'sesior:on:ns')) do
      for _, sid in ipairs(call('SRANDMEMBER', online_key(ns, 'r:' .. replica), 100 - taken)) do
        leave(ns, sid, replica, ARGV[2], ARGV[1])
        taken = taken + 1
      end
      if taken >= 100 then return {taken, 1} end
    end
    local ids = call('SRANDMEMBER', recovery_ids(replica), 100)
    for _, pid in ipairs(ids) do
      local record = get_recovery(pid)
      if record and record.owner == replica then call('PEXPIRE', recovery_key(pid), ARGV[4]) end
      call('SREM', recovery_ids(replica), pid)
    end
    if #ids > 0 then return {taken, 1} end
    for _, ns in ipairs(call('SMEMBERS', 'sesior:on:ns')) do call('DEL', online_key(ns, 'd:' .. replica)) end
    call('DEL', recovery_taken(replica))
    call('ZREM', 'sesior:lease', replica)
    call('HDEL', 'sesior:peer', replica)
    return {taken, 1}
  end
end
return {0, 0}
