-- ensure_sync: a function that, called like the one it was given, returns what
-- that finally returns.
local dewar = require "dewar"

local function ensure_sync(f) return dewar.App.ensure_sync(nil, f) end

local function raised(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok, "it raised nothing")
  return err
end

describe("ensure_sync", function()
  it("gives a plain function back unchanged", function()
    local function plain() end
    assert.is_true(rawequal(plain, ensure_sync(plain)))
    assert.is_true(rawequal(print, ensure_sync(print)))
    assert.is_true(rawequal(dewar.sleep, ensure_sync(dewar.sleep)))
    local generator = coroutine.wrap(plain)
    assert.is_true(rawequal(generator, ensure_sync(generator)))
  end)

  it("gives a callable value back unchanged", function()
    local callable = setmetatable({}, { __call = function() end })
    assert.is_true(rawequal(callable, ensure_sync(callable)))
  end)

  it("gives what it has wrapped back unchanged", function()
    local wrapped = ensure_sync(dewar.async(print))
    assert.is_true(rawequal(wrapped, ensure_sync(wrapped)))
  end)

  it("refuses what can't be called", function()
    for _, value in ipairs { 1, "x", {}, true } do
      local err = raised(ensure_sync, value)
      assert.matches("ensure_sync_spec%.lua:%d+: ensure_sync: expected a function", err)
      assert.matches("not a " .. type(value), err)
    end
    assert.matches("not a nil", raised(ensure_sync, nil))
  end)
end)

describe("a wrapped async function", function()
  local add = ensure_sync(dewar.async(function(...)
    local n = select("#", ...)
    dewar.sleep(0.001)
    return n, ...
  end))

  it("gives all results, outside of tasks and inside", function()
    assert.are.same({ 3, 1, nil, nil, n = 4 }, table.pack(add(1, nil, nil)))
    assert.are.same({ 0, n = 1 }, table.pack(dewar.run(add)))
    assert.are.equal(0, select("#", ensure_sync(dewar.async(function() end))()))
  end)

  it("suspends only the task that calls it", function()
    local order = {}
    local event = dewar.event()
    local wait = ensure_sync(dewar.async(function() event:wait() order[#order + 1] = "waited" end))
    dewar.gather(wait, function()
      order[#order + 1] = "other"
      event:set()
    end)
    assert.are.same({ "other", "waited" }, order)
  end)

  it("raises the error of the function", function()
    local object = {}
    local fail = ensure_sync(dewar.async(function() dewar.yield() error(object) end))
    assert.are.equal(object, raised(fail))
    assert.are.equal(object, dewar.run(function() return raised(fail) end))
  end)

  it("can be called many times, and inside of itself", function()
    local down
    down = ensure_sync(dewar.async(function(n)
      if n == 0 then return 0 end
      return 1 + down(n - 1)
    end))
    assert.are.equal(20, down(20))
    assert.are.equal(20, dewar.run(down, 20))
  end)

  it("ends with its caller: a cancellation reaches the function first", function()
    local seen = {}
    local slow = ensure_sync(dewar.async(function()
      local _ <close> = setmetatable({}, { __close = function()
        dewar.shield(dewar.sleep, 0.01)
        seen[#seen + 1] = "callee"
      end })
      dewar.sleep(9)
    end))
    local task = dewar.spawn(function()
      local err = raised(slow)
      seen[#seen + 1] = "caller"
      error(err, 0)
    end)
    dewar.yield() dewar.yield()
    task:cancel()
    assert.is_true(dewar.is_cancelled(raised(dewar.await, task)))
    assert.are.same({ "callee", "caller" }, seen)
  end)

  it("works across pcall, metamethods and generators", function()
    local one = ensure_sync(dewar.async(function() dewar.yield() return 1 end))
    local object = setmetatable({}, { __index = function() return one() end })
    dewar.run(function()
      assert.are.same({ true, 1 }, { pcall(one) })
      assert.are.equal(1, object.field)
      assert.are.equal(1, coroutine.wrap(function() coroutine.yield(one()) end)())
    end)
  end)

  it("names the boundary where Lua cannot yield", function()
    local less = ensure_sync(dewar.async(function(a, b) return a < b end))
    local err = dewar.run(function()
      return raised(table.sort, { 2, 3, 1 }, function(a, b) return less(a, b) end)
    end)
    assert.matches("cannot wait across 'table.sort'", err)
  end)

  it("is refused in a callback of the loop that is no task", function()
    local err
    local started = false
    local wrapped = ensure_sync(dewar.async(function() started = true end))
    local sink = dewar.log.sink
    dewar.log.sink = function() err = raised(wrapped) end
    dewar.run(function()
      dewar.spawn(function()
        dewar.spawn(error, "x")
        dewar.yield()
      end)
      dewar.sleep(0.001)
    end)
    dewar.log.sink = sink
    assert.matches("cannot wait inside a loop callback that is no task", err)
    assert.is_false(started)
  end)

  it("lets a decorator that knows nothing of it work", function()
    local function decorate(f)
      return function(...) return "decorated", ensure_sync(f)(...) end
    end
    local view = decorate(dewar.async(function(a) dewar.yield() return a end))
    assert.are.same({ "decorated", 5 }, { view(5) })
    assert.are.same({ "decorated", 5 }, { dewar.run(view, 5) })
  end)
end)

describe("a wrapped object whose __call is an async function", function()
  it("is called with itself", function()
    local object = setmetatable({}, { __call = dewar.async(function(self, a)
      dewar.yield()
      return self, a
    end) })
    local wrapped = ensure_sync(object)
    assert.are.equal("function", type(wrapped))
    assert.are.same({ object, 3 }, { wrapped(3) })
    assert.are.same({ object, 4 }, { dewar.run(wrapped, 4) })
  end)
end)

describe("a wrapped coroutine", function()
  local function make()
    return ensure_sync(coroutine.create(function(...)
      local n = coroutine.yield(dewar.spawn(function() return 2 end))
      dewar.sleep(0)
      coroutine.yield()
      return n, ...
    end))
  end

  it("runs to its end with the arguments", function()
    assert.are.same({ 2, "a", nil, n = 3 }, table.pack(make()("a", nil)))
    assert.are.same({ 2, "b", n = 2 }, table.pack(dewar.run(make(), "b")))
  end)

  it("says that it can run only once", function()
    local wrapped = make()
    wrapped()
    assert.matches("ensure_sync_spec%.lua:%d+: this was made of a coroutine", raised(wrapped))
  end)

  it("raises its error", function()
    local co = coroutine.create(function() dewar.yield() error("x", 0) end)
    assert.are.equal("x", raised(ensure_sync(co)))
  end)

  it("is refused if it is dead", function()
    local co = coroutine.create(function() end)
    coroutine.resume(co)
    assert.matches("running or dead", raised(ensure_sync(co)))
  end)
end)
