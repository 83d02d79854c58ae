-- ARGV namespace, "key" or "newest", after, limit.
local ns, limit = ARGV[1], ARGV[4]
local sids = {}
if ARGV[2] == 'newest' then
  sids = call('ZREVRANGE', online_key(ns, 's'), 0, tonumber(limit) - 1)
else
  -- Members are key, NUL, id; keys hold no NUL, so everything behind "after" with a byte above NUL is greater.
  local from = ARGV[3] == '' and '-' or '[' .. ARGV[3] .. '\1'
  for i, member in ipairs(call('ZRANGEBYLEX', online_key(ns, 'k'), from, '+', 'LIMIT', 0, limit)) do
    sids[i] = string.match(member, '^[^%z]*%z(.*)$')
  end
end
local out = {num(call('ZCARD', online_key(ns, 's')))}
if #sids == 0 then return out end
for _, packed in ipairs(call('HMGET', online_key(ns, 'e'), unpack(sids))) do
  if packed then
    local entry = cmsgpack.unpack(packed)
    out[#out + 1] = entry[3]
    out[#out + 1] = entry[4]
    out[#out + 1] = entry[1]
  end
end
return out
