-- The smaller ones of lua/dewar/middleware: method_override, request_id,
-- trusted_hosts, and the table they are in.

local dewar = require "dewar"
local refuses = require("spec.support.caller").refuses
local middleware = dewar.middleware

describe("dewar.middleware", function()
  it("names what was meant where there is none", function()
    refuses(function() return middleware.proxyfix end, "no middleware 'proxyfix'; did you mean 'proxy_fix'%?")
    refuses(function() return middleware.unheard_of end, "no middleware 'unheard_of'; there are: cors, csrf, ")
    refuses(function() dewar.app():use(middleware.request_id) end, "app:use%(dewar.middleware.request_id%(...%)%)")
    refuses(function() middleware.request_id { header = "bad name" } end, "header's name has letters.*got \"bad name\"")
    refuses(function() middleware.method_override { header = "" } end, "a header's name has letters")
  end)

  it("can be gone through", function()
    local names = {}
    for name, make in pairs(middleware) do
      assert.are.equal("function", type(make))
      names[#names + 1] = name
    end
    assert.are.equal("cors csrf method_override proxy_fix rate_limit request_id security_headers trusted_hosts",
      table.concat(names, " "))
  end)
end)

describe("method_override", function()
  local function answer(options, request)
    local app = dewar.app()
    app:use(middleware.method_override(options))
    app:route("/", { methods = { "POST", "PUT", "PATCH", "DELETE", "GET" } }, function(req) return req.method end)
    local client <close> = app:test_client()
    request = request or {}
    return client:request(request.method or "POST", "/", { headers = request.headers, form = request.form })
  end

  it("goes by the header of a POST", function()
    assert.are.equal("DELETE", answer(nil, { headers = { ["X-HTTP-Method-Override"] = "delete" } }).body)
    assert.are.equal("POST", answer().body)
    assert.are.equal("POST", answer(nil, { headers = { ["X-HTTP-Method-Override"] = "POST" } }).body)
    assert.are.equal("PUT", answer({ header = "X-Method" }, { headers = { ["X-Method"] = "PUT" } }).body)
  end)

  it("leaves other methods alone", function()
    local headers = { ["X-HTTP-Method-Override"] = "DELETE" }
    assert.are.equal("GET", answer(nil, { method = "GET", headers = headers }).body)
    assert.are.equal("PUT", answer(nil, { method = "PUT", headers = headers }).body)
  end)

  it("goes by a form's field where it is asked to", function()
    assert.are.equal("POST", answer(nil, { form = { _method = "PUT" } }).body)
    assert.are.equal("PUT", answer({ form = true }, { form = { _method = "put" } }).body)
    assert.are.equal("PUT", answer({ form = "_m", header = false }, { form = { _m = "PUT" } }).body)
    assert.are.equal("POST", answer({ form = true }, { form = { other = "PUT" } }).body)
    assert.are.equal("POST", answer({ form = true }, { form = { _method = "" } }).body)
  end)

  it("goes by a field of a form with files, too", function()
    local app = dewar.app()
    app:use(middleware.method_override { form = true })
    app:put("/", function(req) return req.files.photo:read() end)
    local client <close> = app:test_client()
    local files = { photo = { filename = "a.png", content = "pixels" } }
    assert.are.equal("pixels", client:post("/", { form = { _method = "PUT" }, files = files }).body)
  end)

  it("leaves the form to the view", function()
    local app = dewar.app()
    app:use(middleware.method_override { form = true })
    app:delete("/", function(req) return req.form.name end)
    local client <close> = app:test_client()
    assert.are.equal("ada", client:post("/", { form = { _method = "DELETE", name = "ada" } }).body)
  end)

  it("reads no body that is no form", function()
    local app = dewar.app()
    app:use(middleware.method_override { form = true })
    app:post("/", function(req)
      local parts = {}
      for part in req:chunks() do parts[#parts + 1] = part end
      return table.concat(parts)
    end)
    local client <close> = app:test_client()
    assert.are.equal('{"_method":"PUT"}', client:post("/", { json = { _method = "PUT" } }).body)
  end)

  it("answers 400 for methods that aren't allowed", function()
    for _, method in ipairs { "GET", "HEAD", "CONNECT", "FROB", "" } do
      assert.are.equal(400, answer(nil, { headers = { ["X-HTTP-Method-Override"] = method } }).status, method)
    end
    local delete = { headers = { ["X-HTTP-Method-Override"] = "DELETE" } }
    assert.are.equal(400, answer({ methods = { "PUT" } }, delete).status)
  end)

  it("tells who misuses it what is wrong", function()
    refuses(function() middleware.method_override { from = true } end, "unknown option 'from'; did you mean 'form'%?")
    refuses(function() middleware.method_override { header = 1 } end, "'header' is a string or false; got a number")
    refuses(function() middleware.method_override { form = 1 } end, "'form' is a string or a boolean; got a number")
    refuses(function() middleware.method_override { header = false } end, "needs a header or a form's field")
    refuses(function() middleware.method_override { methods = { 1 } } end, "methods%[1%] is a number")
    refuses(function() middleware.method_override { methods = { "get" } } end, "can't stand for GET")
    refuses(function() middleware.method_override { methods = "PUT" } end, "'methods' is a table; got a string")
  end)
end)

describe("request_id", function()
  local function answer(options, headers)
    local app = dewar.app()
    app:use(middleware.request_id(options))
    app:get("/", function(req) return req.id end)
    local client <close> = app:test_client()
    local res = client:get("/", { headers = headers })
    return res.body, res
  end

  it("tells the client req.id", function()
    local id, res = answer()
    assert.matches("^%x+$", id)
    assert.are.equal(32, #id)
    assert.are.equal(id, res.headers["X-Request-ID"])
    assert.are_not.equal(id, (answer()))
    id, res = answer { header = "X-Trace" }
    assert.are.equal(id, res.headers["X-Trace"])
    assert.is_nil(res.headers["X-Request-ID"])
  end)

  it("takes over the id of a proxy that it trusts", function()
    assert.are_not.equal("abc", (answer(nil, { ["X-Request-ID"] = "abc" })))
    local id, res = answer({ trust = true }, { ["X-Request-ID"] = "abc-1.2:3" })
    assert.are.equal("abc-1.2:3", id)
    assert.are.equal("abc-1.2:3", res.headers["X-Request-ID"])
    local trust = dewar.async(function(req)
      dewar.sleep(0.001)
      return req.path == "/"
    end)
    assert.are.equal("abc", (answer({ trust = trust }, { ["X-Request-ID"] = "abc" })))
  end)

  it("takes over nothing that could forge a line of a log", function()
    for _, bad in ipairs { "", "a b", "a\tb", 'a"b', ("x"):rep(129), "é" } do
      assert.matches("^" .. ("%x"):rep(32) .. "$", (answer({ trust = true }, { ["X-Request-ID"] = bad })))
    end
  end)

  it("names the request in the log", function()
    local app, fields = dewar.app(), nil
    app:use(middleware.request_id())
    app:get("/", function(req)
      dewar.log.warn "here"
      return req.id
    end)
    local client <close> = app:test_client()
    dewar.log.sink = function(_, _, of) fields = of end
    local id = client:get("/").body
    dewar.log.sink = nil
    assert.are.equal(id, fields.request_id)
  end)

  it("tells who misuses it what is wrong", function()
    refuses(function() middleware.request_id { trusted = true } end, "unknown option 'trusted'; did you mean 'trust'%?")
    refuses(function() middleware.request_id { header = 1 } end, "'header' is a string; got a number")
    refuses(function() middleware.request_id { trust = "all" } end, "'trust' must be a function; got a string")
  end)
end)

describe("trusted hosts", function()
  local function status(hosts, host, how)
    local app = dewar.app()
    if how == "config" then app.config.TRUSTED_HOSTS = hosts else app:use(middleware.trusted_hosts(hosts)) end
    app:get("/", function(req) return req.host end)
    local client <close> = app:test_client()
    return client:get("/", { headers = { Host = host } }).status
  end

  for _, how in ipairs { "config", "middleware" } do
    it("are those of the list, by " .. how, function()
      local hosts = { "example.com", ".Example.org", "[::1]", "127.0.0.1" }
      local good = { "example.com", "EXAMPLE.com:8080", "example.org", "a.example.org", "a.b.example.ORG:1", "[::1]:80",
        "127.0.0.1" }
      local bad = { "www.example.com", "example.com.evil.net", "evilexample.org", "xexample.com", "org", "localhost",
        ".example.org", "example.com.", "[::2]" }
      for _, host in ipairs(good) do assert.are.equal(200, status(hosts, host, how), host) end
      for _, host in ipairs(bad) do assert.are.equal(400, status(hosts, host, how), host) end
    end)
  end

  it("are asked for behind proxy_fix, before the hooks of the app", function()
    local app, ran = dewar.app { config = { TRUSTED_HOSTS = { "good.example" } } }, false
    app:use(middleware.proxy_fix { host = 1 })
    app:before_request(function() ran = true end)
    app:get("/", function() return "ok" end)
    app:errorhandler(400, function(_, err) return "400: " .. err.message, 400 end)
    local client <close> = app:test_client()
    local res = client:get("/", { headers = { Host = "good.example", ["X-Forwarded-Host"] = "evil.example" } })
    assert.are.equal("400: This host is none of ours.", res.body)
    assert.is_false(ran)
    assert.are.equal(200, client:get("/", { headers = { ["X-Forwarded-Host"] = "good.example" } }).status)
  end)

  it("are any where the setting is nil", function()
    local app = dewar.app { config = { TRUSTED_HOSTS = { "example.com" } } }
    app.config.TRUSTED_HOSTS = nil
    app:get("/", function() return "ok" end)
    local client <close> = app:test_client()
    assert.are.equal(200, client:get("/").status)
  end)

  it("must be hosts", function()
    local config = dewar.app().config
    local app = dewar.app()
    refuses(function() config.TRUSTED_HOSTS = "example.com" end, "TRUSTED_HOSTS is a list of hosts .* got example.com")
    refuses(function() config.TRUSTED_HOSTS = {} end, "TRUSTED_HOSTS is a list of hosts")
    refuses(function() config.TRUSTED_HOSTS = { "a.example", 7 } end, "got 7")
    for _, bad in ipairs { "", ".", "..a", "a:80", "https://a", "a/b", "*.a.example" } do
      refuses(function() config.TRUSTED_HOSTS = { "ok.example", bad } end, "without ports")
    end
    refuses(function() middleware.trusted_hosts {} end, "takes a list of hosts")
    refuses(function() middleware.trusted_hosts "a" end, "takes a list of hosts")
    refuses(function() app:use(middleware.trusted_hosts { "a:80" }) end, "without ports")
  end)
end)
