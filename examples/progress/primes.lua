--- How many primes there are from one number up to below another: a sieve of this
--- stretch alone. It runs in a thread of its own, so all it needs is in here.
---@param from integer
---@param to integer
---@return integer
return function(from, to)
  from = math.max(from, 2)
  local composite, count = {}, 0
  local divisor = 2
  while divisor * divisor < to do
    local multiple = math.max(divisor * divisor, (from + divisor - 1) // divisor * divisor)
    for n = multiple, to - 1, divisor do composite[n - from + 1] = true end
    divisor = divisor == 2 and 3 or divisor + 2
  end
  for i = 1, to - from do
    if not composite[i] then count = count + 1 end
  end
  return count
end
