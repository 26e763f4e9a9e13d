-- Bytes that both sides can make: a seed and a size make the same everywhere.
-- What was shifted, doubled, lost or mixed with others' looks different.

local PERIOD = 4093 -- a prime, so that no buffer's size is a multiple of it

local block = {}
do
  local state = 1
  for i = 1, PERIOD do
    state = (state * 1103515245 + 12345) & 0x7fffffff
    block[i] = string.char(97 + (state >> 16) % 26)
  end
end
block = table.concat(block)

local pattern = {}

--- `size` bytes, small letters.
function pattern.bytes(seed, size)
  local from = seed % PERIOD
  return block:rep((from + size) // PERIOD + 1):sub(from + 1, from + size)
end

--- The same in pieces of random sizes, as an iterator.
function pattern.pieces(seed, size, random, most)
  local at = 0
  return function()
    if at == size then return nil end
    local piece = pattern.bytes(seed + at, math.min(random(most), size - at))
    at = at + #piece
    return piece
  end
end

return pattern
