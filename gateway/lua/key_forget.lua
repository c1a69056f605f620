-- Takes what is gone off a list: a record that was kept for its time.
--
-- KEYS[1]  the record; KEYS[2] the list (sorted set: id -> when it was made); KEYS[3] when keys were last used (the
--          same)
-- ARGV[3]  the record's id
-- Reply    {now}
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('ZREM', KEYS[2], ARGV[3])
  redis.call('ZREM', KEYS[3], ARGV[3])
end
return {now}
