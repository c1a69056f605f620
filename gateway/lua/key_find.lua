-- Finds what one string says: whose a secret is, or whether a flag is set.
--
-- KEYS[1]  the string: what a secret is stored under has the id of the key
-- Reply    {now, what it says, ms for which it still stands (-1: for good)}; {now} where there is none
local found = redis.call('GET', KEYS[1])
if not found then return {now} end
return {now, found, redis.call('PTTL', KEYS[1])}
