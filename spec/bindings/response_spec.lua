-- What views return, and responses: bindings/response.c, stream.c.

local dewar = require "dewar"

describe("what a view returns", function()
  local app, client
  before_each(function() app = dewar.app() end)
  after_each(function()
    if client then client:close() client = nil end
  end)

  --- The answer to a view that returns these values.
  local function answer(...)
    local values = table.pack(...)
    app = dewar.app()
    app:get("/", { endpoint = "the_view" }, function()
      return table.unpack(values, 1, values.n)
    end)
    if client then client:close() end
    client = app:test_client()
    return client:get "/"
  end

  --- The error it ends in, as a test sees it.
  local function failure(...)
    local values = table.pack(...)
    app = dewar.app { config = { TESTING = true } }
    app:get("/", { endpoint = "the_view" }, function()
      return table.unpack(values, 1, values.n)
    end)
    if client then client:close() end
    client = app:test_client()
    local ok, err = pcall(client.get, client, "/")
    assert.is_false(ok)
    return tostring(err)
  end

  it("is HTML if it is a string", function()
    local res = answer "<p>hi</p>"
    assert.are.equal("<p>hi</p>", res.body)
    assert.are.equal("text/html; charset=utf-8", res.headers["Content-Type"])
    assert.are.equal("9", res.headers["Content-Length"])
  end)

  it("is compact JSON with sorted keys and a newline if it is a table", function()
    local res = answer { b = { 1, 2.0, dewar.null }, a = "x" }
    assert.are.equal('{"a":"x","b":[1,2.0,null]}\n', res.body)
    assert.are.equal("application/json", res.headers["Content-Type"])
  end)

  it("is an empty object if it is an empty table, unless the app or a mark says array", function()
    assert.are.equal("{}\n", answer({}).body)
    assert.are.equal("[]\n", answer(dewar.array {}).body)
    app = dewar.app { config = { JSON_EMPTY_TABLE = "array" } }
    app:get("/", function() return {} end)
    local c <close> = app:test_client()
    assert.are.equal("[]\n", c:get("/").body)
  end)

  it("may be followed by a status", function()
    assert.are.equal(201, answer("x", 201).status)
    local res = answer("x", "418 Custom")
    assert.are.equal(418, res.status)
    assert.are.equal("Custom", res.reason)
  end)

  it("may be followed by headers, which replace those of the same name", function()
    local res = answer("x", { ["content-type"] = "text/plain", ["X-A"] = { "1", "2" } })
    assert.are.equal("text/plain", res.headers["Content-Type"])
    assert.are.same({ "1", "2" }, res.headers "X-A")
    assert.are.equal(200, res.status)
  end)

  it("may be followed by a status and headers, or nil and headers", function()
    local res = answer({ a = 1 }, 202, { ["X-A"] = "1" })
    assert.are.equal(202, res.status)
    assert.are.equal("1", res.headers["X-A"])
    res = answer("x", nil, { ["X-A"] = "2" })
    assert.are.equal(200, res.status)
    assert.are.equal("2", res.headers["X-A"])
  end)

  it("may be a response, which status and headers change", function()
    local res = answer(dewar.response("x", 200, { ["X-A"] = "1", ["X-B"] = "1" }), 203, { ["X-A"] = "2" })
    assert.are.equal(203, res.status)
    assert.are.equal("2", res.headers["X-A"])
    assert.are.equal("1", res.headers["X-B"])
  end)

  it("is awaited if it is awaitable, together with what follows it", function()
    local fetch = dewar.async(function() dewar.sleep(0.001) return "fetched", 201 end)
    app:get("/alone", function() return fetch() end)
    app:get("/followed", function() return fetch(), 202, { ["X-A"] = "1" } end)
    app:get("/thread", function() return coroutine.create(function() dewar.yield() return "co" end) end)
    client = app:test_client()
    local res = client:get "/alone"
    assert.are.equal("fetched", res.body)
    assert.are.equal(201, res.status)
    res = client:get "/followed"
    assert.are.equal("fetched", res.body)
    assert.are.equal(202, res.status)
    assert.are.equal("co", client:get("/thread").body)
  end)

  it("is streamed if it is an iterator, a generator, an object with __call or dewar.stream", function()
    local function iterator()
      local i = 0
      return function() i = i + 1 if i <= 3 then dewar.sleep(0.001) return tostring(i) end end
    end
    local res = answer(iterator())
    assert.are.equal("123", res.body)
    assert.are.equal("chunked", res.headers["Transfer-Encoding"])
    assert.are.equal("123", answer(coroutine.wrap(function()
      for i = 1, 3 do dewar.sleep(0.001) coroutine.yield(tostring(i)) end
    end)).body)
    local closed = 0
    local object = setmetatable({}, { __call = iterator(), __close = function() closed = closed + 1 end })
    assert.are.equal("123", answer(object).body)
    assert.are.equal(1, closed)
    assert.are.equal("ab", answer(dewar.stream(function(write)
      write "a" dewar.sleep(0.001) write "b"
    end)).body)
  end)

  it("that is nil, a boolean, a number or a function of dewar.async is an error naming the endpoint", function()
    assert.matches("the view of 'the_view' returned nil", failure(nil))
    assert.matches("the view of 'the_view' returned a boolean", failure(true))
    assert.matches("the view of 'the_view' returned a number", failure(12))
    assert.matches("the view of 'the_view' returned an async function that was not called",
      failure(dewar.async(function() end)))
    assert.matches("at most body, status, headers", failure("x", 200, {}, 4))
  end)

  it("with a bad status or bad headers is an error", function()
    assert.matches("'abc' is no status", failure("x", "abc"))
    assert.matches("1000", failure("x", 1000))
    assert.matches("X%-A", failure("x", 200, { ["X-A"] = "a\r\nb: c" }))
    assert.matches("reason", failure("x", "200 a\r\nb"))
  end)

  it("may be something JSON can't be: the error names the key", function()
    assert.matches("users%[2%]", failure { users = { "a", print } })
    assert.matches("nan", failure { x = 0 / 0 }:lower())
  end)

  it("has no body and no length with 204 and 304, and no body for HEAD", function()
    local res = answer("ignored", 204)
    assert.are.equal("", res.body)
    assert.is_nil(res.headers["Content-Length"])
    assert.is_nil(answer("ignored", 304).headers["Content-Length"])
    app = dewar.app()
    app:get("/", function() return "hello" end)
    local c <close> = app:test_client()
    res = c:head "/"
    assert.are.equal("", res.body)
    assert.are.equal("5", res.headers["Content-Length"])
  end)

  it("is not generated for HEAD", function()
    local ran = false
    app:get("/", function()
      return coroutine.wrap(function() ran = true coroutine.yield "x" end)
    end)
    client = app:test_client()
    assert.are.equal(200, client:head("/").status)
    assert.is_false(ran)
  end)

  it("may give a Content-Length for a stream, which must be kept", function()
    local function stream(length, ...)
      local parts, i = { ... }, 0
      return function() i = i + 1 return parts[i] end, 200, { ["Content-Length"] = tostring(length) }
    end
    local res = answer(stream(3, "a", "bc"))
    assert.are.equal("abc", res.body)
    assert.is_nil(res.headers["Transfer-Encoding"])
    assert.has_error(function() answer(stream(5, "a")) end)
    assert.are.equal("a", answer(stream(1, "a", "b")).body)
  end)
end)

describe("a response", function()
  it("has a status, headers, a body and a mimetype that can be set", function()
    local res = dewar.response "x"
    assert.are.equal(200, res.status)
    assert.are.equal("text/html", res.mimetype)
    res.status, res.mimetype, res.body = 404, "text/plain", "y"
    res.headers.X_A = "1"
    assert.are.equal(404, res.status)
    assert.are.equal("text/plain", res.mimetype)
    assert.are.equal("text/plain; charset=utf-8", res.headers["Content-Type"])
    assert.are.equal("1", res.headers["x-a"])
    assert.are.equal("y", res.body)
    assert.are.equal("dewar.response: 404", tostring(res))
  end)

  it("is JSON by jsonify, of any value", function()
    assert.are.equal('"x"\n', dewar.jsonify("x").body)
    assert.are.equal("null\n", dewar.jsonify(dewar.null).body)
    assert.are.equal("application/json", dewar.jsonify({}).mimetype)
  end)

  it("is made from what a view may return by make_response", function()
    local app = dewar.app()
    local res = app:make_response({ a = 1 }, 201)
    assert.are.equal('{"a":1}\n', res.body)
    assert.are.equal(201, res.status)
    assert.are.equal(res, app:make_response(res))
  end)

  it("is made of an awaitable by make_response, which awaits it", function()
    local app = dewar.app()
    local res = app:make_response(dewar.spawn(function()
      dewar.sleep(0.001)
      return "made", 201, { ["X-A"] = "b" }
    end))
    assert.are.equal("made", res.body)
    assert.are.equal(201, res.status)
    assert.are.equal("b", res.headers["X-A"])
    res = app:make_response(dewar.spawn(function() return "made", 201 end), 203, { ["X-C"] = "d" })
    assert.are.equal(203, res.status)
    assert.are.equal("d", res.headers["X-C"])
    local odd = setmetatable({}, { __await = function(self) return self end })
    assert.matches("gives itself", select(2, pcall(app.make_response, app, odd)))
    assert.is_false((pcall(app.make_response, app, dewar.spawn(function() end))))
  end)

  it("takes another response's headers, and its own, by assignment", function()
    local one = dewar.response("x", 200, { A = "b", C = { "1", "2" } })
    one.headers = one.headers
    assert.are.same({ "1", "2" }, one.headers "C")
    local two = dewar.response("y", 200, { D = "e" })
    two.headers = one.headers
    assert.are.equal("b", two.headers.A)
    assert.are.same({ "1", "2" }, two.headers "C")
    assert.is_nil(two.headers.D)
    two.headers.A = "changed"
    assert.are.equal("b", one.headers.A)
  end)

  it("refuses what can't be sent at the assignment, at its line", function()
    local res = dewar.response "x"
    local function message(f)
      local ok, err = pcall(f)
      assert.is_false(ok, "line " .. debug.getinfo(f, "S").linedefined)
      assert.matches("response_spec.lua:%d+:", err)
      return err
    end
    message(function() res.headers["X-A"] = "a\nb" end)
    message(function() res.headers["X A"] = "b" end)
    message(function() res.headers["X-A"] = "a\0b" end)
    message(function() res.mimetype = "text/plain\r\nX: y" end)
    message(function() res.status = 99 end)
    message(function() res.status = "200 a\rb" end)
    message(function() res.body = 12 end)
    assert.matches("did you mean 'status'", message(function() return res.statsu end))
    message(function() res.whatever = 1 end)
    message(function() dewar.redirect "/a\r\nSet-Cookie: b" end)
    assert.matches("the cookie's name is made of letters, digits", message(function() res:set_cookie("a b", "c") end))
    for name, rule in pairs {
      path = { "/\nx", "has a line break or a NUL in it" }, samesite = { "Loose", "is one of Strict, Lax and None" },
      domain = { "münchen.de", "is a host in ASCII" },
    } do
      assert.matches("the cookie's " .. name .. " " .. rule[2],
        message(function() res:set_cookie("a", "b", { [name] = rule[1] }) end))
    end
    assert.matches("the cookie's value has a line break", message(function() res:set_cookie("a", "b\n") end))
    assert.matches("'max_age' is a number of seconds; got %-?inf",
      message(function() res:set_cookie("a", "b", { max_age = math.huge }) end))
    assert.matches("did you mean 'max_age'", message(function()
      res:set_cookie("a", "b", { maxage = 1 })
    end))
  end)

  it("sets and deletes cookies", function()
    local res = dewar.response "x"
    res:set_cookie("a", "1")
    res:set_cookie("b", "x y;z", { max_age = 60, domain = "example.com", path = "/p", secure = true,
      httponly = true, samesite = "Lax", partitioned = true })
    res:delete_cookie("c", { path = "/q" })
    local cookies = res.headers "Set-Cookie"
    assert.are.equal("a=1; Path=/", cookies[1])
    for _, part in ipairs { "b=\"", "Max-Age=60", "Domain=example.com", "Path=/p", "Secure",
      "HttpOnly", "SameSite=Lax", "Partitioned" } do
      assert.is_truthy(cookies[2]:find(part, 1, true), part)
    end
    assert.matches("^c=;", cookies[3])
    assert.matches("Max%-Age=0", cookies[3])
    assert.matches("Expires=Thu, 01 Jan 1970 00:00:00 GMT", cookies[3])
    assert.matches("Path=/q", cookies[3])
  end)

  it("warns of a cookie that browsers would drop", function()
    local records = {}
    local sink = dewar.log.sink
    dewar.log.sink = function(level, text) records[#records + 1] = level .. " " .. text end
    finally(function() dewar.log.sink = sink end)
    dewar.response("x"):set_cookie("big", ("x"):rep(5000))
    assert.matches("^warn .*big.*4093", records[1])
  end)

  it("redirects", function()
    local res = dewar.redirect "/a?b=<c>"
    assert.are.equal(302, res.status)
    assert.are.equal("/a?b=%3Cc%3E", res.headers.Location)
    assert.matches('<a href="/a?b=%3Cc%3E">', res.body, 1, true)
    assert.are.equal(308, dewar.redirect("/a", 308).status)
    assert.has_error(function() dewar.redirect("/a", 200) end)
  end)

  it("redirects to addresses in any letters, encoded as a URL has them", function()
    for address, sent in pairs {
      ["/ü b"] = "/%C3%BC%20b", ["/a%20b"] = "/a%20b", ["/a#ü"] = "/a#%C3%BC",
      ["/a?b=ü d&c=%zz"] = "/a?b=%C3%BC%20d&c=%zz", ["//host/x"] = "//host/x", [""] = "",
      ["http://[::1]:8000/a;b=(c)*!$'~@,+"] = "http://[::1]:8000/a;b=(c)*!$'~@,+",
      ["/\\evil.example"] = "/%5Cevil.example", ['"<>^`{|}'] = "%22%3C%3E%5E%60%7B%7C%7D",
    } do
      assert.are.equal(sent, dewar.redirect(address).headers.location)
      local res = dewar.response ""
      res.location = address
      assert.are.equal(sent, res.headers.location)
    end
  end)
end)
