-- Settles exchanges that have ended: gives back their leases, and what they reserved beyond what they used.
--
-- An exchange is settled once: its entry is gone then, and with it all that a second try could change. What it
-- used is counted in the slot of its reservation, as long as that slot counts.
--
-- KEYS     the windows, the leases, then `open` and `entries`, all as in `admit`
-- ARGV[3]  MessagePack: {widths, leases, items}
--            items  {exchange, at, changes, leases, kind}
--              at       when it was admitted, in ms of the store
--              changes  {{window, amount}}; the amount may be negative
--              leases   {lease}
--              kind     0: one that has an entry; 1: one that has none, whose changes are made in any case; 2: one
--                       that has an entry, if that is lost: nobody has renewed it
-- Reply    {now, how many were settled}

local SLOTS = 60

local widths, lease_count, items = unpack(cmsgpack.unpack(ARGV[3]))
local window_count = #widths
local open = KEYS[window_count + lease_count + 1]
local entries = KEYS[window_count + lease_count + 2]

local function change(number, at, amount)
  local key, width = KEYS[number], widths[number]
  local slot = math.min(math.floor(at / width), math.floor(now / width))
  if slot < math.floor(now / width) - SLOTS then return end
  local had = redis.pcall('HMGET', key, 's', 'h')
  if had.err then return end
  local sum, head = tonumber(had[1] or 0), tonumber(had[2] or slot)
  if amount < 0 and slot < head then return end -- it does not count any more
  local held = tonumber(redis.call('HGET', key, slot) or 0)
  local changed = math.max(0, held + amount) - held
  if changed == 0 then return end
  redis.call('HINCRBY', key, slot, changed)
  redis.call('HSET', key, 's', math.max(0, sum + changed), 'h', math.min(slot, head))
  redis.call('PEXPIRE', key, (SLOTS + 2) * width)
end

local function is_lost(exchange)
  local ends = redis.call('ZSCORE', open, exchange)
  return ends and tonumber(ends) <= now
end

local settled = 0
for _, item in ipairs(items) do
  local exchange, at, changes, leases, kind = unpack(item)
  if kind ~= 2 or is_lost(exchange) then
    for _, lease in ipairs(leases) do redis.pcall('ZREM', KEYS[window_count + lease], exchange) end
    local had_entry = kind ~= 1 and redis.call('HDEL', entries, exchange) == 1
    if kind ~= 1 then redis.call('ZREM', open, exchange) end
    if kind == 1 or had_entry then
      for _, each in ipairs(changes) do change(each[1], at, each[2]) end
      settled = settled + 1
    end
  end
end
return {now, settled}
