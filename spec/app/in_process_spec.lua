-- An app that calls another one, or itself, from a view: by a client, without a
-- socket, in the same loop.
local dewar = require "dewar"
local clean = require "spec.support.clean"

local app, other, client, log
local sink = dewar.log.sink

before_each(function()
  log = {}
  dewar.log.sink = function(_, text) log[#log + 1] = text end
  app, other = dewar.app { name = "app" }, dewar.app { name = "other" }
  client = app:test_client()
end)
after_each(function()
  client:close()
  dewar.log.sink = sink
end)
clean.watch(before_each, after_each)

local function settle()
  for _ = 1, 50 do dewar.yield() end
end

--- A view that makes a client of the other app and calls f(client, req).
local function calling(f)
  return function(req)
    local inner <close> = other:test_client()
    return f(inner, req)
  end
end

describe("a view that calls another app", function()
  it("gets its answer", function()
    other:post("/double/<int:n>", function(req, n) return { n = 2 * n, sent = req:json() } end)
    app:get("/", calling(function(inner)
      local res = inner:post("/double/21", { json = { a = 1 } })
      return { status = res.status, body = res:json() }
    end))
    assert.are.same({ status = 200, body = { n = 42, sent = { a = 1 } } }, client:get("/"):json())
  end)

  it("is in its own context before and after, and the other one in its own", function()
    app.config.SECRET_KEY, other.config.SECRET_KEY = "a", "b"
    local function see()
      return ("%s %s %s %s"):format(dewar.current_app.name, dewar.request.path, tostring(dewar.g.who),
        tostring(dewar.session.who))
    end
    local inside
    other:get("/inside", function()
      dewar.g.who, dewar.session.who = "other", "them"
      dewar.yield()
      inside = see()
      return "ok"
    end)
    app:get("/outside", calling(function(inner)
      dewar.g.who, dewar.session.who = "app", "us"
      local before = see()
      assert.are.equal("ok", inner:get("/inside").body)
      assert.are.equal(before, see())
      return before
    end))
    assert.are.equal("app /outside app us", client:get("/outside").body)
    assert.are.equal("other /inside other them", inside)
  end)

  it("has the same in hooks and teardown of both", function()
    local seen = {}
    for _, one in ipairs { app, other } do
      one:before_request(function() seen[#seen + 1] = "before " .. dewar.current_app.name end)
      one:after_request(function(_, res)
        seen[#seen + 1] = "after " .. dewar.current_app.name
        return res
      end)
      one:teardown_request(function() seen[#seen + 1] = "teardown " .. dewar.current_app.name end)
    end
    other:get("/", function() return "" end)
    app:get("/", calling(function(inner) return inner:get("/").body end))
    client:get "/"
    assert.are.equal("before app, before other, after other, teardown other, after app, teardown app",
      table.concat(seen, ", "))
  end)

  it("holds up nobody else", function()
    local gate = dewar.event()
    other:get("/", function()
      gate:wait()
      return "at last"
    end)
    app:get("/slow", calling(function(inner) return inner:get("/").body end))
    app:get("/quick", function() return "quick" end)
    local slow = dewar.spawn(function() return client:get("/slow").body end)
    settle()
    assert.are.equal("quick", client:get("/quick").body)
    gate:set()
    assert.are.equal("at last", (dewar.await(slow)))
  end)

  it("may make ten calls at once, with one client", function()
    local most, now = 0, 0
    other:get("/<int:n>", function(_, n)
      now = now + 1
      most = math.max(most, now)
      settle()
      now = now - 1
      return tostring(n)
    end)
    app:get("/", calling(function(inner)
      local calls = {}
      for n = 1, 10 do calls[n] = function() return inner:get("/" .. n).body end end
      return table.concat({ dewar.gather(table.unpack(calls)) }, " ")
    end))
    assert.are.equal("1 2 3 4 5 6 7 8 9 10", client:get("/").body)
    assert.are.equal(10, most)
  end)

  it("may be one of ten that do, each with its context", function()
    other:get("/<name>", function(_, name)
      dewar.yield()
      return name .. " " .. dewar.request.path
    end)
    app:get("/<name>", calling(function(inner, req)
      local body = inner:get(req.path .. "-inner").body
      dewar.yield()
      return body .. " " .. dewar.request.path
    end))
    local calls = {}
    for i = 1, 10 do
      calls[i] = function()
        assert.are.equal(("n%d-inner /n%d-inner /n%d"):format(i, i, i), client:get("/n" .. i).body)
      end
    end
    dewar.gather(table.unpack(calls))
  end)

  it("gets an error as a 500, or raised where that app is tested", function()
    other:get("/", function() error "broken" end)
    app:get("/", calling(function(inner)
      local ok, res = pcall(inner.get, inner, "/")
      return ok and tostring(res.status) or "raised: " .. tostring(res):match "broken"
    end))
    assert.are.equal("500", client:get("/").body)
    other.config.TESTING = true
    assert.are.equal("raised: broken", client:get("/").body)
    assert.matches("^Exception on / %[GET%]", log[1])
  end)

  it("takes the call along when its client goes away", function()
    local torn = {}
    local gate = dewar.event()
    other:get("/", function()
      gate:set()
      dewar.sleep(3600)
    end)
    for _, one in ipairs { app, other } do
      one:teardown_request(function(_, err) torn[#torn + 1] = one.name .. " " .. tostring(dewar.is_cancelled(err)) end)
    end
    app:get("/", calling(function(inner) return inner:get("/").body end))
    local conn = client:connect()
    conn:send "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    gate:wait()
    conn:close()
    settle()
    assert.are.same({ "other true", "app true" }, torn)
  end)

  it("takes all of its calls along, and waits for their ends", function()
    local torn, gates = 0, 0
    other:get("/", function()
      gates = gates + 1
      dewar.sleep(3600)
    end)
    other:teardown_request(function()
      settle()
      torn = torn + 1
    end)
    app:get("/", calling(function(inner)
      local function call() return inner:get "/" end
      dewar.gather(call, call, call)
    end))
    app:teardown_request(function() torn = torn + 100 end)
    local conn = client:connect()
    conn:send "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    while gates < 3 do dewar.yield() end
    conn:close()
    assert.are.equal(103, torn)
  end)

  it("takes it along when its time is up", function()
    local torn = 0
    other:get("/", function() dewar.sleep(3600) end)
    other:teardown_request(function() torn = torn + 1 end)
    app:get("/", calling(function(inner)
      local ok, err = pcall(dewar.timeout, 0.02, inner.get, inner, "/")
      assert(not ok and dewar.TimeoutError:is(err), err)
      settle()
      return "gave up after " .. torn
    end))
    assert.are.equal("gave up after 1", client:get("/").body)
  end)

  it("may pass a stream on, piece by piece", function()
    local gate = dewar.event()
    other:get("/", function()
      return coroutine.wrap(function()
        coroutine.yield "one "
        gate:wait()
        coroutine.yield(dewar.current_app.name)
      end)
    end)
    app:get("/", function()
      local inner = other:test_client()
      local part = inner:get("/", { stream = true })
      return dewar.stream(function(write)
        local _ <close> = inner
        for piece in part:chunks() do write(piece) end
        write(" " .. dewar.current_app.name)
      end)
    end)
    local pieces = client:get("/", { stream = true }):chunks()
    assert.are.equal("one ", pieces())
    gate:set()
    local rest = {}
    for piece in pieces do rest[#rest + 1] = piece end
    assert.are.equal("other app", table.concat(rest))
  end)

  it("may send a body on as it comes", function()
    other:post("/", function(req)
      local n = 0
      for chunk in req:chunks() do n = n + #chunk end
      return tostring(n)
    end)
    app:post("/", calling(function(inner, req) return inner:post("/", { body = req:chunks(1000) }).body end))
    assert.are.equal("200001", client:post("/", { body = ("x"):rep(200001) }).body)
  end)

  if dewar.room then
    it("may talk to its websockets, also from a websocket", function()
      other:websocket("/echo", function(ws)
        for message in ws:messages() do ws:send(dewar.current_app.name .. ":" .. message) end
      end)
      app:get("/", calling(function(inner)
        local ws = inner:websocket "/echo"
        ws:send "hi"
        local answer = ws:receive()
        ws:close()
        return answer .. " in " .. dewar.current_app.name
      end))
      app:websocket("/through", calling(function(inner, ws)
        local behind = inner:websocket "/echo"
        for message in ws:messages() do
          behind:send(message)
          ws:send((behind:receive()))
        end
        behind:close()
      end))
      assert.are.equal("other:hi in app", client:get("/").body)
      local ws = client:websocket "/through"
      ws:send "a"
      assert.are.equal("other:a", ws:receive())
      ws:close()
      settle()
    end)
  end

  it("may keep its client for all requests, cookies and all", function()
    local inner = other:test_client()
    other:get("/", function(req)
      local n = (tonumber(req.cookies.n) or 0) + 1
      return tostring(n), nil, { ["Set-Cookie"] = "n=" .. n }
    end)
    app:get("/", function() return inner:get("/").body end)
    assert.are.same({ "1", "2", "3" }, { client:get("/").body, client:get("/").body, client:get("/").body })
    inner:close()
  end)
end)

describe("an app that calls itself", function()
  it("gets its own answer, as deep as it likes", function()
    app:get("/<int:n>", function(req, n)
      if n == 0 then return "0" end
      local inner <close> = app:test_client()
      local body = inner:get("/" .. n - 1).body
      assert(dewar.request() == req and req.view_args.n == n)
      return n .. " " .. body
    end)
    assert.are.equal("8 7 6 5 4 3 2 1 0", client:get("/8").body)
  end)

  it("may do so from hooks, tasks and background tasks", function()
    local seen = {}
    app:get("/inner", function() return "inner" end)
    app:get("/", function()
      local inner <close> = app:test_client()
      app:add_background_task(function()
        local own <close> = app:test_client()
        seen[#seen + 1] = own:get("/inner").body
      end)
      return (dewar.await(dewar.spawn(function() return inner:get("/inner").body end)))
    end)
    app:before_request(function(req)
      if req.path ~= "/" then return end
      local inner <close> = app:test_client()
      req.g.before = inner:get("/inner").body
    end)
    app:teardown_request(function(req)
      if req.path == "/" then
        local inner <close> = app:test_client()
        seen[#seen + 1] = req.g.before .. " " .. inner:get("/inner").body
      end
    end)
    assert.are.equal("inner", client:get("/").body)
    settle()
    table.sort(seen)
    assert.are.same({ "inner", "inner inner" }, seen)
  end)

  it("may call what is mounted in it, and the other way round", function()
    app:mount("/other", other)
    other:get("/", function(req)
      local around <close> = app:test_client()
      return around:get("/front").body .. " " .. req.script_root .. " " .. dewar.current_app.name
    end)
    app:get("/front", function() return dewar.current_app.name end)
    app:get("/", function()
      local own <close> = app:test_client()
      return own:get("/other/").body .. " " .. dewar.current_app.name
    end)
    assert.are.equal("app /other other app", client:get("/").body)
  end)

  it("leaves nothing behind, whatever becomes of it", function()
    app:get("/inner", function() return coroutine.wrap(function()
      for _ = 1, 3 do coroutine.yield "x" end
    end) end)
    app:get("/", function()
      local inner <close> = app:test_client()
      local part = inner:get("/inner", { stream = true })
      part:chunks()()
      return "left it"
    end)
    clean.keeps_memory(function() assert(client:get("/").body == "left it") end, 256)
  end)
end)
