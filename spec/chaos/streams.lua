-- Bodies in pieces of the apps of the chaos spec.

local common = require "spec.chaos.common"
local dewar = require "dewar"
local pattern = require "spec.chaos.pattern"

local opened, pause, random = common.opened, common.pause, common.random

local streams = {}

--- A generator of the bytes that waits now and then; `last` is called at its end.
function streams.generator(seed, size, last)
  return coroutine.wrap(function()
    local _ <close> = opened()
    for piece in pattern.pieces(seed, size, random, 9000) do
      pause()
      coroutine.yield(piece)
    end
    if last then last() end
  end)
end

--- The same as a push stream.
function streams.stream(seed, size, last)
  return dewar.stream(function(write)
    local _ <close> = opened()
    for piece in pattern.pieces(seed, size, random, 9000) do
      pause()
      if random(2) == 1 then write(piece) else dewar.await(dewar.spawn(write, piece)) end
    end
    if last then last() end
  end)
end

return streams
