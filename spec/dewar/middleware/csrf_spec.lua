-- Protection against forged requests: lua/dewar/csrf.lua, and the middleware.

local dewar = require "dewar"
local refuses = require("spec.support.caller").refuses
local csrf = dewar.middleware.csrf

local REASONS = {
  missing = "The CSRF token is missing",
  session = "The session has no CSRF token",
  mismatch = "doesn't match",
  origin = "a page of another site",
  referer = "doesn't say which page",
}

local function make(options, proxied)
  local app = dewar.app { config = { SECRET_KEY = "spec" } }
  if proxied then app:use(dewar.middleware.proxy_fix()) end
  app:use(csrf(options))
  app:get("/token", function() return dewar.csrf_token() end)
  app:get("/fields", function() return tostring(dewar.csrf_field()) end)
  app:get("/clear", function(req)
    for name in pairs(req.session) do req.session[name] = nil end
    return "cleared"
  end)
  app:route("/change", { endpoint = "change", methods = { "GET", "POST", "PUT", "PATCH", "DELETE" } }, function(req)
    return "changed by " .. req.method
  end)
  app:errorhandler(dewar.CSRFError, function(_, err) return err.reason .. ": " .. err.message, err.status end)
  return app
end

describe("csrf", function()
  local client
  after_each(function() client:close() end)

  local function use(options, proxied)
    client = make(options, proxied):test_client()
  end

  local function refused(reason, res)
    assert.are.equal(400, res.status)
    assert.are.equal(reason, res.body:match "^(%l+):")
    assert.is_truthy(res.body:find(REASONS[reason], 1, true), res.body)
  end

  it("lets a form through that has the session's token", function()
    use()
    local token = client:get("/token").body
    assert.are.equal("changed by POST", client:post("/change", { form = { csrf_token = token } }).body)
  end)

  it("takes the token in a header, as scripts send it", function()
    use()
    local token = client:get("/token").body
    for _, header in ipairs { "X-CSRF-Token", "X-CSRFToken" } do
      local res = client:post("/change", { json = { a = 1 }, headers = { [header] = token } })
      assert.are.equal("changed by POST", res.body)
    end
  end)

  it("is asked for with all methods that change something, and no other", function()
    use()
    for _, method in ipairs { "POST", "PUT", "PATCH", "DELETE" } do
      refused("missing", client:request(method, "/change"))
    end
    for _, method in ipairs { "GET", "HEAD", "OPTIONS" } do
      assert.are.equal(200, client:request(method, "/change").status)
    end
  end)

  it("leaves a path without a route a 404, and a wrong method a 405", function()
    use()
    assert.are.equal(404, client:post("/nowhere").status)
    assert.are.equal(405, client:post("/token").status)
  end)

  it("refuses a token of another session, or none of ours", function()
    use()
    local token = client:get("/token").body
    local fresh <close> = make():test_client()
    refused("session", fresh:post("/change", { form = { csrf_token = token } }))
    local other <close> = client.app:test_client()
    local theirs = other:get("/token").body
    local bad = { theirs, "x", token .. "A", token:sub(1, -5), "=" .. token, ("A"):rep(#token) }
    for _, text in ipairs(bad) do refused("mismatch", client:post("/change", { form = { csrf_token = text } })) end
    refused("missing", client:post("/change", { form = { csrf_token = "" } }))
    refused("missing", client:post("/change", { json = { csrf_token = token } }))
    refused("missing", client:post("/change?csrf_token=" .. token))
  end)

  it("gives tokens that never look alike and stay good as long as the session", function()
    use()
    local first, second = client:get("/token").body, client:get("/token").body
    assert.are_not.equal(first, second)
    for _, token in ipairs { first, second, first } do
      assert.are.equal(200, client:post("/change", { form = { csrf_token = token } }).status)
    end
    client:get "/clear"
    refused("session", client:post("/change", { form = { csrf_token = first } }))
    client:get "/token"
    refused("mismatch", client:post("/change", { form = { csrf_token = first } }))
  end)

  it("shares no bytes between tokens that could be guessed one by one", function()
    use()
    local starts = {}
    for _ = 1, 8 do
      local token = client:get("/token").body
      starts[token:sub(1, 8)], starts[token:sub(-8)] = true, true
    end
    local count = 0
    for _ in pairs(starts) do count = count + 1 end
    assert.are.equal(16, count)
  end)

  it("gives forms a hidden field, and templates both functions", function()
    use()
    local field = client:get("/fields").body
    local token = field:match '^<input type="hidden" name="csrf_token" value="([%w_-]+)">$'
    assert.are.equal(200, client:post("/change", { form = { csrf_token = token } }).status)
    client:close()
    local app = make()
    app:get("/page", function()
      return dewar.render_template_string "<%= csrf_field() %>|<%= csrf_token() %>"
    end)
    client = app:test_client()
    local page = client:get("/page").body
    local one, two = page:match '^<input type="hidden" name="csrf_token" value="([%w_-]+)">|([%w_-]+)$'
    for _, text in ipairs { one, two } do
      assert.are.equal(200, client:post("/change", { form = { csrf_token = text } }).status)
    end
  end)

  it("calls field and header what it is told to", function()
    use { field = "_t<", headers = "X-T" }
    assert.matches('name="_t&lt;"', client:get("/fields").body)
    local token = client:get("/token").body
    assert.are.equal(200, client:post("/change", { form = { ["_t<"] = token } }).status)
    assert.are.equal(200, client:post("/change", { headers = { ["X-T"] = token } }).status)
    refused("missing", client:post("/change", { headers = { ["X-CSRF-Token"] = token } }))
  end)

  it("finds the token in a form with files", function()
    use()
    local token = client:get("/token").body
    local photo = { photo = { filename = "a.png", content = "x", content_type = "image/png" } }
    local res = client:post("/change", { form = { csrf_token = token }, files = photo })
    assert.are.equal("changed by POST", res.body)
    refused("missing", client:post("/change", { form = { other = token }, files = photo }))
  end)

  it("runs where it was used among the hooks before a request", function()
    local app = dewar.app { config = { SECRET_KEY = "spec" } }
    local order = {}
    app:before_request(function() order[#order + 1] = "earlier" end)
    app:use(csrf())
    app:before_request(function() order[#order + 1] = "later" end)
    app:post("/", function() return "ok" end)
    client = app:test_client()
    assert.are.equal(400, client:post("/").status)
    assert.are.same({ "earlier" }, order)
  end)

  it("is an HTTP error like others where nobody handles it", function()
    local app = dewar.app { config = { SECRET_KEY = "spec" } }
    app:use(csrf())
    app:post("/", function() return "ok" end)
    client = app:test_client()
    local res = client:post "/"
    assert.are.equal(400, res.status)
    assert.matches("The CSRF token is missing", res.body)
    assert.is_true(dewar.errors[400]:is(dewar.CSRFError "x"))
  end)

  it("is switched off by config.CSRF_ENABLED, for specs", function()
    use()
    client.app.config.CSRF_ENABLED = false
    assert.are.equal(200, client:post("/change").status)
    client.app.config.CSRF_ENABLED = true
    assert.are.equal(400, client:post("/change").status)
  end)

  describe("on https", function()
    local token
    local function post(headers, host)
      headers["X-Forwarded-Proto"], headers["X-CSRF-Token"], headers.Host = "https", token, host
      return client:post("/change", { headers = headers })
    end
    before_each(function()
      use({ trusted_origins = { "https://pay.example" } }, true)
      client.app.config.SESSION_COOKIE_SECURE = false
      token = client:get("/token").body
    end)

    it("wants the page to be one of this host", function()
      assert.are.equal(200, post({ Origin = "https://localhost" }).status)
      assert.are.equal(200, post({ Origin = "https://LOCALHOST:443" }).status)
      for _, origin in ipairs { "https://evil.example", "http://localhost", "https://localhost:444", "null",
        "https://localhost.evil.example" } do
        refused("origin", post { Origin = origin })
      end
    end)

    it("goes by the Referer where there is no Origin", function()
      assert.are.equal(200, post({ Referer = "https://localhost/form?x=1" }).status)
      refused("origin", post { Referer = "https://evil.example/https://localhost/" })
      refused("origin", post { Referer = "http://localhost/" })
      refused("referer", post {})
      refused("referer", post { Referer = "/form" })
      refused("origin", post { Referer = "https://localhost/", Origin = "https://evil.example" })
    end)

    it("lets pages of trusted origins in, with a token", function()
      assert.are.equal(200, post({ Origin = "https://pay.example" }).status)
      token = nil
      refused("missing", post { Origin = "https://pay.example" })
    end)
  end)

  describe("exempts", function()
    local function status(options, path)
      local app = dewar.app { config = { SECRET_KEY = "spec" } }
      app:use(csrf(options))
      local outer, inner = dewar.blueprint("outer", { url_prefix = "/outer" }), dewar.blueprint("inner")
      inner:post("/inner", { endpoint = "in" }, function() return "ok" end)
      outer:post("/", { endpoint = "out" }, function() return "ok" end)
      outer:register_blueprint(inner)
      app:register_blueprint(outer)
      app:post("/hook", { endpoint = "hook" }, function() return "ok" end)
      app:post("/plain", function() return "ok" end)
      local own <close> = app:test_client()
      return own:post(path).status
    end
    before_each(function() use() end)

    it("endpoints, and rules where there is none", function()
      local exempt = { exempt = { "hook", "/plain", "outer.inner.in" } }
      for path, code in pairs { ["/hook"] = 200, ["/plain"] = 200, ["/outer/inner"] = 200, ["/outer/"] = 400 } do
        assert.are.equal(code, status(exempt, path), path)
      end
    end)

    it("blueprints, with those that are nested in them", function()
      assert.are.equal(200, status({ exempt = "outer.*" }, "/outer/"))
      assert.are.equal(200, status({ exempt = "outer.*" }, "/outer/inner"))
      assert.are.equal(200, status({ exempt = "outer.inner.*" }, "/outer/inner"))
      assert.are.equal(400, status({ exempt = "outer.inner.*" }, "/outer/"))
      assert.are.equal(400, status({ exempt = "out.*" }, "/outer/"))
    end)

    it("blueprints that are given as such", function()
      local app = dewar.app { config = { SECRET_KEY = "spec" } }
      local api = dewar.blueprint("api", { url_prefix = "/api" })
      app:use(csrf { exempt = api })
      api:post("/", function() return "ok" end)
      app:register_blueprint(api)
      app:post("/", function() return "ok" end)
      local own <close> = app:test_client()
      assert.are.equal(200, own:post("/api/").status)
      assert.are.equal(400, own:post("/").status)
    end)

    it("what a function says, which may wait", function()
      local function by_token(req)
        dewar.sleep(0.001)
        return req.authorization and req.authorization.type == "bearer"
      end
      local app = dewar.app { config = { SECRET_KEY = "spec" } }
      app:use(csrf { exempt = by_token })
      app:post("/", function() return "ok" end)
      local own <close> = app:test_client()
      assert.are.equal(200, own:post("/", { headers = { Authorization = "Bearer abc" } }).status)
      assert.are.equal(400, own:post("/").status)
    end)
  end)

  it("needs a secret key, and says so", function()
    local app = dewar.app { config = { TESTING = true } }
    app:use(csrf())
    app:get("/", function() return dewar.csrf_token() end)
    client = app:test_client()
    assert.has_error(function() client:get "/" end)
    local ok, err = pcall(client.get, client, "/")
    assert.is_false(ok)
    assert.matches("SECRET_KEY", tostring(err))
  end)

  it("tells who misuses it what is wrong", function()
    local app = dewar.app { config = { TESTING = true } }
    app:get("/", function() return dewar.csrf_token() end)
    client = app:test_client()
    local ok, err = pcall(client.get, client, "/")
    assert.is_false(ok)
    assert.matches("app:use%(dewar.middleware.csrf%(%)%)", tostring(err))
    refuses(function() dewar.csrf_token() end, "csrf_token was used outside of a request")
    refuses(function() dewar.csrf_field() end, "csrf_field was used outside of a request")
    refuses(function() csrf { exmpt = {} } end, "unknown option 'exmpt'; did you mean 'exempt'%?")
    refuses(function() csrf { headers = { 7 } } end, "a header's name has letters.*got a number")
    refuses(function() csrf { exempt = { 7 } } end, "exempt%[1%].* must be a function; got a number")
    refuses(function() csrf { field = 7 } end, "'field' is a string; got a number")
    refuses(function() csrf { headers = 7 } end, "'headers' is a list of strings; got a number")
    refuses(function() csrf { trusted_origins = { "x" } } end, "an origin is scheme and host")
  end)
end)
