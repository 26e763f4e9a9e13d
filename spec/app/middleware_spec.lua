-- app:use, and what a middleware may change of a request.

local dewar = require "dewar"

local function join(list) return table.concat(list, " ") end

describe("a middleware", function()
  local app, log, client
  before_each(function()
    app, log = dewar.app(), {}
    client = app:test_client()
  end)
  after_each(function() client:close() end)

  local function note(text)
    return function() log[#log + 1] = text end
  end

  it("stands around everything else, the first one outermost", function()
    for _, name in ipairs { "outer", "inner" } do
      app:use { name = name, request = note(name .. "-in"), response = note(name .. "-out") }
    end
    app:url_value_preprocessor(note "preprocess")
    app:before_request(note "before")
    app:get("/", function()
      app:after_this_request(function(_, res) log[#log + 1] = "this" return res end)
      return "view"
    end)
    app:after_request(function(_, res) log[#log + 1] = "after" return res end)
    app:teardown_request(note "teardown")
    assert.are.equal("view", client:get("/").body)
    assert.are.equal("outer-in inner-in preprocess before this after inner-out outer-out teardown", join(log))
  end)

  it("runs before the route is known, and sees every response", function()
    app:use {
      request = function(req) log[#log + 1] = tostring(req.endpoint) end,
      response = function(_, res) log[#log + 1] = res.status end,
    }
    app:get("/", { endpoint = "home" }, function() return "ok" end)
    app:get("/boom", function() error "boom" end)
    client:get "/"
    client:get "/nowhere"
    client:post "/"
    client:get "/boom"
    assert.are.equal("nil 200 nil 404 nil 405 nil 500", join(log))
  end)

  it("may answer; then the way out is the same", function()
    app:use { request = function() return "early", 202, { ["X-A"] = "b" } end, response = note "out" }
    app:use { request = note "inner", response = note "inner-out" }
    app:before_request(note "before")
    app:after_request(function(_, res) log[#log + 1] = "after" return res end)
    app:get("/", note "view")
    local res = client:get "/"
    assert.are.equal("early", res.body)
    assert.are.equal(202, res.status)
    assert.are.equal("b", res.headers["X-A"])
    assert.are.equal("after inner-out out", join(log))
  end)

  it("may replace the response on the way out", function()
    app:use { response = function(_, res) return res.body .. "!", 201 end }
    app:use { response = function(_, res) res.body = res.body:upper() end }
    app:get("/", function() return "hi" end)
    local res = client:get "/"
    assert.are.equal("HI!", res.body)
    assert.are.equal(201, res.status)
  end)

  it("may wait in both places, and pass awaitables on", function()
    app:use {
      request = dewar.async(function(req)
        dewar.sleep(0.001)
        req.g.n = 1
      end),
      response = function(req, res)
        dewar.sleep(0.001)
        res.headers["X-N"] = req.g.n
        return dewar.spawn(function() return res end)
      end,
    }
    app:get("/", function() return "ok" end)
    assert.are.equal("1", client:get("/").headers["X-N"])
  end)

  it("passes through the app's ensure_sync, once", function()
    local wrapped = {}
    local function request() end
    function app:ensure_sync(f)
      wrapped[#wrapped + 1] = f
      return dewar.App.ensure_sync(self, f)
    end
    app:use { request = request }
    client:get "/"
    client:get "/"
    assert.are.same({ request }, wrapped)
  end)

  it("that raises on the way in goes the way of a view's error", function()
    app:use { request = function() dewar.abort(403, "not you") end }
    app:errorhandler(403, function(_, err) return "handled: " .. err.message, 403 end)
    local res = client:get "/"
    assert.are.equal(403, res.status)
    assert.are.equal("handled: not you", res.body)
  end)

  it("that raises on the way out makes it a 500, which passes those further out", function()
    app:use { response = function(_, res) log[#log + 1] = res.status end }
    app:use { response = function() error "out" end }
    app:get("/", function() return "ok" end)
    assert.are.equal(500, client:get("/").status)
    assert.are.equal("500", join(log))
  end)

  it("is within REQUEST_TIMEOUT", function()
    app.config.REQUEST_TIMEOUT = 0.02
    app:use { request = function() dewar.sleep(100) end }
    app:get("/", function() return "ok" end)
    assert.are.equal(503, client:get("/").status)
  end)

  it("may be a plugin, which sets the app up", function()
    local function plugin(of)
      of:get("/plugin", function() return "plugged" end)
      of:use { response = note "out" }
    end
    assert.are.equal(plugin, app:use(plugin))
    assert.are.equal("plugged", client:get("/plugin").body)
    assert.are.equal("out", join(log))
  end)

  it("has a setup, which is called with the app, and private fields", function()
    local got
    local own = { setup = function(of) got = of end, _private = {} }
    assert.are.equal(own, app:use(own))
    assert.are.equal(app, got)
  end)

  it("is refused where it can do nothing or has a misspelt part", function()
    local cases = {
      { "use takes a middleware, or a function%(app%); got nil", nil },
      { "use takes a middleware, or a function%(app%); got a string", "x" },
      { "unknown option 'requests'; did you mean 'request'%?", { requests = print } },
      { "the middleware's request must be a function; got a string", { request = "x" } },
      { "the middleware's response is a coroutine", { response = coroutine.create(print) } },
      { "the middleware does nothing", { name = "idle" } },
    }
    for _, case in ipairs(cases) do
      local ok, err = pcall(function() app:use(case[2]) end)
      assert.is_false(ok, case[1])
      assert.matches("middleware_spec.lua:%d+: .*" .. case[1], err)
    end
  end)

  it("is refused after the first request", function()
    client:get "/"
    local ok, err = pcall(function() app:use { request = print } end)
    assert.is_false(ok)
    assert.matches("middleware_spec.lua:%d+: use was called after", err)
  end)
end)

describe("what a middleware sets of a request", function()
  local app, client
  before_each(function()
    app = dewar.app { config = { TESTING = true } }
    client = app:test_client()
  end)
  after_each(function() client:close() end)

  local function use(f) app:use { request = f } end

  it("is what the router goes by: method, path, host", function()
    use(function(req)
      req.method = "DELETE"
      req.path = "/b c/1"
      req.host = "Other.example:81"
    end)
    app:delete("/b c/<int:n>", { host = "other.example" }, function(req, n)
      return { req.method, req.path, req.raw_path, req.host, n }
    end)
    assert.are.same({ "DELETE", "/b c/1", "/b%20c/1", "Other.example:81", 1 }, client:post("/a"):json())
  end)

  it("is seen by everybody later, whatever was asked for before", function()
    use(function(req)
      local _ = req.url .. req.base_url
      req.scheme = "HTTPS"
      req.host = "[::1]:8443"
      req.script_root = "/app/"
      req.remote_addr = "203.0.113.7"
      req.raw_path = "/x%2Fy"
    end)
    app:get("/<name>", { endpoint = "name" }, function(req, name)
      return { req.scheme, req.url, req.base_url, req.script_root, req.remote_addr, req.path, name,
        dewar.url_for("name", { name = "z", _external = true }), app:url_for "name" == nil }
    end)
    app:url_build_error_handler(function() return "none" end)
    local res = client:get("/?a=1"):json()
    assert.are.same({ "https", "https://[::1]:8443/app/x%2Fy?a=1", "https://[::1]:8443/app/x%2Fy", "/app",
      "203.0.113.7", "/x%2Fy", "x/y", "https://[::1]:8443/app/z", false }, res)
  end)

  it("keeps %2F and %25 of a path as they are, and encodes what else needs it", function()
    local path
    use(function(req) req.path = path end)
    app:get("/<path:rest>", function(req) return { req.path, req.raw_path } end)
    path = "/a%2Fb/100%25/50%/ü?#;x"
    assert.are.same({ "/a%2Fb/100%25/50%25/ü?#;x", "/a%2Fb/100%25/50%25/%C3%BC%3F%23;x" },
      client:get("/"):json())
    path = "/%2"
    assert.are.same({ "/%252", "/%252" }, client:get("/"):json())
  end)

  it("puts the script root before URLs of url_for and redirects of the router", function()
    use(function(req) req.script_root = "/root" end)
    app:get("/d/", { endpoint = "d" }, function() return dewar.url_for "d" end)
    app:add_url_rule("/old/<x>", { redirect_to = "/new/<x>" })
    app:add_url_rule("/away", { redirect_to = "https://example.com/x" })
    assert.are.equal("/root/d/", client:get("/d/").body)
    assert.are.equal("/root/d/?q=1", client:get("/d?q=1").headers.location)
    assert.are.equal("/root/new/1", client:get("/old/1").headers.location)
    assert.are.equal("https://example.com/x", client:get("/away").headers.location)
  end)

  it("gives a name to the request's records in the log", function()
    local records = {}
    app.config.TESTING = false
    dewar.log.sink = function(_, text, fields) records[#records + 1] = text .. ":" .. tostring(fields.request_id) end
    use(function(req) req.id = "abc-1" end)
    app:get("/", function(req)
      dewar.log.warn("one")
      dewar.log.warn("two", { a = 1 })
      dewar.log.warn("three", { request_id = "own" })
      dewar.await(dewar.spawn(function() dewar.log.warn "four" end))
      error(req.id, 0)
    end)
    client:get "/"
    dewar.log.sink = nil
    assert.are.equal("one:abc-1 two:abc-1 three:own four:abc-1", table.concat(records, " ", 1, 4))
    assert.matches("^Exception on / %[GET%]\nabc%-1.*:abc%-1$", records[5])
  end)

  it("is refused where no request could have it", function()
    local cases = {
      method = { "FROB", "get", "CONNECT", "HEAD", 7 },
      host = { "", "a b", "exa/mple", "a:99999", "user@host" },
      scheme = { "", "ftp", "http:" },
      path = { "", "x", false },
      raw_path = { "x", "/a b", "/a?b", "/%zz", "/%00", "/ü" },
      script_root = { "x", "//evil.example", "/a b", "/\\evil" },
      remote_addr = { "", "a b", ("x"):rep(256), "\n" },
      id = { "", "a b", "a\r\nb", ("x"):rep(256) },
    }
    local seen = {}
    use(function(req)
      for name, values in pairs(cases) do
        for _, value in ipairs(values) do
          local before = req[name]
          local ok, err = pcall(function() req[name] = value end)
          seen[#seen + 1] = not ok and err or name .. " took " .. tostring(value)
          assert(req[name] == before)
        end
      end
    end)
    client:get "/"
    assert.are.equal(34, #seen)
    for _, err in ipairs(seen) do assert.matches("middleware_spec.lua:%d+: req%.[%l_]+ is .*; got ", err) end
  end)

  it("leaves HEAD alone, whose answer has no body", function()
    use(function(req)
      local ok, err = pcall(function() req.method = "GET" end)
      assert(not ok and err:find "HEAD stays HEAD")
    end)
    app:get("/", function() return "ok" end)
    assert.are.equal(200, client:request("HEAD", "/").status)
  end)

  it("is settled from the match on, whoever tries", function()
    local errors = {}
    local function try(req)
      for _, name in ipairs { "method", "host", "scheme", "path", "raw_path", "script_root", "remote_addr", "id" } do
        local ok, err = pcall(function() req[name] = "/x" end)
        errors[#errors + 1] = not ok and err or "took it"
      end
    end
    app:before_request(try)
    app:get("/", function() try(dewar.request) return "ok" end)
    app:use { response = function(req) try(req) end }
    client:get "/"
    assert.are.equal(24, #errors)
    for _, err in ipairs(errors) do assert.matches("middleware_spec.lua:%d+: req.*app:use", err) end
  end)

  it("is in the record of the access log", function()
    local record
    app.config.ACCESS_LOG = true
    local level = dewar.log.level
    dewar.log.level = "info"
    dewar.log.sink = function(_, _, fields) record = fields end
    use(function(req)
      req.remote_addr = "2001:db8::1"
      req.id = "r1"
    end)
    app:get("/", function() return "ok" end)
    client:get "/"
    dewar.log.sink, dewar.log.level = nil, level
    assert.are.equal("2001:db8::1", record.remote)
    assert.are.equal("r1", record.request_id)
  end)
end)

describe("APPLICATION_ROOT", function()
  it("stands before URLs that are built outside of requests", function()
    local app = dewar.app { config = { APPLICATION_ROOT = "/root/", SERVER_NAME = "example.com" } }
    app:get("/x", { endpoint = "x" }, function() return "x" end)
    assert.are.equal("/root/x", app:url_for "x")
    assert.are.equal("http://example.com/root/x", app:url_for("x", { _external = true }))
  end)
end)
