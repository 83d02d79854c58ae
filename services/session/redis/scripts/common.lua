-- Stands before every script. All keys of one session share a slot; claims, presence and counters are reached by names
-- built here, which a single primary allows (see services/session/README.md about clusters).
-- Writes that may need memory come before any other write of a step: so a full Redis refuses the step as a whole.
local call = redis.call
local HINTS = 'sesior:ev'
local META_SLACK_MS = 86400000  -- a sidecar outlives its record by this, for sessions that Express alone keeps alive
local MAX_RECORD_BYTES = 3145728  -- what is longer would not fit in the 4 MiB that a gRPC client takes by default

local function num(value) return string.format('%.0f', value) end

-- Redis's clock: the replicas' clocks may differ.
local function clock_ms()
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Grows always, even when the sidecar was lost: see session_store.hpp.
local function next_revision(previous, now)
  return num(math.max((tonumber(previous) or 0) + 1, tonumber(now)))
end

local function claim_key(ns, value) return 'sesior:claim:{' .. ns .. ':' .. value .. '}' end
local function online_key(ns, part) return 'sesior:on:{' .. ns .. '}:' .. part end

-- Broadcasts. A namespace's counters never expire: n, its newest number; c, when it began; e, which epoch a number belongs
-- to, as lines "<first number> <epoch>"; b, the bytes of all its broadcasts; m, the bytes at the last mark; x, when the
-- history's life was last prolonged.
-- Its history is a stream with the number as id. Marks, "<number> <clock> <bytes> <bytes since the mark before>", one in 64
-- broadcasts or HISTORY.mark bytes, say up to where it is too old or too much, so that a step does not look at entries.
local ENTRY_BYTES = 96  -- what an entry takes beside its payload
local KEPT_EPOCHS = 16

local function counters_key(ns) return 'sesior:seq:{' .. ns .. '}' end
local function history_key(ns) return 'sesior:hist:{' .. ns .. '}' end
local function marks_key(ns) return 'sesior:marks:{' .. ns .. '}' end
local function broadcast_channel(ns) return 'sesior:bc:{' .. ns .. '}' end
local function newest_epoch(epochs) return string.match(epochs or '', '([^ \n]+)$') end

local function add_epoch(epochs, first, epoch)
  local lines = {}
  for line in string.gmatch(epochs or '', '[^\n]+') do lines[#lines + 1] = line end
  lines[#lines + 1] = num(first) .. ' ' .. epoch
  return table.concat(lines, '\n', math.max(1, #lines - KEPT_EPOCHS + 1))
end

local function mark_and_trim(ns, offset, bytes, since_mark)
  local marks, clock, cut = marks_key(ns), clock_ms(), nil
  call('RPUSH', marks, table.concat({num(offset), num(clock), num(bytes), num(since_mark)}, ' '))
  while true do
    local n, at, upto, own = string.match(call('LINDEX', marks, 0) or '', '^(%d+) (%d+) (%d+) (%d+)$')
    if not n or (bytes - upto + own <= HISTORY.bytes and tonumber(at) > clock - HISTORY.window_ms) then break end
    call('LPOP', marks)
    cut = n
  end
  if cut then call('XTRIM', history_key(ns), 'MINID', num(cut + 1)) end
end

local function keep_alive(ns, now)
  local life = num(HISTORY.window_ms + HISTORY.window_ms / 4)
  call('PEXPIRE', history_key(ns), life)
  call('PEXPIRE', marks_key(ns), life)
  call('HSET', counters_key(ns), 'x', now)
end

-- Takes the namespace's next number, keeps the broadcast in the history and sends it, under that number.
local function announce(replid, now, ns, payload)
  local key, history = counters_key(ns), history_key(ns)
  local c = call('HMGET', key, 'n', 'c', 'e', 'b', 'm', 'x')
  local offset, bytes = (c[1] or 0) + 1, (c[4] or 0) + #payload + ENTRY_BYTES
  local epoch, number = replid .. '-' .. (c[2] or now), num(offset)
  call('HSET', key, 'n', number, 'b', num(bytes))
  if not c[3] or string.sub(c[3], -#epoch) ~= epoch then
    call('HSET', key, 'c', c[2] or now, 'e', add_epoch(c[3], c[3] and offset or 1, epoch))
  end
  local id = number .. '-0'
  local added = redis.pcall('XADD', history, 'MAXLEN', '~', HISTORY.entries, id, 'b', payload)
  if type(added) == 'table' and added.err then  -- somebody has touched the counters or the history: begin anew
    call('DEL', history, marks_key(ns))
    call('XADD', history, id, 'b', payload)
    c[6] = false
  end
  if not c[6] or math.abs(now - c[6]) > HISTORY.window_ms / 8 then keep_alive(ns, now) end
  local since_mark = bytes - (c[5] or 0)
  if offset % 64 == 0 or since_mark >= HISTORY.mark then
    call('HSET', key, 'm', num(bytes))
    mark_and_trim(ns, offset, bytes, since_mark)
  end
  call('PUBLISH', broadcast_channel(ns), epoch .. ' ' .. number .. '\n' .. payload)
  return epoch, number
end

-- Where the namespace stands: the newest broadcast's epoch and number; 0: none yet.
local function position(replid, ns)
  local c = call('HMGET', counters_key(ns), 'n', 'e')
  return newest_epoch(c[2]) or replid .. '-', c[1] or '0'
end

-- A volatile broadcast has no number and is not kept: who misses it is not told.
local function announce_volatile(ns, payload) call('PUBLISH', broadcast_channel(ns), 'v 0\n' .. payload) end

-- Presence. An entry is packed: since, revision, key, value, left payload, replicas...
local ENTRY_FIXED = 5

local function put_entry(ns, sid, entry)
  call('HSET', online_key(ns, 'e'), sid, cmsgpack.pack(entry))
end

local function get_entry(ns, sid)
  local packed = call('HGET', online_key(ns, 'e'), sid)
  return packed and cmsgpack.unpack(packed)
end

local function set_face(ns, sid, entry, revision, key, value, left)
  if tonumber(revision) < tonumber(entry[2]) then return end
  if entry[3] ~= key then
    call('ZADD', online_key(ns, 'k'), 0, key .. '\0' .. sid)
    call('ZREM', online_key(ns, 'k'), entry[3] .. '\0' .. sid)
  end
  entry[2], entry[3], entry[4], entry[5] = revision, key, value, left
  put_entry(ns, sid, entry)
end

local function erase_entry(ns, sid, entry)
  call('HDEL', online_key(ns, 'e'), sid)
  call('ZREM', online_key(ns, 's'), sid)
  call('ZREM', online_key(ns, 'k'), entry[3] .. '\0' .. sid)
  for i = ENTRY_FIXED + 1, #entry do call('SREM', online_key(ns, 'r:' .. entry[i]), sid) end
end

-- The session is offline, whatever its replicas think.
local function take_offline(ns, sid, entry, replid, now)
  erase_entry(ns, sid, entry)
  if entry[5] ~= '' then announce(replid, now, ns, entry[5]) end
end

-- `replica` has no socket of the session any more. True when that was the last one.
local function leave(ns, sid, replica, replid, now)
  call('SREM', online_key(ns, 'r:' .. replica), sid)
  call('SREM', online_key(ns, 'd:' .. replica), sid)
  local entry = get_entry(ns, sid)
  if not entry then return false end
  for i = #entry, ENTRY_FIXED + 1, -1 do
    if entry[i] == replica then table.remove(entry, i) end
  end
  if #entry > ENTRY_FIXED then
    put_entry(ns, sid, entry)
    return false
  end
  take_offline(ns, sid, entry, replid, now)
  return true
end

-- Recovery records: "<generation> <when taken> <state> <owner> <socket> <namespace> <session>" and, behind a line feed,
-- what the domain puts there. An open one has no TTL: its owner's set of ids, which the sweep of its lease goes through,
-- gives it one. A list tells a replica what others have taken from it.
local RECOVERY_OPEN, RECOVERY_ENDED = '0', '2'

local function recovery_key(pid) return 'sesior:rec:{' .. pid .. '}' end
local function recovery_ids(replica) return 'sesior:recs:' .. replica end
local function recovery_taken(replica) return 'sesior:rectaken:' .. replica end

local function get_recovery(pid)
  local generation, taken_at, state, owner, socket, ns, session, body = string.match(
    call('GET', recovery_key(pid)) or '', '^(%d+) (%d+) (%d) (%S+) (%S+) (%S+) (%S+)\n(.*)$')
  if not generation then return nil end
  return {generation = generation, taken_at = taken_at, state = state, owner = owner, socket = socket, ns = ns,
          session = session, body = body}
end

local function recovery_text(record)
  return table.concat({record.generation, record.taken_at, record.state, record.owner, record.socket, record.ns,
                       record.session}, ' ') .. '\n' .. record.body
end

-- Claims.
local function each_claim(list, sid, apply)
  for ns, value, _, nonce in string.gmatch(list or '', '([^\31]*)\31([^\31]*)\31([^\31]*)\31([^\30]*)\30') do
    local key = claim_key(ns, value)
    if call('GET', key) == sid .. ' ' .. nonce then apply(key) end
  end
end

local function release_claims(list, sid)
  each_claim(list, sid, function(key) call('DEL', key) end)
end

local function keep_claims(list, sid, ttl)
  each_claim(list, sid, function(key) call('PEXPIRE', key, num(ttl + META_SLACK_MS)) end)
end

-- Expiry. Every session has an entry in one of 64 sorted sets, at or before the moment it can end by itself; written
-- when we make a session or first see it, and by the sweep. Touches leave it alone; a TTL made shorter lowers it.
local LOOK_AGAIN_MS = 86400000  -- at a session without TTL

local function expiry_key(sid)
  return 'sesior:exp:{' .. tonumber(string.sub(redis.sha1hex(sid), 1, 2), 16) % 64 .. '}'
end

-- `ttl` -1: none; `absolute`: '0' or when it ends however busy.
local function expiry_due(ttl, absolute)
  local due = clock_ms() + (ttl >= 0 and ttl or LOOK_AGAIN_MS)
  if absolute and absolute ~= '0' then due = math.min(due, tonumber(absolute)) end
  return num(due)
end

local function expect_expiry(sid, ttl, absolute) call('ZADD', expiry_key(sid), expiry_due(ttl, absolute), sid) end
local function lower_expiry(sid, ttl) call('ZADD', expiry_key(sid), 'LT', expiry_due(ttl), sid) end

-- Users. A user's sessions: a zset of ids, each scored with the expiry that our last step saw, a lower bound where
-- Express renews a record alone. An entry goes with its session, or when somebody looks and finds none behind it; the
-- key outlives the longest of them by META_SLACK_MS.
local function user_key(user) return 'sesior:user:{u:' .. user .. '}' end
local function revoked_key(user) return 'sesior:rev:{u:' .. user .. '}' end

local function join_user(user, sid, now, ttl)
  if not user or user == '' then return end
  local key = user_key(user)
  local left = call('PTTL', key)
  call('ZADD', key, ttl > 0 and num(tonumber(now) + ttl) or '+inf', sid)
  if ttl <= 0 then
    call('PERSIST', key)
  elseif left ~= -1 then
    call('PEXPIRE', key, num(math.max(left, ttl + META_SLACK_MS)))
  end
end

-- From when on the session is good, whatever clock made the mark that stands.
local function good_since(user, now)
  local mark = user and user ~= '' and call('GET', revoked_key(user))
  return num(math.max(tonumber(now), tonumber(mark or '0')))
end

local function leave_user(user, sid)
  if user and user ~= '' then call('ZREM', user_key(user), sid) end
end

-- The keys of another session than the step's own; `prefix` is what stands before the id in a record's key.
local function keys_of(prefix, sid)
  local sess = prefix .. sid
  return {sess = sess, meta = 'sesior:meta:{' .. sess .. '}', tomb = 'sesior:tomb:{' .. sess .. '}'}
end

-- What a session leaves behind when it is over, other than its record, sidecar and tombstone.
local function clear_up(sid, claims, user, replid, now)
  release_claims(claims, sid)
  leave_user(user, sid)
  for _, ns in ipairs(call('SMEMBERS', 'sesior:on:ns')) do
    local entry = get_entry(ns, sid)
    if entry then take_offline(ns, sid, entry, replid, now) end
  end
  call('ZREM', expiry_key(sid), sid)
end

-- Request ids, each with its result, for at least a minute by Redis's clock: a hash that is added to for that long and
-- then kept for as long again, and the one before it. MAX_REQUESTS in less than a minute begin the next one early, so a
-- session that is written to faster remembers its last 4,096 at least.
local REQUESTS_MS = 60000
local MAX_REQUESTS = 4096
local PAD = string.rep('.', 65)  -- longer than what Redis packs: a lookup costs the same however many there are

local function requests_key(keys) return 'sesior:req:{' .. keys.sess .. '}' end

-- The sidecar and the requests: their results tell names.
local function forget(keys)
  local requests = requests_key(keys)
  call('DEL', keys.meta, requests, requests .. ':old')
end

local function find_request(keys, rid)
  if rid == '' then return false end
  local key = requests_key(keys)
  return call('HGET', key, rid) or call('HGET', key .. ':old', rid)
end

local function remember_request(keys, rid, result)
  if rid == '' then return end
  local key = requests_key(keys)
  local left = call('PTTL', key)
  if left > REQUESTS_MS and call('HLEN', key) <= MAX_REQUESTS then
    call('HSET', key, rid, result)
    return
  end
  if left ~= -2 then call('RENAME', key, key .. ':old') end
  call('HSET', key, rid, result, '', PAD)
  call('PEXPIRE', key, 2 * REQUESTS_MS)
end

local REASON_EXPIRED = '6'
local VISIBILITY_MS = 30000

-- The record is gone and no tombstone says why: its time was up, or, before its time, somebody deleted it (Express's
-- logout). Clears up and tells everybody; gives the reason: expired, or '' (deleted, unless Express had made its time
-- shorter, which watchers know).
local function lapse(keys, sid, replid, now)
  local key, clock = expiry_key(sid), clock_ms()
  local due, m = call('ZSCORE', key, sid), call('HMGET', keys.meta, 'k', 'u')
  if not due and not m[1] then return '' end
  -- The one write that a full Redis refuses comes first: then all is left to a later sweep.
  local pushed = redis.pcall('ZADD', key, num(clock + VISIBILITY_MS), sid)
  local reason = due and tonumber(due) > clock and '' or REASON_EXPIRED
  if type(pushed) == 'table' and pushed.err then return reason end
  clear_up(sid, m[1] or '', m[2], replid, now)
  forget(keys)
  call('PUBLISH', HINTS, reason == '' and 'gone ' .. sid or 'end ' .. sid .. ' ' .. reason)
  return reason
end

-- Ends a session for good: `tomb_text` is "<reason> <request id>".
local function bury(keys, sid, state, tomb_text, reason, tomb_ms, replid, now)
  local ttl = tonumber(state.ttl)
  call('SET', keys.tomb, tomb_text, 'PX', num(math.max(ttl, tonumber(tomb_ms))))
  call('DEL', keys.sess)
  forget(keys)
  call('PUBLISH', HINTS, 'end ' .. sid .. ' ' .. reason)  -- first: its sockets go before they hear that they went
  clear_up(sid, state.k, state.u, replid, now)
end

-- Room for one more session of the user, where `limit` are allowed: those that are gone are forgotten and then, when
-- `full` is 'oldest', the oldest end. nil, or the answer FULL. `leaving` goes in this step anyway.
local REASON_LIMIT = '8'
local function make_room(user, leaving, prefix, limit, full, env)
  limit = tonumber(limit)
  if user == '' or call('ZCARD', user_key(user)) < limit then return nil end
  local alive = {}
  for _, sid in ipairs(call('ZRANGE', user_key(user), 0, -1)) do
    local keys = keys_of(prefix, sid)
    local ttl = sid ~= leaving and call('PTTL', keys.sess)
    if ttl == -2 then
      lapse(keys, sid, env.replid, env.now)
      leave_user(user, sid)
    elseif ttl then
      local m = call('HMGET', keys.meta, 'c', 'k')
      alive[#alive + 1] = {sid = sid, keys = keys, ttl = ttl, c = tonumber(m[1] or '0'), k = m[2], u = user}
    end
  end
  if #alive < limit then return nil end
  if full ~= 'oldest' then return {'FULL'} end
  table.sort(alive, function(a, b) return a.c < b.c or (a.c == b.c and a.sid < b.sid) end)
  for i = 1, #alive - limit + 1 do
    bury(alive[i].keys, alive[i].sid, alive[i], REASON_LIMIT .. ' ', REASON_LIMIT, env.tomb_ms, env.replid, env.now)
  end
end

-- The state of a session, or nil and what to answer. Brings the sidecar up to date with what others wrote.
-- env: sid, now, replid, absolute (ms a session seen for the first time may live; '0': no limit), tomb_ms; any_size: the
-- record may be longer than what is read.
local REASON_REVOKED = '4'
local function load(keys, env)
  local found = call('MGET', keys.tomb, keys.sess)
  local tomb, v = found[1], found[2]
  if tomb then
    return nil, {'GONE', tomb, num(call('DEL', keys.sess))}  -- 1: a late writer had brought it back
  end
  if not v then
    call('GET', keys.sess)  -- says so when the key is there and holds something else
    return nil, {'MISSING', lapse(keys, env.sid, env.replid, env.now)}
  end
  if #v > MAX_RECORD_BYTES and not env.any_size then return nil, {err = 'TOOLONG the record'} end
  local h = redis.sha1hex(v)
  local m = call('HMGET', keys.meta, 'h', 'r', 'f', 'c', 'a', 'i', 'u', 'k', 'l', 's', 'd', 'g')
  local state = {v = v, h = h, r = m[2], f = m[3], c = m[4], a = m[5], i = m[6], u = m[7], k = m[8], l = m[9], s = m[10],
                 d = m[11], g = m[12]}
  state.ttl = call('PTTL', keys.sess)
  if not m[2] then
    state.r, state.f, state.c, state.a = env.now, '1', env.now, '0'
    if env.absolute ~= '0' then state.a = num(tonumber(env.now) + tonumber(env.absolute)) end
    call('HSET', keys.meta, 'h', h, 'r', state.r, 'f', '1', 'c', state.c, 'a', state.a)
    if state.ttl > 0 then call('PEXPIRE', keys.meta, num(state.ttl + META_SLACK_MS)) end
    expect_expiry(env.sid, state.ttl, state.a)
  elseif m[1] ~= h then
    state.r, state.f = next_revision(m[2], env.now), '1'
    call('HSET', keys.meta, 'h', h, 'r', state.r, 'f', '1')
    if state.ttl > 0 then lower_expiry(env.sid, state.ttl) end
    call('PUBLISH', HINTS, 'up ' .. env.sid .. ' ' .. state.r)
  end
  if state.a ~= '0' and tonumber(state.a) <= tonumber(env.now) then
    bury(keys, env.sid, state, REASON_EXPIRED .. ' ', REASON_EXPIRED, env.tomb_ms, env.replid, env.now)
    return nil, {'GONE', REASON_EXPIRED .. ' '}
  end
  -- All of a user's sessions were ended, and this one is back, or was not listed: older than the mark, it is not good.
  local mark = state.u and state.u ~= '' and call('GET', revoked_key(state.u))
  if mark and tonumber(state.g or state.c) < tonumber(mark) then
    bury(keys, env.sid, state, REASON_REVOKED .. ' ', REASON_REVOKED, env.tomb_ms, env.replid, env.now)
    return nil, {'GONE', REASON_REVOKED .. ' '}
  end
  return state
end

-- An answer with a state: four values about the step, then the thirteen that C++ reads as StoredSession.
local function reply(state, outcome, text, epoch, offset)
  return {outcome, text or '', epoch or '', offset or '', state.v, state.h, state.r, state.f, state.c, state.a,
          state.i or '', state.u or '', state.k or '', num(state.ttl), state.l or '', state.s or '',
          state.d or ''}
end

-- Claim moves: triples of key, expected, next, from ARGV[at] on, after their count. nil, or the answer TAKEN.
local function check_moves(at)
  for i = 0, tonumber(ARGV[at]) - 1 do
    local p = at + 1 + i * 3
    if ARGV[p + 2] ~= '' then
      local present = call('GET', ARGV[p])
      if present and present ~= ARGV[p + 1] then return {'TAKEN', num(i), present} end
    end
  end
end

local function apply_moves(at, ttl)
  local count = tonumber(ARGV[at])
  for i = 0, count - 1 do
    local p = at + 1 + i * 3
    if ARGV[p + 2] ~= '' then
      if ttl > 0 then
        call('SET', ARGV[p], ARGV[p + 2], 'PX', num(ttl + META_SLACK_MS))
      else
        call('SET', ARGV[p], ARGV[p + 2])
      end
    end
  end
  for i = 0, count - 1 do
    local p = at + 1 + i * 3
    if ARGV[p + 2] == '' and call('GET', ARGV[p]) == ARGV[p + 1] then call('DEL', ARGV[p]) end
  end
  return at + 1 + count * 3
end

-- The announcement (0: none, 1, or 2: volatile; then namespace, payload, only if online). Epoch and offset, or two empty
-- strings.
local function apply_announcement(at, sid, replid, now)
  if ARGV[at] == '0' then return '', '' end
  local ns = ARGV[at + 1]
  if ARGV[at + 3] == '1' and call('HEXISTS', online_key(ns, 'e'), sid) == 0 then return '', '' end
  if ARGV[at] == '1' then return announce(replid, now, ns, ARGV[at + 2]) end
  announce_volatile(ns, ARGV[at + 2])
  return position(replid, ns)
end
