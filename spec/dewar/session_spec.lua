-- Sessions in signed cookies.
local dewar = require "dewar"
local clean = require "spec.support.clean"
local core = require "dewar.core"
local signing = require "dewar.signing"

clean.watch(before_each, after_each)

local KEY = "a key for specs"

-- What a cookie says, without believing it.
local function payload_of(cookie)
  local text = assert(signing.unsign({ KEY }, "cookie-session", cookie))
  if text:sub(1, 1) ~= "." then return core.crypto.base64url_decode(text) end
  return core.crypto.inflate(core.crypto.base64url_decode(text:sub(2)), 1 << 20)
end

local function cookie_for(payload, key, salt, time)
  return signing.sign(key or KEY, salt or "cookie-session", core.crypto.base64url_encode(payload), time)
end

-- Calls f without a log; returns what was logged.
local function quietly(f)
  local records, sink = {}, dewar.log.sink
  dewar.log.sink = function(_, text) records[#records + 1] = text end
  local ok, err = pcall(f)
  dewar.log.sink = sink
  if not ok then error(err, 0) end
  return records
end

describe("a session", function()
  local app, client, views

  before_each(function()
    app = dewar.app { config = { TESTING = true, SECRET_KEY = KEY } }
    app:get("/set/<key>/<value>", function(req, key, value)
      req.session[key] = value
      return "set"
    end)
    app:get("/all", function(req) return req.session end)
    app:get("/away", function() return "seen nothing" end)
    views = {}
    app:get("/view/<name>", function(req, name) return views[name](req) end)
    client = app:test_client()
  end)
  after_each(function() client:close() end)

  -- A view of its own, and what asks for it.
  local function view(name, f)
    views[name] = f
    return function() return client:get("/view/" .. name) end
  end

  it("follows the browser from request to request", function()
    assert.are.equal("{}\n", client:get("/all").body)
    client:get "/set/user/ada"
    client:get "/set/color/red"
    assert.are.same({ user = "ada", color = "red" }, client:get("/all"):json())
    local other <close> = app:test_client()
    assert.are.same({}, other:get("/all"):json())
  end)

  it("is a table like any other", function()
    local ask = view("table", function(req)
      local session = req.session
      session[1], session.n = nil, 5
      table.sort(session)
      local found = {}
      for key, value in pairs(session) do found[#found + 1] = key .. "=" .. value end
      assert(next(session) and #session == 0 and rawlen(session) == 0)
      return table.concat(found, " ")
    end)
    assert.are.equal("n=5", ask().body)
  end)

  it("is reached through dewar.session, which may be kept anywhere", function()
    local session = dewar.session
    local ask = view("proxy", function(req)
      session.a, session.b = 1, { 2 }
      session.b[2] = 3
      session.a = nil
      local keys = {}
      for key in pairs(session) do keys[#keys + 1] = key end
      assert(rawequal(session(), req.session))
      assert(#session == 0 and keys[1] == "b" and #keys == 1)
      return { session.b[2], tostring(session) }
    end)
    assert.are.same({ 3, "dewar.session" }, ask():json())
    assert.is_nil(session())
    assert.are.equal("dewar.session (none here)", tostring(session))
    local ok, err = pcall(function() session.a = 1 end)
    assert.is_false(ok)
    assert.matches("session_spec.lua:%d+: dewar.session was used outside of a request", err)
  end)

  it("is the same in tasks of the request, and never another request's", function()
    local ask = view("tasks", function(req)
      dewar.gather(
        function() dewar.session.a = 1 dewar.yield() end,
        function() dewar.yield() dewar.session.b = dewar.session.a end)
      return { req.session.a, req.session.b }
    end)
    app:get("/slow/<name>", function(_, name)
      dewar.session.name = name
      for _ = 1, 5 do dewar.yield() end
      return dewar.session.name
    end)
    assert.are.same({ 1, 1 }, ask():json())
    local one, two = dewar.gather(
      function() return client:get("/slow/one").body end,
      function() return client:get("/slow/two").body end)
    assert.are.same({ "one", "two" }, { one, two })
  end)

  it("is sent only if it has changed", function()
    local res = client:get "/set/user/ada"
    assert.are.equal(1, #res.headers "Set-Cookie")
    assert.are.equal("Cookie", res.headers.vary)
    res = client:get "/all"
    assert.is_nil(res.headers.set_cookie)
    assert.are.equal("Cookie", res.headers.vary)
    assert.is_nil(client:get("/set/user/ada").headers.set_cookie)
    assert.is_truthy(client:get("/set/user/bob").headers.set_cookie)
  end)

  it("costs nothing to a request that doesn't ask for it", function()
    client:get "/set/user/ada"
    local res = client:get "/away"
    assert.is_nil(res.headers.set_cookie)
    assert.is_nil(res.headers.vary)
  end)

  it("notices changes within nested tables", function()
    view("begin", function(req) req.session.a = { b = { 1, 2 } } return "" end)()
    local change = view("change", function(req) table.insert(req.session.a.b, 3) return "" end)
    local undo = view("undo", function(req)
      local b = req.session.a.b
      b[#b + 1] = 4
      b[#b] = nil
      return ""
    end)
    assert.is_truthy(change().headers.set_cookie)
    assert.is_nil(undo().headers.set_cookie)
    assert.are.same({ a = { b = { 1, 2, 3 } } }, client:get("/all"):json())
  end)

  it("takes no other form of the same values for a change", function()
    client.cookies.session = cookie_for '{ "b": 1.50, "a" : "\\u0061\195\169" }'
    local res = client:get "/all"
    assert.are.same({ b = 1.5, a = "aé" }, res:json())
    assert.is_nil(res.headers.set_cookie)
  end)

  it("is taken away when it has been emptied", function()
    client:get "/set/user/ada"
    local empty = view("empty", function(req)
      for key in pairs(req.session) do req.session[key] = nil end
      return ""
    end)
    local line = empty().headers.set_cookie
    assert.matches("^session=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max%-Age=0; HttpOnly; Path=/$", line)
    assert.is_nil(client.cookies.session)
    assert.is_nil(empty().headers.set_cookie)
  end)

  it("may be opened by any hook, and is saved behind them", function()
    app:before_request(function(req) req.session.before = true end)
    app:after_request(function(req, res)
      req.session.after = true
      return res
    end)
    view("late", function()
      dewar.after_this_request(function(req, res)
        req.session.this = true
        return res
      end)
      return "late"
    end)()
    assert.are.equal('{"after":true,"before":true,"this":true}', payload_of(client.cookies.session))
  end)

  it("is saved with every kind of answer", function()
    app:errorhandler(404, function(req)
      req.session.missed = req.path
      return "not here", 404
    end)
    view("teapot", function(req) req.session.tea = true dewar.abort(418) end)
    view("stream", function(req)
      req.session.stream = true
      return coroutine.wrap(function() coroutine.yield "piece" end)
    end)
    for _, path in ipairs { "/nowhere", "/view/teapot", "/view/stream", "/set/x/y" } do
      assert.is_truthy(client:get(path).headers.set_cookie, path)
    end
    assert.are.same({ missed = "/nowhere", tea = true, stream = true, x = "y" }, client:get("/all"):json())
  end)

  it("can be read while the body is streamed", function()
    client:get "/set/user/ada"
    local res = view("stream", function()
      return coroutine.wrap(function() coroutine.yield(dewar.session.user) end)
    end)()
    assert.are.equal("ada", res.body)
    assert.is_nil((res.headers.vary or ""):find "Cookie")
  end)

  it("adds Cookie to a Vary that is there, once", function()
    local vary
    local ask = view("vary", function(req)
      return "x", { vary = req.session.nothing or vary }
    end)
    for given, sent in pairs {
      ["Accept-Encoding"] = "Accept-Encoding, Cookie",
      ["Accept, cookie"] = "Accept, cookie",
      ["*"] = "*",
      ["Set-Cookies"] = "Set-Cookies, Cookie",
    } do
      vary = given
      assert.are.equal(sent, ask().headers.vary)
    end
  end)

  it("keeps what JSON can say, and any bytes", function()
    local value = {
      text = "a\0b\n\"\\/\127é€\u{1F600}", bytes = "\255\254", int = math.maxinteger, float = 1.0,
      tiny = 5e-324, yes = true, no = false, list = { 1, { 2 }, {} }, array = dewar.array(),
      null = dewar.null, nested = { a = { b = { c = 1 } } }, ["é"] = 1, [""] = 2, [" t"] = 3,
    }
    local got
    view("keep", function(req) for k, v in pairs(value) do req.session[k] = v end return "" end)()
    view("take", function(req) got = req.session return "" end)()
    assert.are.same(value, got)
    assert.are.equal("float", math.type(got.float))
    assert.is_true(dewar.json.is_array(got.array))
    assert.is_nil(payload_of(client.cookies.session):find "[^ -~]")
  end)

  it("says what can't be kept, and the request fails", function()
    local bad
    local ask = view("bad", function(req) req.session.a = { b = bad } return "" end)
    local loop = {}
    loop.loop = loop
    for value, message in pairs {
      [print] = "the session can't be saved: .*a%.b.*function",
      [loop] = "the session can't be saved: it is nested more than 100 tables deep, or holds itself",
      [("x"):rep(300 * 1024)] = "the session can't be saved: it has %d+ bytes",
    } do
      bad = value
      local ok, err = pcall(ask)
      assert.is_false(ok)
      assert.matches(message, err)
      app.config.TESTING = false
      local res
      quietly(function() res = ask() end)
      app.config.TESTING = true
      assert.are.equal(500, res.status)
      assert.is_nil(res.headers.set_cookie)
    end
  end)

  it("has no keys but strings, since a list is no session", function()
    for key, kind in pairs { [1] = "number", [true] = "boolean" } do
      local ask = view(kind, function(req) req.session[key] = "a" return "" end)
      local ok, err = pcall(ask)
      assert.is_false(ok)
      assert.matches(("the session can't be saved: its keys are strings; one is a %s (%s)")
        :format(kind, tostring(key)), err, 1, true)
    end
  end)

  it("warns of a cookie that browsers will drop", function()
    local noise = {}
    for i = 1, 5000 do noise[i] = string.char(math.random(33, 126)) end
    local records = quietly(view("large", function(req)
      req.session.a = table.concat(noise)
      return ""
    end))
    assert.matches("the cookie 'session' has %d+ bytes; browsers drop those over 4093", records[1])
  end)

  describe("with settings of its own", function()
    it("has the cookie's name and attributes that they say", function()
      app.config:from_mapping {
        SESSION_COOKIE_NAME = "sid", SESSION_COOKIE_PATH = "/app", SESSION_COOKIE_DOMAIN = "localhost",
        SESSION_COOKIE_SECURE = true, SESSION_COOKIE_HTTPONLY = false, SESSION_COOKIE_SAMESITE = "Strict",
        SESSION_COOKIE_PARTITIONED = true,
      }
      app:get("/app/set", function(req) req.session.a = 1 return "" end)
      app:get("/app/empty", function(req) req.session.a = nil return "" end)
      local line = client:get("/app/set").headers.set_cookie
      assert.matches("^sid=[%w_.-]+; Domain=localhost; Secure; Path=/app; SameSite=Strict; Partitioned$", line)
      line = client:get("/app/empty").headers.set_cookie
      assert.matches("^sid=; Domain=localhost; Expires=.*; Secure; Path=/app; SameSite=Strict; Partitioned$", line)
      assert.is_nil(client.cookies.sid)
    end)

    it("lies where the app is mounted", function()
      app.config.APPLICATION_ROOT = "/mounted"
      assert.matches("; Path=/mounted$", client:get("/set/a/b").headers.set_cookie)
    end)

    it("refuses values that aren't right", function()
      for key, values in pairs {
        SECRET_KEY = { 5 },
        SECRET_KEY_FALLBACKS = { "key", { 5 }, { a = "key" }, { [3] = "key" } },
        SESSION_COOKIE_NAME = { "", "a b", "a;b", 5, false },
        SESSION_COOKIE_SAMESITE = { "lax", "", true },
        SESSION_COOKIE_SECURE = { "yes" },
        SESSION_COOKIE_DOMAIN = { true, "a b", "münchen.de", "" },
        PERMANENT_SESSION_LIFETIME = { "1", -1, 0 / 0, math.huge },
        SESSION_REFRESH_EACH_REQUEST = { 1 },
      } do
        for _, value in ipairs(values) do
          local ok, err = pcall(function() app.config[key] = value end)
          assert.is_false(ok, key)
          assert.matches("session_spec.lua:%d+: config." .. key .. " is a? ?", err)
        end
      end
      assert.has_error(function() app.config.SESSION_COOKIE_NAME = nil end)
      assert.has_error(function() app.config.PERMANENT_SESSION_LIFETIME = nil end)
      app.config.SECRET_KEY_FALLBACKS = nil
      app.config.SESSION_COOKIE_SAMESITE = nil
    end)
  end)

  describe("that is permanent", function()
    it("lasts, and is prolonged by who looks at it", function()
      view("stay", function(req) req.session._permanent = true return "" end)()
      local cookie = client:cookie "session"
      local month = 31 * 24 * 3600
      assert.is_true(math.abs(cookie.expires - os.time() - month) <= 2)
      assert.is_truthy(client:get("/all").headers.set_cookie)
      assert.is_nil(client:get("/away").headers.set_cookie)
      app.config.SESSION_REFRESH_EACH_REQUEST = false
      assert.is_nil(client:get("/all").headers.set_cookie)
      assert.is_truthy(client:get("/set/a/b").headers.set_cookie)
    end)

    it("ends with the browser's once it isn't any more", function()
      view("stay", function(req) req.session._permanent = true return "" end)()
      view("leave", function(req) req.session._permanent = nil req.session.a = 1 return "" end)()
      assert.is_nil(client:cookie("session").expires)
    end)
  end)

  describe("without a secret key", function()
    before_each(function() app.config.SECRET_KEY = nil end)

    it("is empty, and can be read", function()
      client.cookies.session = cookie_for '{"a":1}'
      local res = client:get "/all"
      assert.are.equal("{}\n", res.body)
      assert.is_nil(res.headers.set_cookie)
    end)

    it("says at the line that writes what is missing", function()
      local ask = view("write", function(req) req.session.a = 1 return "" end)
      for _, key in ipairs { false, "" } do
        app.config.SECRET_KEY = key or nil
        local ok, err = pcall(ask)
        assert.is_false(ok)
        assert.matches("session_spec.lua:%d+: the session can't be changed.*set app.config.SECRET_KEY", err)
      end
      local through = view("through", function() dewar.session.a = 1 return "" end)
      local ok, err = pcall(through)
      assert.is_false(ok)
      assert.matches("session_spec.lua:%d+: the session can't be changed", err)
    end)
  end)

  describe("whose key has changed", function()
    it("is still believed while the old key is a fallback", function()
      client.cookies.session = cookie_for('{"a":1}', "old")
      assert.are.equal("{}\n", client:get("/all").body)
      app.config.SECRET_KEY_FALLBACKS = { "older", "old" }
      assert.are.same({ a = 1 }, client:get("/all"):json())
    end)

    it("is signed with the new key when it changes", function()
      app.config.SECRET_KEY_FALLBACKS = { "old" }
      client.cookies.session = cookie_for('{"a":1}', "old")
      client:get "/set/b/c"
      assert.are.equal('{"a":1,"b":"c"}', payload_of(client.cookies.session))
    end)
  end)

  it("leaves nothing behind", function()
    view("nest", function(req)
      req.session.a = { (req.session.a or { 0 })[1] + 1, "\255" }
      return "x"
    end)
    clean.keeps_memory(function() client:get "/nest" end)
  end)
end)

describe("the test client's session", function()
  local app, client

  before_each(function()
    app = dewar.app { config = { TESTING = true, SECRET_KEY = KEY } }
    app:get("/user", function(req) return req.session.user or "nobody" end)
    client = app:test_client()
  end)
  after_each(function() client:close() end)

  it("is opened, changed and saved", function()
    client:session(function(session) session.user = "ada" end)
    assert.are.equal("ada", client:get("/user").body)
    client:session(function(session) session.user = session.user .. " l." end)
    assert.are.equal("ada l.", client:get("/user").body)
    client:session(function(session) session.user = nil end)
    assert.is_nil(client.cookies.session)
  end)

  it("gives what the function returns", function()
    assert.are.same({ 1, nil, 3, n = 3 }, table.pack(client:session(function() return 1, nil, 3 end)))
    assert.are.equal(0, select("#", client:session(function() end)))
  end)

  it("passes by middleware, hooks and routes", function()
    app:use { request = function() return "no entry", 403 end, response = function() error "not mine" end }
    app:before_request(function() error "nor mine" end)
    app:after_request(function() error "nor mine" end)
    app:teardown_request(function() error "nor mine" end)
    client:session(function(session) session.user = "ada" end)
    assert.are.equal("ada", client:session(function(session) return session.user end))
  end)

  it("is that of dewar.session, with the app's settings at hand", function()
    client:session(function(session)
      assert(dewar.session() == session)
      assert(dewar.current_app.config.SECRET_KEY == KEY)
      dewar.session.user = dewar.current_app.name
    end)
    assert.are.equal("app", client:get("/user").body)
  end)

  it("lies where the cookie lies", function()
    app.config.SESSION_COOKIE_PATH = "/admin"
    app:get("/admin/user", function(req) return req.session.user or "nobody" end)
    client:session(function(session) session.user = "ada" end)
    assert.are.equal("ada", client:session(function(session) return session.user end))
    assert.are.equal("ada", client:get("/admin/user").body)
    assert.are.equal("nobody", client:get("/user").body)
  end)

  it("takes the host and the path that it is for", function()
    local there = { headers = { Host = "example.com" } }
    client:session(function(session) session.user = "ada" end, there)
    assert.are.equal("nobody", client:get("/user").body)
    assert.are.equal("ada", client:get("/user", there).body)
    assert.are.equal("/x", client:session(function() return dewar.request.path end, { path = "/x" }))
  end)

  it("raises what the function raises, and saves nothing then", function()
    local ok, err = pcall(client.session, client, function(session)
      session.user = "ada"
      error "never mind"
    end)
    assert.is_false(ok)
    assert.matches("session_spec.lua:%d+: never mind", err)
    assert.is_nil(client.cookies.session)
  end)

  it("works inside of tasks, and may wait", function()
    dewar.run(function()
      client:session(function(session)
        dewar.sleep(0)
        session.user = "ada"
      end)
      assert.are.equal("ada", client:get("/user").body)
    end)
  end)

  it("says what is wrong with how it is called", function()
    local function raises(message, ...)
      local args = table.pack(...)
      local ok, err = pcall(function() client:session(table.unpack(args, 1, args.n)) end)
      assert.is_false(ok)
      assert.matches("session_spec.lua:%d+: " .. message, err)
    end
    raises("session takes a function%(session%); got a nil", nil)
    raises("session: unknown option 'paht'; did you mean 'path'?", print, { paht = "/" })
    client:close()
    client = app:test_client { cookies = false }
    raises("session: this client keeps no cookies", print)
  end)
end)
