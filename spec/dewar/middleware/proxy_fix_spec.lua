-- What proxies say: lua/dewar/middleware/proxy_fix.lua.

local dewar = require "dewar"
local refuses = require("spec.support.caller").refuses

--- What a view sees of a request with these headers.
local function seen(options, headers, path)
  local app = dewar.app()
  app:use(dewar.middleware.proxy_fix(options))
  app:get("/<path:rest>", { endpoint = "any" }, function(req)
    return { addr = req.remote_addr, scheme = req.scheme, host = req.host, root = req.script_root,
      url = dewar.url_for("any", { rest = "x", _external = true }) }
  end)
  local client <close> = app:test_client()
  local res = client:get(path or "/p", { headers = headers })
  if res.status ~= 200 then return res end
  return res:json()
end

local ALL = { ["for"] = 1, proto = 1, host = 1, port = 1, prefix = 1 }

describe("proxy_fix", function()
  it("takes the client's address and scheme from one proxy, and nothing else", function()
    local got = seen(nil, {
      ["X-Forwarded-For"] = "203.0.113.9", ["X-Forwarded-Proto"] = "https", ["X-Forwarded-Host"] = "evil.example",
      ["X-Forwarded-Port"] = "81", ["X-Forwarded-Prefix"] = "/evil",
    })
    assert.are.equal("203.0.113.9", got.addr)
    assert.are.equal("https", got.scheme)
    assert.are.equal("localhost", got.host)
    assert.are.equal("", got.root)
  end)

  it("takes host, port and prefix where it is told to", function()
    local got = seen(ALL, {
      ["X-Forwarded-For"] = "2001:db8::1", ["X-Forwarded-Proto"] = "https", ["X-Forwarded-Host"] = "www.example.com",
      ["X-Forwarded-Port"] = "8443", ["X-Forwarded-Prefix"] = "/app/",
    })
    assert.are.equal("2001:db8::1", got.addr)
    assert.are.equal("www.example.com:8443", got.host)
    assert.are.equal("/app", got.root)
    assert.are.equal("https://www.example.com:8443/app/x", got.url)
  end)

  it("replaces the port of a host that has one", function()
    assert.are.equal("h.example:2", seen({ host = 1, port = 1 },
      { ["X-Forwarded-Host"] = "h.example:1", ["X-Forwarded-Port"] = "2" }).host)
    assert.are.equal("[::1]:2", seen({ host = 1, port = 1 },
      { ["X-Forwarded-Host"] = "[::1]:1", ["X-Forwarded-Port"] = "2" }).host)
    assert.are.equal("localhost:2", seen({ port = 1 }, { ["X-Forwarded-Port"] = "2" }).host)
  end)

  it("counts proxies from the right, so that what a client made up isn't believed", function()
    local headers = { ["X-Forwarded-For"] = "6.6.6.6, 203.0.113.9,198.51.100.1" }
    assert.are.equal("198.51.100.1", seen({ ["for"] = 1 }, headers).addr)
    assert.are.equal("203.0.113.9", seen({ ["for"] = 2 }, headers).addr)
    assert.are.equal("6.6.6.6", seen({ ["for"] = 3 }, headers).addr)
  end)

  it("believes nothing where fewer proxies than that have added to a header", function()
    local headers = { ["X-Forwarded-For"] = "6.6.6.6", ["X-Forwarded-Proto"] = "https" }
    local got = seen({ ["for"] = 2, proto = 2 }, headers)
    assert.are.equal("127.0.0.1", got.addr)
    assert.are.equal("http", got.scheme)
    assert.are.equal("127.0.0.1", seen({ ["for"] = 0 }, headers).addr)
  end)

  it("counts lines of a header like items of one", function()
    local app = dewar.app()
    app:use(dewar.middleware.proxy_fix { ["for"] = 2 })
    app:get("/", function(req) return req.remote_addr end)
    local client <close> = app:test_client()
    local res = client:get("/", { headers = { ["X-Forwarded-For"] = { "1.1.1.1", "2.2.2.2, 3.3.3.3" } } })
    assert.are.equal("2.2.2.2", res.body)
  end)

  it("is spelt for_ or x_for, too, as `for` is a word of Lua's", function()
    local headers = { ["X-Forwarded-For"] = "1.1.1.1, 2.2.2.2" }
    assert.are.equal("1.1.1.1", seen({ for_ = 2 }, headers).addr)
    assert.are.equal("1.1.1.1", seen({ x_for = 2, x_proto = 0, x_host = 0, x_port = 0, x_prefix = 0 }, headers).addr)
  end)

  it("drops the port of an address, and takes wss for https", function()
    assert.are.equal("192.0.2.1", seen({}, { ["X-Forwarded-For"] = "192.0.2.1:4711" }).addr)
    assert.are.equal("2001:db8::1", seen({}, { ["X-Forwarded-For"] = "[2001:db8::1]:4711" }).addr)
    assert.are.equal("2001:db8::1", seen({}, { ["X-Forwarded-For"] = "[2001:db8::1]" }).addr)
    assert.are.equal("https", seen({}, { ["X-Forwarded-Proto"] = "WSS" }).scheme)
    assert.are.equal("http", seen({}, { ["X-Forwarded-Proto"] = "ws" }).scheme)
  end)

  it("answers 400 where a proxy it trusts sets what no request can have", function()
    local cases = {
      ["X-Forwarded-For"] = { "a b", ("x"):rep(300) },
      ["X-Forwarded-Proto"] = { "gopher", "http\\" },
      ["X-Forwarded-Host"] = { "a b", "evil.example/x", "user@evil.example", "a:70000" },
      ["X-Forwarded-Port"] = { "x", "70000" },
      ["X-Forwarded-Prefix"] = { "x", "//evil.example", "/a?b", "/a\\b" },
    }
    for header, values in pairs(cases) do
      for _, value in ipairs(values) do
        local res = seen(ALL, { [header] = value })
        assert.are.equal(400, res.status, value)
        assert.matches(header:gsub("%-", "%%-"), res.body)
      end
    end
  end)

  it("passes by headers that are empty", function()
    local got = seen(ALL, { ["X-Forwarded-For"] = "", ["X-Forwarded-Prefix"] = "" })
    assert.are.equal("localhost", got.host)
    assert.are.equal("", got.root)
  end)

  it("reads Forwarded instead, where the proxies write that", function()
    local options = { forwarded = true, host = 1 }
    local two = 'for=6.6.6.6;proto=http, For="[2001:db8::1]:4711"; proto=https;host=h.example'
    local got = seen(options, { Forwarded = two,
      ["X-Forwarded-For"] = "7.7.7.7" })
    assert.are.equal("2001:db8::1", got.addr)
    assert.are.equal("https", got.scheme)
    assert.are.equal("h.example", got.host)
    assert.are.equal("unknown", seen(options, { Forwarded = "for=unknown" }).addr)
    assert.are.equal("_hidden", seen(options, { Forwarded = "for=_hidden" }).addr)
    assert.are.equal("127.0.0.1", seen(options, {}).addr)
    for _, bad in ipairs { "", "for", "for=1.1.1.1;;", 'for="1.1.1.1', "for=1.1.1.1 proto=https", "for=a,," } do
      assert.are.equal(400, seen(options, { Forwarded = bad }).status, bad)
    end
  end)

  it("tells who misuses it what is wrong", function()
    refuses(function() dewar.middleware.proxy_fix { fro = 1 } end, "unknown option 'fro'; did you mean 'for'%?")
    refuses(function() dewar.middleware.proxy_fix { proto = -1 } end, "'proto' is a number of proxies; got %-1")
    refuses(function() dewar.middleware.proxy_fix { host = true } end, "'host' is a number of proxies; got true")
    refuses(function() dewar.middleware.proxy_fix { for_ = 1, x_for = 1 } end, "'for' is given twice")
    refuses(function() dewar.middleware.proxy_fix { forwarded = true, prefix = 1 } end, "no port and no prefix")
    refuses(function() dewar.middleware.proxy_fix(1) end, "the options must be a table")
  end)
end)
