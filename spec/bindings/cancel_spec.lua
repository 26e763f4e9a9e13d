-- Cancellation, dewar.shield, dewar.timeout and the errors of dewar.gather.
local dewar = require "dewar"

local function raised(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok, "it raised nothing")
  return err
end

local function is_timeout(err) return dewar.TimeoutError:is(err) end

--- Runs fn and returns the records that were logged meanwhile.
local function logged(fn)
  local records, sink = {}, dewar.log.sink
  dewar.log.sink = function(_, text) records[#records + 1] = text end
  local ok, err = pcall(fn)
  dewar.log.sink = sink
  assert(ok, err)
  return records
end

--- A task that runs fn and is cancelled when it has begun to wait.
local function cancelled(fn)
  local task = dewar.spawn(fn)
  dewar.yield()
  task:cancel()
  return task
end

describe("a cancelled task", function()
  it("gets Cancelled at the wait it is in, and is cancelled then", function()
    local err
    local task = cancelled(function()
      local ok
      ok, err = pcall(dewar.sleep, 9)
      assert(not ok)
      error(err, 0)
    end)
    local seen = raised(dewar.await, task)
    assert.is_true(dewar.is_cancelled(err))
    assert.is_true(dewar.is_cancelled(seen))
    assert.is_false(dewar.Error:is(err))
    assert.are.equal("cancelled", task.status)
  end)

  it("gets it again at every later wait", function()
    local waits = 0
    local event, queue, lock = dewar.event(), dewar.queue(), dewar.lock()
    lock:acquire()
    local task = cancelled(function()
      local function try(...)
        assert(dewar.is_cancelled(raised(...)))
        waits = waits + 1
      end
      try(dewar.sleep, 9)
      try(dewar.sleep, 0)
      try(dewar.yield)
      try(event.wait, event)
      try(queue.get, queue)
      try(lock.acquire, lock)
      try(dewar.gather, print)
      try(dewar.await, dewar.spawn(print))
      return "swallowed"
    end)
    assert.are.equal("swallowed", dewar.await(task))
    assert.are.equal(8, waits)
  end)

  it("never starts if it is cancelled before", function()
    local started = false
    local task = dewar.spawn(function() started = true end)
    task:cancel()
    assert.is_true(dewar.is_cancelled(raised(dewar.await, task)))
    assert.is_false(started)
    assert.are.equal("cancelled", task.status)
  end)

  it("may be itself, and notices at its next wait", function()
    local reached
    local task
    task = dewar.spawn(function()
      task:cancel()
      reached = "before the wait"
      dewar.yield()
      reached = "behind the wait"
    end)
    pcall(dewar.await, task)
    assert.are.equal("before the wait", reached)
  end)

  it("runs its pcall cleanup and <close> variables, which may wait if shielded", function()
    local seen = {}
    local task = cancelled(function()
      local _ <close> = setmetatable({}, { __close = function(_, err)
        assert(dewar.is_cancelled(err))
        dewar.shield(function() dewar.sleep(0.001) seen[#seen + 1] = "outer" end)
        dewar.shield(function() dewar.sleep(0.001) seen[#seen + 1] = "again" end)
      end })
      local _ <close> = setmetatable({}, { __close = function()
        seen[#seen + 1] = dewar.is_cancelled(raised(dewar.sleep, 0)) and "refused"
      end })
      local ok, err = pcall(dewar.sleep, 9)
      dewar.shield(dewar.sleep, 0.001)
      seen[#seen + 1] = "pcall"
      if not ok then error(err, 0) end
    end)
    pcall(dewar.await, task)
    assert.are.same({ "pcall", "refused", "outer", "again" }, seen)
    assert.are.equal("cancelled", task.status)
  end)

  it("is done with once it has ended", function()
    local task = dewar.spawn(function() return 1 end)
    dewar.await(task)
    task:cancel()
    assert.are.equal("done", task.status)
    assert.are.equal(1, dewar.await(task))
  end)

  it("fails if its cleanup does", function()
    local task = cancelled(function()
      pcall(dewar.sleep, 9)
      error("cleanup", 0)
    end)
    assert.are.equal("cleanup", raised(dewar.await, task))
    assert.are.equal("failed", task.status)
  end)

  it("is closed and logged when it has swallowed it a hundred times", function()
    local swallowed, closed = 0, false
    local records = logged(function()
      local task = cancelled(function()
        local _ <close> = setmetatable({}, { __close = function() closed = true end })
        while true do
          pcall(dewar.sleep, 1)
          swallowed = swallowed + 1
        end
      end)
      assert.is_true(dewar.is_cancelled(raised(dewar.await, task)))
      assert.are.equal("cancelled", task.status)
    end)
    assert.are.equal(100, swallowed)
    assert.is_true(closed)
    assert.are.equal(1, #records)
    assert.matches("a task has been closed.*100 times\nstack traceback:\n.*cancel_spec", records[1])
  end)

  it("is closed so from within generators too, from the innermost outwards", function()
    local seen = {}
    local function closer(name)
      return setmetatable({}, { __close = function() seen[#seen + 1] = name end })
    end
    logged(function()
      local task = cancelled(function()
        local _ <close> = closer "task"
        coroutine.wrap(function()
          local _ <close> = closer "outer"
          coroutine.wrap(function()
            local _ <close> = closer "inner"
            while true do pcall(dewar.yield) end
          end)()
        end)()
      end)
      pcall(dewar.await, task)
    end)
    assert.are.same({ "inner", "outer", "task" }, seen)
  end)
end)

describe("shield", function()
  it("lets its function end first, and delivers the cancellation then", function()
    local seen = {}
    local task = cancelled(function()
      local ok, err = pcall(dewar.shield, function()
        dewar.sleep(0.01)
        seen[#seen + 1] = "finished"
        return "lost"
      end)
      seen[#seen + 1] = ok
      error(err, 0)
    end)
    assert.is_true(dewar.is_cancelled(raised(dewar.await, task)))
    assert.are.same({ "finished", false }, seen)
  end)

  it("gives the results and errors of its function", function()
    assert.are.same({ 1, nil, 3, n = 3 }, table.pack(dewar.shield(function(...)
      dewar.yield()
      return ...
    end, 1, nil, 3)))
    assert.are.equal("x", raised(dewar.shield, error, "x"))
    assert.matches("cancel_spec%.lua:%d+: shield: expected a function", raised(dewar.shield, 1))
  end)

  it("raises the function's error rather than the cancellation", function()
    local task = cancelled(function()
      dewar.shield(function() dewar.sleep(0.001) error("mine", 0) end)
    end)
    assert.are.equal("mine", raised(dewar.await, task))
  end)

  it("nests, and protects what is inside of a timeout", function()
    local seen = {}
    local err = raised(dewar.timeout, 0.01, function()
      dewar.shield(function()
        dewar.shield(dewar.sleep, 0.02)
        dewar.sleep(0.01)
        seen[#seen + 1] = "finished"
      end)
    end)
    assert.is_true(is_timeout(err))
    assert.are.same({ "finished" }, seen)
  end)

  it("lets a timeout inside of it work", function()
    assert.is_true(is_timeout(dewar.shield(raised, dewar.timeout, 0.01, dewar.sleep, 9)))
  end)
end)

describe("timeout", function()
  it("gives all results of a function that is in time", function()
    assert.are.same({ 1, nil, 3, n = 3 }, table.pack(dewar.timeout(9, function(...)
      dewar.sleep(0)
      return ...
    end, 1, nil, 3)))
    assert.are.equal(1, dewar.timeout(math.huge, function() dewar.yield() return 1 end))
  end)

  it("raises TimeoutError when time is up, in a task and outside", function()
    assert.is_true(is_timeout(raised(dewar.timeout, 0.01, dewar.sleep, 9)))
    dewar.run(function()
      assert.is_true(is_timeout(raised(dewar.timeout, 0.01, dewar.sleep, 9)))
      dewar.sleep(0)
    end)
  end)

  it("interrupts by Cancelled, once more at each further wait", function()
    local errors = {}
    local err = raised(dewar.timeout, 0.01, function()
      for i = 1, 3 do errors[i] = raised(dewar.sleep, 9) end
      return "swallowed"
    end)
    assert.is_true(is_timeout(err))
    for i = 1, 3 do assert.is_true(dewar.is_cancelled(errors[i])) end
  end)

  it("passes errors on", function()
    assert.are.equal("mine", raised(dewar.timeout, 9, function()
      dewar.yield()
      error("mine", 0)
    end))
  end)

  it("is over when its function is", function()
    dewar.timeout(0.01, dewar.yield)
    dewar.sleep(0.02)
    dewar.run(function()
      dewar.timeout(0.01, dewar.yield)
      dewar.sleep(0.02)
    end)
  end)

  it("tells an outer timeout from an inner one", function()
    dewar.run(function()
      local inner
      local outer = raised(dewar.timeout, 0.01, function()
        inner = raised(dewar.timeout, 9, dewar.sleep, 99)
        error(inner, 0)
      end)
      assert.is_true(dewar.is_cancelled(inner))
      assert.is_true(is_timeout(outer))

      inner = nil
      outer = raised(dewar.timeout, 9, function()
        inner = raised(dewar.timeout, 0.01, dewar.sleep, 99)
        dewar.sleep(0)
        error("outer goes on", 0)
      end)
      assert.is_true(is_timeout(inner))
      assert.are.equal("outer goes on", outer)
    end)
  end)

  it("lets a cancellation of the task be one", function()
    local err
    local task = cancelled(function()
      err = raised(dewar.timeout, 9, dewar.sleep, 99)
      error(err, 0)
    end)
    assert.is_true(dewar.is_cancelled(raised(dewar.await, task)))
    assert.is_true(dewar.is_cancelled(err))
  end)

  it("runs its function in place, in the same coroutine", function()
    dewar.run(function()
      local here = coroutine.running()
      assert.are.equal(here, dewar.timeout(9, function() return (coroutine.running()) end))
      assert.are.equal(here, dewar.shield(function() return (coroutine.running()) end))
    end)
  end)

  it("cannot be left by the yield of a generator", function()
    local generator = coroutine.wrap(function()
      dewar.timeout(9, function() coroutine.yield(1) end)
    end)
    assert.matches("cancel_spec%.lua:%d+: cannot yield out of dewar.timeout", raised(generator))
  end)

  it("is misused by times that are none and by what is no function", function()
    assert.matches("timeout: the time must be", raised(dewar.timeout, -1, print))
    assert.matches("timeout: the time must be", raised(dewar.timeout, "1", print))
    assert.matches("cancel_spec%.lua:%d+: timeout: expected a function, got nil",
      raised(dewar.timeout, 1, nil))
  end)
end)

describe("gather", function()
  it("gives the first result of each, in order, and nothing for nothing", function()
    local co = coroutine.create(function() dewar.yield() return 4, 5 end)
    local task = dewar.spawn(function() return 3 end)
    local job = setmetatable({}, { __await = function() return 6 end })
    assert.are.same({ 1, nil, 3, 4, 6, n = 5 }, table.pack(dewar.gather(
      function() dewar.sleep(0.01) return 1, 2 end, function() end, task, co, job)))
    assert.are.equal(0, select("#", dewar.gather()))
    assert.are.same({ 3, 3 }, { dewar.gather(task, task) })
  end)

  it("cancels the rest at the first error, waits for it, and raises the error", function()
    local seen = {}
    local function slow()
      local ok = pcall(dewar.sleep, 9)
      dewar.shield(dewar.sleep, 0.01)
      seen[#seen + 1] = ok
    end
    local other = dewar.spawn(slow)
    local err = raised(dewar.gather, slow, function() dewar.yield() error("first", 0) end, other)
    assert.are.equal("first", err)
    assert.are.same({ false, false }, seen)
  end)

  it("raises the error of a task that had failed before", function()
    local task = dewar.spawn(error, "before")
    dewar.yield()
    assert.are.equal("before", raised(dewar.gather, function() dewar.sleep(9) end, task))
  end)

  it("cancels all and waits for them when it is cancelled itself", function()
    local ended = 0
    local function slow()
      local _ <close> = setmetatable({}, { __close = function()
        dewar.shield(dewar.sleep, 0.01)
        ended = ended + 1
      end })
      dewar.sleep(9)
    end
    local task = dewar.spawn(function()
      local err = raised(dewar.gather, slow, slow, slow)
      assert(ended == 3 and dewar.is_cancelled(err))
      error(err, 0)
    end)
    dewar.yield() dewar.yield()
    task:cancel()
    assert.is_true(dewar.is_cancelled(raised(dewar.await, task)))
    assert.are.equal(3, ended)
  end)

  it("is interrupted by a timeout in the same way", function()
    local ended = false
    local err = raised(dewar.timeout, 0.01, dewar.gather, function()
      pcall(dewar.sleep, 9)
      ended = true
    end)
    assert.is_true(is_timeout(err))
    assert.is_true(ended)
  end)

  it("starts nothing if an argument is wrong", function()
    local started = false
    local err = raised(dewar.gather, function() started = true end, 3)
    assert.matches("cancel_spec%.lua:%d+: gather: argument 2 must be .* not a number", err)
    dewar.yield()
    assert.is_false(started)
  end)
end)
