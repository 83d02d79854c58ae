-- KEYS sess meta tomb. ARGV sid now replid absolute tomb_ms, replica, namespace, key, value, joined, left, revision.
local keys = {sess = KEYS[1], meta = KEYS[2], tomb = KEYS[3]}
local sid, now, replid, replica, ns = ARGV[1], ARGV[2], ARGV[3], ARGV[6], ARGV[7]
local clock = clock_ms()
local lease = call('ZSCORE', 'sesior:lease', replica)
if not lease or tonumber(lease) <= clock then return {'LEASE'} end
local tomb = call('GET', keys.tomb)
if tomb then return {'GONE', tomb} end
if call('EXISTS', keys.sess) == 0 then return {'MISSING'} end
local entry = get_entry(ns, sid)
call('SREM', online_key(ns, 'd:' .. replica), sid)
if not entry then
  put_entry(ns, sid, {num(clock), ARGV[12], ARGV[8], ARGV[9], ARGV[11], replica})
  call('ZADD', online_key(ns, 's'), num(clock), sid)
  call('ZADD', online_key(ns, 'k'), 0, ARGV[8] .. '\0' .. sid)
  call('SADD', online_key(ns, 'r:' .. replica), sid)
  call('SADD', 'sesior:on:ns', ns)
  if ARGV[10] ~= '' then announce(replid, now, ns, ARGV[10]) end
  return {'FIRST'}
end
local here = false
for i = ENTRY_FIXED + 1, #entry do here = here or entry[i] == replica end
if not here then
  entry[#entry + 1] = replica
  call('SADD', online_key(ns, 'r:' .. replica), sid)
  put_entry(ns, sid, entry)
end
if entry[3] ~= ARGV[8] or entry[4] ~= ARGV[9] or entry[5] ~= ARGV[11] then
  set_face(ns, sid, entry, ARGV[12], ARGV[8], ARGV[9], ARGV[11])
end
return {'OK'}
