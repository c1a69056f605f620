-- Says that a worker lives, and counts those that do. In an outage each takes its part of the limits by this.
--
-- KEYS[1]  the workers (sorted set: worker -> until when it counts, in ms)
-- ARGV[3]  the worker; ARGV[4] for how many ms it counts (0: it leaves)
-- Reply    {now, how many there are}

local worker, lasting = ARGV[3], tonumber(ARGV[4])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if lasting > 0 then
  redis.call('ZADD', KEYS[1], now + lasting, worker)
  redis.call('PEXPIRE', KEYS[1], 10 * lasting)
else
  redis.call('ZREM', KEYS[1], worker)
end
return {now, redis.call('ZCARD', KEYS[1])}
