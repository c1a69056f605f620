-- Settles exchanges that have ended, then admits requests: `settle` and `admit` in one call, which is half as dear
-- as two, and in this order.
--
-- KEYS     those of `settle`, then those of `admit`
-- ARGV[3]  how many keys are those of `settle`; ARGV[4] its argument; ARGV[5] that of `admit`
-- Reply    that of `admit`
local settled, admitted = {}, {}
for number, key in ipairs(KEYS) do
  local keys = number <= tonumber(ARGV[3]) and settled or admitted
  keys[#keys + 1] = key
end
settle(settled, {ARGV[1], ARGV[2], ARGV[4]})
return admit(admitted, {ARGV[1], ARGV[2], ARGV[5]})
