-- Settles exchanges that have ended: gives back their leases, and what they reserved beyond what they used.
--
-- An exchange is settled once: its entry is gone then, and with it all that a second try could change. What it
-- used is counted in the slot of its reservation, as long as that slot counts.
--
-- KEYS     the windows, the leases, then `open` and `entries`, all as in `admit`
-- ARGV[3]  MessagePack: {widths, leases, holdings, items}
--            holdings  {{window}, {lease}}: what several items may have in common
--            items     {exchange, at, amount, holding, kind}
--              at      when it was admitted, in ms of the store
--              amount  by how much its windows change; may be negative
--              kind    0: one that has an entry; 1: one that has none, whose changes are made in any case; 2: one
--                      that has an entry, if that is lost: nobody has renewed it
-- Reply    {now, how many were settled}

local SLOTS = 60

local widths, lease_count, holdings, items = unpack(cmsgpack.unpack(ARGV[3]))
local window_count = #widths
local open = KEYS[window_count + lease_count + 1]
local entries = KEYS[window_count + lease_count + 2]

local changes = {}

local function note(number, at, amount)
  local width = widths[number]
  local slot = math.min(math.floor(at / width), math.floor(now / width))
  local slots = changes[number] or {}
  changes[number] = slots
  slots[slot] = (slots[slot] or 0) + amount
end

local function change(key, width, slots)
  local latest = math.floor(now / width)
  local oldest = latest - SLOTS
  local had = redis.pcall('HMGET', key, 's', 'h')
  if had.err then return end
  local sum, head, grew = tonumber(had[1] or 0), tonumber(had[2] or 0), false
  if head > latest then
    -- The store's clock was set back: as in `admit`, what was used counts as used now.
    redis.call('DEL', key)
    head = latest
    if sum > 0 then
      redis.call('HSET', key, latest, sum)
      redis.call('PEXPIRE', key, (SLOTS + 2) * width)
    else
      had = {}
    end
  end
  for slot, amount in pairs(slots) do
    -- A slot before the oldest in the sum has been let go of; one that is out of the window counts no more.
    if slot >= oldest and (amount > 0 or (had[2] and slot >= head)) then
      local held = tonumber(redis.call('HGET', key, slot) or 0)
      local changed = math.max(0, held + amount) - held
      if changed ~= 0 then
        redis.call('HINCRBY', key, slot, changed)
        sum = math.max(0, sum + changed)
        grew = grew or held == 0
        head = had[2] and math.min(slot, head) or (head == 0 and slot or math.min(slot, head))
      end
    end
  end
  if sum > 0 or had[2] then redis.call('HSET', key, 's', sum, 'h', head) end
  if grew then redis.call('PEXPIRE', key, (SLOTS + 2) * width) end
end

local function is_lost(exchange)
  local ends = command(open, 'ZSCORE', open, exchange)
  return ends and tonumber(ends) <= now
end

local settled, ended, released = 0, {}, {}
for _, item in ipairs(items) do
  local exchange, at, amount, holding, kind = unpack(item)
  if kind ~= 2 or is_lost(exchange) then
    for _, lease in ipairs(holdings[holding][2]) do
      released[lease] = released[lease] or {}
      table.insert(released[lease], exchange)
    end
    local had_entry = kind ~= 1 and command(entries, 'HDEL', entries, exchange) == 1
    if kind ~= 1 then ended[#ended + 1] = exchange end
    if kind == 1 or had_entry then
      if amount ~= 0 then
        for _, window in ipairs(holdings[holding][1]) do note(window, at, amount) end
      end
      settled = settled + 1
    end
  end
end
if #ended > 0 then command(open, 'ZREM', open, unpack(ended)) end
for lease, exchanges in pairs(released) do
  local key = KEYS[window_count + lease]
  command(key, 'ZREM', key, unpack(exchanges))
end
for number, slots in pairs(changes) do change(KEYS[number], widths[number], slots) end
return {now, settled}
