-- Admits requests, each against all of its limits at once, or refuses them. What is refused uses nothing up.
--
-- A window has 60 slots and the running sum of what is in them; one that is partly inside counts whole, so that
-- no sliding window of its length ever holds more than the limit. Fields of its hash: a slot's number -> what it
-- holds; `s`, the sum; `h`, the oldest slot that may be in the sum.
--
-- KEYS     the windows (hashes), the leases (sorted sets: exchange -> when it ends, in ms), the records (hashes
--          whose field `v` is their version), then `open` (sorted set: exchange -> when it counts as lost) and
--          `entries` (hash: exchange -> when it was admitted, and what it holds)
-- ARGV[3]  MessagePack: {widths, leases, records, lease, bills, asks}
--            widths   a window's slot in ms, one each
--            leases, records   how many keys of each kind there are
--            lease    how long an exchange is let live without being renewed, in ms
--            bills    {charges, leases, versions, entry}, what several asks may have in common:
--              charges   {{window, limit, unit}}; unit 0: each ask counts as one, 1: its tokens count
--              leases    {{lease, limit}}
--              versions  {{record, version}}; nothing is admitted by a record that has changed
--              entry     what to keep of what it holds, for whoever finds it lost; '' for nothing
--            asks     {exchange, bill, tokens}
-- Reply    {now, MessagePack}: one answer an ask
--            {0, rest}                    admitted
--            {1, charge, used, wait, rest}  refused by a window: which of its charges, and in how many ms there will
--                                         be room (-1: never, for more is asked than the limit)
--            {2, lease, used, rest}       refused by a lease
--            {3, version}                 a record has changed: which one
--          rest: charge, left, charge, left: of the requests' windows and of the tokens' the one that has the least
--          left, and how much; charge 0 where there is none

local SLOTS = 60

local widths, lease_count, record_count, lease_ms, bills, asks = unpack(cmsgpack.unpack(ARGV[3]))
local window_count = #widths
local open = KEYS[window_count + lease_count + record_count + 1]
local entries = KEYS[window_count + lease_count + record_count + 2]

local function amounts_of(key, first, last)
  local slots = {}
  for slot = first, last do slots[#slots + 1] = slot end
  return slots, redis.call('HMGET', key, unpack(slots))
end

-- Lets a window go on to the present, and gives its sum and its oldest slot.
local function go_on(key, width)
  local slot = math.floor(now / width)
  local had = command(key, 'HMGET', key, 's', 'h') or {}
  local sum, head = tonumber(had[1] or 0), tonumber(had[2] or slot)
  if slot < head or slot - SLOTS - head > SLOTS then
    redis.call('DEL', key)
    -- Where the store's clock was set back, what was used counts as used now.
    return slot, slot < head and sum or 0, slot, slot < head and sum or 0
  end
  if head < slot - SLOTS then
    local slots, amounts = amounts_of(key, head, slot - SLOTS - 1)
    for _, amount in ipairs(amounts) do sum = sum - (tonumber(amount or 0)) end
    redis.call('HDEL', key, unpack(slots))
    head = slot - SLOTS
  end
  return slot, sum, head, 0
end

local windows = {}

local function window_at(number)
  local window = windows[number]
  if not window then
    local slot, sum, head, added = go_on(KEYS[number], widths[number])
    window = {key = KEYS[number], width = widths[number], slot = slot, sum = sum, head = head, added = added}
    windows[number] = window
  end
  return window
end

-- In how many ms a window will have let go of so much.
local function wait_for(window, needed)
  if not window.amounts then
    local _
    _, window.amounts = amounts_of(window.key, window.head, window.slot)
  end
  local freed = 0
  for index, amount in ipairs(window.amounts) do
    local slot = window.head + index - 1
    freed = freed + tonumber(amount or 0) + (slot == window.slot and window.added or 0)
    if freed >= needed then return (slot + SLOTS + 1) * window.width - now end
  end
  return (window.slot + SLOTS + 1) * window.width - now
end

local leases = {}

local function lease_at(number)
  local lease = leases[number]
  if not lease then
    local key = KEYS[window_count + number]
    command(key, 'ZREMRANGEBYSCORE', key, '-inf', now)
    lease = {key = key, held = redis.call('ZCARD', key), taken = {}}
    leases[number] = lease
  end
  return lease
end

local versions = {}

local function version_at(number)
  local version = versions[number]
  if version == nil then
    local key = KEYS[window_count + lease_count + number]
    local had = command(key, 'HGET', key, 'v')
    version = had and tonumber(had) or 0
    versions[number] = version
  end
  return version
end

local function changed(held)
  for index, each in ipairs(held) do
    if version_at(each[1]) ~= each[2] then return {3, index} end
  end
end

-- Appends which windows have the least left.
local function with_rest(answer, charges)
  for unit = 0, 1 do
    local tightest, least = 0, 0
    for index, charge in ipairs(charges) do
      if charge[3] == unit then
        local left = charge[2] - window_at(charge[1]).sum
        if tightest == 0 or left < least then tightest, least = index, left end
      end
    end
    answer[#answer + 1] = tightest
    answer[#answer + 1] = least
  end
  return answer
end

local function cost_of(charge, tokens) return charge[3] == 1 and tokens or 1 end

-- Of several windows that have no room, the one that will be the last to have some.
local function full(charges, tokens)
  local refusal
  for index, charge in ipairs(charges) do
    local window, cost, limit = window_at(charge[1]), cost_of(charge, tokens), charge[2]
    if window.sum + cost > limit then
      local wait = cost > limit and -1 or wait_for(window, window.sum + cost - limit)
      if not refusal or wait == -1 or (refusal[4] ~= -1 and wait > refusal[4]) then
        refusal = {1, index, window.sum, wait}
      end
    end
  end
  return refusal and with_rest(refusal, charges)
end

local function busy(wanted, charges)
  for index, each in ipairs(wanted) do
    local lease = lease_at(each[1])
    if lease.held >= each[2] then return with_rest({2, index, lease.held}, charges) end
  end
end

local opened, kept = {}, {}

local function take(exchange, tokens, charges, wanted, entry)
  for _, charge in ipairs(charges) do
    local window, cost = window_at(charge[1]), cost_of(charge, tokens)
    window.sum = window.sum + cost
    window.added = window.added + cost
  end
  for _, each in ipairs(wanted) do
    local lease = lease_at(each[1])
    lease.held = lease.held + 1
    lease.taken[#lease.taken + 1] = now + lease_ms
    lease.taken[#lease.taken + 1] = exchange
  end
  if entry ~= '' then
    opened[#opened + 1] = now + lease_ms
    opened[#opened + 1] = exchange
    kept[#kept + 1] = exchange
    kept[#kept + 1] = ('%.0f %.0f '):format(now, tokens) .. entry
  end
  return with_rest({0}, charges)
end

local answers = {}
for index, ask in ipairs(asks) do
  local exchange, bill, tokens = unpack(ask)
  local charges, wanted, held, entry = unpack(bills[bill])
  answers[index] = changed(held)
    or full(charges, tokens)
    or busy(wanted, charges)
    or take(exchange, tokens, charges, wanted, entry)
end

for _, window in pairs(windows) do
  redis.call('HSET', window.key, 's', window.sum, 'h', window.head)
  if window.added > 0 and redis.call('HINCRBY', window.key, window.slot, window.added) == window.added then
    redis.call('PEXPIRE', window.key, (SLOTS + 2) * window.width)
  elseif window.sum == 0 then
    redis.call('DEL', window.key)
  end
end
for _, lease in pairs(leases) do
  if #lease.taken > 0 then
    redis.call('ZADD', lease.key, unpack(lease.taken))
    redis.call('PEXPIRE', lease.key, 2 * lease_ms)
  end
end
if #opened > 0 then
  command(open, 'ZCARD', open)
  command(entries, 'HLEN', entries)
  redis.call('ZADD', open, unpack(opened))
  redis.call('HSET', entries, unpack(kept))
end
return {now, cmsgpack.pack(answers)}
