-- config.CPU_LIMIT and config.MEMORY_LIMIT.
local dewar = require "dewar"

-- An app with a limit, its client, and what has been logged.
local function limited(config)
  local app = dewar.app()
  local records = {}
  local sink = dewar.log.sink
  dewar.log.sink = function(level, text) if level == "error" then records[#records + 1] = text end end
  for key, value in pairs(config) do app.config[key] = value end
  finally(function()
    dewar.log.sink = sink
    for key in pairs(config) do app.config[key] = nil end
  end)
  app:get("/fine", function() return "fine" end)
  return app, app:test_client(), records
end

describe("CPU_LIMIT", function()
  local function spin() while true do end end

  local loops = {
    ["a loop"] = spin,
    ["a loop that makes garbage"] = function() while true do local _ = {} end end,
    ["a loop of pcalls"] = function() while true do pcall(spin) end end,
    ["a loop of pcalls that make garbage"] = function() while true do pcall(error, {}) end end,
    ["a loop of xpcalls"] = function() while true do xpcall(spin, function() end) end end,
    ["new coroutines"] = function() while true do pcall(coroutine.wrap(spin)) end end,
    ["coroutines in coroutines"] = function()
      coroutine.wrap(function() coroutine.wrap(function() while true do pcall(spin) end end)() end)()
    end,
    ["a coroutine that was there before"] = function()
      local co = coroutine.create(function() while true do pcall(coroutine.yield) end end)
      while true do pcall(coroutine.resume, co) end
    end,
    ["what is to be closed"] = function()
      local _ <close> = setmetatable({}, { __close = spin })
      spin()
    end,
    ["a comparison"] = function() table.sort({ 3, 2, 1, 5 }, function() spin() end) end,
  }

  for name, loop in pairs(loops) do
    it("stops " .. name .. ", and the app lives on", function()
      local app, client, records = limited { CPU_LIMIT = 0.05 }
      app:get("/", function()
        loop()
        return "never"
      end)
      assert.are.equal(500, client:get("/").status)
      assert.are.equal("fine", client:get("/fine").body)
      local text = table.concat(records, "\n")
      assert.truthy(text:find("config.CPU_LIMIT", 1, true), text)
      assert.truthy(text:find("watchdog_spec.lua:", 1, true), text)
      client:close()
    end)
  end

  it("raises an error that a handler can tell", function()
    local app, client = limited { CPU_LIMIT = 0.05 }
    app:errorhandler(dewar.CPULimitError, function() return "too long", 503 end)
    app:get("/", function() spin() end)
    local res = client:get("/")
    assert.are.same({ 503, "too long" }, { res.status, res.body })
    client:close()
  end)

  it("lets go of what stops by itself, and gives it time to clean up", function()
    local app, client = limited { CPU_LIMIT = 0.05 }
    app:get("/", function()
      local ok, err = pcall(spin)
      local n = 0
      for i = 1, 1000 do n = n + i end
      dewar.sleep(0)
      for i = 1, 1000 do n = n + i end
      return { ok = ok, limit = dewar.CPULimitError:is(err), n = n }
    end)
    assert.are.same({ ok = false, limit = true, n = 1001000 }, client:get("/"):json())
    client:close()
  end)

  it("stops tasks in the background", function()
    local _, client, records = limited { CPU_LIMIT = 0.05 }
    local task = dewar.spawn(spin)
    local ok, err = pcall(dewar.await, task)
    assert.is_false(ok)
    assert.is_true(dewar.CPULimitError:is(err))
    assert.are.equal(0, #records)
    client:close()
  end)

  it("doesn't count time that is spent waiting", function()
    local app, client = limited { CPU_LIMIT = 0.05 }
    app:get("/", function()
      for _ = 1, 4 do dewar.sleep(0.03) end
      return "slow"
    end)
    assert.are.equal("slow", client:get("/").body)
    client:close()
  end)

  it("refuses what is no time", function()
    local app = dewar.app()
    assert.has_error(function() app.config.CPU_LIMIT = "soon" end)
    assert.has_error(function() app.config.CPU_LIMIT = -1 end)
  end)
end)

describe("MEMORY_LIMIT", function()
  local function held() return math.floor(collectgarbage "count" * 1024) end

  it("answers 503 to a request that wants too much, and the app lives on", function()
    collectgarbage()
    local app, client, records = limited { MEMORY_LIMIT = held() + 8 * 1024 * 1024 }
    app:get("/rep", function() return ("x"):rep(16 * 1024 * 1024) end)
    app:get("/table", function()
      local t = {}
      while true do table.insert(t, {}) end
    end)
    for _ = 1, 3 do
      assert.are.equal(503, client:get("/rep").status)
      assert.are.equal(503, client:get("/table").status)
      assert.are.equal("fine", client:get("/fine").body)
    end
    assert.is_true(#records >= 1 and #records < 6) -- at most one a second
    assert.truthy(records[1]:find("config.MEMORY_LIMIT", 1, true))
    client:close()
  end)

  it("answers 503 where a hook or an error handler wants too much", function()
    collectgarbage()
    local app, client = limited { MEMORY_LIMIT = held() + 8 * 1024 * 1024 }
    local passed, torn = 0, {}
    local function much() return ("x"):rep(16 * 1024 * 1024) end
    app:get("/after", function()
      dewar.after_this_request(much)
      return "never"
    end)
    app:get("/error", function() error "broken" end)
    app:errorhandler(dewar.Error, much)
    app:after_request(function(_, res)
      passed = passed + 1
      return res
    end)
    app:teardown_request(function(_, err) torn[#torn + 1] = tostring(err) end)
    assert.are.equal(503, client:get("/after").status)
    assert.are.equal(503, client:get("/error").status)
    assert.are.equal(2, passed)
    assert.are.same({ "nil", "nil" }, torn)
    client:close()
  end)

  it("goes on once what was held is free", function()
    collectgarbage()
    local app, client = limited { MEMORY_LIMIT = held() + 8 * 1024 * 1024 }
    local leak = {}
    app:get("/leak", function()
      for i = 1, 100 do leak[#leak + 1] = ("x"):rep(10000) .. #leak .. i end
      return "leaked"
    end)
    local statuses = {}
    for _ = 1, 12 do
      local status = client:get("/leak").status
      statuses[status] = (statuses[status] or 0) + 1
    end
    assert.is_true(statuses[200] >= 4)
    assert.is_true(statuses[503] >= 1)
    leak = {}
    assert.are.equal("leaked", client:get("/leak").body)
    client:close()
  end)

  it("refuses a limit that is passed already, and what is no size", function()
    local app = dewar.app()
    assert.has_error(function() app.config.MEMORY_LIMIT = 1 end)
    assert.has_error(function() app.config.MEMORY_LIMIT = "much" end)
  end)
end)
