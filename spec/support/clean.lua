-- What a spec leaves behind: tasks, timers, connections, clients, memory.
--
--     clean.watch(before_each, after_each) -- around what has after_each itself
--     describe("something", function()
--       it("gives its memory back", function() clean.keeps_memory(once) end)
--     end)

local core = require "dewar.core"

local clean = {}

local KINDS = { "tasks", "timers", "connections", "clients" }

-- Lets go of what only waits for a turn of the loop or for the collector.
local function settle()
  for _ = 1, 2 do
    collectgarbage()
    for _ = 1, 10 do core.sleep(0) end
  end
end

--- What there is now.
function clean.counts()
  settle()
  return core.debug_counts()
end

--- What there is more of than before, as a text, or nil.
function clean.left(before)
  local now, left = clean.counts(), {}
  for _, kind in ipairs(KINDS) do
    local more = now[kind] - before[kind]
    if more > 0 then left[#left + 1] = ("%d %s"):format(more, kind) end
  end
  return left[1] and table.concat(left, ", ")
end

--- Runs fn(...), and raises if it leaves something behind.
function clean.check(fn, ...)
  local before = clean.counts()
  local results = table.pack(fn(...))
  local left = clean.left(before)
  if left then error("left behind: " .. left, 2) end
  return table.unpack(results, 1, results.n)
end

--- Fails every spec from here on (of the file, or of the `describe`) that leaves
--- something behind when its own after_each have run.
function clean.watch(before_each, after_each)
  local before
  before_each(function() before = clean.counts() end)
  after_each(function()
    local left = clean.left(before)
    if left then error("left behind: " .. left, 0) end
  end)
end

--- Raises if fn() needs more and more memory. The first rounds fill pools and
--- caches; what later ones take beyond `room` bytes a round is a leak.
function clean.keeps_memory(fn, room)
  local rounds = 50
  for _ = 1, rounds do fn() end
  local before = clean.counts().memory
  for _ = 1, rounds do fn() end
  local more = clean.counts().memory - before
  if more > rounds * (room or 64) then
    error(("%d rounds took %d bytes more"):format(rounds, more), 2)
  end
end

return clean
