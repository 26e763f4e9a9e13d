-- Awaiting, async functions, run.
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
  assert.matches("^[^\n]*await_spec%.lua:%d+: ", err)
  assert.matches(pattern, err)
end

describe("awaiting", function()
  it("takes what has __await, called in the awaiting task", function()
    local job = setmetatable({}, { __await = function(self)
      dewar.sleep(0.001)
      return self, "done", nil
    end })
    assert.are.same({ job, "done", n = 3 }, table.pack(dewar.await(job)))
    dewar.run(function()
      assert.are.same({ job, "done", n = 3 }, table.pack(dewar.await(job)))
    end)
  end)

  it("nests", function()
    local function wrap(inner)
      return setmetatable({}, { __await = function() return dewar.await(inner) end })
    end
    local task = dewar.spawn(function() dewar.yield() return 1, 2 end)
    assert.are.same({ 1, 2 }, { dewar.await(wrap(wrap(wrap(task)))) })
  end)

  it("limits an __await and a coroutine in time", function()
    local slow = setmetatable({}, { __await = function() dewar.sleep(9) end })
    assert.is_true(dewar.TimeoutError:is(raised(dewar.await, slow, 0.01)))
    local co = coroutine.create(function() dewar.sleep(9) end)
    assert.is_true(dewar.TimeoutError:is(raised(dewar.await, co, 0.01)))
    local quick = setmetatable({}, { __await = function() return "quick" end })
    assert.are.equal("quick", dewar.await(quick, 9))
  end)

  it("sees deadlocks of a task with itself, its parent, and in chains", function()
    dewar.run(function()
      local first, second, third
      first = dewar.spawn(function() return raised(dewar.await, first) end)
      assert.matches("cannot wait for its own end", dewar.await(first))

      first = dewar.spawn(function() return dewar.await(second) end)
      second = dewar.spawn(function() return dewar.await(third) end)
      third = dewar.spawn(function() return raised(dewar.await, first) end)
      assert.matches("deadlock: the awaited task is waiting for this one", dewar.await(first))

      first = dewar.spawn(function() return (dewar.gather(second)) end)
      second = dewar.spawn(function() return raised(dewar.gather, print, first) end)
      assert.matches("deadlock", dewar.await(first))

      local parent
      parent = dewar.spawn(function()
        return dewar.await(dewar.spawn(function() return raised(dewar.await, parent) end))
      end)
      assert.matches("the task that it belongs to", dewar.await(parent))
    end)
  end)

  it("outside of tasks says when a wait can never end", function()
    local event = dewar.event()
    misuse("this wait can never end: nothing else is running", event.wait, event)
    misuse("can never end", dewar.sleep, math.huge)
    assert.are.equal("still works", dewar.run(function() dewar.sleep(0) return "still works" end))
  end)
end)

describe("an async function", function()
  it("starts a task when it is called", function()
    local double = dewar.async(function(n) dewar.yield() return n * 2 end)
    assert.is_true(dewar.is_async(double))
    assert.is_false(dewar.is_async(print))
    assert.is_false(dewar.is_async(nil))
    local task = double(21)
    assert.are.equal("pending", task.status)
    assert.are.equal(42, dewar.await(task))
  end)

  it("is itself when made async again, and is spawned as what it calls", function()
    local one = dewar.async(function() return 1 end)
    assert.are.equal(one, dewar.async(one))
    assert.are.equal(1, dewar.await(dewar.spawn(one)))
    assert.are.equal(1, (dewar.gather(one)))
    assert.are.equal(1, dewar.run(one))
    assert.are.equal(1, dewar.timeout(1, one))
    misuse("async: expected a function, got table", dewar.async, {})
  end)
end)

describe("run", function()
  it("gives what the function returns", function()
    assert.are.same({ 1, nil, 3, n = 3 }, table.pack(dewar.run(function(...)
      dewar.yield()
      return ...
    end, 1, nil, 3)))
  end)

  it("raises what the function raises", function()
    local object = {}
    assert.are.equal(object, raised(dewar.run, function() dewar.yield() error(object) end))
  end)

  it("is refused inside of a task", function()
    local err = dewar.run(function() return raised(dewar.run, print) end)
    assert.matches("await_spec%.lua:%d+: run: this is inside a task already", err)
  end)

  it("works from a coroutine of the main chunk", function()
    local co = coroutine.wrap(function()
      return dewar.run(function() dewar.sleep(0) return 3 end)
    end)
    assert.are.equal(3, co())
  end)
end)
