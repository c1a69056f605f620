-- Finds whose a secret is.
--
-- KEYS     the digests under which it may stand (strings: a key's id)
-- Reply    {now, id, ms for which the digest still holds (-1: for good)}; {now} where it is nobody's
for _, key in ipairs(KEYS) do
  local id = redis.call('GET', key)
  if id then return {now, id, redis.call('PTTL', key)} end
end
return {now}
