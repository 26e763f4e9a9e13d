-- Random trees of spawn, scope, gather, race, timeout, shield, generators and
-- queues, cancelled at random. A seed makes a tree.
--
--     local world = tree.world(seed)
--     pcall(world.node, 6)
--     assert(not world:wrong())

local dewar = require "dewar"

local tree = {}

local NODES = 300 -- what is beyond doesn't branch any more

--- A generator of numbers that is the same everywhere.
function tree.randoms(seed)
  local state = seed * 2654435761 % 2 ^ 32 // 1 | 0
  return function(n)
    state = (state * 1664525 + 1013904223) & 0xffffffff
    return (state >> 8) % n + 1
  end
end

local World = {}
World.__index = World

--- What is wrong when all of it should have ended, or nil.
function World:wrong()
  if self.open ~= 0 then return ("%d of %d nodes were not closed"):format(self.open, self.opened) end
  for _, each in ipairs(self.tasks) do
    if each.status == "running" or each.status == "pending" then return "a task outlives its parent" end
  end
  for _, scope in ipairs(self.scopes) do
    if not tostring(scope):find "%(0 tasks, ended%)" then return tostring(scope) .. " was left" end
  end
end

--- One world: what its nodes do is decided by `random`, in the order in which
--- they come to it. `world.node(depth)` makes a tree; `open` counts what of it is
--- under way.
function tree.world(seed)
  local random = tree.randoms(seed)
  local self = { open = 0, opened = 0, tasks = {}, scopes = {} }
  local node

  --- Counts what is open: it is closed in whatever way the node ends.
  local Closing = { __close = function() self.open = self.open - 1 end }
  local function opened()
    self.open, self.opened = self.open + 1, self.opened + 1
    return setmetatable({}, Closing)
  end

  local function pause()
    if random(3) == 1 then dewar.sleep(random(3) / 1000) else dewar.yield() end
  end

  local function some(depth)
    local list = {}
    for i = 1, random(3) do list[i] = function() return node(depth - 1) end end
    return list
  end

  local function keep(task)
    self.tasks[#self.tasks + 1] = task
    return task
  end

  local leaves = {
    pause, pause, pause, pause, pause, pause, pause, pause, pause, pause, pause, pause,
    function() error("chaos: raised", 0) end,
    function() pcall(dewar.sleep, 0.02) end,
    function() -- somebody comes and cancels
      local task = self.tasks[random(#self.tasks + 1)]
      if task then task:cancel() end
      pause()
    end,
    function()
      local scope = self.scopes[random(#self.scopes + 1)]
      if scope then scope:cancel() end
      pause()
    end,
  }

  local branches = {
    function(depth) keep(dewar.spawn(node, depth - 1)) pause() end,
    function(depth) return dewar.await(keep(dewar.spawn(node, depth - 1))) end,
    function(depth) return pcall(dewar.await, keep(dewar.spawn(node, depth - 1)), 0.002) end,
    function(depth) return dewar.gather(some(depth), random(2) == 1 and { limit = random(2) } or nil) end,
    function(depth) return dewar.race(some(depth), { success = random(2) == 1 }) end,
    function(depth)
      dewar.scope({ timeout = random(6) == 1 and 0.005 or nil }, function(scope)
        self.scopes[#self.scopes + 1] = scope
        for _ = 1, random(3) do keep(scope:spawn(node, depth - 1)) end
        if random(3) == 1 then pause() end
        if random(9) == 1 then scope:cancel() end
        if random(3) == 1 then return node(depth - 1) end
      end)
    end,
    function(depth) return dewar.timeout(random(20) / 1000, node, depth - 1) end,
    function(depth) return pcall(dewar.timeout, random(20) / 1000, node, depth - 1) end,
    function(depth) return dewar.shield(node, math.min(depth - 1, 1)) end,
    function(depth)
      for _ in coroutine.wrap(function()
        for _ = 1, random(3) do
          node(depth - 1)
          coroutine.yield(true)
        end
      end) do pause() end
    end,
    function(depth)
      local queue = dewar.queue(1)
      dewar.gather(function()
        for i = 1, 3 do queue:put(i) end
        queue:close()
      end, function()
        for _ in queue:items() do node(depth - 2) end
      end)
    end,
    function(depth)
      local task <close> = dewar.spawn(node, depth - 1)
      pause()
      return task.status
    end,
  }

  function node(depth)
    local mark <close> = opened()
    local ends = depth <= 0 or self.opened > NODES or random(6) == 1
    local list = ends and leaves or branches
    local result = list[random(#list)](depth)
    return result or mark ~= nil
  end

  self.node = node
  self.random = random
  return setmetatable(self, World)
end

return tree
