-- Finds whose a secret is.
--
-- KEYS[1]  what it is stored under (string: a key's id)
-- Reply    {now, id, ms for which it still holds (-1: for good)}; {now} where it is nobody's
local id = redis.call('GET', KEYS[1])
if not id then return {now} end
return {now, id, redis.call('PTTL', KEYS[1])}
