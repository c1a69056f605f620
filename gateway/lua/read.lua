-- Reads a record with its version.
--
-- KEYS[1]  the record (hash: `v` and `record`)
-- Reply    {now, version, record}; {now} where there is none
local found = redis.call('HMGET', KEYS[1], 'v', 'record')
if not found[1] or not found[2] then return {now} end
return {now, tonumber(found[1]), found[2]}
