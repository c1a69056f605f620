-- Finds exchanges that nobody renews any more: their worker died, or never learnt that they were admitted.
--
-- KEYS     `open` and `entries`, as in `admit`
-- ARGV[3]  how many to give at most
-- Reply    {now, exchange, entry, exchange, entry...}; an entry begins with the ms of its admission and a space

local reply = {now}
local lost = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[3])
for _, exchange in ipairs(lost) do
  local entry = redis.call('HGET', KEYS[2], exchange)
  if entry then
    reply[#reply + 1] = exchange
    reply[#reply + 1] = entry
  else
    redis.call('ZREM', KEYS[1], exchange)
  end
end
return reply
