-- Drains or sets something aside, or takes that back, with its audit entry, if it is still as it was read.
--
-- KEYS[1]  what is drained and set aside (hash: place -> record); KEYS[2] the audit log (stream)
-- ARGV[3]  the place; ARGV[4] the record that was read there ('': none); ARGV[5] the new one ('': none)
-- ARGV[6]  the audit entry; ARGV[7] how many entries the log keeps, or some more
-- ARGV[8]  the channel on which the place is announced
-- Reply    {now, 1}; {now, 0} where nothing was written, for the record was changed meanwhile

if (redis.call('HGET', KEYS[1], ARGV[3]) or '') ~= ARGV[4] then return {now, 0} end

redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[7], '*', 'entry', ARGV[6])
if ARGV[5] == '' then
  redis.call('HDEL', KEYS[1], ARGV[3])
else
  redis.call('HSET', KEYS[1], ARGV[3], ARGV[5])
end
-- A user that may not publish may still make the change: nobody relies on being told of it.
redis.pcall('PUBLISH', ARGV[8], ARGV[3])
return {now, 1}
