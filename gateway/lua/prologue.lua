-- Stands before every script. ARGV[1] is added to the store's clock, in ms: 0 but in tests, which move time by it.
-- ARGV[2] is the time in ms after which the script must do nothing any more, for its caller has given up; 0: none.
-- `now` is the time in ms. Every script answers {now, ...}.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[1])
local late_after = tonumber(ARGV[2])
if late_after > 0 and now > late_after then return {now, 'late'} end

-- Gives a command. A key that holds something else than we put there is begun anew; then the answer is nil.
local function command(key, ...)
  local answer = redis.pcall(...)
  if type(answer) == 'table' and answer.err then
    redis.call('DEL', key)
    return nil
  end
  return answer
end
