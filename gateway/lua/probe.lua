-- Shows that the store can be written to: a replica, or a server that is full, answers but is of no use.
--
-- KEYS[1]  any key of ours
-- Reply    {now}
redis.call('SET', KEYS[1], now, 'PX', 60000)
return {now}
