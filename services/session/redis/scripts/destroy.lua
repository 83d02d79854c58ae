-- KEYS sess meta tomb. ARGV sid now replid absolute tomb_ms, request id, etag ('': any), reason.
local keys = {sess = KEYS[1], meta = KEYS[2], tomb = KEYS[3]}
local env = {sid = ARGV[1], now = ARGV[2], replid = ARGV[3], absolute = ARGV[4], tomb_ms = ARGV[5], any_size = true}
local rid, etag, reason = ARGV[6], ARGV[7], ARGV[8]
local text = reason .. ' ' .. rid
local state, failure = load(keys, env)
if not state then
  if failure[1] == 'GONE' and rid ~= '' and failure[2] == text then return {'OK'} end
  return failure
end
if etag ~= '' and etag ~= state.h then return reply(state, 'CONFLICT') end
bury(keys, env.sid, state, text, reason, env.tomb_ms, env.replid, env.now)
return {'OK'}
