-- Writes the first key of all, where nothing has ever been changed. Asked twice for the same key it says the same.
--
-- KEYS[1]  which key was the first (string: its id); KEYS[2] the audit log (stream); KEYS[3] the record (hash)
-- KEYS[4]  the list of keys (sorted set: id -> when it was made); KEYS[5] what its secret is stored under
-- ARGV[3]  its id; ARGV[4] when it was made; ARGV[5] the record; ARGV[6] its `secrets`; ARGV[7] the audit entry
-- Reply    {now, 1} where this key is the first, {now, 0} where it is not and was not written

local first = redis.call('GET', KEYS[1])
if first == ARGV[3] then return {now, 1} end
if first or redis.call('EXISTS', KEYS[2]) == 1 then return {now, 0} end

redis.call('XADD', KEYS[2], '*', 'entry', ARGV[7])
redis.call('SET', KEYS[1], ARGV[3])
redis.call('HSET', KEYS[3], 'v', 1, 'record', ARGV[5], 'secrets', ARGV[6])
redis.call('ZADD', KEYS[4], ARGV[4], ARGV[3])
redis.call('SET', KEYS[5], ARGV[3])
-- A user that may not publish may still make the change: nobody relies on being told of it.
redis.pcall('PUBLISH', 'ps:changes', ARGV[3])
return {now, 1}
