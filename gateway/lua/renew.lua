-- Renews what living exchanges hold. A lease that ran out while its exchange lives is taken again: it runs.
--
-- KEYS     the leases (sorted sets), then `open`, as in `admit`
-- ARGV[3]  MessagePack: {lease in ms, exchanges with an entry, {exchanges} of each lease}
-- Reply    {now}

local lease_ms, exchanges, holders = unpack(cmsgpack.unpack(ARGV[3]))
local ends = now + lease_ms

local function renew(key, mode, members)
  local scored = {}
  for _, member in ipairs(members) do
    scored[#scored + 1] = ends
    scored[#scored + 1] = member
  end
  if #scored == 0 then return end
  if mode then redis.call('ZADD', key, mode, unpack(scored)) else redis.call('ZADD', key, unpack(scored)) end
end

renew(KEYS[#KEYS], 'XX', exchanges)
for number, members in ipairs(holders) do
  renew(KEYS[number], nil, members)
  redis.call('PEXPIRE', KEYS[number], 2 * lease_ms)
end
return {now}
