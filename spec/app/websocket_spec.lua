-- WebSockets as an app sees them: views, hooks, errors, closing from all sides.
local dewar = require "dewar"
local caller = require "spec.support.caller"
local clean = require "spec.support.clean"

if not require("dewar.core").websocket_codec then
  pending "this build has no WebSocket"
  return
end

local sink = dewar.log.sink

--- An app with its client; TESTING unless `config` says otherwise.
local function new(setup, config, options)
  local app = dewar.app { config = { TESTING = true } }
  app.config:from_mapping(config or {})
  local log = {}
  setup(app, log)
  return app:test_client(options), log, app
end

--- An app whose only view is `view`, at "/".
local function serve(view, config, options)
  return new(function(app, log)
    app:websocket("/", view)
    app:teardown_request(function(_, err)
      log[#log + 1] = "teardown " .. (dewar.is_cancelled(err) and "cancelled" or tostring(err))
    end)
  end, config, options)
end

local function echo(ws)
  for message, kind in ws:messages() do
    if kind == "text" then ws:send(message) else ws:send_binary(message) end
  end
end

local function status_of(client, path, options)
  local ok, err = pcall(client.websocket, client, path, options)
  assert.is_false(ok)
  assert.is_true(dewar.Error:is(err), tostring(err))
  return err.status, err
end

describe("a websocket", function()
  local logged

  before_each(function()
    logged = {}
    dewar.log.sink = function(level, text) logged[#logged + 1] = level .. " " .. text end
  end)
  after_each(function() dewar.log.sink = sink end)
  clean.watch(before_each, after_each)

  -- --- Talking --------------------------------------------------------------------

  describe("that talks", function()
    it("gives each message and its kind", function()
      local client <close> = serve(echo)
      local ws = client:websocket "/"
      for _, text in ipairs { "hi", "", "ä€😀", ("x"):rep(70000) } do
        ws:send(text)
        assert.are.same({ text, "text" }, { ws:receive() })
        ws:send_binary(text)
        assert.are.same({ text, "binary" }, { ws:receive() })
      end
      ws:send_binary "\0\1\255"
      assert.are.same({ "\0\1\255", "binary" }, { ws:receive() })
      ws:close()
    end)

    it("has every field of a request, and the rule's values", function()
      local seen
      local client <close> = new(function(app)
        app:before_request(function(req) req.g.who = "ada" end)
        app:websocket("/rooms/<room>/<int:n>", { endpoint = "room" }, function(ws, room, n)
          seen = {
            ws.method, ws.path, ws.args.q, ws.headers.x_a, ws.cookies.c, ws.g.who, ws.endpoint,
            ws.view_args.room, room, n, dewar.request.path, dewar.g.who, ws.app == app,
          }
          ws:send "done"
        end)
      end)
      local ws = client:websocket("/rooms/lobby/7?q=1", { headers = { x_a = "b", cookie = "c=d" } })
      assert.are.equal("done", ws:receive())
      ws:close()
      assert.are.same({ "GET", "/rooms/lobby/7", "1", "b", "d", "ada", "room", "lobby", "lobby", 7,
        "/rooms/lobby/7", "ada", true }, seen)
    end)

    it("has the visitor's session", function()
      local client <close> = new(function(app)
        app.config.SECRET_KEY = "dev"
        app:websocket("/", function(ws) ws:send(ws.session.user or "nobody") end)
      end)
      local function user()
        local ws <close> = client:websocket "/"
        return (ws:receive())
      end
      assert.are.equal("nobody", user())
      client:session(function(session) session.user = "ada" end)
      assert.are.equal("ada", user())
    end)

    it("is accepted by the first receive, send, ping or close", function()
      for _, first in ipairs {
        function(ws) ws:receive() end,
        function(ws) ws:send "x" end,
        function(ws) ws:ping() end,
        function(ws) ws:close() end,
        function(ws) ws:messages() end,
      } do
        local before, after
        local client <close> = serve(function(ws)
          before = ws.accepted
          first(ws)
          after = ws.accepted
        end)
        client:websocket("/"):close()
        assert.is_false(before)
        assert.is_true(after)
      end
    end)

    it("is accepted with headers, cookies and a subprotocol", function()
      local offered
      local client <close> = serve(function(ws)
        offered = ws.subprotocols
        ws:accept { subprotocol = "v2", headers = { x_hello = "there", ["Set-Cookie"] = "a=b" } }
        ws:send "x"
      end)
      local ws = client:websocket("/", { subprotocols = { "v1", "v2" } })
      assert.are.same({ "v1", "v2" }, offered)
      assert.are.equal("v2", ws.subprotocol)
      assert.are.equal("there", ws.headers.x_hello)
      assert.are.equal("b", client.cookies.a)
      ws:close()
    end)

    it("may be sent to by several tasks", function()
      local client <close> = serve(function(ws)
        local tasks = {}
        for i = 1, 20 do
          tasks[i] = dewar.spawn(function()
            for j = 1, 20 do ws:send(("%d.%d"):format(i, j)) end
          end)
        end
        dewar.gather(table.unpack(tasks))
      end)
      local ws, last, count = client:websocket "/", {}, 0
      for message in ws:messages() do
        local i, j = message:match "^(%d+)%.(%d+)$"
        assert.are.equal((last[i] or 0) + 1, tonumber(j))
        last[i] = tonumber(j)
        count = count + 1
      end
      assert.are.equal(400, count)
      ws:close()
    end)

    it("may be received from by one task only", function()
      local message
      local client <close> = serve(function(ws)
        local other = dewar.spawn(function() return ws:receive() end)
        dewar.yield()
        local ok, err = pcall(ws.receive, ws)
        assert(not ok)
        message = err
        ws:send(dewar.await(other))
      end)
      local ws = client:websocket "/"
      ws:send "hi"
      assert.are.equal("hi", ws:receive())
      ws:close()
      assert.is_truthy(message:find("websocket_spec.lua:%d+: another task is receiving"))
    end)

    it("works inside tasks as well as outside of them", function()
      local client <close> = serve(echo)
      assert.are.equal("3 2 1", dewar.run(function()
        local ws <close> = client:websocket "/"
        local got = dewar.spawn(function()
          local list = {}
          for i = 1, 3 do list[i] = (ws:receive()) end
          return table.concat(list, " ")
        end)
        dewar.yield()
        for _, text in ipairs { "3", "2", "1" } do ws:send(text) end
        return (dewar.await(got))
      end))
    end)

    it("belongs to blueprints, too", function()
      local api = dewar.blueprint("api", { url_prefix = "/api" })
      local order = {}
      api:before_request(function() order[#order + 1] = "before" end)
      api:teardown_request(function() order[#order + 1] = "teardown" end)
      api:websocket("/ws/<name>", { endpoint = "ws" }, function(ws, name)
        ws:send(name .. " " .. ws.endpoint .. " " .. ws.blueprint)
      end)
      local client <close>, _, app = new(function(app)
        app.config.SERVER_NAME = "a.example"
        app:register_blueprint(api)
      end)
      local ws = client:websocket "/api/ws/x"
      assert.are.equal("x api.ws api", ws:receive())
      ws:close()
      assert.are.same({ "before", "teardown" }, order)
      assert.are.equal("ws://a.example/api/ws/x", app:url_for("api.ws", { name = "x", _external = true }))
    end)

    it("may have an async function as its view", function()
      local client <close> = serve(dewar.async(echo))
      local ws = client:websocket "/"
      ws:send "hi"
      assert.are.equal("hi", ws:receive())
      ws:close()
    end)
  end)

  -- --- Refusing -------------------------------------------------------------------

  describe("that is refused", function()
    it("gets what before_request returns as an HTTP answer", function()
      local client <close>, log = new(function(app, log)
        app:before_request(function() return "members only", 403, { x_why = "because" } end)
        app:after_request(function(_, res)
          log[#log + 1] = "after " .. res.status
          return res
        end)
        app:teardown_request(function(_, err) log[#log + 1] = "teardown " .. tostring(err) end)
        app:websocket("/", echo)
      end)
      local status, err = status_of(client, "/")
      assert.are.equal(403, status)
      assert.is_true(dewar.errors[403]:is(err))
      assert.are.equal("members only", err.response.body)
      assert.are.equal("because", err.response.headers.x_why)
      assert.are.same({ "after 403", "teardown nil" }, log)
    end)

    it("gets what its view returns before accepting", function()
      local client <close> = serve(function(ws)
        if ws.args.how == "table" then return { no = true }, 409 end
        if ws.args.how == "abort" then dewar.abort(401, "sign in") end
        return "no"
      end)
      local status, err = status_of(client, "/?how=table")
      assert.are.equal(409, status)
      assert.are.same({ no = true }, err.response:json())
      assert.are.equal(401, (status_of(client, "/?how=abort")))
      err = select(2, status_of(client, "/"))
      assert.are.equal(200, err.response.status)
      assert.are.equal("no", err.response.body)
    end)

    it("gets an error handler's answer for what was raised before accepting", function()
      local client <close> = new(function(app)
        app:errorhandler(dewar.Error, function(_, err) return "handled " .. tostring(err), 418 end)
        app:websocket("/", function() error("boom", 0) end)
      end)
      local status, err = status_of(client, "/")
      assert.are.equal(418, status)
      assert.are.equal("handled boom", err.response.body)
    end)

    it("raises what its view raised before accepting, with TESTING", function()
      local client <close> = serve(function() error "boom" end)
      local ok, err = pcall(client.websocket, client, "/")
      assert.is_false(ok)
      assert.is_truthy(err:find "boom")
      assert.is_truthy(err:find "view traceback")
    end)

    it("is a 404, a 400 or a 426 where there is no such thing", function()
      local client <close> = new(function(app)
        app:get("/http", function() return "http" end)
        app:post("/post", function() return "http" end)
        app:websocket("/ws", echo)
        app:get("/both", function() return "http" end)
        app:websocket("/both", function(ws) ws:send "websocket" end)
      end)
      assert.are.equal(404, (status_of(client, "/nowhere")))
      local status, err = status_of(client, "/http")
      assert.are.equal(400, status)
      assert.is_truthy(err.response.body:find "doesn.*t speak WebSocket")
      assert.are.equal(400, (status_of(client, "/post")))
      local res = client:get "/ws"
      assert.are.equal(400, res.status)
      assert.is_truthy(res.body:find "speaks WebSocket only")
      assert.is_nil(res.headers.upgrade)
      assert.are.equal("http", client:get("/both").body)
      local ws <close> = client:websocket "/both"
      assert.are.equal("websocket", ws:receive())
    end)

    it("is told what to speak where it asks for it wrongly", function()
      local client <close> = new(function(app)
        app:websocket("/ws", echo)
        app:errorhandler(426, function(_, err) return "use 13: " .. err.message, 426 end)
      end)
      local right = {
        upgrade = "websocket", connection = "Upgrade", sec_websocket_version = "13",
        sec_websocket_key = "dGhlIHNhbXBsZSBub25jZQ==",
      }
      local function answer(changes, method)
        local headers = {}
        for name, value in pairs(right) do headers[name] = value end
        for name, value in pairs(changes) do headers[name] = value or nil end
        return client:request(method or "GET", "/ws", { headers = headers })
      end
      local wrong = {
        { { sec_websocket_version = "8" } },
        { { sec_websocket_version = false } },
        { { sec_websocket_key = false } },
        { { sec_websocket_key = "short" } },
        { { sec_websocket_key = "AAAAAAAAAAAAAAAAAAAAAAAA" } },
        { { sec_websocket_key = { "dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ==" } } },
        { { connection = "keep-alive" } },
        { { upgrade = "h2c" } },
        { {}, "POST" },
      }
      for i, case in ipairs(wrong) do
        local res = answer(case[1], case[2])
        assert.are.equal(426, res.status, i)
        assert.are.equal("websocket", res.headers.upgrade)
        assert.are.equal("13", res.headers.sec_websocket_version)
        assert.is_truthy(res.headers.connection:find "Upgrade")
        assert.is_truthy(res.body:find "^use 13: ")
      end
      local res = answer {}
      assert.are.equal(101, res.status)
      assert.are.equal("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", res.headers.sec_websocket_accept)
    end)
  end)

  -- --- Ending ---------------------------------------------------------------------

  describe("that ends", function()
    it("closes with 1000 when its view is over", function()
      for _, view in ipairs {
        function() end,
        function(ws) ws:accept() end,
        function(ws) ws:send "x" end,
      } do
        local client <close>, log = serve(view)
        local ws = client:websocket "/"
        for _ in ws:messages() do end
        assert.are.equal(1000, ws.close_code)
        ws:close()
        assert.are.same({ "teardown nil" }, log)
      end
    end)

    it("closes with 1011 when its view fails, and the error is logged", function()
      local client <close>, log = serve(function(ws)
        ws:accept()
        error "boom"
      end, { TESTING = false })
      local ws = client:websocket "/"
      assert.are.same({ n = 3, nil, 1011, "" }, table.pack(ws:receive()))
      ws:close()
      assert.are.equal(1, #logged)
      assert.is_truthy(logged[1]:find "^error Exception on / %[GET%]")
      assert.is_truthy(logged[1]:find "boom")
      assert.are.equal(1, #log)
      assert.is_truthy(log[1]:find "boom")
    end)

    it("raises what its view raised, with TESTING", function()
      local function view(ws)
        ws:receive()
        error "boom"
      end
      local client <close> = serve(view)
      local ws = client:websocket "/"
      ws:send "go"
      local ok, err = pcall(ws.receive, ws)
      assert.is_false(ok)
      assert.is_truthy(err:find "boom")
      assert.is_truthy(err:find "view traceback")
      ws:close()
      ws = client:websocket "/"
      ws:send "go"
      ok, err = pcall(ws.close, ws)
      assert.is_false(ok)
      assert.is_truthy(err:find "boom")
    end)

    it("passes its error to the handlers, which may close it themselves", function()
      local Payment = dewar.Error:extend("Payment", { status = 402 })
      local seen = {}
      local client <close>, log = new(function(app, log)
        app:errorhandler(Payment, function(ws) ws:close(4402, "pay first") end)
        app:errorhandler(404, function() seen[#seen + 1] = 404 return "an answer that goes nowhere" end)
        app:errorhandler(dewar.Error, function(_, err) seen[#seen + 1] = tostring(err) end)
        app:after_request(function() error "there is no response" end)
        app:teardown_request(function(_, err) log[#log + 1] = tostring(err) end)
        app:websocket("/<what>", function(ws, what)
          ws:accept()
          if what == "pay" then error(Payment "no funds") end
          if what == "abort" then dewar.abort(404) end
          error("boom", 0)
        end)
      end)
      local function code_of(path)
        local ws <close> = client:websocket(path)
        return table.pack(ws:receive())
      end
      assert.are.same({ n = 3, nil, 4402, "pay first" }, code_of "/pay")
      assert.are.same({ n = 3, nil, 1008, "" }, code_of "/abort")
      assert.are.same({ n = 3, nil, 1011, "" }, code_of "/fail")
      assert.are.same({ 404, "boom" }, seen)
      assert.are.same({ "nil", "nil", "nil" }, log)
      assert.are.same({}, logged)
    end)

    it("closes with 1008 for an abort of the client's fault, 1011 for others", function()
      local client <close>, log = serve(function(ws)
        ws:accept()
        dewar.abort(tonumber(ws.args.status))
      end)
      for status, code in pairs { [403] = 1008, [503] = 1011 } do
        local ws <close> = client:websocket("/?status=" .. status)
        assert.are.same({ n = 3, nil, code, "" }, table.pack(ws:receive()))
      end
      assert.are.same({ "teardown nil", "teardown nil" }, log)
      assert.are.same({}, logged)
    end)

    it("closes with its view's code and reason, once", function()
      local fields
      local client <close> = serve(function(ws)
        ws:close(4001, "not you ä")
        ws:close(1000)
        fields = { ws.closed, ws.close_code, ws.close_reason, table.pack(ws:receive()) }
      end)
      local ws = client:websocket "/"
      assert.are.same({ n = 3, nil, 4001, "not you ä" }, table.pack(ws:receive()))
      ws:close()
      assert.are.same({ true, 4001, "not you ä", { n = 3, nil, 4001, "not you ä" } }, fields)
    end)

    it("is cancelled when the client vanishes", function()
      local caught, after
      local client <close>, log = serve(function(ws)
        ws:send "hi"
        local _, err = pcall(ws.receive, ws)
        caught = dewar.is_cancelled(err)
        ws:receive()
        after = true
      end)
      local ws = client:websocket "/"
      assert.are.equal("hi", ws:receive())
      ws:disconnect()
      assert.is_true(caught)
      assert.is_nil(after)
      assert.are.same({ "teardown cancelled" }, log)
      assert.are.same({}, logged)
    end)

    it("hears 1006 instead with CANCEL_ON_DISCONNECT = false", function()
      local got, closed
      local client <close>, log = serve(function(ws)
        got = table.pack(ws:receive())
        local _, err = pcall(ws.send, ws, "x")
        closed = dewar.WebSocketClosed:is(err) and err.close_code
      end, { CANCEL_ON_DISCONNECT = false })
      client:websocket("/"):disconnect()
      assert.are.same({ n = 3, nil, 1006, "" }, got)
      assert.are.equal(1006, closed)
      assert.are.same({ "teardown nil" }, log)
    end)

    it("may write to a client that has said goodbye, which is no failure", function()
      local err
      local client <close>, log = serve(function(ws)
        for _ in ws:messages() do end
        local _, e = pcall(ws.send, ws, "too late")
        err = e
        ws:send "too late"
      end, { TESTING = false })
      client:websocket("/"):close(4000, "bye")
      assert.is_true(dewar.WebSocketClosed:is(err))
      assert.are.equal("the client has closed the websocket with 4000: bye", err.message)
      assert.are.same({ 4000, "bye" }, { err.close_code, err.reason })
      assert.are.same({ "teardown nil" }, log)
      assert.are.same({}, logged)
    end)

    it("is cancelled where its view goes on with it for good", function()
      local function keep(what)
        return function(ws)
          ws:receive()
          while true do what(ws) end
        end
      end
      local ways = {
        keep(function(ws) ws:receive() end),
        keep(function(ws) pcall(ws.receive, ws) end),
        keep(function(ws)
          pcall(function()
            ws:send "x"
            dewar.sleep(0.001)
          end)
        end),
        function(ws)
          ws:close(4000)
          while true do pcall(ws.send, ws, "x") end
        end,
        function(ws)
          dewar.spawn(function()
            while true do pcall(ws.ping, ws) end
          end)
          for _ in ws:messages() do end
          dewar.sleep(100)
        end,
      }
      for i, view in ipairs(ways) do
        local client <close>, log = serve(view)
        client:websocket("/"):close()
        assert.are.same({ "teardown cancelled" }, log)
        assert.matches("the view of '/' is cancelled, since it went on using its websocket 100 times", logged[1],
          nil, tostring(i))
        logged = {}
      end
    end)

    it("runs its teardown once however it ends", function()
      local ends = {
        ["a close of the client"] = function(ws) ws:close() end,
        ["a client that vanishes"] = function(ws) ws:disconnect() end,
        ["a close of the view"] = function(ws) ws:send "close" ws:receive() end,
        ["an error"] = function(ws) ws:send "error" ws:receive() end,
        ["a return"] = function(ws) ws:send "return" ws:receive() end,
      }
      for name, finish in pairs(ends) do
        local client <close>, log = serve(function(ws)
          dewar.spawn(dewar.sleep, 3600)
          for message in ws:messages() do
            if message == "close" then ws:close() end
            if message == "error" then error "boom" end
            if message == "return" then return end
          end
        end, { TESTING = false })
        local ws = client:websocket "/"
        finish(ws)
        ws:disconnect()
        assert.are.equal(1, #log, name)
      end
    end)

    it("cancels the tasks that its view has left behind", function()
      local cleaned = false
      local client <close> = serve(function(ws)
        dewar.spawn(function()
          local guard <close> = setmetatable({}, { __close = function() cleaned = true end })
          while true do
            dewar.sleep(1)
            ws:send("tick", guard)
          end
        end)
        ws:receive()
      end)
      local ws = client:websocket "/"
      ws:send "stop"
      assert.are.equal(1000, select(2, ws:receive()))
      ws:close()
      assert.is_true(cleaned)
    end)
  end)

  -- --- A server that stops ----------------------------------------------------------

  describe("of a server that stops", function()
    it("closes with 1001, and its view may finish", function()
      local got, finished
      local client <close>, _, app = serve(function(ws)
        ws:send "ready"
        got = table.pack(ws:receive())
        dewar.sleep(0.01)
        finished = true
      end)
      local ws = client:websocket "/"
      assert.are.equal("ready", ws:receive())
      app:stop()
      assert.are.same({ n = 3, nil, 1001, "" }, table.pack(ws:receive()))
      ws:close()
      assert.are.same({ n = 3, nil, 1001, "" }, got)
      assert.is_true(finished)
    end)

    it("is cancelled where its view only sends", function()
      local client <close>, log, app = serve(function(ws)
        while true do
          ws:send "tick"
          dewar.sleep(3600)
        end
      end)
      local ws = client:websocket "/"
      assert.are.equal("tick", ws:receive())
      app:stop()
      assert.are.equal(1001, select(2, ws:receive()))
      ws:close()
      assert.are.same({ "teardown cancelled" }, log)
    end)
  end)

  -- --- Misuse ---------------------------------------------------------------------

  describe("that is misused", function()
    --- The message of what fn(ws) raises in a view, with its position cut off.
    local function misuse(fn)
      local message
      local client <close> = serve(function(ws)
        local ok, err = pcall(fn, ws)
        assert(not ok, "nothing was raised")
        message = tostring(err)
      end)
      client:websocket("/"):close()
      local place, text = message:match "^(.-):%d+: (.*)$"
      assert.is_truthy(place and place:find "websocket_spec.lua$", message)
      return text
    end

    it("says so in specs, too", function()
      local client <close> = serve(echo)
      local ws <close> = client:websocket "/"
      caller.refuses(function() ws:send {} end, "^send takes a string; got a table$")
      caller.refuses(function() ws:ping(("x"):rep(126)) end, "^ping: the data has 126 bytes; 125 fit$")
      caller.refuses(function() ws:close "a" end, "^close: the code is a whole number of 0 to 65535; got a string$")
      caller.refuses(function() ws:close(1000.5) end, "got 1000.5$")
      caller.refuses(function() ws:close(1000, {}) end, "^close: the reason is a string; got a table$")
      caller.refuses(function() ws:close(1000, ("x"):rep(124)) end, "^close: the reason has 124 bytes; 123 fit$")
      ws:send "still open"
      assert.are.equal("still open", (ws:receive()))
    end)

    it("says so at the caller's line", function()
      local cases = {
        { "send takes a string; got a nil", function(ws) ws:send() end },
        { "send takes a string; got a table (dewar.json.encode makes one of it)",
          function(ws) ws:send {} end },
        { "send: the text is not valid UTF-8; send bytes with send_binary",
          function(ws) ws:send "\xff" end },
        { "send_binary takes a string; got a boolean", function(ws) ws:send_binary(true) end },
        { "close: the code is a whole number such as 1000; got a string",
          function(ws) ws:close "bye" end },
        { "close: 1005 is no code that can be sent; use 1000, another registered one, or an own one of 4000 to 4999",
          function(ws) ws:close(1005) end },
        { "close: -1 is no code that can be sent; use 1000, another registered one, or an own one of 4000 to 4999",
          function(ws) ws:close(-1) end },
        { "close: the reason has 124 bytes; 123 fit", function(ws) ws:close(1000, ("x"):rep(124)) end },
        { "close: the reason is not valid UTF-8", function(ws) ws:close(1000, "\xff") end },
        { "this websocket was closed with 1000; nothing can be sent any more",
          function(ws) ws:close() ws:send "x" end },
        { "this websocket was closed with 1000; nothing can be sent any more",
          function(ws) ws:close() ws:ping() end },
        { "this websocket has been accepted already", function(ws) ws:accept() ws:accept() end },
        { "unknown option 'subprotcol'; did you mean 'subprotocol'?",
          function(ws) ws:accept { subprotcol = "x" } end },
        { "accept: the option 'subprotocol' is a string; got a number",
          function(ws) ws:accept { subprotocol = 7 } end },
        { "accept: the client does not offer the subprotocol 'x'; ws.subprotocols has what it offers",
          function(ws) ws:accept { subprotocol = "x" } end },
        { "accept: the header Sec-WebSocket-Protocol is the handshake's own; use the option 'subprotocol'",
          function(ws) ws:accept { headers = { ["sec-websocket-protocol"] = "x" } } end },
        { "accept: the header Upgrade is the handshake's own",
          function(ws) ws:accept { headers = { upgrade = "x" } } end },
        { "receive: the time must be 0 or more seconds, not -1", function(ws) ws:receive(-1) end },
        { "a request has no field 'recieve'; did you mean 'receive'?", function(ws) ws:recieve() end },
      }
      for _, case in ipairs(cases) do
        assert.are.equal(case[1], misuse(case[2]))
      end
    end)

    it("can't return something after accepting", function()
      local client <close> = serve(function(ws)
        ws:accept()
        return "bye"
      end, { TESTING = false })
      local ws = client:websocket "/"
      assert.are.equal(1011, select(2, ws:receive()))
      ws:close()
      assert.is_truthy(logged[1]:find("the view of '/' returned a string after its websocket was accepted", 1, true))
    end)

    it("can't be accepted by what runs before its view", function()
      local client <close> = new(function(app)
        app:before_request(function(req)
          local _, err = pcall(req.send, req, "x")
          return err, 409
        end)
        app:websocket("/", echo)
      end)
      local _, err = status_of(client, "/")
      assert.is_truthy(err.response.body:find "is accepted in its view")
    end)

    it("is no websocket in an HTTP request, or when it is over", function()
      local kept, message
      local client <close> = new(function(app)
        app:websocket("/", function(ws)
          kept = ws
          ws:accept()
        end)
        app:get("/", function(req)
          local send = pcall(function() return req.send end)
          local _, err = pcall(function() return req:receive() end)
          message = err
          return tostring(send)
        end)
      end)
      client:websocket("/"):close()
      local _, err = pcall(function() kept:send "x" end)
      assert.is_truthy(err:find "this request is over")
      assert.are.equal("false", client:get("/").body)
      assert.is_truthy(message:find "a request has no field 'receive'")
    end)

    it("is refused where a route is set up wrongly", function()
      local app = dewar.app()
      local cases = {
        { "websocket: unknown option 'methods'", { methods = { "POST" } }, echo },
        { "websocket: unknown option 'timout'; did you mean 'timeout'?", { timout = 1 }, echo },
        { "websocket: the view must be a function; got nil", {}, nil },
      }
      for _, case in ipairs(cases) do
        local ok, err = pcall(function() app:websocket("/", case[2], case[3]) end)
        assert.is_false(ok)
        assert.is_truthy(err:find("websocket_spec.lua:%d+: "), err)
        assert.is_truthy(err:find(case[1], 1, true), err)
      end
      local client <close> = serve(echo)
      for _, case in ipairs {
        { "websocket: subprotocols must be a list of names", { subprotocols = "chat" } },
        { "websocket: subprotocols: item 1 must be a word", { subprotocols = { "a b" } } },
        { "websocket: unknown option 'subprotocol'; did you mean 'subprotocols'?", { subprotocol = "x" } },
      } do
        local ok, err = pcall(function() client:websocket("/", case[2]) end)
        assert.is_false(ok)
        assert.is_truthy(err:find(case[1], 1, true), err)
      end
    end)
  end)

  it("gives its memory back", function()
    local client <close> = serve(echo)
    clean.keeps_memory(function()
      local ws = client:websocket "/"
      ws:send "hello"
      ws:receive()
      ws:close()
    end)
  end)
end)
