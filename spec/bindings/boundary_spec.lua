-- Where a wait is impossible: at functions of C that can't be suspended, and in
-- coroutines that somebody else resumes.
local stock = {}
if not package.loaded["dewar"] then
  for name, fn in pairs(coroutine) do stock[name] = fn end
end
local dewar = require "dewar"

local function raised(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok, "it raised nothing")
  return err
end

describe("where Lua cannot yield", function()
  --- The error of a wait in a call of fn inside of a task.
  local function boundary(fn)
    return dewar.run(function() return raised(fn) end)
  end

  it("the error names the function and what to do", function()
    assert.matches("boundary_spec%.lua:%d+: cannot wait across 'table.sort': .*first",
      boundary(function()
        table.sort({ 3, 1, 2 }, function(a, b) dewar.yield() return a < b end)
      end))
    assert.matches("cannot wait across 'string.gsub': collect the matches first, and wait outside",
      boundary(function() return (("abc"):gsub(".", function() dewar.sleep(1) end)) end))
    assert.matches("cannot wait across 'load'", boundary(function()
      assert(load(function() dewar.yield() end))
    end))
    package.preload["spec.waits"] = function() dewar.yield() end
    assert.matches("cannot wait across 'require': wait in a function", boundary(function()
      require "spec.waits"
    end))
    package.preload["spec.waits"] = nil
  end)

  it("it is found behind coroutines, pcall and Dewar's own functions", function()
    assert.matches("cannot wait across 'table.sort'", boundary(function()
      table.sort({ 3, 1, 2 }, function(a, b)
        coroutine.wrap(function()
          local ok, err = pcall(dewar.timeout, 1, function() dewar.gather(print) end)
          if not ok then error(err, 0) end
        end)()
        return a < b
      end)
    end))
  end)

  it("a finalizer may spawn, but not wait", function()
    local err, spawned
    dewar.run(function()
      setmetatable({}, { __gc = function()
        err = raised(dewar.yield)
        spawned = dewar.spawn(function() dewar.yield() return "later" end)
      end })
      collectgarbage() collectgarbage()
      assert.matches("cannot wait across a __gc metamethod: dewar.spawn a task", err)
      assert.are.equal("later", dewar.await(spawned))
    end)
  end)

  it("a finalizer can't wait outside of tasks either", function()
    local err
    setmetatable({}, { __gc = function() err = raised(dewar.sleep, 0) end })
    collectgarbage() collectgarbage()
    assert.matches("cannot wait across a __gc metamethod", err)
  end)

  it("outside of tasks the loop is turned instead", function()
    local list = { 3, 1, 2 }
    table.sort(list, function(a, b) dewar.yield() return a < b end)
    assert.are.same({ 1, 2, 3 }, list)
  end)
end)

describe("a stock function that was taken before dewar was loaded", function()
  local function if_taken(fn)
    return function()
      if not stock.resume then return pending("dewar was loaded before this file") end
      fn()
    end
  end

  it("refuses waits inside of it clearly", if_taken(function()
    dewar.run(function()
      local err = raised(stock.wrap(function() dewar.sleep(0) end))
      assert.matches("what resumed it doesn't know Dewar", err)
      local ok, message = stock.resume(coroutine.create(function()
        coroutine.wrap(function() dewar.sleep(0) end)()
      end))
      assert.is_false(ok)
      assert.matches("doesn't know Dewar", message)
    end)
    assert.is_true(stock.wrap(function() dewar.sleep(0) return true end)())
  end))

  it("yields nothing like dewar.yield, and nothing else", if_taken(function()
    assert.are.equal("end", dewar.run(function() stock.yield() stock.yield() return "end" end))
    local closed
    local task = dewar.spawn(function()
      local _ <close> = setmetatable({}, { __close = function() closed = true end })
      stock.yield("value")
    end)
    assert.matches("yielded a value past Dewar", raised(dewar.await, task))
    assert.is_true(closed)
    assert.matches("can only yield awaitables", raised(dewar.await, coroutine.create(function()
      stock.yield("value")
    end)))
  end))

  it("can't keep a cancelled task alive by yields", if_taken(function()
    local sink = dewar.log.sink
    dewar.log.sink = function() end
    local task = dewar.spawn(function() while true do stock.yield() end end)
    dewar.yield()
    task:cancel()
    assert.is_true(dewar.is_cancelled(raised(dewar.await, task)))
    dewar.log.sink = sink
  end))

  it("does no harm to a task whose coroutine it resumes or closes", if_taken(function()
    local function victim()
      local own
      local task = dewar.spawn(function()
        own = coroutine.running()
        dewar.sleep(0.01)
        return "unharmed"
      end)
      dewar.yield()
      return task, own
    end
    local task, own = victim()
    stock.resume(own)
    assert.matches("resumed or closed by other code", tostring(raised(dewar.await, task)))
    task, own = victim()
    stock.close(own)
    assert.matches("resumed or closed by other code", tostring(raised(dewar.await, task)))
    assert.are.equal(1, dewar.await(dewar.spawn(function() dewar.yield() return 1 end)))
  end))
end)
