-- Writes a record with its indexes and its audit entry, if its version is still the one that was read.
--
-- KEYS[1]  the record (hash: `v`, its version, and `record`); KEYS[2] the list of its kind (sorted set: id -> when
--          it was made); KEYS[3] the audit log (stream); KEYS[4...] digests of secrets (string: the key's id)
-- ARGV[3]  the version that was read (0: there is none yet); ARGV[4] the record; ARGV[5] its id; ARGV[6] when it
--          was made; ARGV[7] the audit entry; ARGV[8...] for each digest the ms for which it holds (0: for good,
--          -1: no more, -2: as long as it does already)
-- Reply    {now, version}: the one that it has now; 0 where another one was found and nothing was changed

local version = tonumber(redis.call('HGET', KEYS[1], 'v') or 0)
if version ~= tonumber(ARGV[3]) then return {now, 0} end
redis.call('HSET', KEYS[1], 'v', version + 1, 'record', ARGV[4])
redis.call('ZADD', KEYS[2], ARGV[6], ARGV[5])
redis.call('XADD', KEYS[3], '*', 'entry', ARGV[7])
for number = 4, #KEYS do
  local lasting = tonumber(ARGV[number + 4])
  if lasting == -1 then
    redis.call('DEL', KEYS[number])
  elseif lasting == 0 then
    redis.call('SET', KEYS[number], ARGV[5])
  elseif lasting > 0 then
    redis.call('SET', KEYS[number], ARGV[5], 'PX', lasting)
  end
end
redis.call('PUBLISH', 'ps:changes', ARGV[5])
return {now, version + 1}
