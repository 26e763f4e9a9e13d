-- Tasks: spawning, awaiting, their order, their tree, their errors.
local dewar = require "dewar"

--- What fn raises.
local function raised(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok, "it raised nothing")
  return err
end

--- Misuse is reported at the line of this file where it happened.
local function misuse(pattern, fn, ...)
  local err = raised(fn, ...)
  assert.is_string(err)
  assert.matches("^[^\n]*task_spec%.lua:%d+: ", err)
  assert.matches(pattern, err)
end

--- Runs fn and returns the records that were logged meanwhile.
local function logged(fn)
  local records, sink = {}, dewar.log.sink
  dewar.log.sink = function(level, text) records[#records + 1] = { level, text } end
  local ok, err = pcall(fn)
  dewar.log.sink = sink
  assert(ok, err)
  return records
end

local function collect()
  collectgarbage() collectgarbage()
end

describe("a task", function()
  it("gives its results to who awaits it", function()
    local task = dewar.spawn(function(...) return select("#", ...), ... end, "a", nil, "c", nil)
    assert.are.same({ 4, "a", nil, "c", nil, n = 5 }, table.pack(dewar.await(task)))
    assert.are.same({ 4, "a", nil, "c", nil, n = 5 }, table.pack(dewar.await(task)))
  end)

  it("may return nothing, or many values", function()
    assert.are.equal(0, select("#", dewar.await(dewar.spawn(function() end))))
    local list = {}
    for i = 1, 3000 do list[i] = i end
    local many = table.pack(dewar.await(dewar.spawn(table.unpack, list)))
    assert.are.equal(3000, many.n)
    assert.are.equal(3000, many[3000])
  end)

  it("does not start before who spawns it waits", function()
    local seen = {}
    dewar.run(function()
      local task = dewar.spawn(function() seen[#seen + 1] = "task" end)
      seen[#seen + 1] = task.status
      dewar.await(task)
      seen[#seen + 1] = task.status
    end)
    assert.are.same({ "pending", "task", "done" }, seen)
  end)

  it("starts in the order of spawning", function()
    local order = {}
    local tasks = {}
    for i = 1, 20 do tasks[i] = dewar.spawn(function() order[#order + 1] = i end) end
    for i = 1, 20 do dewar.await(tasks[i]) end
    for i = 1, 20 do assert.are.equal(i, order[i]) end
  end)

  it("takes turns with others at each yield", function()
    local order = {}
    local function work(name)
      for i = 1, 3 do
        order[#order + 1] = name .. i
        dewar.yield()
      end
    end
    dewar.gather(function() work "a" end, function() work "b" end)
    assert.are.equal("a1 b1 a2 b2 a3 b3", table.concat(order, " "))
  end)

  it("tells its status", function()
    local event = dewar.event()
    local task = dewar.spawn(event.wait, event)
    assert.are.equal("pending", task.status)
    dewar.yield()
    assert.are.equal("running", task.status)
    assert.matches("^task: .*%(running%)$", tostring(task))
    event:set()
    dewar.await(task)
    assert.are.equal("done", task.status)
    local failed = dewar.spawn(error, "x")
    pcall(dewar.await, failed)
    assert.are.equal("failed", failed.status)
    assert.is_nil(task.no_such_field)
  end)

  it("raises its error in who awaits it, as it was raised", function()
    local object = setmetatable({}, { __tostring = function() return "object" end })
    assert.are.equal(object, raised(dewar.await, dewar.spawn(error, object)))
    assert.are.equal("plain", raised(dewar.await, dewar.spawn(error, "plain", 0)))
    assert.is_nil(raised(dewar.await, dewar.spawn(error)))
  end)

  it("may be awaited by several at once", function()
    local task = dewar.spawn(function() dewar.sleep(0.01) return 7 end)
    local function wait() return dewar.await(task) end
    assert.are.same({ 7, 7, 7 }, { dewar.gather(wait, wait, wait) })
  end)

  it("survives an await that ran out of time", function()
    local event = dewar.event()
    local task = dewar.spawn(function() event:wait() return "late" end)
    local err = raised(dewar.await, task, 0.01)
    assert.is_true(dewar.TimeoutError:is(err))
    assert.are.equal("running", task.status)
    event:set()
    assert.are.equal("late", dewar.await(task))
  end)

  it("is misused by what is no function", function()
    misuse("spawn: expected a function, got number", dewar.spawn, 1)
    misuse("spawn: expected a function, got nothing", dewar.spawn)
    misuse("cannot await a table", dewar.await, {})
    misuse("await: expected an awaitable, got nothing", dewar.await)
    misuse("call it", dewar.await, dewar.async(print))
    misuse("0 or more seconds, not %-1", dewar.await, dewar.spawn(print), -1)
    misuse("number of seconds, not a string", dewar.await, dewar.spawn(print), "1")
  end)

  it("can be a callable value", function()
    local callable = setmetatable({}, { __call = function(_, a) return a end })
    assert.are.equal(5, dewar.await(dewar.spawn(callable, 5)))
  end)
end)

describe("sleep, yield and now", function()
  it("refuse times that are none", function()
    for _, seconds in ipairs { -1, -0.001, 0 / 0, -math.huge } do
      misuse("sleep: the time must be 0 or more seconds", dewar.sleep, seconds)
    end
    misuse("sleep: the time must be a number of seconds, not a nil", dewar.sleep, nil)
    misuse("not a string", dewar.sleep, "1")
  end)

  it("sleep at least as long as asked", function()
    local start = dewar.now()
    dewar.sleep(0.02)
    assert.is_true(dewar.now() - start >= 0.02)
  end)

  it("wake sleepers in the order of their times", function()
    local order = {}
    local function sleeper(seconds)
      return function() dewar.sleep(seconds) order[#order + 1] = seconds end
    end
    dewar.gather(sleeper(0.03), sleeper(0), sleeper(0.01), sleeper(0.02))
    assert.are.same({ 0, 0.01, 0.02, 0.03 }, order)
  end)

  it("overlap: ten sleeps take about as long as one", function()
    local function nap() dewar.sleep(0.05) end
    local start = dewar.now()
    dewar.gather(nap, nap, nap, nap, nap, nap, nap, nap, nap, nap)
    assert.is_true(dewar.now() - start < 0.25)
  end)
end)

describe("the end of a task", function()
  it("cancels its children and waits for them before its results are seen", function()
    local seen = {}
    local result = dewar.await(dewar.spawn(function()
      dewar.spawn(function()
        pcall(dewar.sleep, 9)
        dewar.shield(function() dewar.sleep(0.01) seen[#seen + 1] = "child" end)
      end)
      dewar.yield()
      return "result"
    end))
    seen[#seen + 1] = result
    assert.are.same({ "child", "result" }, seen)
  end)

  it("reaches down a tree of tasks", function()
    local left = 0
    local function grow(depth)
      left = left + 1
      local _ <close> = setmetatable({}, { __close = function() left = left - 1 end })
      if depth > 0 then
        dewar.spawn(grow, depth - 1)
        dewar.spawn(grow, depth - 1)
      end
      dewar.sleep(9)
    end
    dewar.run(function()
      dewar.spawn(grow, 4)
      for _ = 1, 10 do dewar.yield() end
      assert.are.equal(31, left)
    end)
    assert.are.equal(0, left)
  end)

  it("comes for a task that is a to-be-closed variable with its block", function()
    local seen = {}
    dewar.run(function()
      do
        local task <close> = dewar.spawn(function()
          local _ <close> = setmetatable({}, { __close = function()
            seen[#seen + 1] = "closed"
          end })
          dewar.sleep(9)
        end)
        dewar.yield()
        seen[#seen + 1] = task.status
      end
      seen[#seen + 1] = "behind"
    end)
    assert.are.same({ "running", "closed", "behind" }, seen)
  end)
end)

describe("an error that nobody awaits", function()
  it("is logged with its traceback when the parent ends, and once", function()
    local records = logged(function()
      do
        local kept
        dewar.run(function()
          kept = dewar.spawn(function() error("lost in a child") end)
          dewar.yield()
        end)
        assert.are.equal("failed", kept.status)
      end
      collect()
    end)
    assert.are.equal(1, #records)
    assert.are.equal("error", records[1][1])
    assert.matches("lost in a child\nstack traceback:\n.*task_spec%.lua:%d+: in function",
      records[1][2])
  end)

  it("is logged when the task is collected", function()
    local records = logged(function()
      local function fail()
        dewar.spawn(function() error("collected") end)
      end
      fail()
      dewar.sleep(0.001)
      collect()
    end)
    assert.are.equal(1, #records)
    assert.matches("collected\nstack traceback:", records[1][2])
  end)

  it("is not logged if somebody has seen it, or it was a cancellation", function()
    local records = logged(function()
      pcall(dewar.run, function()
        local task = dewar.spawn(error, "seen")
        pcall(dewar.await, task)
        pcall(dewar.gather, function() error("seen too") end)
        dewar.spawn(dewar.sleep, 9):cancel()
        dewar.yield()
      end)
      collect()
    end)
    assert.are.same({}, records)
  end)

  it("is logged of those that gather did not raise", function()
    local records = logged(function()
      dewar.run(function()
        local err = raised(dewar.gather, function() error("first", 0) end, function()
          local ok = pcall(dewar.sleep, 9)
          if not ok then error("second", 0) end
        end)
        assert.are.equal("first", err)
      end)
    end)
    assert.are.equal(1, #records)
    assert.matches("second", records[1][2])
  end)

  it("finds that its log can't wait", function()
    local err
    local sink = dewar.log.sink
    dewar.log.sink = function() err = raised(dewar.sleep, 0) end
    dewar.run(function()
      dewar.spawn(function()
        dewar.spawn(error, "x")
        dewar.yield()
      end)
      dewar.sleep(0.001)
    end)
    dewar.log.sink = sink
    assert.matches("cannot wait inside a loop callback that is no task", err)
  end)
end)

describe("many tasks", function()
  it("may spawn in a chain that is deeper than the C stack", function()
    local function chain(n)
      if n == 0 then return "end" end
      return dewar.await(dewar.spawn(chain, n - 1))
    end
    assert.are.equal("end", dewar.run(chain, 1000))
  end)

  it("end from the bottom of a deep chain", function()
    local depth = 0
    local function chain(n)
      depth = depth + 1
      if n > 0 then dewar.spawn(chain, n - 1) end
      local _ <close> = setmetatable({}, { __close = function() depth = depth - 1 end })
      dewar.sleep(9)
    end
    dewar.run(function()
      dewar.spawn(chain, 2000)
      while depth < 2001 do dewar.yield() end
    end)
    assert.are.equal(0, depth)
  end)
end)
