-- Writes a team with its audit entry, if it is still as it was read. One that has keys is not ended.
--
-- KEYS[1]  the record (hash: `v`, the version, and `record`); KEYS[2] the list of teams (sorted set: id -> when
--          it was made); KEYS[3] the audit log (stream); KEYS[4] its keys (as the list)
-- ARGV[3]  the version that was read (0: there is none yet); ARGV[4] its id; ARGV[5] when it was made
-- ARGV[6]  the record; ARGV[7] the audit entry
-- ARGV[8]  0, or it ends, and so many ms its record is kept; ARGV[9] how many entries the log keeps, or some more
-- Reply    {now, version}: the one that it has now; {now, 0, why} where nothing was written: 'changed', or the
--          id of a key that it has

local version, id, kept = tonumber(redis.call('HGET', KEYS[1], 'v') or 0), ARGV[4], tonumber(ARGV[8])
if version ~= tonumber(ARGV[3]) then return {now, 0, 'changed'} end
local key = kept > 0 and redis.call('ZRANGE', KEYS[4], 0, 0)[1]
if key then return {now, 0, key} end

redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[9], '*', 'entry', ARGV[7])
redis.call('HSET', KEYS[1], 'v', version + 1, 'record', ARGV[6])
if kept > 0 then redis.call('PEXPIRE', KEYS[1], kept) end
redis.call('ZADD', KEYS[2], ARGV[5], id)
-- A user that may not publish may still make the change: nobody relies on being told of it.
redis.pcall('PUBLISH', 'ps:changes', id)
return {now, version + 1}
