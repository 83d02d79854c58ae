-- ARGV namespace, epoch and number behind which to read (empty epoch: from the oldest that is kept), limit, replid.
-- Answers: the head's epoch and number; whether the position was found ('1'), and the number from which it reads; then
-- epoch, number and payload of each broadcast, until limit or REPLY_BYTES are reached.
local REPLY_BYTES = 1048576
local CHUNK = 8  -- so few that many large broadcasts are not read in vain
local ns, after_epoch, after, limit = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local history = history_key(ns)
local c = call('HMGET', counters_key(ns), 'n', 'e')
local head, epochs = tonumber(c[1]) or 0, {}
for first, epoch in string.gmatch(c[2] or '', '(%d+) ([^\n]+)') do
  epochs[#epochs + 1] = {first = tonumber(first), epoch = epoch}
end
local function epoch_of(number)
  for i = #epochs, 1, -1 do
    if epochs[i].first <= number then return epochs[i].epoch, epochs[i + 1] end
  end
end

local from, found = after + 1, '1'
if after_epoch == '' then
  local oldest = call('XRANGE', history, '-', '+', 'COUNT', 1)[1]
  from = oldest and tonumber(string.match(oldest[1], '^%d+')) or head + 1
elseif after > head or (after > 0 and epoch_of(after) ~= after_epoch) then
  -- That number stands for something else now: what is new begins with the epoch that followed, or with all there is.
  found, from = '0', 1
  for i = 1, #epochs - 1 do
    if epochs[i].epoch == after_epoch then from = epochs[i + 1].first end
  end
  if #epochs > 0 and epochs[#epochs].epoch == after_epoch then from = head + 1 end
end

local answer = {newest_epoch(c[2]) or ARGV[5] .. '-', num(head), found, num(from)}
local bytes, next_number = 0, from
while limit > 0 and bytes < REPLY_BYTES do
  local want = math.min(CHUNK, limit)
  local entries = call('XRANGE', history, num(next_number) .. '-0', '+', 'COUNT', want)
  for _, entry in ipairs(entries) do
    if bytes >= REPLY_BYTES then break end
    local number = tonumber(string.match(entry[1], '^%d+'))
    answer[#answer + 1], answer[#answer + 2], answer[#answer + 3] = (epoch_of(number)) or '', num(number), entry[2][2]
    bytes, next_number = bytes + #entry[2][2], number + 1
  end
  limit = limit - #entries
  if #entries < want then break end
end
return answer
