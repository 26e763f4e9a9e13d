-- app:mount: requests that go to another app, and what is whose there.
local dewar = require "dewar"
local caller = require "spec.support.caller"
local clean = require "spec.support.clean"

local outer, inner, client, log, logged
local sink = dewar.log.sink

local function note(text)
  return function(_, res)
    log[#log + 1] = text
    return res
  end
end

local function order() return table.concat(log, " ") end

before_each(function()
  log, logged = {}, {}
  dewar.log.sink = function(_, text) logged[#logged + 1] = text end
  outer, inner = dewar.app { name = "outer" }, dewar.app { name = "inner" }
  client = outer:test_client()
end)
after_each(function()
  client:close()
  dewar.log.sink = sink
end)
clean.watch(before_each, after_each)

local function text(words)
  return function() return words end
end

local function where(req)
  return { path = req.path, raw_path = req.raw_path, root = req.script_root, url = req.url, app = req.app.name }
end

describe("a mounted app", function()
  it("gets what is below its path, and sees the rest of it", function()
    inner:get("/users/<int:id>", function(req, id)
      local seen = where(req)
      seen.id = id
      return seen
    end)
    outer:mount("/admin", inner)
    assert.are.same({
      path = "/users/7", raw_path = "/users/7", root = "/admin", app = "inner", id = 7,
      url = "http://localhost/admin/users/7?a=b",
    }, client:get("/admin/users/7?a=b"):json())
  end)

  it("leaves all other paths to the app around it", function()
    inner:get("/", text "inner")
    outer:get("/", text "outer")
    outer:get("/admins", text "admins")
    outer:get("/<path:rest>", function(_, rest) return "rest " .. rest end)
    outer:mount("/admin", inner)
    assert.are.equal("outer", client:get("/").body)
    assert.are.equal("admins", client:get("/admins").body)
    assert.are.equal("rest administration/x", client:get("/administration/x").body)
    assert.are.equal("rest Admin/", client:get("/Admin/").body)
    assert.are.equal("rest admin%2F", client:get("/admin%2F").body)
    assert.are.equal("inner", client:get("/admin/").body)
  end)

  it("answers 404 and 405 by itself, also where the other app would have a rule", function()
    inner:post("/form", text "posted")
    inner:errorhandler(404, function(req) return "inner has no " .. req.path, 404 end)
    outer:errorhandler(404, function() return "outer has none", 404 end)
    outer:get("/<path:rest>", text "rest")
    outer:mount("/admin", inner)
    local res = client:get "/admin/nothing"
    assert.are.same({ 404, "inner has no /nothing" }, { res.status, res.body })
    assert.are.equal(405, client:get("/admin/form").status)
    assert.are.equal("OPTIONS, POST", client:get("/admin/form").headers.allow)
    assert.are.equal("OPTIONS, POST", client:options("/admin/form").headers.allow)
  end)

  it("has every method, also for files that nobody has", function()
    inner:route("/", { methods = { "GET", "POST", "PUT", "DELETE" } }, function(req)
      return req.method .. " " .. req:body()
    end)
    outer:mount("/admin", inner)
    for _, method in ipairs { "GET", "POST", "PUT", "DELETE" } do
      assert.are.equal(method .. " x", client:request(method, "/admin/", { body = "x" }).body)
    end
    assert.are.equal("", client:head("/admin/").body)
    assert.are.equal(405, client:patch("/admin/").status)
    assert.are.equal(200, client:request("OPTIONS", "*").status)
  end)

  it("is found by whole, decoded segments; nothing is decoded twice", function()
    inner:get("/<path:rest>", where)
    outer:mount("/a b/ü", inner)
    local seen = client:get("/%61%20b/%C3%BC/x%2Fy/%2525"):json()
    assert.are.equal("/x%2Fy/%2525", seen.path)
    assert.are.equal("/x%2Fy/%2525", seen.raw_path)
    assert.are.equal("/a%20b/%C3%BC", seen.root)
    assert.are.equal(404, client:get("/a b%2F%C3%BC/x").status)
    assert.are.equal(404, client:get("//a b/%C3%BC/x").status)
    assert.are.equal(400, client:get("/a%20b/%C3%BC/%zz").status)
  end)

  it("may take everything that goes nowhere else", function()
    local special = dewar.app()
    special:get("/x", text "special")
    inner:get("/", where)
    inner:get("/special", text "never")
    inner:get("/specials", text "specials")
    outer:mount("/special", special)
    outer:mount("/", inner)
    assert.are.same({ "/", "" }, { client:get("/"):json().path, client:get("/"):json().root })
    assert.are.equal("special", client:get("/special/x").body)
    assert.are.equal("specials", client:get("/specials").body)
    assert.are.equal(404, client:get("/special/").status)
  end)

  it("is the one with the longest path, however they were added", function()
    for _, prefix in ipairs { "/a/b", "/a", "/a/b/c", "/a/bc" } do
      local app = dewar.app { name = prefix }
      app:get("/<path:rest>", where)
      outer:mount(prefix, app)
    end
    for path, name in pairs {
      ["/a/x"] = "/a", ["/a/b/x"] = "/a/b", ["/a/b/c/x"] = "/a/b/c", ["/a/bc/x"] = "/a/bc", ["/a/b/cc"] = "/a/b",
    } do
      assert.are.equal(name, client:get(path):json().app)
    end
  end)

  it("can be mounted twice, and in apps that are mounted themselves", function()
    local deep = dewar.app { name = "deep" }
    deep:get("/x", { endpoint = "x" }, function(req)
      local seen = where(req)
      seen.built = dewar.url_for "x"
      return seen
    end)
    inner:mount("/deep", deep)
    outer:mount("/one", inner)
    outer:mount("/two", inner)
    outer:mount("/three", deep)
    for _, root in ipairs { "/one/deep", "/two/deep", "/three" } do
      local seen = client:get(root .. "/x"):json()
      assert.are.same({ "/x", root, root .. "/x", "deep" }, { seen.path, seen.root, seen.built, seen.app })
    end
    local own <close> = inner:test_client()
    assert.are.equal("/deep", own:get("/deep/x"):json().root)
  end)

  it("works by itself as well", function()
    inner:get("/", where)
    outer:mount("/admin", inner)
    local own <close> = inner:test_client()
    assert.are.equal("/admin", client:get("/admin/"):json().root)
    assert.are.equal("", own:get("/"):json().root)
  end)
end)

describe("a mount without its slash", function()
  it("redirects to the one with it, the query kept, if that is there", function()
    inner:get("/", text "home")
    inner:post("/form", text "posted")
    outer:mount("/admin", inner)
    local res = client:get("/admin?a=%20b")
    assert.are.same({ 308, "/admin/?a=%20b" }, { res.status, res.headers.location })
    assert.are.equal("/admin/", client:get("/admin").headers.location)
    assert.are.equal("home", client:get("/admin", { follow_redirects = true }).body)
    assert.are.equal(405, client:post("/admin").status)
  end)

  it("is the mounted app's 404 where that has nothing", function()
    inner:errorhandler(404, function() return "nothing", 404 end)
    outer:mount("/admin", inner)
    assert.are.equal("nothing", client:get("/admin").body)
  end)

  it("leads on into what is mounted there", function()
    local deep = dewar.app()
    deep:get("/", text "deep")
    inner:mount("/", deep)
    outer:mount("/admin", inner)
    assert.are.equal("/admin/", client:get("/admin").headers.location)
    assert.are.equal("deep", client:get("/admin/").body)
  end)
end)

describe("hooks", function()
  it("are the mounted app's, inside of the middleware of both", function()
    for app, name in pairs { [outer] = "outer", [inner] = "inner" } do
      app:use { request = note(name .. "-in"), response = note(name .. "-out") }
      app:url_value_preprocessor(note(name .. "-values"))
      app:before_request(note(name .. "-before"))
      app:after_request(note(name .. "-after"))
      app:teardown_request(note(name .. "-teardown"))
    end
    inner:get("/", function()
      dewar.after_this_request(note "this")
      return "view"
    end)
    outer:mount("/admin", inner)
    assert.are.equal("view", client:get("/admin/").body)
    assert.are.equal("outer-in inner-in inner-values inner-before this inner-after inner-out outer-out inner-teardown",
      order())
  end)

  it("of the app around it run where its middleware answers", function()
    outer:use { request = function() return "early" end }
    outer:after_request(note "outer-after")
    outer:teardown_request(note "outer-teardown")
    inner:before_request(note "inner")
    outer:mount("/admin", inner)
    assert.are.equal("early", client:get("/admin/").body)
    assert.are.equal("outer-after outer-teardown", order())
  end)

  it("see their own app, and their own request where that differs", function()
    local function see(name)
      return function(req)
        log[#log + 1] = ("%s:%s:%s:%s:%s"):format(name, dewar.current_app.name, req.app.name, req.script_root, req.path)
      end
    end
    outer:use { request = see "in", response = see "out" }
    inner:use { request = see "in", response = see "out" }
    inner:teardown_request(see "teardown")
    inner:get("/x", function(req)
      see "view" (req)
      return "x"
    end)
    outer:mount("/admin", inner)
    client:get "/admin/x"
    assert.are.same({ "in:outer:outer::/admin/x", "in:inner:inner:/admin:/x", "view:inner:inner:/admin:/x",
      "out:inner:inner:/admin:/x", "out:outer:outer::/admin/x", "teardown:inner:inner:/admin:/x" }, log)
  end)

  it("share what middleware finds out about the request", function()
    outer:use { request = function(req)
      req.g.user = "ada"
      req.remote_addr = "203.0.113.9"
      req.scheme = "https"
    end }
    inner:get("/", function(req) return dewar.g.user .. " " .. req.remote_addr .. " " .. req.url end)
    outer:mount("/admin", inner)
    assert.are.equal("ada 203.0.113.9 https://localhost/admin/", client:get("/admin/").body)
  end)

  it("go by what middleware makes of the path, in front of a mount and behind it", function()
    outer:use { request = function(req) req.path = req.path:gsub("^/old", "/new") end }
    inner:use { request = function(req) req.path = req.path:upper() end }
    inner:get("/X", text "X")
    outer:mount("/new", inner)
    assert.are.equal("X", client:get("/old/x").body)
  end)

  it("stand behind the prefix that a proxy has taken away", function()
    outer:use { request = function(req) req.script_root = "/site" end }
    inner:get("/", { endpoint = "home" }, function() return dewar.url_for "home" end)
    outer:mount("/admin", inner)
    assert.are.equal("/site/admin/", client:get("/admin/").body)
    assert.are.equal("/site/admin/", client:get("/admin").headers.location)
  end)

  it("may keep a host out before it is mounted", function()
    outer.config.TRUSTED_HOSTS = { "localhost" }
    inner.config.TRUSTED_HOSTS = { "localhost", "inner.example" }
    inner:get("/", text "in")
    outer:mount("/admin", inner)
    assert.are.equal("in", client:get("/admin/").body)
    assert.are.equal(400, client:get("/admin/", { headers = { Host = "inner.example" } }).status)
  end)
end)

describe("errors", function()
  before_each(function() outer:mount("/admin", inner) end)

  it("are handled by the app that they are raised in, never by the one around it", function()
    outer:errorhandler(500, text "outer")
    outer:errorhandler(dewar.Error, text "outer")
    inner:get("/boom", function() error "boom" end)
    inner:get("/gone", function() dewar.abort(410) end)
    assert.are.equal(500, client:get("/admin/boom").status)
    assert.are.equal(410, client:get("/admin/gone").status)
    assert.matches("^Exception on /admin/boom %[GET%]", logged[1])
  end)

  it("of the mounted app's middleware are the mounted app's", function()
    inner:use { request = function() dewar.abort(403) end }
    inner:errorhandler(403, function() return "no entry", 403 end)
    outer:use { response = note "outer-out" }
    local res = client:get "/admin/"
    assert.are.same({ 403, "no entry", "outer-out" }, { res.status, res.body, order() })
  end)

  it("of the outer middleware's way back are the outer app's", function()
    inner:get("/", text "fine")
    inner:errorhandler(500, text "inner")
    inner:teardown_request(note "teardown")
    outer:use { response = note "outermost" }
    outer:use { response = function() error "spilt" end }
    outer:errorhandler(500, function(req) return "outer " .. req.path, 500 end)
    local res = client:get "/admin/"
    assert.are.same({ 500, "outer /admin/", "outermost teardown" }, { res.status, res.body, order() })
  end)

  it("reach a test where the app that they belong to is tested", function()
    inner:get("/", function() error "for the spec" end)
    inner:teardown_request(note "teardown")
    inner.config.TESTING = true
    local ok, err = pcall(client.get, client, "/admin/")
    assert.is_false(ok)
    assert.matches("for the spec", tostring(err))
    assert.are.equal("teardown", order())
  end)

  it("reach it from the outer middleware's way back, too, and teardown is the inner app's", function()
    inner:get("/", text "fine")
    inner:teardown_request(note "inner")
    outer:teardown_request(note "outer")
    outer:use { response = function() error "for the spec" end }
    outer.config.TESTING = true
    assert.is_false(pcall(client.get, client, "/admin/"))
    assert.are.equal("inner", order())
  end)

  it("are told to whom listens to that app", function()
    inner:get("/", function() error "boom" end)
    local function listen(name, app)
      for _, signal in ipairs { "request_started", "got_request_exception", "request_finished",
        "request_tearing_down" } do
        dewar.signals[signal]:connect(function(sender) log[#log + 1] = name .. sender.name end, app)
      end
    end
    listen("o:", outer)
    listen("i:", inner)
    client:get "/admin/"
    assert.are.equal("i:inner i:inner i:inner i:inner", order())
  end)
end)

describe("URLs", function()
  local function build(app, endpoint, values)
    return function() return app:url_for(endpoint, values) end
  end

  it("of the mounted app, of the one around it, and of its neighbours are right in each of them", function()
    local other = dewar.app()
    for _, app in ipairs { outer, inner, other } do
      app:get("/page/<int:n>", { endpoint = "page" }, text "")
      app:get("/to-outer", build(outer, "page", { n = 1 }))
      app:get("/to-inner", build(inner, "page", { n = 1 }))
      app:get("/to-other", build(other, "page", { n = 1 }))
      app:get("/external", build(inner, "page", { n = 1, _external = true }))
    end
    inner:mount("/other", other)
    outer:mount("/admin", inner)
    for _, at in ipairs { "", "/admin", "/admin/other" } do
      assert.are.equal("/page/1", client:get(at .. "/to-outer").body)
      assert.are.equal("/admin/page/1", client:get(at .. "/to-inner").body)
      assert.are.equal("/admin/other/page/1", client:get(at .. "/to-other").body)
      assert.are.equal("http://localhost/admin/page/1", client:get(at .. "/external").body)
    end
  end)

  it("outside of a request begin with APPLICATION_ROOT", function()
    inner:get("/page", { endpoint = "page" }, text "")
    outer:mount("/admin", inner)
    assert.are.equal("/page", inner:url_for "page")
    inner.config.APPLICATION_ROOT = "/admin"
    assert.are.equal("/admin/page", inner:url_for "page")
  end)

  it("of an app that has nothing to do with the request don't go by it", function()
    local stranger = dewar.app()
    stranger:get("/page", { endpoint = "page" }, text "")
    inner:get("/", build(stranger, "page"))
    outer:mount("/admin", inner)
    assert.are.equal("/page", client:get("/admin/").body)
  end)

  it("of blueprints, files and redirects have the prefix", function()
    local bp = dewar.blueprint("shop", { url_prefix = "/shop" })
    bp:get("/cart/", { endpoint = "cart" }, function() return dewar.url_for ".cart" end)
    inner:register_blueprint(bp)
    inner:get("/a/b", text "ab")
    inner:static("/files", "spec/fixtures", { endpoint = "files" })
    inner:get("/file", function() return dewar.url_for("files", { filename = "x.txt" }) end)
    outer:mount("/admin", inner)
    assert.are.equal("/admin/shop/cart/", client:get("/admin/shop/cart/").body)
    assert.are.equal("/admin/shop/cart/", client:get("/admin/shop/cart").headers.location)
    assert.are.equal("/admin/a/b", client:get("/admin//a///b").headers.location)
    assert.are.equal("/admin/files/x.txt", client:get("/admin/file").body)
  end)
end)

describe("the debug page", function()
  it("names routes with the path that they have from outside", function()
    outer.config.DEBUG, inner.config.DEBUG = true, true
    inner:get("/users", text "")
    outer:mount("/admin", inner)
    local json = { headers = { Accept = "application/json" } }
    for _, path in ipairs { "/admin/user", "/admn/users" } do
      assert.are.same({ "/admin/users" }, client:get(path, json):json().error.did_you_mean)
    end
    local page = client:get("/admin/user", { headers = { Accept = "text/html" } }).body
    assert.matches("/admin/user[^s]", page)
  end)
end)

describe("the session", function()
  before_each(function()
    outer.config.SECRET_KEY, inner.config.SECRET_KEY = "outer's", "inner's"
    inner:get("/set/<v>", function(req, v)
      req.session.v = v
      return "set"
    end)
    inner:get("/get", function() return dewar.session.v or "none" end)
    inner:get("/drop", function(req)
      req.session.v = nil
      return "dropped"
    end)
    outer:get("/set/<v>", function(req, v)
      req.session.v = v
      return "set"
    end)
    outer:get("/get", function(req) return req.session.v or "none" end)
  end)

  it("is each app's own, in a cookie for its path", function()
    outer:mount("/admin", inner)
    client:get "/set/o"
    local res = client:get "/admin/set/i"
    assert.matches("Path=/admin[;,]", res.headers.set_cookie .. ";")
    assert.are.equal("o", client:get("/get").body)
    assert.are.equal("i", client:get("/admin/get").body)
    assert.matches("Path=/admin;", client:get("/admin/drop").headers.set_cookie .. ";")
    assert.are.equal("none", client:get("/admin/get").body)
    assert.are.equal("o", client:get("/get").body)
  end)

  it("is for the path that the config says, where it does", function()
    inner.config.SESSION_COOKIE_PATH = "/"
    outer:mount("/admin", inner)
    assert.matches("Path=/;", client:get("/admin/set/i").headers.set_cookie .. ";")
  end)

  it("of both is saved where the outer middleware uses its own", function()
    outer:use {
      request = function(req) req.session.seen = (req.session.seen or 0) + 1 end,
      response = function(req, res)
        res.headers["X-Seen"] = ("%d %s"):format(req.session.seen, tostring(req.session.v))
      end,
    }
    outer:mount("/admin", inner)
    assert.are.equal("1 nil", client:get("/admin/set/i").headers.x_seen)
    assert.are.equal(2, #client:get("/admin/set/j").headers "Set-Cookie")
    local res = client:get "/admin/get"
    assert.are.same({ "j", "3 nil" }, { res.body, res.headers.x_seen })
    assert.are.equal("none", client:get("/get").body)
    assert.are.equal("5 nil", client:get("/admin/get").headers.x_seen)
  end)

  it("is opened by the interface of its app", function()
    local store = {}
    inner.session_interface = {
      open = function(app, req)
        dewar.yield()
        log[#log + 1] = "open " .. app.name .. " " .. req.path
        return store
      end,
      save = function(app, _, session) log[#log + 1] = "save " .. app.name .. " " .. tostring(session.v) end,
    }
    outer:mount("/admin", inner)
    client:get "/admin/set/x"
    assert.are.equal("x", client:get("/admin/get").body)
    client:get "/set/o"
    assert.are.same({ "open inner /set/x", "save inner x", "open inner /get", "save inner x" }, log)
  end)
end)

describe("limits", function()
  it("of a body, a form and time are the mounted app's", function()
    inner.config.MAX_CONTENT_LENGTH = 4
    inner.config.REQUEST_TIMEOUT = 10
    outer.config.MAX_CONTENT_LENGTH = 2
    inner:post("/", function(req) return req:body() .. " " .. req.max_content_length end)
    inner:get("/slow", function() dewar.sleep(60) end)
    outer:post("/", function(req) return req:body() end)
    outer:mount("/admin", inner)
    client:close()
    client = outer:test_client { clock = "virtual" }
    assert.are.equal("1234 4", client:post("/admin/", { body = "1234" }).body)
    assert.are.equal(413, client:post("/admin/", { body = "12345" }).status)
    assert.are.equal(413, client:post("/", { body = "123" }).status)
    local answer = dewar.spawn(function() return client:get("/admin/slow").status end)
    dewar.yield()
    client.clock:advance(11)
    assert.are.equal(503, (dewar.await(answer)))
  end)

  it("of the app around it don't cut what is mounted", function()
    outer.config.REQUEST_TIMEOUT = 1
    outer:use { request = function() dewar.sleep(0.5) end }
    inner:get("/", function()
      dewar.sleep(60)
      return "at last"
    end)
    outer:mount("/admin", inner)
    client:close()
    client = outer:test_client { clock = "virtual" }
    local answer = dewar.spawn(function() return client:get("/admin/").body end)
    dewar.yield()
    client.clock:advance(0.6)
    client.clock:advance(61)
    assert.are.equal("at last", (dewar.await(answer)))
  end)

  it("that a middleware has set for the request stay", function()
    outer:use { request = function(req) req.max_content_length = 3 end }
    inner:post("/", function(req) return req:body() end)
    outer:mount("/admin", inner)
    assert.are.equal("123", client:post("/admin/", { body = "123" }).body)
    assert.are.equal(413, client:post("/admin/", { body = "1234" }).status)
  end)

  it("of slow bodies are the mounted app's, until its request is over", function()
    inner.config.BODY_TIMEOUT, outer.config.BODY_TIMEOUT = 5, 50
    for _, app in ipairs { inner, outer } do app:post("/", function(req) return req:body() end) end
    outer:mount("/admin", inner)
    client:close()
    client = outer:test_client { clock = "virtual" }
    local function slow(path, seconds)
      local conn <close> = client:connect()
      conn:send("POST " .. path .. " HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na")
      for _ = 1, 20 do dewar.yield() end
      client.clock:advance(seconds)
      conn:send "b"
      return (conn:receive()):match "^HTTP/1.1 (%d+)"
    end
    assert.are.equal("408", slow("/admin/", 10))
    assert.are.equal("200", slow("/", 10))
    assert.are.equal("408", slow("/", 60))
  end)

  it("let a request go on without its client where the mounted app wants that", function()
    inner.config.CANCEL_ON_DISCONNECT = false
    local gate = dewar.event()
    for app, name in pairs { [inner] = "inner", [outer] = "outer" } do
      app:get("/", function()
        gate:wait()
        log[#log + 1] = name .. "-done"
        return ""
      end)
      app:teardown_request(function(_, err) log[#log + 1] = name .. (err and "-cancelled" or "-over") end)
    end
    outer:mount("/admin", inner)
    local calls = {}
    for _, path in ipairs { "/admin/", "/" } do
      calls[#calls + 1] = function()
        local conn <close> = client:connect()
        conn:send("GET " .. path .. " HTTP/1.1\r\nHost: x\r\n\r\n")
        for _ = 1, 20 do dewar.yield() end
      end
    end
    calls[#calls + 1] = function()
      for _ = 1, 100 do dewar.yield() end
      gate:set()
    end
    dewar.gather(table.unpack(calls))
    assert.are.equal("outer-cancelled inner-done inner-over", order())
  end)
end)

describe("settings", function()
  it("for JSON, cookies and compression are the mounted app's", function()
    inner.config.JSON_EMPTY_TABLE = "array"
    outer.config.COMPRESS = false
    for _, app in ipairs { inner, outer } do
      app:get("/", function() return {} end)
      app:get("/long", function() return ("x"):rep(2000) end)
    end
    outer:mount("/admin", inner)
    assert.are.equal("[]\n", client:get("/admin/").body)
    assert.are.equal("{}\n", client:get("/").body)
    local gzip = { headers = { ["Accept-Encoding"] = "gzip" } }
    assert.are.equal("gzip", client:get("/admin/long", gzip).headers.content_encoding)
    assert.is_nil(client:get("/long", gzip).headers.content_encoding)
  end)

  it("for templates and files are the mounted app's", function()
    inner:template_global("who", "inner")
    inner:get("/", function() return dewar.render_template_string "<%= who %> <%= request.path %>" end)
    outer:mount("/admin", inner)
    local res = client:get "/admin/"
    assert.are.same({ 200, "inner /" }, { res.status, res.body })
  end)
end)

describe("what goes on after the answer's head", function()
  it("runs in the mounted app", function()
    inner:get("/", function()
      return coroutine.wrap(function()
        for _ = 1, 2 do
          dewar.yield()
          coroutine.yield(dewar.current_app.name .. dewar.request.path .. " ")
        end
      end)
    end)
    inner:teardown_request(note "teardown")
    outer:use { response = function(req) log[#log + 1] = req.path end }
    outer:mount("/admin", inner)
    assert.are.equal("inner/ inner/ ", client:get("/admin/").body)
    assert.are.equal("/admin/ teardown", order())
  end)

  it("is cancelled, and torn down once, when the client goes away", function()
    inner:get("/", function()
      return dewar.stream(function(write)
        write "one"
        dewar.sleep(3600)
      end)
    end)
    inner:teardown_request(function(_, err) log[#log + 1] = "inner " .. tostring(dewar.is_cancelled(err)) end)
    outer:teardown_request(note "outer")
    outer:mount("/admin", inner)
    local part = client:get("/admin/", { stream = true })
    assert.are.equal("one", part:chunks()())
    part:close()
    assert.are.equal("inner true", order())
  end)

  it("is cut off in the outer middleware's way back as well", function()
    local gate = dewar.event()
    inner:get("/", text "never sent")
    inner:teardown_request(function(req, err)
      log[#log + 1] = dewar.current_app.name .. " " .. req.path .. " " .. tostring(dewar.is_cancelled(err))
    end)
    outer:teardown_request(note "outer")
    outer:use { response = function() gate:wait() end }
    outer:mount("/admin", inner)
    do
      local conn <close> = client:connect()
      conn:send "GET /admin/ HTTP/1.1\r\nHost: x\r\n\r\n"
      for _ = 1, 20 do dewar.yield() end
    end
    for _ = 1, 20 do dewar.yield() end
    assert.are.equal("inner / true", order())
  end)

  it("reads the body where it is mounted, piece by piece", function()
    inner:post("/", function(req)
      local n = 0
      for chunk in req:chunks(1000) do n = n + #chunk end
      return tostring(n)
    end)
    outer:mount("/admin", inner)
    assert.are.equal("200000", client:post("/admin/", { body = ("x"):rep(200000) }).body)
  end)

  it("has the tasks of the mounted app", function()
    local seen = dewar.event()
    inner:get("/", function()
      inner:add_background_task(function()
        dewar.yield()
        log[#log + 1] = dewar.current_app.name
        seen:set()
      end)
      local task = dewar.spawn(function()
        dewar.yield()
        return dewar.current_app.name .. dewar.request.script_root
      end)
      return (dewar.await(task))
    end)
    outer:mount("/admin", inner)
    assert.are.equal("inner/admin", client:get("/admin/").body)
    seen:wait()
    assert.are.equal("inner", order())
  end)
end)

if dewar.room then
  describe("a websocket of a mounted app", function()
    it("is its own, with its hooks, limits and teardown", function()
      inner.config.WEBSOCKET_MAX_MESSAGE_SIZE = 4
      inner:before_request(note "before")
      inner:teardown_request(note "teardown")
      outer:use { request = note "in", response = note "out" }
      inner:websocket("/echo/<room>", function(ws, room)
        ws:send(room .. " " .. ws.script_root .. ws.path .. " " .. dewar.current_app.name)
        for message in ws:messages() do ws:send(message) end
      end)
      outer:mount("/admin", inner)
      local ws = client:websocket "/admin/echo/lobby"
      assert.are.equal("lobby /admin/echo/lobby inner", ws:receive())
      ws:send "1234"
      assert.are.equal("1234", ws:receive())
      ws:send "12345"
      local message, code = ws:receive()
      assert.is_nil(message)
      assert.are.equal(1009, code)
      ws:close()
      for _ = 1, 20 do dewar.yield() end
      assert.are.equal("in before teardown", order())
    end)

    it("is refused by the mounted app", function()
      inner:get("/", text "no websocket")
      outer:mount("/admin", inner)
      for path, status in pairs { ["/admin/"] = 400, ["/admin/none"] = 404 } do
        local ok, err = pcall(client.websocket, client, path)
        assert.is_false(ok)
        assert.are.equal(status, err.status)
      end
    end)
  end)
end

describe("an app mounted for a host", function()
  local function ask(host, path) return client:get(path or "/", { headers = { Host = host } }) end

  it("gets the requests for that one, before those for any", function()
    local api, tenants, any = dewar.app(), dewar.app(), dewar.app()
    api:get("/", text "api")
    tenants:get("/", function(req) return "tenant " .. req.host end)
    any:get("/", text "any")
    outer:get("/", text "outer")
    outer:mount("/deep/er", any)
    outer:mount("/deep", api, { host = { "api.example.com", "api2.example.com" } })
    outer:mount("/", tenants, { host = ".tenants.example" })
    assert.are.equal("outer", ask("example.com").body)
    assert.are.equal("outer", ask("api.example.com").body)
    assert.are.equal("tenant a.tenants.example:80", ask("a.tenants.example:80").body)
    assert.are.equal("api", ask("API2.example.com:8080", "/deep/").body)
    assert.are.equal(404, ask("example.com", "/deep/").status)
    assert.are.equal("any", ask("example.com", "/deep/er/").body)
  end)

  it("may share its path with one for other hosts", function()
    local a, b, rest = dewar.app(), dewar.app(), dewar.app()
    for app, name in pairs { [a] = "a", [b] = "b", [rest] = "rest" } do app:get("/", text(name)) end
    outer:mount("/", a, { host = "a.example" })
    outer:mount("/", b, { host = "b.example" })
    outer:mount("/", rest)
    caller.refuses(function() outer:mount("/", rest, { host = "a.example" }) end, "'/' has an app mounted already")
    assert.are.equal("a b rest", ask("a.example").body .. " " .. ask("b.example").body .. " " .. ask("c.example").body)
  end)
end)

describe("requests at once", function()
  it("each have the app that they have gone to", function()
    local apps = { [""] = outer }
    for i = 1, 5 do apps["/app" .. i] = outer:mount("/app" .. i, dewar.app { name = "app" .. i }) end
    for _, app in pairs(apps) do
      app:use { request = function() dewar.yield() end, response = function(_, res)
        dewar.yield()
        local before = res.headers.x_seen
        res.headers.x_seen = (before and before .. ", " or "") .. dewar.current_app.name
      end }
      app:get("/", function(req)
        local seen = {}
        for _ = 1, 5 do
          seen[#seen + 1] = dewar.current_app.name .. dewar.request.script_root
          dewar.yield()
        end
        for _, s in ipairs(seen) do assert(s == req.app.name .. req.script_root) end
        return seen[1]
      end)
    end
    local calls = {}
    for prefix, app in pairs(apps) do
      for _ = 1, 10 do
        calls[#calls + 1] = function()
          local res = client:get(prefix .. "/")
          assert.are.equal(app.name .. prefix, res.body)
          assert.are.equal(prefix == "" and "outer" or app.name .. ", outer", res.headers.x_seen)
        end
      end
    end
    dewar.gather(table.unpack(calls))
  end)
end)
