-- Fields of requests and responses that are headers: lua/dewar/request.lua,
-- response.lua, headers/.

local dewar = require "dewar"

local function fails(pattern, f)
  local ok, message = pcall(f)
  assert.is_false(ok, pattern)
  assert.matches(pattern, message)
  assert.matches("fields_spec.lua:%d+: ", message)
end

--- What f(req) gives.
local function ask(options, f)
  local app, result = dewar.app { config = { TESTING = true } }, nil
  app:route(options.rule or "/", { methods = { "GET", "POST" } }, function(req)
    result = table.pack(f(req))
    return "ok"
  end)
  local client <close> = app:test_client()
  client:request((options.body or options.form) and "POST" or "GET", options.target or "/",
    { headers = options.headers, body = options.body, form = options.form })
  return table.unpack(result, 1, result.n)
end

describe("a response's cache_control", function()
  local res
  before_each(function() res = dewar.response "x" end)

  it("writes the header, and reads it", function()
    res.cache_control.max_age = 60
    res.cache_control.public = true
    res.cache_control.stale_while_revalidate = 30
    assert.are.equal("max-age=60, public, stale-while-revalidate=30", res.headers.cache_control)
    res.headers.cache_control = "private, max-age=5"
    local cc = res.cache_control
    assert.are.same({ 5, true, false, false }, { cc.max_age, cc.private, cc.public, cc.no_store })
    assert.is_nil(cc.s_maxage)
    assert.are.equal("private, max-age=5", tostring(cc))
  end)

  it("keeps the place of a directive, and the others", function()
    res.headers.cache_control = "public, max-age=1, x-own=\"a, b\""
    res.cache_control.max_age = 2
    res.cache_control.immutable = true
    assert.are.equal("public, max-age=2, x-own=\"a, b\", immutable", res.headers.cache_control)
    res.cache_control.public = false
    res.cache_control.max_age = nil
    assert.are.equal("x-own=\"a, b\", immutable", res.headers.cache_control)
    res.cache_control.immutable = nil
    res.cache_control:set("x-own", nil)
    assert.is_nil(res.headers.cache_control)
  end)

  it("quotes the names of headers", function()
    res.cache_control.no_cache = "Set-Cookie"
    assert.are.equal('no-cache="Set-Cookie"', res.headers.cache_control)
    assert.are.equal("Set-Cookie", res.cache_control.no_cache)
    res.cache_control.no_cache = true
    assert.are.equal("no-cache", res.headers.cache_control)
  end)

  it("knows directives of any name", function()
    res.cache_control:set("surrogate-key", "a b")
    res.cache_control:set("Max_Agee", 3)
    assert.are.equal('surrogate-key="a b", max-agee=3', res.headers.cache_control)
    assert.are.equal("a b", res.cache_control:get "surrogate_key")
    assert.is_nil(res.cache_control:get "nothing")
  end)

  it("is set to a table, a text, or nothing", function()
    res.cache_control = { public = true, max_age = 10, no_cache = false }
    assert.are.equal("max-age=10, public", res.headers.cache_control)
    local other = dewar.response()
    other.cache_control = res.cache_control
    assert.are.equal("max-age=10, public", other.headers.cache_control)
    res.cache_control = "no-store"
    assert.is_true(res.cache_control.no_store)
    res.cache_control = nil
    assert.is_nil(res.headers.cache_control)
  end)

  it("is iterated over in its order", function()
    res.headers.cache_control = "no-cache, max-age=60, x=y, max-age=1, , =z"
    local list = {}
    for name, value in pairs(res.cache_control) do list[#list + 1] = name .. "=" .. tostring(value) end
    assert.are.same({ "no_cache=true", "max_age=60", "x=y" }, list)
  end)

  it("doesn't believe what makes no sense", function()
    for _, text in ipairs { "max-age", "max-age=", "max-age=-1", "max-age=1.5", "max-age=x", "max-age=1e3" } do
      res.headers.cache_control = text
      assert.is_falsy(res.cache_control.max_age, text)
    end
    res.headers.cache_control = 'MAX-AGE="60"'
    assert.are.equal(60, res.cache_control.max_age)
    res.headers.cache_control = 'private="a'
    assert.is_truthy(res.cache_control.private)
  end)

  it("says what is wrong at the assignment", function()
    local cc = res.cache_control
    fails("no directive 'max_agee'; did you mean 'max_age'", function() cc.max_agee = 1 end)
    fails("no directive 'publik'; did you mean 'public'", function() return cc.publik end)
    fails("max_age is a whole number of seconds, or nil; got a string", function() cc.max_age = "1" end)
    fails("max_age is a whole number of seconds, or nil; got %-1", function() cc.max_age = -1 end)
    fails("max_age is a whole number of seconds, or nil; got 1.5", function() cc.max_age = 1.5 end)
    fails("public is true or false; got 3", function() cc.public = 3 end)
    fails("no_cache is true, false or the names of headers; got a table", function() cc.no_cache = {} end)
    fails("has a name such as 'max_age'; got 'a b'", function() cc:set("a b", true) end)
    fails("without control characters", function() cc:set("x", "a\nb") end)
    fails("no directive 'max_ag'; did you mean 'max_age'", function() res.cache_control = { max_ag = 1 } end)
    fails("max_age is a whole number", function() res.cache_control = { max_age = "x" } end)
    fails("cache_control is a table such as { max_age = 60 }", function() res.cache_control = 5 end)
    fails("has a line feed", function() res.cache_control = "a\nb" end)
    assert.is_nil(res.headers.cache_control)
  end)
end)

describe("a set-like header", function()
  local res
  before_each(function() res = dewar.response "x" end)

  it("merges words in any case", function()
    res.vary:add "Cookie"
    res.headers.vary = { "Cookie", "accept" }
    res.vary:add("ACCEPT", "Origin", "origin")
    assert.are.equal("Cookie, accept, Origin", res.headers.vary)
    assert.is_true(res.vary:contains "ORIGIN")
    assert.is_false(res.vary:contains "Range")
    assert.are.equal(3, #res.vary)
    local list = {}
    for word in pairs(res.vary) do list[#list + 1] = word end
    assert.are.same({ "Cookie", "accept", "Origin" }, list)
    assert.are.same(list, res.vary:values())
  end)

  it("loses words, and in the end itself", function()
    res.allow = { "GET", "HEAD" }
    res.allow:remove("get", "POST")
    assert.are.equal("HEAD", res.headers.allow)
    res.allow:clear()
    assert.is_nil(res.headers.allow)
    assert.are.equal("", tostring(res.allow))
  end)

  it("has room for nothing beside a star", function()
    res.vary = "*"
    res.vary:add "Cookie"
    assert.are.equal("*", res.headers.vary)
    assert.is_true(res.vary:contains "Accept")
  end)

  it("is set to a list, a text, or nothing", function()
    res.content_language = { "de", "en", "DE" }
    assert.are.equal("de, en", res.headers.content_language)
    res.vary = res.content_language
    assert.are.equal("de, en", res.headers.vary)
    res.vary = nil
    assert.is_nil(res.headers.vary)
  end)

  it("says what is wrong", function()
    fails("Vary is a set of words; got 'a b'", function() res.vary:add "a b" end)
    fails("Vary is a set of words; got a nil", function() res.vary:contains() end)
    fails("Vary is a set of words; got 'x,y'", function() res.vary = { "x,y" } end)
    fails("Vary is a list of words, a string or nil; got a number", function() res.vary = 5 end)
    fails("has a carriage return", function() res.vary = "a\rb" end)
    fails("has no field 'x'; use add", function() res.vary.x = true end)
  end)
end)

describe("fields of a response", function()
  it("are headers with a value that suits them", function()
    local res = dewar.response("x", 503)
    res.retry_after = 10
    res.age = 3.0
    res.location = "/there"
    res.content_type = "application/problem+json; charset=utf-8"
    assert.are.same({ "10", "3", "/there" }, { res.headers.retry_after, res.headers.age, res.headers.location })
    assert.are.same({ 10, 3, "/there", "application/problem+json", true },
      { res.retry_after, res.age, res.location, res.mimetype, res.is_json })
    assert.are.same({ charset = "utf-8" }, res.mimetype_params)
    res.retry_after = "Sun, 06 Nov 1994 08:49:37 GMT"
    assert.are.equal("Sun, 06 Nov 1994 08:49:37 GMT", res.retry_after)
    res.age = nil
    assert.is_nil(res.age)
    assert.is_nil(res.content_length)
  end)

  it("ask for a password", function()
    local res = dewar.response("", 401)
    res.www_authenticate = { type = "basic", realm = 'the "staff"', charset = "UTF-8" }
    assert.are.equal('Basic charset="UTF-8", realm="the \\"staff\\""', res.www_authenticate)
    res.www_authenticate = { { type = "bearer" }, "Negotiate" }
    assert.are.same({ "Bearer", "Negotiate" }, res.headers "WWW-Authenticate")
    res.www_authenticate = nil
    assert.is_nil(res.www_authenticate)
  end)

  it("say what is wrong", function()
    local res = dewar.response "x"
    fails("Age is a whole number of seconds, or nil; got %-1", function() res.age = -1 end)
    fails("Age is a whole number of seconds, or nil; got a string", function() res.age = "1" end)
    fails("Retry%-After is a whole number of seconds or a date, or nil; got 1.5", function() res.retry_after = 1.5 end)
    fails("Location is a string or nil; got a number", function() res.location = 1 end)
    fails("has a carriage return", function() res.location = "/a\r\nX: y" end)
    fails("www_authenticate is a string, a table", function() res.www_authenticate = { realm = "x" } end)
    fails("www_authenticate is a string, a table", function() res.www_authenticate = { {} } end)
    fails("field 'is_json' can't be set", function() res.is_json = true end)
    fails("no field 'vari'; did you mean 'vary'", function() return res.vari end)
    fails("no field 'statu'; did you mean 'status'", function() res.statu = 1 end)
    fails("compress is true, false, or nil", function() res.compress = "gzip" end)
  end)
end)

describe("fields of a request", function()
  it("are parts of its URL", function()
    local r = ask({ target = "/a%20b?x=1", rule = "/<name>" }, function(req)
      return { req.full_path, req.root_url, req.url_root, req.host_url, req.is_secure }
    end)
    assert.are.same({ "/a%20b?x=1", "http://localhost/", "http://localhost/", "http://localhost/", false }, r)
    assert.are.equal("/", ask({}, function(req) return req.full_path end))
  end)

  it("are its content type", function()
    local r = ask({ body = "{}", headers = {
      content_type = 'Application/Vnd.X+JSON; Charset="utf-8"; a=b' } }, function(req)
      return { req.mimetype, req.mimetype_params, req.is_json }
    end)
    assert.are.same({ "application/vnd.x+json", { charset = "utf-8", a = "b" }, true }, r)
    assert.are.same({ "", {}, false }, ask({}, function(req)
      return { req.mimetype, req.mimetype_params, req.is_json }
    end))
  end)

  it("are headers", function()
    local r = ask({ headers = { referer = "http://a/", origin = "null", pragma = "no-cache",
      date = "Sun, 06 Nov 1994 08:49:37 GMT", max_forwards = 3, content_encoding = "gzip",
      access_control_request_method = "PUT", access_control_request_headers = "X-A, x-b" } }, function(req)
      return { req.referrer, req.origin, req.pragma, req.date, req.max_forwards, req.content_encoding,
        req.access_control_request_method, req.access_control_request_headers }
    end)
    assert.are.same({ "http://a/", "null", "no-cache", 784111777, 3, "gzip", "PUT", { "X-A", "x-b" } }, r)
    assert.are.equal(0, ask({}, function(req)
      return #{ req.referrer, req.origin, req.pragma, req.date, req.max_forwards, req.content_encoding }
    end))
  end)

  it("are who has passed it on", function()
    assert.are.same({ "10.0.0.1", "10.0.0.2" }, ask({ headers = { x_forwarded_for = "10.0.0.1,10.0.0.2" } },
      function(req) return req.access_route end))
    assert.is_table(ask({}, function(req) return req.access_route end))
  end)

  it("are what the query and the form hold", function()
    local r = ask({ target = "/?a=1&b=2", form = { a = "3", c = "4" } }, function(req)
      local v = req.values
      local n = 0
      for _ in pairs(v) do n = n + 1 end
      return { v.a, v.c, v "a", v.none == nil, #v, n, v == req.values, dewar.request.values.b }
    end)
    assert.are.same({ "1", "4", { "1", "3" }, true, 4, 4, true, "2" }, r)
    fails("can't be changed", function() ask({}, function(req) req.values.x = 1 end) end)
  end)

  it("are the blueprints of its route", function()
    local app = dewar.app()
    local outer, inner = dewar.blueprint "outer", dewar.blueprint "inner"
    inner:get("/x", function(req) return req.blueprints end)
    outer:register_blueprint(inner)
    app:register_blueprint(outer)
    app:get("/y", function(req) return dewar.array(req.blueprints) end)
    local client <close> = app:test_client()
    assert.are.same({ "outer.inner", "outer" }, client:get("/x"):json())
    assert.are.equal("[]\n", client:get("/y").body)
  end)

  it("are what it says of caching, to be read", function()
    local cc = ask({ headers = { cache_control = "no-cache, max-age=0, max-stale, min-fresh=5, only-if-cached" } },
      function(req) return req.cache_control end)
    assert.are.same({ true, 0, true, 5, true, false },
      { cc.no_cache, cc.max_age, cc.max_stale, cc.min_fresh, cc.only_if_cached, cc.no_store })
    fails("can't be changed", function() cc.max_age = 1 end)
    fails("can't be changed", function() cc:set("max_age", 1) end)
    fails("did you mean 'max_stale'", function() return cc.max_stal end)
  end)

  it("that don't exist name the nearest", function()
    fails("did you mean 'referrer'", function() ask({}, function(req) return req.referer end) end)
  end)
end)
