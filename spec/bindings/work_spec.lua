-- dewar.work: Lua on threads of its own.
local dewar = require "dewar"

local function fails_with(text, f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert.truthy(tostring(err):find(text, 1, true), tostring(err))
  return err
end

describe("work", function()
  it("gives what the function returns", function()
    assert.are.same({ 3, "x", nil, true }, { dewar.work(function(a, b) return a + b, "x", nil, true end, 1, 2) })
  end)

  it("returns nothing where the function does", function()
    assert.are.equal(0, select("#", dewar.work(function() end)))
  end)

  it("takes a function that calls itself by its local name", function()
    local function fib(n)
      if n < 2 then return n end
      return fib(n - 1) + fib(n - 2)
    end
    assert.are.equal(610, dewar.work(fib, 15))
  end)

  it("keeps numbers and strings exactly as they are", function()
    local values = { math.maxinteger, math.mininteger, 0.1, 1.0, -0.0, math.huge, "a\0b", ("x"):rep(100000), "" }
    local back = dewar.work(function(t) return t end, values)
    for i, value in ipairs(values) do
      assert.are.equal(value, back[i])
      assert.are.equal(math.type(value), math.type(back[i]))
    end
    local nan = dewar.work(function(n) return n end, 0 / 0)
    assert.are_not.equal(nan, nan)
  end)

  it("copies tables that are shared and that contain themselves", function()
    local shared = { 1 }
    local t = { a = shared, b = shared, [true] = "yes", [1.5] = "float" }
    t.self = t
    local back, same = dewar.work(function(v)
      v.a[1] = 2
      return v, v.a == v.b and v.self == v
    end, t)
    assert.is_true(same)
    assert.are.equal(back, back.self)
    assert.are.equal(back.a, back.b)
    assert.are.equal(2, back.b[1])
    assert.are.equal(1, shared[1])
    assert.are.equal("yes", back[true])
    assert.are.equal("float", back[1.5])
  end)

  it("keeps null and the mark of an array", function()
    local back, text = dewar.work(function(v)
      local d = require "dewar"
      return { d.null, d.array {} }, d.json.encode(v)
    end, { list = dewar.array {}, nothing = dewar.null })
    assert.are.equal('{"list":[],"nothing":null}', text)
    assert.are.equal(dewar.null, back[1])
    assert.is_true(dewar.json.is_array(back[2]))
  end)

  it("says what of dewar is not there", function()
    fails_with("work_spec.lua:68: dewar.sleep can't be used inside of dewar.work", dewar.work, function()
      require "dewar".sleep(1)
    end)
  end)

  it("brings upvalues along, with functions and modules", function()
    local floor, list, offset = math.floor, { 1, 2, 3 }, 10
    local function helper(n) return floor(n) + offset end
    assert.are.equal(12, dewar.work(function() return helper(list[2] + 0.5) end))
  end)

  it("lets functions that travel together share a variable", function()
    local count = 0
    local function add() count = count + 1 end
    assert.are.equal(2, dewar.work(function()
      add()
      add()
      return count
    end))
    assert.are.equal(0, count)
  end)

  it("requires modules that were loaded here, by name", function()
    local markup = require "dewar.filename"
    assert.are.equal("a_b.txt", dewar.work(function(name) return markup.secure(name) end, "a b.txt"))
  end)

  it("takes a function of a standard library", function()
    assert.are.equal("xxx", dewar.work(string.rep, "x", 3))
  end)

  it("runs in globals of its own", function()
    _G.work_spec_global = "here"
    finally(function() _G.work_spec_global = nil end)
    assert.are.equal("nil", dewar.work(function() return type(work_spec_global) end)) -- luacheck: ignore
  end)

  it("names what can't travel", function()
    local nothing = function() end
    fails_with("argument 2.users[3].callback is a function", dewar.work, nothing, 1,
      { users = { 1, 2, { callback = print } } })
    fails_with("argument 1 is a coroutine", dewar.work, nothing, coroutine.create(print))
    fails_with('argument 1["a b"] is a userdata', dewar.work, nothing, { ["a b"] = io.stdout })
    fails_with("argument 1.x has a metatable", dewar.work, nothing, { x = setmetatable({}, {}) })
    local db = io.stdout
    fails_with("the upvalue 'db' is a userdata", dewar.work, function() return db end)
    local event = { set = dewar.event }
    fails_with("the upvalue 'event'.set is a C function", dewar.work, function() return event end)
    fails_with("result 1.f is a function", dewar.work, function() return { f = print } end)
    local deep = {}
    for _ = 1, 300 do deep = { deep } end
    fails_with("nested too deep", dewar.work, nothing, deep)
    fails_with("expected a function, got nothing", dewar.work)
    fails_with("expected a function, got number", dewar.work, 7)
  end)

  it("raises misuse at the line of the caller", function()
    local err = fails_with("argument 1", dewar.work, print, print)
    assert.truthy(err:find "work_spec.lua:%d+: work: argument 1")
  end)

  it("raises what the function raises", function()
    local err = fails_with("no luck", dewar.work, function() error "no luck" end)
    assert.truthy(err:find "work_spec.lua:%d+: no luck$")
    local _, object = pcall(dewar.work, function() error { code = 7 } end)
    assert.are.same({ code = 7 }, object)
    fails_with("as text", dewar.work, function()
      error(setmetatable({}, { __tostring = function() return "as text" end }))
    end)
  end)

  it("shows where in the work an error was, and who had called it", function()
    local app = dewar.app()
    local trace
    app:errorhandler(dewar.Error, function(req)
      trace = req.traceback
      return "failed", 500
    end)
    app:get("/", function()
      local function inner() error "deep" end
      dewar.work(function() inner() end)
      return "never"
    end)
    local client <close> = app:test_client()
    assert.are.equal("failed", client:get("/").body)
    assert.truthy(trace:find("in function 'inner'", 1, true), trace)
    assert.truthy(trace:find("(work called by)", 1, true), trace)
    assert.truthy(trace:find("in function 'work'", 1, true), trace)
    local _, lines = trace:gsub("work_spec.lua", "")
    assert.is_true(lines >= 4, trace)
  end)

  it("suspends only the task that waits", function()
    local order = {}
    dewar.gather(function()
      dewar.work(function()
        local n = 0
        for i = 1, 2000000 do n = n + i end
        return n
      end)
      order[#order + 1] = "worked"
    end, function() order[#order + 1] = "other" end)
    assert.are.same({ "other", "worked" }, order)
  end)

  it("runs pieces of work at the same time", function()
    -- Each waits for the other's file: one after the other would never end.
    local a, b = os.tmpname(), os.tmpname()
    os.remove(a)
    os.remove(b)
    finally(function()
      os.remove(a)
      os.remove(b)
    end)
    local app = dewar.app()
    app.config.WORK_THREADS = 2
    finally(function() app.config.WORK_THREADS = nil end)
    local function meet(mine, other)
      assert(io.open(mine, "w")):close()
      repeat
        local file = io.open(other)
        if file then file:close() end
      until file
      return true
    end
    local r1, r2 = dewar.timeout(30, dewar.gather, function() return dewar.work(meet, a, b) end,
      function() return dewar.work(meet, b, a) end)
    assert.is_true(r1 and r2)
  end)

  it("ends at once where its task is cancelled, whatever it does", function()
    local loops = {
      function() while true do end end,
      function() while true do pcall(function() for i = 1, 100 do string.rep("x", i) end end) end end,
      function()
        local function spin() while true do end end
        while true do pcall(spin) end
      end,
      function() while true do pcall(coroutine.wrap(function() while true do end end)) end end,
      function()
        local co = coroutine.create(function() while true do coroutine.yield() end end)
        while true do coroutine.resume(co) end
      end,
      function() while true do table.sort({ 3, 2, 1 }, function(x, y) return x < y end) end end,
    }
    for _, loop in ipairs(loops) do
      assert.has_error(function() dewar.timeout(0.02, dewar.work, loop) end)
    end
    -- All threads are free again.
    local works = {}
    for i = 1, 8 do works[i] = function() return dewar.work(function(n) return n end, i) end end
    assert.are.same({ 1, 2, 3, 4, 5, 6, 7, 8 }, { dewar.gather(table.unpack(works)) })
  end)

  it("drops work that has not begun", function()
    local app = dewar.app()
    app.config.WORK_THREADS = 1
    finally(function() app.config.WORK_THREADS = nil end)
    local name = os.tmpname()
    os.remove(name)
    local tasks = {}
    for i = 1, 40 do tasks[i] = dewar.spawn(dewar.work, function() while true do end end) end
    local late = dewar.spawn(dewar.work, function() assert(io.open(name, "w")):close() end)
    dewar.sleep(0.01)
    late:cancel()
    fails_with("cancelled", dewar.await, late)
    for _, task in ipairs(tasks) do task:cancel() end
    for _, task in ipairs(tasks) do fails_with("cancelled", dewar.await, task) end
    assert.is_nil(io.open(name))
    assert.are.equal(2, dewar.work(function() return 2 end))
  end)

  it("refuses what would reach beyond the thread", function()
    fails_with("os.exit can't be used inside of dewar.work", dewar.work, function() os.exit(1) end)
    fails_with("debug.sethook can't be used", dewar.work, function() debug.sethook() end)
    fails_with("the runtime of Dewar can't be used", dewar.work, function() require "dewar.core" end)
  end)

  it("has coroutines as stock Lua has them", function()
    local results = dewar.work(function()
      local out = {}
      for v in coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end) do out[#out + 1] = v end
      out[#out + 1] = select(2, coroutine.resume(coroutine.create(function() error("oops", 0) end)))
      out[#out + 1] = select(2, pcall(coroutine.wrap(function() error("wrapped", 0) end))):match "wrapped$"
      out[#out + 1] = select("#", coroutine.resume(coroutine.create(function(...) return ... end), 1, nil))
      return out
    end)
    assert.are.same({ 1, 2, 3, "oops", "wrapped", 3 }, results)
  end)

  it("survives a worker without memory", function()
    local app = dewar.app()
    finally(function() app.config.WORK_MEMORY_LIMIT = nil end)
    assert.has_error(function() app.config.WORK_MEMORY_LIMIT = -1 end)
    assert.has_error(function() app.config.WORK_THREADS = 0.5 end)
    app.config.WORK_MEMORY_LIMIT = 4 * 1024 * 1024
    fails_with("the worker has reached its memory limit", dewar.work, function()
      local t = {}
      while true do t[#t + 1] = ("x"):rep(1000) .. #t end
    end)
    assert.is_false(dewar.work(function() return (pcall(string.rep, "x", 8 * 1024 * 1024)) end))
    assert.are.equal(1, dewar.work(function() return 1 end))
  end)
end)
