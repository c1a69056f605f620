-- Writes a key with all that leads to it and its audit entry, if everything is still as it was read.
--
-- KEYS[1]  the record (hash: `v`, the version; `record`; `secrets`, under what its own are stored)
-- KEYS[2]  the list of keys (sorted set: id -> when it was made); KEYS[3] the audit log (stream)
-- KEYS[4]  the keys of the team that it leaves; KEYS[5] of the team that it joins (as the list)
-- KEYS[6]  the record of the team that it joins; KEYS[7] set once there is a key that was made elsewhere
-- KEYS[8...] what secrets are stored under (string: the key's id)
-- ARGV[3]  the version that was read (0: there is none yet); ARGV[4] the key's id; ARGV[5] when it was made
-- ARGV[6]  the record; ARGV[7] its `secrets`; ARGV[8] the audit entry
-- ARGV[9]  the version of the team that it joins (0: it joins none)
-- ARGV[10] ms for which the record is kept (0: for good); ARGV[11] 1 where the key was made elsewhere
-- ARGV[12] how many entries the log keeps, or some more
-- ARGV[13...] for each of its secrets the ms for which it holds (0: for good, -1: no more)
-- Reply    {now, version}: the one that it has now; {now, 0, why} where nothing was written: 'changed', the
--          record was; 'team', that was; 'taken', a secret is another key's

local version, id = tonumber(redis.call('HGET', KEYS[1], 'v') or 0), ARGV[4]
if version ~= tonumber(ARGV[3]) then return {now, 0, 'changed'} end
local joined = tonumber(ARGV[9])
if joined > 0 and tonumber(redis.call('HGET', KEYS[6], 'v') or 0) ~= joined then return {now, 0, 'team'} end
for number = 8, #KEYS do
  local holder = redis.call('GET', KEYS[number])
  if holder and holder ~= id then return {now, 0, 'taken'} end
end

redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[12], '*', 'entry', ARGV[8])
redis.call('HSET', KEYS[1], 'v', version + 1, 'record', ARGV[6], 'secrets', ARGV[7])
if tonumber(ARGV[10]) > 0 then redis.call('PEXPIRE', KEYS[1], ARGV[10]) end
redis.call('ZADD', KEYS[2], ARGV[5], id)
redis.call('ZREM', KEYS[4], id)
if joined > 0 then redis.call('ZADD', KEYS[5], ARGV[5], id) end
if ARGV[11] == '1' then redis.call('SET', KEYS[7], 1) end
for number = 8, #KEYS do
  local lasting = tonumber(ARGV[number + 5])
  if lasting < 0 then
    redis.call('DEL', KEYS[number])
  elseif lasting == 0 then
    redis.call('SET', KEYS[number], id)
  else
    redis.call('SET', KEYS[number], id, 'PX', lasting)
  end
end
-- A user that may not publish may still make the change: nobody relies on being told of it.
redis.pcall('PUBLISH', 'ps:changes', id)
return {now, version + 1}
