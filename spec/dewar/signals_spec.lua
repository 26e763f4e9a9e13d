-- Signals: lua/dewar/signals.lua, and where dispatch sends them.

local dewar = require "dewar"

local function join(list) return table.concat(list, " ") end

describe("a signal", function()
  it("is the same wherever its name is asked for", function()
    local signal = dewar.signal "spec-same"
    assert.are.equal(signal, dewar.signal "spec-same")
    assert.are.equal(signal, dewar.signals["spec-same"])
    assert.are.equal("dewar.Signal: spec-same", tostring(signal))
    assert.are.equal(dewar.signals.request_started, dewar.signal "request_started")
  end)

  it("calls its receivers in the order of connecting, with the sender and one table", function()
    local signal, seen, tables = dewar.signal "spec-order", {}, {}
    for i = 1, 3 do
      signal:connect(function(sender, fields)
        seen[i] = sender .. fields.text .. i
        tables[i] = fields
      end)
    end
    signal:send("from ", { text = "me " })
    assert.are.equal("from me 1 from me 2 from me 3", join(seen))
    assert.are.equal(tables[1], tables[3])
    signal:send("from ", tables[1])
  end)

  it("gives receivers a table where the sender has nothing to say", function()
    local got
    dewar.signal "spec-empty":connected_to(function(_, fields) got = fields end, function()
      dewar.signal "spec-empty":send("me")
    end)
    assert.are.same({}, got)
  end)

  it("tells a receiver with a sender only what that one sends", function()
    local signal, seen = dewar.signal "spec-sender", {}
    local a, b = {}, {}
    local function receiver() seen[#seen + 1] = "heard" end
    signal:connect(receiver, a)
    signal:send(b)
    signal:send(nil)
    assert.are.same({}, seen)
    signal:send(a)
    assert.are.equal("heard", join(seen))
    assert.are.same({}, signal:receivers(b))
    assert.are.same({ receiver }, signal:receivers(a))
    assert.are.same({ receiver }, signal:receivers())
  end)

  it("connects the same only once", function()
    local signal, count = dewar.signal "spec-once", 0
    local function receiver() count = count + 1 end
    assert.are.equal(receiver, signal:connect(receiver))
    signal:connect(receiver)
    signal:send("me")
    assert.are.equal(1, count)
  end)

  it("disconnects what was connected, and nothing else", function()
    local signal, seen = dewar.signal "spec-disconnect", {}
    local function one() seen[#seen + 1] = "one" end
    local function two() seen[#seen + 1] = "two" end
    signal:connect(one)
    signal:connect(two)
    signal:disconnect(one, "a sender")
    signal:disconnect(print)
    signal:send("me")
    signal:disconnect(one)
    signal:send("me")
    assert.are.equal("one two two", join(seen))
  end)

  it("lets a receiver disconnect itself and connect others while it is sent", function()
    local signal, seen = dewar.signal "spec-change", {}
    local function late() seen[#seen + 1] = "late" end
    local function once()
      seen[#seen + 1] = "once"
      signal:disconnect(dewar.signal "spec-change"._once)
      signal:connect(late)
    end
    signal._once = once
    signal:connect(once)
    signal:connect(function() seen[#seen + 1] = "always" end)
    signal:send("me")
    signal:send("me")
    assert.are.equal("once always always late", join(seen))
  end)

  it("holds its receivers", function()
    local signal, count = dewar.signal "spec-hold", 0
    signal:connect(function() count = count + 1 end)
    collectgarbage()
    collectgarbage()
    signal:send("me")
    assert.are.equal(1, count)
  end)

  it("raises what a receiver raises, where it is sent", function()
    local signal = dewar.signal "spec-raise"
    local late = false
    signal:connect(function() error({ "mine" }) end)
    signal:connect(function() late = true end)
    local ok, err = pcall(signal.send, signal, "me")
    assert.is_false(ok)
    assert.are.same({ "mine" }, err)
    assert.is_false(late)
  end)

  it("lets receivers wait, async functions among them", function()
    local signal, seen = dewar.signal "spec-wait", {}
    signal:connect(function() dewar.sleep(0.001) seen[#seen + 1] = "slept" end)
    signal:connect(dewar.async(function() dewar.sleep(0.001) seen[#seen + 1] = "async" end))
    dewar.run(function()
      signal:send("me")
      seen[#seen + 1] = "sent"
    end)
    assert.are.equal("slept async sent", join(seen))
  end)

  it("is connected for the time of a call, whatever becomes of that", function()
    local signal, seen = dewar.signal "spec-connected-to", {}
    local function receiver(_, fields) seen[#seen + 1] = fields.n end
    local a, b = signal:connected_to(receiver, function()
      dewar.sleep(0.001)
      signal:send("me", { n = 1 })
      return "a", nil
    end)
    assert.are.equal("a", a)
    assert.is_nil(b)
    local ok, err = pcall(signal.connected_to, signal, receiver, function()
      signal:send("me", { n = 2 })
      error("own", 0)
    end)
    assert.is_false(ok)
    assert.are.equal("own", err)
    signal:send("me", { n = 3 })
    assert.are.equal("1 2", join(seen))
    signal:connect(receiver)
    signal:connected_to(receiver, function() end)
    assert.are.same({ receiver }, signal:receivers())
  end)

  it("tells who misuses it what is wrong, at their line", function()
    local signal = dewar.signal "spec-misuse"
    local cases = {
      { "connect: the receiver must be a function; got nil", function() signal:connect() end },
      { "connect: the receiver is a coroutine", function() signal:connect(coroutine.create(print)) end },
      { "disconnect: the receiver must be a function; got a number", function() signal:disconnect(1) end },
      { "connected_to: what is called must be a function", function() signal:connected_to(print, 1) end },
      { "send: the fields are a table; got a string",
        function() signal:connect(print) signal:send("me", "text") end },
      { "signal takes a name", function() dewar.signal "" end },
      { "signal takes a name .* got a nil", function() dewar.signal() end },
      { "there is no signal 'request_startet'; did you mean 'request_started'%?",
        function() return dewar.signals.request_startet end },
      { "dewar.signal makes new ones", function() return dewar.signals.zzzzzzzzzzzzzz end },
      { "signals can't be assigned", function() dewar.signals.mine = 1 end },
    }
    for _, case in ipairs(cases) do
      local ok, err = pcall(case[2])
      assert.is_false(ok, case[1])
      assert.matches("signals_spec.lua:%d+: .*" .. case[1], err)
    end
  end)
end)

describe("the signals of a request", function()
  local app, client, connected
  before_each(function()
    app, connected = dewar.app(), {}
    client = app:test_client()
    app:get("/", { endpoint = "home" }, function() return "home" end)
    app:get("/boom", function() error("boom", 0) end)
  end)
  after_each(function()
    client:close()
    for _, undo in ipairs(connected) do undo() end
  end)

  local function connect(name, f, sender)
    dewar.signals[name]:connect(f, sender)
    connected[#connected + 1] = function() dewar.signals[name]:disconnect(f, sender) end
  end

  it("come once the route is known, when the response is ready and at the end", function()
    local log = {}
    app:use { request = function() log[#log + 1] = "in" end,
      response = function() log[#log + 1] = "out" end }
    app:before_request(function() log[#log + 1] = "before" end)
    app:after_request(function(_, res) log[#log + 1] = "after" return res end)
    app:teardown_request(function() log[#log + 1] = "teardown" end)
    connect("request_started", function(sender, fields)
      assert(sender == app)
      log[#log + 1] = "started:" .. fields.request.endpoint
    end)
    connect("request_finished", function(_, fields)
      log[#log + 1] = "finished:" .. fields.response.status .. fields.request.path
    end)
    connect("request_tearing_down", function(_, fields)
      log[#log + 1] = "torn down:" .. tostring(fields.exc)
    end)
    assert.are.equal("home", client:get("/").body)
    assert.are.equal("in started:home before after out finished:200/ teardown torn down:nil", join(log))
  end)

  it("come for a 404, too", function()
    local log = {}
    connect("request_started", function(_, fields) log[#log + 1] = tostring(fields.request.endpoint) end)
    connect("request_finished", function(_, fields) log[#log + 1] = fields.response.status end)
    client:get "/nowhere"
    assert.are.equal("nil 404", join(log))
  end)

  it("may be listened to after the app's first request, and no longer", function()
    local count = 0
    assert.are.equal("home", client:get("/").body)
    local function receiver() count = count + 1 end
    connect("request_started", receiver, app)
    client:get "/"
    dewar.signals.request_started:disconnect(receiver, app)
    client:get "/"
    assert.are.equal(1, count)
  end)

  it("are told apart by app", function()
    local other, log = dewar.app(), {}
    other:get("/", function() return "other" end)
    local second <close> = other:test_client()
    connect("request_finished", function() log[#log + 1] = "mine" end, app)
    connect("request_finished", function(sender) log[#log + 1] = sender == other and "all:other" or "all:mine" end)
    client:get "/"
    second:get "/"
    assert.are.equal("mine all:mine all:other", join(log))
  end)

  it("reach apps that are made later", function()
    local seen
    connect("request_started", function(sender) seen = sender end)
    local later = dewar.app()
    local own <close> = later:test_client()
    own:get "/"
    assert.are.equal(later, seen)
  end)

  it("have the request's context, and may wait", function()
    local log = {}
    for _, name in ipairs { "request_started", "request_finished", "request_tearing_down" } do
      connect(name, function()
        dewar.sleep(0.001)
        dewar.g.n = (rawget(dewar.g(), "n") or 0) + 1
        log[#log + 1] = dewar.request.path .. dewar.g.n
      end)
    end
    client:get "/"
    assert.are.equal("/1 /2 /3", join(log))
  end)

  it("take a proxy of the app for the app", function()
    local seen = 0
    local signal = dewar.signal "spec-proxy"
    app:get("/send", function()
      signal:send(dewar.current_app)
      return "sent"
    end)
    signal:connected_to(function(sender) seen = sender end, function() client:get "/send" end, app)
    assert.are.equal(app, seen)
  end)

  it("pass receivers through the app's ensure_sync, each once", function()
    local wrapped = {}
    local function receiver() end
    function app:ensure_sync(f)
      wrapped[#wrapped + 1] = f
      return dewar.App.ensure_sync(self, f)
    end
    connect("request_started", receiver)
    client:get "/nowhere"
    client:get "/nowhere"
    assert.are.same({ receiver }, wrapped)
  end)

  it("hand an error nobody handled to got_request_exception and teardown", function()
    local log = {}
    app:errorhandler(500, function() return "sorry", 500 end)
    connect("got_request_exception", function(sender, fields)
      assert(sender == app)
      dewar.sleep(0.001)
      log[#log + 1] = fields.exception .. fields.request.path
    end)
    connect("request_tearing_down", function(_, fields) log[#log + 1] = fields.exc end)
    assert.are.equal("sorry", client:get("/boom").body)
    assert.are.equal("boom/boom boom", join(log))
  end)

  it("leave out of got_request_exception what was handled or is an HTTP error", function()
    local Own, seen = dewar.Error:extend("Own", {}), nil
    app:get("/own", function() error(Own "mine") end)
    app:errorhandler(Own, function() return "handled" end)
    connect("got_request_exception", function(_, fields) seen = fields.exception end)
    client:get "/own"
    client:get "/nowhere"
    assert.is_nil(seen)
  end)

  it("tell of errors that propagate to the test client", function()
    local seen
    app.config.TESTING = true
    connect("got_request_exception", function(_, fields) seen = fields.exception end)
    assert.has_error(function() client:get "/boom" end)
    assert.are.equal("boom", seen)
  end)

  it("tell of a failing after_request once, and of a failing stream", function()
    local seen = {}
    app:get("/stream", function()
      return coroutine.wrap(function()
        coroutine.yield "a"
        error("cut", 0)
      end)
    end)
    app:after_request(function(req, res)
      if req.path == "/" then error("after", 0) end
      return res
    end)
    connect("got_request_exception", function(_, fields)
      dewar.sleep(0.001)
      seen[#seen + 1] = fields.exception
    end)
    assert.are.equal(500, client:get("/").status)
    assert.has_error(function() client:get "/stream" end)
    assert.are.equal("after cut", join(seen))
  end)

  it("log an error in a receiver of got_request_exception, and go on with the first one", function()
    local logged = {}
    dewar.log.sink = function(_, text) logged[#logged + 1] = text end
    app:errorhandler(500, function(_, err) return "500 of " .. err.original, 500 end)
    connect("got_request_exception", function() error "receiver's" end)
    local res = client:get "/boom"
    dewar.log.sink = nil
    assert.are.equal("500 of boom", res.body)
    assert.matches("A receiver of got_request_exception failed: .*receiver's", join(logged))
    assert.matches("Exception on /boom %[GET%]", join(logged))
  end)

  it("turn an error in a receiver of request_started into the request's", function()
    local ran = false
    app:before_request(function() ran = true end)
    app:errorhandler(403, function() return "no", 403 end)
    connect("request_started", function() dewar.abort(403) end)
    assert.are.equal("no", client:get("/").body)
    assert.is_false(ran)
  end)

  it("answer 500, once, where a receiver of request_finished fails", function()
    local count = 0
    connect("request_finished", function() count = count + 1 error "no" end)
    assert.are.equal(500, client:get("/").status)
    assert.are.equal(1, count)
    assert.are.equal(500, client:get("/boom").status)
    assert.are.equal(2, count)
  end)

  it("log an error in a receiver of request_tearing_down", function()
    local logged = {}
    dewar.log.sink = function(_, text) logged[#logged + 1] = text end
    connect("request_tearing_down", function() error "late" end)
    local res = client:get "/"
    dewar.log.sink = nil
    assert.are.equal("home", res.body)
    assert.matches("A receiver of request_tearing_down failed on /", join(logged))
  end)

  it("let a receiver of request_finished change the response", function()
    connect("request_finished", function(_, fields) fields.response.headers["X-Seen"] = "yes" end)
    assert.are.equal("yes", client:get("/").headers["X-Seen"])
  end)

  it("tell teardown's listeners that the client went away", function()
    local seen
    app:get("/wait", function()
      return coroutine.wrap(function()
        coroutine.yield "first"
        dewar.sleep(100)
      end)
    end)
    connect("request_tearing_down", function(_, fields)
      dewar.sleep(0.001)
      seen = fields.exc
    end)
    local part = client:get("/wait", { stream = true })
    part:chunks()()
    part:close()
    assert.is_true(dewar.is_cancelled(seen))
  end)
end)
