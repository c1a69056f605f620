-- Tells how much of windows and leases is used, and changes nothing.
--
-- KEYS     the windows, then the leases, as in `admit`
-- ARGV[3]  MessagePack: a window's slot in ms, one each
-- Reply    {now, used of each}

local SLOTS = 60

local widths = cmsgpack.unpack(ARGV[3])
local reply = {now}
for number, key in ipairs(KEYS) do
  local used = 0
  if number <= #widths then
    local oldest = math.floor(now / widths[number]) - SLOTS
    local fields = redis.call('HGETALL', key)
    for index = 1, #fields, 2 do
      local slot = tonumber(fields[index])
      if slot and slot >= oldest then used = used + tonumber(fields[index + 1]) end
    end
  else
    used = redis.call('ZCOUNT', key, '(' .. now, '+inf')
  end
  reply[#reply + 1] = used
end
return reply
