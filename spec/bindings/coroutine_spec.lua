-- User coroutines: waits pass through them, and otherwise they are as in stock
-- Lua, which the same checks against the stock functions show.
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

--- What each step of a coroutine gives, for comparison with stock Lua.
local function transcript(co_lib, body)
  local out = {}
  local function note(...)
    local line = table.pack(...)
    for i = 1, line.n do line[i] = tostring(line[i]):gsub("0x%x+", "ADDRESS") end
    out[#out + 1] = table.concat(line, " ")
  end
  body(co_lib, note)
  return table.concat(out, "\n")
end

local bodies = {
  ["values through resume and yield"] = function(c, note)
    local co = c.create(function(...)
      note("args", ...)
      note("got", c.yield(1, nil, 3))
      note("got", c.yield())
      return "end", nil
    end)
    note(c.resume(co, "a", nil))
    note(c.status(co))
    note(c.resume(co))
    note(c.resume(co, 1, 2, 3))
    note(c.status(co))
    note(c.resume(co))
  end,
  ["errors of resume"] = function(c, note)
    local co = c.create(function() error("boom", 0) end)
    note(c.resume(co))
    note(c.status(co), c.resume(co))
    note(c.resume(c.create(function() error { 1 } end)))
    note(c.resume(c.running()))
    note(pcall(function() c.resume(1) end))
    note(pcall(function() c.status(1) end))
  end,
  ["wrap"] = function(c, note)
    local f = c.wrap(function(...)
      note(...)
      note(c.yield(1, 2))
      return "x"
    end)
    note(f("a", "b"))
    note(f("c"))
    note(pcall(f))
    note(pcall(c.wrap(function() error("boom") end)))
    note(pcall(c.wrap(function() error({}, 0) end)))
    note(pcall(function() c.wrap(1) end))
  end,
  ["a close in an erroneous wrap"] = function(c, note)
    local f = c.wrap(function()
      local _ <close> = setmetatable({}, { __close = function(_, err)
        note("closing", err)
        error("closed", 0)
      end })
      error("boom", 0)
    end)
    note(pcall(f))
    note(pcall(f))
  end,
  ["close"] = function(c, note)
    local co = c.create(function()
      local _ <close> = setmetatable({}, { __close = function(_, err) note("closing", err) end })
      c.yield()
    end)
    c.resume(co)
    note(c.close(co))
    note(c.status(co), c.close(co))
    co = c.create(function()
      local _ <close> = setmetatable({}, { __close = function() error("at close", 0) end })
      c.yield()
    end)
    c.resume(co)
    note(c.close(co))
    note(pcall(c.close, (c.running())))
    co = c.create(function() error("failed", 0) end)
    c.resume(co)
    note(c.close(co))
    note(c.status(co), c.close(co))
    note(c.close(c.create(print)))
    note(pcall(function() c.close(1) end))
  end,
  ["status of nested ones"] = function(c, note)
    local outer
    outer = c.create(function()
      local inner = c.create(function()
        note(c.status(outer))
        note(pcall(c.close, outer))
        note(c.resume(outer))
      end)
      note(c.resume(inner), c.status(inner))
      note(c.status(outer), c.isyieldable(), select(2, c.running()))
    end)
    c.resume(outer)
  end,
  ["many values"] = function(c, note)
    local list = table.move({}, 1, 0, 1)
    for i = 1, 5000 do list[i] = i end
    local f = c.wrap(function(...) note(select("#", c.yield(...))) end)
    note(select("#", f(table.unpack(list))))
    f(table.unpack(list))
  end,
}

describe("a coroutine", function()
  for name, body in pairs(bodies) do
    it("is as in stock Lua: " .. name, function()
      if not stock.resume then return pending("dewar was loaded before this file") end
      local expected = transcript(stock, body)
      assert.are.equal(expected, transcript(coroutine, body))
      assert.are.equal(expected, dewar.run(function()
        return coroutine.wrap(function() return transcript(coroutine, body) end)()
      end))
    end)
  end
end)

--- A generator that waits before each value.
local function counter(n)
  return coroutine.wrap(function()
    for i = 1, n do
      dewar.sleep(0)
      coroutine.yield(i)
    end
  end)
end

describe("a wait inside of a coroutine", function()
  it("suspends the whole task, not just the generator", function()
    local order = {}
    dewar.gather(function()
      for i in counter(3) do order[#order + 1] = "a" .. i end
    end, function()
      for i in counter(3) do order[#order + 1] = "b" .. i end
    end)
    assert.are.equal("a1 b1 a2 b2 a3 b3", table.concat(order, " "))
  end)

  it("works outside of tasks", function()
    local sum = 0
    for i in counter(4) do sum = sum + i end
    assert.are.equal(10, sum)
  end)

  it("passes through several levels, by wrap and by resume", function()
    local function nest(depth)
      if depth == 0 then
        dewar.sleep(0)
        return "deep"
      end
      if depth % 2 == 0 then return coroutine.wrap(nest)(depth - 1) end
      return select(2, assert(coroutine.resume(coroutine.create(nest), depth - 1)))
    end
    assert.are.equal("deep", dewar.run(nest, 20))
    assert.are.equal("deep", nest(20))
  end)

  it("works across pcall, xpcall, metamethods, iterators and closing", function()
    local closed = false
    local object = setmetatable({}, {
      __index = function(_, key) dewar.yield() return key end,
      __add = function() dewar.yield() return "sum" end,
      __lt = function() dewar.yield() return true end,
      __concat = function() dewar.yield() return "joined" end,
      __len = function() dewar.yield() return 9 end,
      __eq = function() dewar.yield() return true end,
      __call = function() dewar.yield() return "called" end,
      __close = function() dewar.yield() closed = true end,
    })
    local other = setmetatable({}, getmetatable(object))
    local function all()
      assert.are.equal("field", object.field)
      assert.are.equal("sum", object + 1)
      assert.is_true(object < object)
      assert.are.equal("joined", object .. "x")
      assert.are.equal(9, #object)
      assert.is_true(object == other)
      assert.are.equal("called", object())
      assert.is_true(pcall(dewar.yield))
      assert.are.equal("handled", select(2, xpcall(function()
        dewar.yield()
        error "x"
      end, function() return "handled" end)))
      for i in function(_, i) dewar.yield() if i < 3 then return i + 1 end end, nil, 0 do
        assert.is_true(i <= 3)
      end
      do local _ <close> = object end
      return closed
    end
    assert.is_true(dewar.run(all))
    closed = false
    assert.is_true(dewar.run(coroutine.wrap(all)))
  end)

  it("raises its error inside of the coroutine", function()
    dewar.run(function()
      local f = coroutine.wrap(function()
        local err = raised(dewar.await, dewar.spawn(error, "inner", 0))
        coroutine.yield(err)
        local event = dewar.event()
        return dewar.TimeoutError:is(raised(event.wait, event, 0.001))
      end)
      assert.are.equal("inner", f())
      assert.is_true(f())
    end)
  end)

  it("is left by a cancellation through the coroutine", function()
    local seen = {}
    local task = dewar.spawn(function()
      local _ <close> = setmetatable({}, { __close = function() seen[#seen + 1] = "outer" end })
      for _ in coroutine.wrap(function()
        local _ <close> = setmetatable({}, { __close = function() seen[#seen + 1] = "inner" end })
        dewar.sleep(9)
      end) do error("never") end -- luacheck: ignore
    end)
    dewar.yield()
    task:cancel()
    assert.is_true(dewar.is_cancelled(raised(dewar.await, task)))
    assert.are.same({ "inner", "outer" }, seen)
  end)

  it("keeps others from resuming or closing the coroutine", function()
    local co
    local task = dewar.spawn(function()
      co = coroutine.create(function() dewar.sleep(0.01) return "mine" end)
      return select(2, coroutine.resume(co))
    end)
    dewar.yield()
    assert.are.equal("normal", coroutine.status(co))
    local ok, err = coroutine.resume(co, "intruder")
    assert.is_false(ok)
    assert.matches("cannot resume a coroutine that is in a wait", err)
    assert.matches("cannot close a coroutine that is in a wait", raised(coroutine.close, co))
    assert.matches("in a wait", raised(dewar.await, co) .. "")
    assert.are.equal("mine", dewar.await(task))
    assert.are.equal("dead", coroutine.status(co))
  end)

  it("keeps the coroutine of a task itself, before, during and after it", function()
    local own
    local task = dewar.spawn(function()
      own = coroutine.running()
      assert(coroutine.isyieldable() and coroutine.status(own) == "running")
      dewar.spawn(dewar.shield, dewar.sleep, 0.02)
      dewar.sleep(0.01)
      return "mine"
    end)
    dewar.yield()
    for _ = 1, 2 do
      assert.is_false((coroutine.resume(own)))
      assert.is_false((pcall(coroutine.close, own)))
      dewar.sleep(0.015)
    end
    assert.are.equal("mine", dewar.await(task))
    assert.is_false((coroutine.resume(own)))
    local later = dewar.spawn(function() return 1 end)
    assert.is_false((coroutine.resume(own)))
    assert.are.equal(1, dewar.await(later))
  end)
end)

describe("a yield", function()
  it("awaits in a task's own coroutine, and is dewar.yield with nothing", function()
    dewar.run(function()
      local task = dewar.spawn(function() dewar.yield() return 1, 2 end)
      assert.are.same({ 1, 2 }, { coroutine.yield(task) })
      assert.are.equal(0, select("#", coroutine.yield()))
      assert.are.equal(3, coroutine.yield(coroutine.create(function() return 3 end)))
    end)
  end)

  it("of something else raises there", function()
    local err = dewar.run(function() return raised(coroutine.yield, {}) end)
    assert.matches("coroutine_spec%.lua:%d+: a task can only yield an awaitable; got a table", err)
    err = dewar.run(function() return raised(coroutine.yield, nil) end)
    assert.matches("got a nil: return the value, or use a generator", err)
    err = dewar.run(function() return raised(coroutine.yield, 1, 2) end)
    assert.matches("got several values", err)
  end)

  it("is the user's in a user's coroutine, even of an awaitable", function()
    dewar.run(function()
      local task = dewar.spawn(print)
      local f = coroutine.wrap(function() coroutine.yield(task) end)
      assert.are.equal(task, f())
      dewar.await(task)
    end)
  end)

  it("awaits in a coroutine that is awaited", function()
    local co = coroutine.create(function()
      local a, b = coroutine.yield(dewar.spawn(function() return 1, 2 end))
      coroutine.yield()
      return a, b, raised(coroutine.yield, "x")
    end)
    local a, b, err = dewar.await(co)
    assert.are.same({ 1, 2 }, { a, b })
    assert.matches("a task can only yield an awaitable; got a string", err)
    assert.matches("running or dead", raised(dewar.await, co))
  end)
end)
