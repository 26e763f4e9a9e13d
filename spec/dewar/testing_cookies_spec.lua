-- The test client's cookies.
local dewar = require "dewar"
local clean = require "spec.support.clean"

clean.watch(before_each, after_each)

describe("the test client's cookies", function()
  local app, client, lines

  before_each(function()
    app = dewar.app()
    app.config.TESTING = true
    app:get("/set", function()
      return "set", 200, { ["Set-Cookie"] = lines }
    end)
    app:get("/deep/er/set", function()
      return "set", 200, { ["Set-Cookie"] = lines }
    end)
    app:get("/<path:any>", function(req) return req.headers.cookie or "none" end)
    client = app:test_client()
  end)
  after_each(function() client:close() end)

  --- What the client sends after an answer with these Set-Cookie lines.
  local function after(set, path, host)
    lines = set
    client:get("/set")
    return client:get(path or "/x", host and { headers = { Host = host } }).body
  end

  it("come back as they were set", function()
    assert.are.equal("a=1; b=x=y", after { "a=1", "b=x=y; HttpOnly; SameSite=Lax" })
    assert.are.equal("a=2; b=x=y", after { "a=2" })
    assert.are.equal("", client:get("/x", { headers = { Cookie = "" } }).body)
    assert.are.equal("c=3", client:get("/x", { headers = { Cookie = "c=3" } }).body)
  end)

  it("are read by index, all by a call, and in a loop", function()
    after { "a=1", 'b="x\\054 \\"y\\" \\134\\\\"', "a=2; Path=/set" }
    assert.are.equal("1", client.cookies.a)
    assert.are.same({ "1", "2" }, client.cookies "a")
    assert.are.equal('x, "y" \\\\', client.cookies.b)
    assert.is_nil(client.cookies.c)
    local names = {}
    for name, value in pairs(client.cookies) do names[#names + 1] = name .. "=" .. value end
    assert.are.same({ "a=1", 'b=x, "y" \\\\', "a=2" }, names)
  end)

  it("have their attributes", function()
    after { "a=1; Path=/x; Domain=.LOCALHOST; Secure; HttpOnly; SameSite=None; Partitioned" }
    local cookie = client:cookie "a"
    assert.are.equal("/x", cookie.path)
    assert.are.equal("localhost", cookie.domain)
    assert.is_false(cookie.host_only)
    assert.is_true(cookie.secure)
    assert.is_true(cookie.httponly)
    assert.is_true(cookie.partitioned)
    assert.are.equal("None", cookie.samesite)
    assert.is_nil(cookie.expires)
    assert.is_nil(client:cookie "b")
  end)

  it("are set and deleted by assignment", function()
    client.cookies.a = "x; y"
    client.cookies.b = "plain"
    assert.are.equal('a="x\\073 y"; b=plain', client:get("/x").body)
    assert.are.equal("x; y", client.cookies.a)
    client.cookies.a = nil
    assert.are.equal("b=plain", client:get("/x").body)
    local ok, err = pcall(function() client.cookies.a = 7 end)
    assert.is_false(ok)
    assert.matches("testing_cookies_spec.lua:%d+: the cookie 'a' must be a string", err)
    ok, err = pcall(function() client.cookies["a b"] = "x" end)
    assert.is_false(ok)
    assert.matches("testing_cookies_spec.lua:%d+: a cookie's name is of", err)
  end)

  it("read back what the app writes and the other way round", function()
    local value = 'a "quoted", semi; back\\slash \195\169'
    app:get("/write/it", function()
      local res = dewar.response("x")
      res:set_cookie("v", value)
      return res
    end)
    app:get("/read/it", function(req) return req.cookies.v end)
    client:get("/write/it")
    assert.are.equal(value, client.cookies.v)
    assert.are.equal(value, client:get("/read/it").body)
    client.cookies.v = value .. "!"
    assert.are.equal(value .. "!", client:get("/read/it").body)
  end)

  it("belong to a path, longer ones first", function()
    after { "root=1", "b=2; Path=/b", "bc=3; Path=/b/c", "slash=4; Path=/b/" }
    assert.are.equal("root=1", client:get("/x").body)
    assert.are.equal("root=1", client:get("/bb").body)
    assert.are.equal("b=2; root=1", client:get("/b").body)
    assert.are.equal("bc=3; slash=4; b=2; root=1", client:get("/b/c/d").body)
  end)

  it("belong by default to the folder of the request", function()
    lines = { "a=1", "b=2; Path=relative" }
    client:get("/deep/er/set")
    assert.are.equal("none", client:get("/x").body)
    assert.are.equal("a=1; b=2", client:get("/deep/er").body)
    assert.are.equal("a=1; b=2", client:get("/deep/er/x?y").body)
  end)

  it("belong to a host, or to a domain that holds it", function()
    local function at(host) return client:get("/x", { headers = { Host = host } }).body end
    lines = { "own=1", "wide=2; Domain=example.com", "foreign=3; Domain=other.com" }
    client:get("/set", { headers = { Host = "www.example.com:8080" } })
    assert.are.equal("own=1; wide=2", at "www.example.com")
    assert.are.equal("wide=2", at "api.EXAMPLE.com:5000")
    assert.are.equal("wide=2", at "example.com")
    assert.are.equal("none", at "notexample.com")
    assert.are.equal("none", at "other.com")
    assert.are.equal("none", at "localhost")
  end)

  it("expire, and are deleted by a date that is over", function()
    assert.are.equal("a=1", after { "a=1; Max-Age=60", "b=2; Max-Age=0" })
    assert.are.equal("none", after { "a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT" })
    assert.are.equal("c=1; d=2; e=3", after {
      "c=1; Expires=Fri, 31 Dec 2100 23:59:59 GMT",
      "d=2; Expires=Friday, 31-Dec-66 23:59:59 GMT",
      "e=3; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=5",
    })
    assert.are.equal(4133980799, client:cookie("c").expires)
    assert.are.equal("c=1; d=2; e=3; f=4", after { "f=4; Max-Age=soon", "no name", "=x" })
  end)

  it("survive a redirect", function()
    app:get("/login/now", function()
      return "", 302, { Location = "/x", ["Set-Cookie"] = "in=1; Path=/" }
    end)
    assert.are.equal("in=1", client:get("/login/now", { follow_redirects = true }).body)
  end)

  it("are not kept where that is not wanted", function()
    local bare <close> = app:test_client { cookies = false }
    lines = { "a=1" }
    bare:get("/set")
    assert.are.equal("none", bare:get("/x").body)
    assert.is_nil(bare.cookies)
    assert.is_nil(bare:cookie "a")
  end)
end)
