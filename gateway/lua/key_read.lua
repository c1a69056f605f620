-- Reads records of keys or teams, or of limits.
--
-- KEYS     the records (hashes: `v`, the version; `record`; of a key `secrets`, under what its own are stored)
-- Reply    {now, ...}: {version, record, secrets} for each, nil where there is none, or something else stands
local reply = {now}
for index, key in ipairs(KEYS) do
  local found = redis.pcall('HMGET', key, 'v', 'record', 'secrets')
  reply[index + 1] = found[1] and found[2] and {tonumber(found[1]), found[2], found[3]} or false
end
return reply
