-- KEYS sess meta tomb. ARGV sid now replid absolute tomb_ms, request id.
local keys = {sess = KEYS[1], meta = KEYS[2], tomb = KEYS[3]}
local env = {sid = ARGV[1], now = ARGV[2], replid = ARGV[3], absolute = ARGV[4], tomb_ms = ARGV[5]}
local state, failure = load(keys, env)
if not state then return failure end
local known = find_request(keys, ARGV[6])
if known then return reply(state, 'REPLAY', known) end
return reply(state, 'OK')
