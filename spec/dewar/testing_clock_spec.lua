-- The virtual clock: it stays virtual, so it has a file, and a process, to itself.
local dewar = require "dewar"

describe("the virtual clock", function()
  local app, client

  before_each(function()
    app = dewar.app()
    client = app:test_client { clock = "virtual" }
  end)
  after_each(function() client:close() end)

  it("stands still until it is advanced", function()
    local before = dewar.now()
    app:get("/", function() return "x" end)
    client:get("/")
    assert.are.equal(before, dewar.now())
    client.clock:advance(60)
    assert.are.equal(before + 60, dewar.now())
    client.clock:advance(0)
    assert.are.equal(before + 60, dewar.now())
  end)

  it("makes sessions old", function()
    if not pcall(require("dewar.core").crypto.hmac, "sha1", "key", "text") then
      return pending "this Dewar was built without OpenSSL"
    end
    app.config:from_mapping { SECRET_KEY = "a key for specs", PERMANENT_SESSION_LIFETIME = 60 }
    app:get("/", function(req) return req.session.user or "nobody" end)
    client:session(function(session) session.user = "ada" end)
    client.clock:advance(59)
    assert.are.equal("ada", client:get("/").body)
    client.clock:advance(2)
    assert.are.equal("nobody", client:get("/").body)
    client:session(function(session) session.user, session._permanent = "ada", true end)
    for _ = 1, 5 do
      client.clock:advance(40)
      assert.are.equal("ada", client:get("/").body)
    end
    client.clock:advance(61)
    assert.is_nil(client.cookies.session)
  end)

  it("runs what falls due, in order, and nothing else", function()
    local log, start = {}, dewar.now()
    local function note(name) log[#log + 1] = name .. " " .. math.floor(dewar.now() - start + 0.5) end
    for i = 3, 1, -1 do dewar.spawn(function() dewar.sleep(i * 10) note("a" .. i) end) end
    local every = dewar.spawn(function()
      while true do dewar.sleep(7) note "b" end
    end)
    client.clock:advance(20)
    assert.are.same({ "b 7", "a1 10", "b 14", "a2 20" }, log)
    client.clock:advance(9)
    assert.are.same({ "b 21", "b 28" }, table.move(log, 5, #log, 1, {}))
    every:cancel()
    client.clock:advance(100)
    assert.are.equal("a3 30", log[#log])
  end)

  it("waits for long chains of work at one moment", function()
    local log, start = {}, dewar.now()
    app:get("/", function() for _ = 1, 20 do dewar.yield() end return "x" end)
    dewar.spawn(function()
      dewar.sleep(1)
      for _ = 1, 3 do client:get("/") end
      log[#log + 1] = dewar.now() - start
      dewar.sleep(5)
      log[#log + 1] = dewar.now() - start
    end)
    client.clock:advance(100)
    assert.are.equal(1, math.floor(log[1] + 0.5))
    assert.are.equal(6, math.floor(log[2] + 0.5))
  end)

  it("moves timeouts of tasks and of requests", function()
    local task = dewar.spawn(function()
      return pcall(dewar.timeout, 30, function() dewar.sleep(1000) end)
    end)
    client.clock:advance(29)
    assert.are.equal("running", task.status)
    client.clock:advance(1)
    local ok, err = dewar.await(task)
    assert.is_false(ok)
    assert.is_true(dewar.TimeoutError:is(err))
    app:get("/", { timeout = 2 }, function() dewar.sleep(10) return "late" end)
    local request = dewar.spawn(function() return client:get("/").status end)
    client.clock:advance(2)
    assert.are.equal(503, dewar.await(request))
  end)

  it("moves the deadlines of connections", function()
    local slow <close> = client:connect()
    slow:send "GET / HTTP/1.1\r\nHo"
    client.clock:advance(9)
    assert.are.equal("waiting", select(2, slow:receive()))
    client.clock:advance(2)
    local text, state = slow:receive()
    assert.matches("^HTTP/1%.1 408 ", text)
    assert.are.equal("closed", state)
  end)

  it("lets an idle connection go, and the next request opens another", function()
    app:get("/", function() return "x" end)
    assert.are.equal("x", client:get("/").body)
    client.clock:advance(1000)
    assert.are.equal("x", client:get("/").body)
  end)

  it("is advanced from inside of a task, too", function()
    local slept = false
    dewar.spawn(function() dewar.sleep(10) slept = true end)
    dewar.run(function()
      dewar.yield()
      client.clock:advance(11)
    end)
    assert.is_true(slept)
  end)

  it("is the clock of cookies", function()
    app:get("/set", function() return "x", 200, { ["Set-Cookie"] = "a=1; Max-Age=60" } end)
    client:get("/set")
    client.clock:advance(59)
    assert.are.equal("1", client.cookies.a)
    client.clock:advance(1)
    assert.is_nil(client.cookies.a)
  end)

  it("tells of a wait that only more time could end", function()
    local ok, err = pcall(dewar.sleep, 10)
    assert.is_false(ok)
    assert.matches("can never end: .* the clock is virtual", err)
  end)

  it("can't go back", function()
    for _, wrong in ipairs { -1, 0 / 0, "1", {} } do
      local ok, err = pcall(function() client.clock:advance(wrong) end)
      assert.is_false(ok)
      assert.matches("testing_clock_spec%.lua:%d+: advance takes a number of seconds", err)
    end
  end)
end)
