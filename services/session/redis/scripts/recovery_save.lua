-- ARGV window, then of each record: private id, generation, state, owner, socket id, namespace, session, body. Answers the
-- private ids of those that others have taken.
local window, taken = ARGV[1], {}
for i = 2, #ARGV, 8 do
  local pid = ARGV[i]
  local record = {generation = ARGV[i + 1], taken_at = '0', state = ARGV[i + 2], owner = ARGV[i + 3],
                  socket = ARGV[i + 4], ns = ARGV[i + 5], session = ARGV[i + 6], body = ARGV[i + 7]}
  local key, ids, known = recovery_key(pid), recovery_ids(record.owner), get_recovery(pid)
  if known and (known.owner ~= record.owner or tonumber(known.generation) > tonumber(record.generation)) then
    taken[#taken + 1] = pid
  elseif record.state == RECOVERY_ENDED then
    call('DEL', key)
    call('SREM', ids, pid)
  else
    if known then record.taken_at = known.taken_at end
    if record.state == RECOVERY_OPEN and call('ZSCORE', 'sesior:lease', record.owner) then
      call('SET', key, recovery_text(record))
      call('SADD', ids, pid)
    else
      call('SET', key, recovery_text(record), 'PX', window)
      call('SREM', ids, pid)
    end
  end
end
return taken
