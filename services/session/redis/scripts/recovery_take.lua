-- ARGV private id, namespace, session, new owner, window, ms for which one that was taken is not taken again.
local pid, owner, clock = ARGV[1], ARGV[4], clock_ms()
local record = get_recovery(pid)
if not record or record.ns ~= ARGV[2] or record.session ~= ARGV[3] then return {'NONE'} end
if record.state == RECOVERY_OPEN and clock < tonumber(record.taken_at) + tonumber(ARGV[6]) then return {'NONE'} end
local former, was_open = record.owner, record.state == RECOVERY_OPEN
record.generation, record.taken_at = num(tonumber(record.generation) + 1), num(clock)
record.state, record.owner = RECOVERY_OPEN, owner
call('SET', recovery_key(pid), recovery_text(record), 'PX', ARGV[5])
call('SREM', recovery_ids(former), pid)
local lease = call('ZSCORE', 'sesior:lease', former)
if former ~= owner and was_open and lease and tonumber(lease) > clock then
  call('RPUSH', recovery_taken(former), table.concat({pid, record.socket, record.ns, record.generation}, ' '))
  call('PEXPIRE', recovery_taken(former), ARGV[5])
end
return {'OK', record.generation, record.socket, former, record.body}
