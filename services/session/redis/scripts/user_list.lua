-- ARGV user, key prefix, now, replid. The live sessions of a user, nine values each; entries without a session are forgotten.
local rows = {}
for _, sid in ipairs(call('ZRANGE', user_key(ARGV[1]), 0, -1)) do
  local keys = keys_of(ARGV[2], sid)
  local ttl = call('PTTL', keys.sess)
  local m = call('HMGET', keys.meta, 'h', 'r', 'f', 'c', 'a', 's', 'd', 'u')
  if ttl == -2 then
    lapse(keys, sid, ARGV[4], ARGV[3])
    leave_user(ARGV[1], sid)
  elseif m[8] ~= ARGV[1] then  -- its sidecar was lost: nobody knows whose it is
    leave_user(ARGV[1], sid)
  else
    for _, value in ipairs({sid, m[1], m[2], m[3], m[4], m[5], m[6] or '', m[7] or '', num(ttl)}) do
      rows[#rows + 1] = value
    end
  end
end
return rows
