-- Views that wait: what the tasks of requests promise, over HTTP.

local dewar = require "dewar"

--- A value whose going out of scope is written down.
local function closing(f)
  return setmetatable({}, { __close = f })
end

--- Lets the loop turn until the condition holds.
local function eventually(condition)
  for _ = 1, 2000 do
    if condition() then return end
    dewar.sleep(0.001)
  end
  error("it never came to be", 2)
end

describe("a view that waits", function()
  local app, client
  before_each(function() app = dewar.app() end)
  after_each(function()
    if client then client:close() client = nil end
  end)

  local function open()
    client = client or app:test_client()
    return client
  end

  it("shares one worker with others: 100 views that sleep 1 s take about 1 s", function()
    app:get("/", function() dewar.sleep(1) return "slept" end)
    open()
    local before = dewar.now()
    dewar.run(function()
      local tasks = {}
      for i = 1, 100 do tasks[i] = dewar.spawn(client.get, client, "/") end
      for _, task in ipairs(tasks) do assert.are.equal("slept", dewar.await(task).body) end
    end)
    local took = dewar.now() - before
    assert.is_true(took >= 1 and took < 1.5, took)
  end)

  it("overlaps what it gathers: 10 sleeps of 0.2 s take less than 0.4 s", function()
    app:get("/", function()
      local sleeps = {}
      for i = 1, 10 do sleeps[i] = function() dewar.sleep(0.2) return i end end
      return { dewar.gather(table.unpack(sleeps)) }
    end)
    open()
    local before = dewar.now()
    assert.are.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, client:get("/"):json())
    assert.is_true(dewar.now() - before < 0.4)
  end)

  it("sees only its own request and g, at every wait", function()
    app:before_request(function(req)
      dewar.yield()
      dewar.g.name = req.args.name
    end)
    app:get("/", function(req)
      for _ = 1, 20 do
        assert(dewar.request.args.name == req.args.name)
        assert(dewar.g.name == req.args.name)
        dewar.yield()
        assert(dewar.await(dewar.spawn(function()
          dewar.yield()
          return dewar.g.name
        end)) == req.args.name)
      end
      return dewar.g.name
    end)
    app:teardown_request(function(req)
      dewar.yield()
      assert(dewar.g.name == req.args.name)
    end)
    open()
    dewar.run(function()
      local tasks = {}
      for i = 1, 20 do
        tasks[i] = dewar.spawn(function() return client:get("/?name=n" .. i).body end)
      end
      for i, task in ipairs(tasks) do assert.are.equal("n" .. i, dewar.await(task)) end
    end)
  end)

  it("may be an async function, a callable, or serve several routes", function()
    local function shared(req) dewar.yield() return req.path end
    app:get("/async", dewar.async(function() dewar.sleep(0.001) return "async" end))
    app:get("/callable", setmetatable({}, { __call = function(_, req) dewar.yield() return req.path end }))
    app:get("/a", shared)
    app:get("/b", shared)
    open()
    assert.are.equal("async", client:get("/async").body)
    assert.are.equal("/callable", client:get("/callable").body)
    assert.are.equal("/a", client:get("/a").body)
    assert.are.equal("/b", client:get("/b").body)
  end)

  it("may be a coroutine's function but not a coroutine", function()
    local ok, message = pcall(app.get, app, "/", coroutine.create(function() end))
    assert.is_false(ok)
    assert.matches("could run only once", message)
  end)

  it("works under a decorator that knows nothing of async", function()
    local function shout(f)
      return function(...) return f(...) end
    end
    app:get("/", shout(dewar.async(function() dewar.sleep(0.001) return "loud" end)))
    assert.are.equal("loud", open():get("/").body)
  end)

  it("is told that what it returned gives itself when it is awaited", function()
    app.config.TESTING = true
    local odd = setmetatable({}, { __await = function(self) return self end })
    app:get("/", { endpoint = "odd" }, function() return odd end)
    app:get("/more", { endpoint = "more" }, function() return odd, 201, { A = "b" } end)
    open()
    local _, err = pcall(client.get, client, "/")
    assert.matches("the view of 'odd' returned an awaitable that gives itself", err)
    _, err = pcall(client.get, client, "/more")
    assert.matches("the view of 'more' returned an awaitable that gives itself", err)
  end)

  it("works under a decorator that uses ensure_sync", function()
    local function twice(f)
      return function(...)
        local g = dewar.current_app:ensure_sync(f)
        return g(...) .. g(...)
      end
    end
    app:get("/", twice(dewar.async(function() dewar.sleep(0.001) return "x" end)))
    app:get("/plain", twice(function() return "y" end))
    assert.are.equal("xx", open():get("/").body)
    assert.are.equal("yy", client:get("/plain").body)
  end)

  it("waits in class-based views, at both levels", function()
    local Counter = dewar.View:extend "Counter"
    function Counter:init(n) self.n = n end
    Counter.dispatch_request = dewar.async(function(self, req)
      dewar.sleep(0.001)
      self.n = self.n + 1
      return req.path .. self.n
    end)
    local Method = dewar.MethodView:extend "Method"
    function Method:get() dewar.sleep(0.001) return "got" end
    Method.post = dewar.async(function() dewar.sleep(0.001) return "posted" end)
    app:add_url_rule("/count", Counter:as_view(1))
    app:add_url_rule("/method", Method:as_view())
    open()
    assert.are.equal("/count2", client:get("/count").body)
    assert.are.equal("/count2", client:get("/count").body)
    assert.are.equal("got", client:get("/method").body)
    assert.are.equal("", client:head("/method").body)
    assert.are.equal("posted", client:post("/method").body)
    assert.are.equal(405, client:put("/method").status)
  end)

  it("passes everything through an overridden ensure_sync, once each, views registered before too", function()
    local seen = {}
    local function view() return "view" end
    local function before() end
    local function handler() return "handled" end
    local function teardown() end
    app:get("/", view)
    app:get("/none", function() dewar.abort(404) end)
    app:before_request(before)
    app:errorhandler(404, handler)
    app:teardown_request(teardown)
    function app:ensure_sync(f)
      seen[f] = (seen[f] or 0) + 1
      return dewar.App.ensure_sync(self, f)
    end
    open()
    for _ = 1, 3 do
      assert.are.equal("view", client:get("/").body)
      assert.are.equal("handled", client:get("/none").body)
    end
    for _, f in ipairs { view, before, handler, teardown } do assert.are.equal(1, seen[f]) end
  end)

  it("passes url_defaults, build-error handlers, redirects and class-based methods through it, too", function()
    local seen = {}
    local function counted(app_, f)
      seen[f] = (seen[f] or 0) + 1
      return dewar.App.ensure_sync(app_, f)
    end
    local defaults = dewar.async(function(_, values) dewar.sleep(0.001) values.lang = "de" end)
    local fallback = dewar.async(function(_, endpoint) dewar.sleep(0.001) return "/built/" .. endpoint end)
    local target = dewar.async(function(_, values) dewar.sleep(0.001) return "/to/" .. values.x end)
    local after = dewar.async(function(_, res) dewar.sleep(0.001) return res end)
    local Method = dewar.MethodView:extend "Method"
    Method.get = dewar.async(function(_, req)
      req.app:after_this_request(after)
      dewar.sleep(0.001)
      return app:url_for "/class" .. " " .. app:url_for "none"
    end)
    app:url_defaults(defaults)
    app:url_build_error_handler(fallback)
    app:add_url_rule("/from/<x>", { redirect_to = target })
    app:add_url_rule("/class", Method:as_view())
    app.ensure_sync = counted
    open()
    for _ = 1, 3 do
      assert.are.equal("/class?lang=de /built/none", client:get("/class").body)
      assert.are.equal("/to/7", client:get("/from/7").headers.Location)
    end
    for _, f in ipairs { defaults, fallback, target, Method.get } do assert.are.equal(1, seen[f]) end
    assert.are.equal(3, seen[after])
  end)

  it("may give dewar.stream an async function or a callable", function()
    app:get("/async", function()
      return dewar.stream(dewar.async(function(write) write "a" dewar.sleep(0.001) write "b" end))
    end)
    app:get("/callable", function()
      return dewar.stream(setmetatable({}, { __call = function(_, write) write "c" end }))
    end)
    assert.are.equal("ab", open():get("/async").body)
    assert.are.equal("c", client:get("/callable").body)
  end)

  it("cancels what it has left running when the response is out, before teardown", function()
    local log = {}
    app:get("/", function()
      dewar.spawn(function()
        local _ <close> = closing(function() log[#log + 1] = "closed" end)
        dewar.sleep(100)
      end)
      dewar.yield()
      return "done"
    end)
    app:teardown_request(function() log[#log + 1] = "teardown" end)
    assert.are.equal("done", open():get("/").body)
    assert.are.same({ "closed", "teardown" }, log)
  end)

  it("leaves work behind by add_background_task, with the app and without a request", function()
    local result
    app:get("/", function()
      app:add_background_task(function(a, b)
        dewar.sleep(0.01)
        result = { a, b, dewar.current_app.name == app.name, pcall(function() return dewar.request.path end) }
      end, 1, 2)
      return "started"
    end)
    assert.are.equal("started", open():get("/").body)
    assert.is_nil(result)
    eventually(function() return result end)
    assert.are.same({ 1, 2, true, false }, { table.unpack(result, 1, 4) })
    assert.matches("dewar.request was used outside of a request", result[5])
  end)

  it("has the errors of its background tasks logged with their traceback, and their app let go", function()
    local records, sink = {}, dewar.log.sink
    dewar.log.sink = function(_, text) records[#records + 1] = text end
    finally(function() dewar.log.sink = sink end)
    local function deep() dewar.sleep(0.001) error "in the background" end
    local function work() deep() return "never" end
    local held
    app:get("/", function()
      app:add_background_task(work)
      held = app:add_background_task(dewar.sleep, 100)
      return "started"
    end)
    assert.are.equal("started", open():get("/").body)
    eventually(function() return records[1] end)
    assert.matches("in the background", records[1])
    assert.matches("'deep'", records[1])
    assert.are.equal("running", held.status)
    held:cancel()
    client:close()
    local weak = setmetatable({ app }, { __mode = "v" })
    app, client, held = nil, nil, nil -- luacheck: ignore 311
    for _ = 1, 20 do
      dewar.sleep(0.001)
      collectgarbage()
    end
    assert.is_nil(weak[1])
  end)

  it("is told at the yield that it yielded something else than an awaitable", function()
    app.config.TESTING = true
    app:get("/", function()
      coroutine.yield {}
      return "never"
    end)
    open()
    local ok, err = pcall(client.get, client, "/")
    assert.is_false(ok)
    assert.matches("async_spec.lua:%d+: .*awaitable", err)
  end)

  it("is told to await what its generator yields as a chunk", function()
    app.config.TESTING = true
    app:get("/", function()
      return coroutine.wrap(function() coroutine.yield(dewar.spawn(dewar.sleep, 0)) end)
    end)
    open()
    local ok, err = pcall(client.get, client, "/")
    assert.is_false(ok)
    assert.matches("dewar.await", tostring(err))
  end)

  it("awaits across pcall, metamethods, iterators and generators", function()
    app:get("/", function()
      local out = {}
      pcall(function() dewar.sleep(0.001) out[#out + 1] = "pcall" end)
      xpcall(function() dewar.sleep(0.001) out[#out + 1] = "xpcall" end, print)
      local _ = setmetatable({}, { __index = function(_, k) dewar.sleep(0.001) return k end }).meta
      out[#out + 1] = "index"
      for v in function(_, i) dewar.sleep(0.001) return not i and 1 or nil end do out[#out + 1] = "for" .. v end
      for v in coroutine.wrap(function() dewar.sleep(0.001) coroutine.yield "gen" end) do out[#out + 1] = v end
      return table.concat(out, " ")
    end)
    assert.are.equal("pcall xpcall index for1 gen", open():get("/").body)
  end)

  it("names the boundary where Lua can't yield", function()
    app.config.TESTING = true
    app:get("/sort", function() table.sort({ 3, 1, 2 }, function(a, b) dewar.sleep(0.001) return a < b end) end)
    app:get("/gsub", function() return (("x"):gsub("x", function() dewar.sleep(0.001) end)) end)
    open()
    local _, err = pcall(client.get, client, "/sort")
    assert.matches("sort", err)
    _, err = pcall(client.get, client, "/gsub")
    assert.matches("gsub", err)
  end)
end)

describe("a client that goes away", function()
  local app, client, log
  before_each(function()
    app, log = dewar.app(), {}
    app:teardown_request(function(_, err)
      dewar.sleep(0.001)
      log[#log + 1] = "teardown " .. tostring(dewar.is_cancelled(err))
    end)
    app:errorhandler(dewar.Error, function() log[#log + 1] = "handler" return "x" end)
    app:after_request(function(_, res) log[#log + 1] = "after" return res end)
  end)
  after_each(function() client:close() end)

  --- Asks for path and goes away before the answer.
  local function leave(path, body)
    client = app:test_client()
    dewar.run(function()
      local part = dewar.spawn(function()
        return client:post(path, { stream = true, body = body })
      end)
      dewar.sleep(0.01)
      part:cancel()
      pcall(dewar.await, part)
    end)
    eventually(function() return log[#log] and log[#log]:find "teardown" end)
  end

  it("cancels the wait, closes what is open, and tears down once, without handlers and after hooks", function()
    app:post("/", function()
      local _ <close> = closing(function() log[#log + 1] = "closed" end)
      dewar.sleep(100)
      return "never"
    end)
    leave "/"
    assert.are.same({ "closed", "teardown true" }, log)
  end)

  it("is raised again at every later wait", function()
    app:post("/", function()
      for _ = 1, 3 do
        local ok, err = pcall(dewar.sleep, 100)
        log[#log + 1] = tostring(ok) .. tostring(dewar.is_cancelled(err))
      end
      return "never"
    end)
    leave "/"
    assert.are.same({ "falsetrue", "falsetrue", "falsetrue", "teardown true" }, log)
  end)

  it("is not noticed by what a shield runs; its caller is cancelled after it", function()
    app:post("/", function()
      local ok = pcall(dewar.shield, function()
        dewar.sleep(0.03)
        log[#log + 1] = "shielded"
      end)
      log[#log + 1] = tostring(ok)
      return "never"
    end)
    leave "/"
    assert.are.same({ "shielded", "false", "teardown true" }, log)
  end)

  it("ends a view that goes on swallowing it", function()
    local rounds = 0
    app:post("/", function()
      while true do
        rounds = rounds + 1
        pcall(dewar.sleep, 100)
      end
    end)
    local sink = dewar.log.sink
    dewar.log.sink = function() end
    finally(function() dewar.log.sink = sink end)
    leave "/"
    assert.are.equal("teardown true", log[#log])
    assert.is_true(rounds >= 100 and rounds < 110)
  end)

  it("closes a stream's generator and cancels its tasks", function()
    app:get("/", function()
      return coroutine.wrap(function()
        local _ <close> = closing(function() log[#log + 1] = "closed" end)
        dewar.spawn(function()
          local _ <close> = closing(function() log[#log + 1] = "task" end)
          dewar.sleep(100)
        end)
        while true do
          coroutine.yield "x"
          dewar.sleep(0.001)
        end
      end)
    end)
    client = app:test_client()
    local part = client:get("/", { stream = true })
    assert.are.equal("x", part:chunks()())
    part:close()
    assert.are.same({ "after", "closed", "task", "teardown true" }, log)
  end)

  it("is ignored with CANCEL_ON_DISCONNECT = false", function()
    app.config.CANCEL_ON_DISCONNECT = false
    app:post("/", function()
      dewar.sleep(0.03)
      log[#log + 1] = "went on"
      return "done"
    end)
    leave "/"
    assert.are.same({ "went on", "after", "teardown false" }, log)
  end)
end)
