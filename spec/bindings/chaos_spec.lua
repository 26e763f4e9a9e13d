-- Random trees of spawn, scope, gather, race, timeout, shield, generators and
-- queues, cancelled at random: each must end, and nothing may be left. A seed
-- makes a tree; DEWAR_CHAOS_SEED runs another range, DEWAR_CHAOS_COUNT more.
local dewar = require "dewar"
local clean = require "spec.support.clean"

local FIRST = tonumber(os.getenv "DEWAR_CHAOS_SEED") or 1
local COUNT = tonumber(os.getenv "DEWAR_CHAOS_COUNT") or 200

local DEPTH, NODES = 6, 300 -- what is beyond doesn't branch any more

--- A generator of numbers that is the same everywhere.
local function randoms(seed)
  local state = seed * 2654435761 % 2 ^ 32 // 1 | 0
  return function(n)
    state = (state * 1664525 + 1013904223) & 0xffffffff
    return (state >> 8) % n + 1
  end
end

--- One world: what its nodes do is decided by `random`, in the order in which
--- they come to it.
local function world(seed)
  local random = randoms(seed)
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
    function() error("raised", 0) end,
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
  return self
end

--- Lets one world live, and says what is wrong at its end, or nil.
local function live(seed)
  local w = world(seed)
  local task = dewar.spawn(function()
    for _ = 1, 5 do pcall(w.node, DEPTH) end
    return w.node(DEPTH)
  end)
  local killer
  if w.random(2) == 1 then
    killer = dewar.spawn(function()
      dewar.sleep(w.random(30) / 1000)
      task:cancel()
    end)
  end
  local ok, err = pcall(dewar.await, task, 20)
  if not ok and dewar.TimeoutError:is(err) and task.status == "running" then
    return "it hangs:\n" .. tostring(dewar.tasks())
  end
  if killer then killer:cancel() pcall(dewar.await, killer) end
  if w.open ~= 0 then return ("%d of %d nodes were not closed"):format(w.open, w.opened) end
  for _, each in ipairs(w.tasks) do
    if each.status == "running" or each.status == "pending" then return "a task outlives its parent" end
  end
  for _, scope in ipairs(w.scopes) do
    if not tostring(scope):find "%(0 tasks, ended%)" then return tostring(scope) .. " was left" end
  end
end

describe("chaos", function()
  local sink

  before_each(function()
    sink = dewar.log.sink
    dewar.log.sink = function() end -- errors that nobody has awaited are plenty
  end)

  after_each(function() dewar.log.sink = sink end)

  it("ends, each time, and leaves nothing", function()
    for seed = FIRST, FIRST + COUNT - 1 do
      local before = clean.counts()
      local wrong = live(seed) or clean.left(before)
      assert.is_nil(wrong, wrong and ("seed %d: %s"):format(seed, wrong))
    end
  end)

  it("gives its memory back", function()
    for seed = FIRST, FIRST + 19 do live(seed) end
    local before = clean.counts().memory
    for _ = 1, 3 do
      for seed = FIRST, FIRST + 19 do live(seed) end
    end
    local more = clean.counts().memory - before
    assert.is_true(more < 64 * 1024, more .. " bytes more")
  end)
end)
