-- app.session_interface: sessions that an app opens and saves itself.
local dewar = require "dewar"
local clean = require "spec.support.clean"

clean.watch(before_each, after_each)

describe("an app's own session_interface", function()
  local app, client, log, interface

  local function note(text) log[#log + 1] = text end

  before_each(function()
    log = {}
    app = dewar.app { config = { TESTING = true } }
    interface = {
      open = function(a, req)
        assert(rawequal(a, app))
        note("open " .. req.path .. " " .. tostring(req.endpoint))
        return { path = req.path }
      end,
      save = function(a, req, session, res)
        assert(rawequal(a, app) and rawequal(session, req.session))
        note("save " .. session.path .. " " .. res.status)
        res.headers.saved = session.value
      end,
    }
    app.session_interface = interface
    app:get("/", { endpoint = "home" }, function(req)
      note "view"
      req.session.value = "yes"
      return "home"
    end)
    app:get("/away", function() return "away" end)
    client = app:test_client()
  end)
  after_each(function() client:close() end)

  it("opens before the route is known, and saves what was opened", function()
    assert.are.equal("yes", client:get("/").headers.saved)
    assert.are.same({ "open / nil", "view", "save / 200" }, log)
  end)

  it("does so whatever becomes of the request", function()
    client:get "/away"
    client:get "/nowhere"
    assert.are.same({ "open /away nil", "save /away 200", "open /nowhere nil", "save /nowhere 404" }, log)
  end)

  it("lies inside of all middleware, whenever that was installed", function()
    local function middleware(name)
      return {
        request = function() note("in " .. name) end,
        response = function() note("out " .. name) end,
      }
    end
    app:use(middleware "a")
    app.session_interface = interface
    app:use(middleware "b")
    app:after_request(function(_, res) note "after" return res end)
    client:get "/"
    assert.are.same({
      "in a", "in b", "open / nil", "view", "after", "save / 200", "out b", "out a",
    }, log)
  end)

  it("is passed by where middleware answers instead", function()
    app:use { request = function() return "closed", 403 end }
    assert.are.equal(403, client:get("/").status)
    assert.are.same({}, log)
  end)

  it("opens for middleware that asks earlier", function()
    app:use { request = function(req) note("early " .. req.session.path) end }
    client:get "/"
    assert.are.same({ "open / nil", "early /", "view", "save / 200" }, log)
  end)

  it("saves what middleware has opened on the way out", function()
    app.session_interface = nil
    app.config.SECRET_KEY = "a key"
    app:use { response = function(req) req.session.late = true end }
    app:use { response = function() note "out" end }
    assert.matches("^session=", client:get("/away").headers.set_cookie)
  end)

  it("may wait, in tasks and in async functions, too", function()
    interface.open = dewar.async(function()
      dewar.sleep(0.001)
      note "opened"
      return {}
    end)
    interface.save = function(_, _, _, res)
      dewar.gather(function() dewar.sleep(0.002) end, function() dewar.sleep(0.001) end)
      note "saved"
      res:set_cookie("sid", "7")
    end
    client:get "/"
    assert.are.same({ "opened", "view", "saved" }, log)
    assert.are.equal("7", client.cookies.sid)
  end)

  it("may wait where middleware asks through dewar.session", function()
    interface.open = function() dewar.sleep(0.001) return { n = 1, list = { 1, 2 } } end
    app:use { request = function()
      note(dewar.session.n)
    end }
    app:use { request = function()
      dewar.session.m = 2
      for key in pairs(dewar.session) do note(key) end
    end }
    interface.save = function(_, _, session) note(session.m) end
    client:get "/away"
    table.sort(log, function(a, b) return tostring(a) < tostring(b) end)
    assert.are.same({ 1, 2, "list", "m", "n" }, log)
  end)

  it("is opened by the first of pairs, assignment and a call, too", function()
    local first = {
      ["/pairs"] = function() for _ in pairs(dewar.session) do note "pair" end end,
      ["/assign"] = function() dewar.session.x = 1 end,
      ["/call"] = function() assert(dewar.session().path) end,
      ["/length"] = function() assert(#dewar.session == 0) end,
    }
    interface.open = function(_, req) dewar.sleep(0) return { path = req.path } end
    interface.save = function(_, _, session) note(session.path) end
    app:use { request = function(req) if first[req.path] then first[req.path]() end end }
    for _, path in ipairs { "/pairs", "/assign", "/call", "/length" } do client:get(path) end
    assert.are.same({ "pair", "/pairs", "/assign", "/call", "/length" }, log)
  end)

  it("goes through the app's ensure_sync, each function once", function()
    local seen = {}
    function app:ensure_sync(f)
      seen[f] = (seen[f] or 0) + 1
      return dewar.App.ensure_sync(self, f)
    end
    client:get "/"
    client:get "/"
    assert.are.equal(1, seen[interface.open])
    assert.are.equal(1, seen[interface.save])
  end)

  it("may give anything that is indexed", function()
    local kept = {}
    interface.open = function()
      return setmetatable({}, {
        __index = function(_, key) return kept[key] end,
        __newindex = function(_, key, value) kept[key] = value end,
        __pairs = function() return next, kept end,
        __len = function() return 42 end,
      })
    end
    interface.save = function() end
    app:get("/strange", function()
      dewar.session.a = 1
      local keys = {}
      for key in pairs(dewar.session) do keys[#keys + 1] = key end
      return { keys, dewar.session.a, #dewar.session }
    end)
    assert.are.same({ { "a" }, 1, 42 }, client:get("/strange"):json())
  end)

  it("that opens none leaves one that can't be written to", function()
    interface.open = function() end
    app:get("/read", function(req) return tostring(req.session.a) end)
    assert.are.equal("nil", client:get("/read").body)
    assert.are.same({}, log)
    local ok, err = pcall(client.get, client, "/")
    assert.is_false(ok)
    assert.matches("session_interface_spec.lua:%d+: the session can't be changed: the app's "
      .. "session_interface has opened none", err)
  end)

  it("can wrap the one of cookies", function()
    app.config.SECRET_KEY = "a key"
    local cookies = dewar.App.session_interface
    interface.open = function(a, req)
      local session = cookies.open(a, req)
      session.opened = (session.opened or 0) + 1
      return session
    end
    interface.save = cookies.save
    client:get "/"
    client:get "/"
    assert.are.equal(3, client:session(function(session) return session.opened end))
  end)

  describe("that fails", function()
    local handled

    before_each(function()
      handled = nil
      app:errorhandler(dewar.Error, function(_, err)
        handled = tostring(err)
        return "handled", 500
      end)
      app:errorhandler(503, function() return "busy", 503 end)
    end)

    it("to open goes the way of errors, and may be asked again", function()
      local times = 0
      interface.open = function()
        times = times + 1
        if times == 1 then error "no store" end
        return {}
      end
      interface.save = function() note "saved" end
      app:after_request(function(req, res)
        note(type(req.session))
        return res
      end)
      assert.are.equal("handled", client:get("/").body)
      assert.matches("no store", handled)
      assert.are.same({ "table", "saved" }, log)
    end)

    it("to open may answer by abort", function()
      interface.open = function() dewar.abort(503) end
      assert.are.equal("busy", client:get("/").body)
    end)

    it("to save becomes a 500, which passes what is left", function()
      app:use { response = function(_, res) note("out " .. res.status) end }
      app.config.TESTING = false
      interface.save = function()
        note "save"
        error "no store"
      end
      local sink, logged = dewar.log.sink, nil
      dewar.log.sink = function(_, text) logged = text end
      local res = client:get "/"
      dewar.log.sink = sink
      assert.are.equal(500, res.status)
      assert.are.same({ "open / nil", "view", "save", "out 500" }, log)
      assert.matches("no store", logged)
    end)

    it("to save comes out of the client in specs", function()
      interface.save = function() error "no store" end
      local ok, err = pcall(client.get, client, "/")
      assert.is_false(ok)
      assert.matches("no store", err)
    end)

    it("as it asks for what it is opening", function()
      interface.open = function(_, req) return req.session end
      assert.are.equal("handled", client:get("/").body)
      assert.matches("req.session was used while the app's session_interface was opening it", handled)
    end)
  end)

  it("is checked where it is assigned", function()
    local function raises(message, value)
      local ok, err = pcall(function() dewar.app().session_interface = value end)
      assert.is_false(ok)
      assert.matches("session_interface_spec.lua:%d+: " .. message, err)
    end
    local words = "a session_interface has functions open%(app, req%) and save%(app, req, session, res%); got "
    raises(words .. "a string", "redis")
    raises(words .. "no open", {})
    raises(words .. "no save", { open = print })
    raises(words .. "no save", { open = print, save = "x" })
    local callable = setmetatable({}, { __call = function() end })
    dewar.app().session_interface = { open = callable, save = callable }
    client:get "/"
    local late = dewar.app()
    late:test_client():get "/"
    local ok, err = pcall(function() late.session_interface = interface end)
    assert.is_false(ok)
    assert.matches("session_interface_spec.lua:%d+: the app has handled its first request", err)
  end)

  it("serves the test client's session", function()
    local store = { ["7"] = { user = "ada" } }
    interface.open = function(a, req)
      assert(rawequal(a, app))
      return store[req.cookies.sid] or { id = "8" }
    end
    interface.save = function(a, _, session, res)
      assert(rawequal(a, app))
      if session.id then
        store[session.id] = session
        res:set_cookie("sid", session.id)
      end
    end
    client.cookies.sid = "7"
    assert.are.equal("ada", client:session(function(session) return session.user end))
    client.cookies.sid = nil
    client:session(function(session) session.user = "grace" end)
    assert.are.equal("8", client.cookies.sid)
    assert.are.equal("grace", store["8"].user)
  end)
end)
