-- Writes the limits that were set at run time with their audit entry, if they are still as they were read.
--
-- KEYS[1]  the record (hash: `v`, the version, and `record`); KEYS[2] the audit log (stream)
-- ARGV[3]  the version that was read (0: there is none yet); ARGV[4] the record; ARGV[5] the audit entry
-- ARGV[6]  how many entries the log keeps, or some more
-- Reply    {now, version}: the one that it has now; {now, 0, 'changed'} where nothing was written

local version = tonumber(redis.call('HGET', KEYS[1], 'v') or 0)
if version ~= tonumber(ARGV[3]) then return {now, 0, 'changed'} end

redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[6], '*', 'entry', ARGV[5])
redis.call('HSET', KEYS[1], 'v', version + 1, 'record', ARGV[4])
-- A user that may not publish may still make the change: nobody relies on being told of it.
redis.pcall('PUBLISH', 'ps:changes', 'limits')
return {now, version + 1}
