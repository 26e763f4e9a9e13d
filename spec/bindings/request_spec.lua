-- The request object, its body and the proxies: bindings/request*.c, body.c, context.c.

local dewar = require "dewar"

describe("a request", function()
  local app, client
  before_each(function() app = dewar.app() end)
  after_each(function()
    if client then client:close() client = nil end
  end)

  --- What f(req) returned for a request.
  local function ask(f, method, path, options)
    local result
    app = dewar.app { config = { TESTING = true } }
    app:route("/<path:rest>", { methods = { "GET", "POST" }, endpoint = "any" }, function(req, ...)
      result = table.pack(f(req, ...))
      return "ok"
    end)
    if client then client:close() end
    client = app:test_client()
    client:request(method or "GET", path or "/a", options)
    return table.unpack(result, 1, result.n)
  end

  it("has the parts of its target", function()
    local r = ask(function(req)
      return { req.method, req.path, req.raw_path, req.query_string, req.url, req.base_url, req.host, req.scheme }
    end, "GET", "/a%20b/%2F?x=1&y=%20")
    assert.are.same({ "GET", "/a b/%2F", "/a%20b/%2F", "x=1&y=%20",
      "http://localhost/a%20b/%2F?x=1&y=%20", "http://localhost/a%20b/%2F", "localhost", "http" }, r)
  end)

  it("has args: the first by index, all by call, in order by pairs", function()
    local r = ask(function(req)
      local list = {}
      for k, v in pairs(req.args) do list[#list + 1] = k .. "=" .. v end
      return { first = req.args.a, none = req.args.zz, all = req.args "a", list = list, same = req.args == req.args }
    end, "GET", "/x?a=1&b=+%41&a=2&a=")
    assert.are.same({ first = "1", all = { "1", "2", "" }, list = { "a=1", "b= A", "a=2", "a=" }, same = true }, r)
  end)

  it("has headers whose names ignore case and read '_' as '-', joined by index", function()
    local r = ask(function(req)
      return { req.headers.x_many, req.headers["X-MANY"], req.headers "x-many", req.user_agent, req.content_type }
    end, "GET", "/x", { headers = { ["X-Many"] = { "a", "b" }, ["User-Agent"] = "spec" } })
    assert.are.same({ "a, b", "a, b", { "a", "b" }, "spec" }, r)
  end)

  it("has cookies", function()
    local r = ask(function(req) return { req.cookies.a, req.cookies.b, req.cookies "a" } end,
      "GET", "/x", { headers = { Cookie = "a=1; b=\"x y\"; a=2" } })
    assert.are.same({ "1", "x y", { "1", "2" } }, r)
  end)

  it("has its authorization: user and password of Basic, the token of others", function()
    app = dewar.app()
    app:get("/", function(req) return dewar.jsonify(req.authorization or dewar.null) end)
    client = app:test_client()
    local function asked(value)
      return client:get("/", { headers = { Authorization = value } }):json()
    end
    assert.are.same({ type = "basic", username = "user", password = "p:w" },
      client:get("/", { auth = { "user", "p:w" } }):json())
    for _, user in ipairs { "", "a", "ab", "abc", "\u{e9}\u{20ac}" } do
      assert.are.same({ type = "basic", username = user, password = "" },
        client:get("/", { auth = { user, "" } }):json())
    end
    assert.are.same({ type = "basic", username = "a", password = "b" }, asked "BASIC  YTpi ")
    assert.are.same({ type = "bearer", token = "abc.def==" }, asked "Bearer abc.def==")
    assert.are.same({ type = "digest", token = 'username="a", realm="b"' },
      asked 'Digest username="a", realm="b"')
    for _, odd in ipairs { "Basic", "", "Basic !!!!", "Basic YWI=", "Basic YTpi=", "Basic YTp", "Basic Y" } do
      local answer = asked(odd)
      local fine = odd == "Basic YTp" and type(answer) == "table" or answer == dewar.null
      assert.is_true(fine, odd)
    end
    assert.are.equal(dewar.null, client:get("/"):json())
  end)

  it("has an id of its own that stays", function()
    app = dewar.app()
    app:get("/", function(req)
      assert(dewar.request.id == req.id)
      return req.id
    end)
    app:after_request(function(req, res) res.headers["X-Id"] = req.id return res end)
    client = app:test_client()
    local first, second = client:get "/", client:get "/"
    assert.matches("^%x+$", first.body)
    assert.are.equal(32, #first.body)
    assert.are.equal(first.body, first.headers["X-Id"])
    assert.are_not.equal(first.body, second.body)
  end)

  it("has its endpoint, rule, values, blueprint, app and g", function()
    local r = ask(function(req, rest)
      req.g.x = 1
      return { req.endpoint, req.url_rule, req.view_args.rest, rest, tostring(req.blueprint), req.app == app, req.g.x,
        req == dewar.request(), dewar.current_app() == app }
    end, "GET", "/a/b")
    assert.are.same({ "any", "/<path:rest>", "a/b", "a/b", "nil", true, 1, true, true }, r)
  end)

  it("refuses unknown fields and writing, at the caller's line", function()
    local function message(f)
      local _, err = ask(function(req) return pcall(f, req) end)
      assert.matches("request_spec.lua:%d+:", err)
      return err
    end
    assert.matches("did you mean 'args'", message(function(req) return req.arg end))
    assert.matches("req.g", message(function(req) return req.something_else end))
    assert.matches("can't be set", message(function(req) req.path = "/" end))
    assert.matches("bytes", message(function(req) req.max_content_length = -1 end))
  end)

  it("says so when it is over, but keeps what was made of it", function()
    local kept
    ask(function(req)
      kept = req
      return req.args.a
    end, "GET", "/x?a=1")
    assert.are.equal("1", kept.args.a)
    local ok, err = pcall(function() return kept.path end)
    assert.is_false(ok)
    assert.matches("request_spec.lua:%d+: this request is over", err)
    assert.matches("over", tostring(kept))
  end)

  describe("with a body", function()
    it("gives it whole, again and again", function()
      local a, b = ask(function(req) return req:body(), req:body() end, "POST", "/x", { body = "hello" })
      assert.are.equal("hello", a)
      assert.are.equal("hello", b)
    end)

    it("that comes in pieces waits for the rest", function()
      local body = ask(function(req) return req:body() end, "POST", "/x", {
        body = coroutine.wrap(function()
          for i = 1, 5 do
            dewar.sleep(0.001)
            coroutine.yield("piece" .. i)
          end
        end),
      })
      assert.are.equal("piece1piece2piece3piece4piece5", body)
    end)

    it("gives it piece by piece, in flat memory", function()
      local count, most = ask(function(req)
        local n, longest = 0, 0
        for chunk in req:chunks() do
          n = n + #chunk
          longest = math.max(longest, #chunk)
          dewar.yield()
        end
        return n, longest
      end, "POST", "/x", {
        body = coroutine.wrap(function()
          for _ = 1, 100 do coroutine.yield(("x"):rep(50000)) end
        end),
      })
      assert.are.equal(5000000, count)
      assert.is_true(most <= 256 * 1024, most)
    end)

    it("reads JSON, and keeps integers integers", function()
      local r = ask(function(req) return req:json() end, "POST", "/x", { json = { a = { 1, 2.5, dewar.null } } })
      assert.are.equal("integer", math.type(r.a[1]))
      assert.are.equal(dewar.null, r.a[3])
    end)

    local function status(f, options, config)
      app = dewar.app { config = config }
      app:post("/", function(req) f(req) return "ok" end)
      if client then client:close() end
      client = app:test_client()
      return client:post("/", options)
    end

    local function read_json(req) return req:json() end

    it("that is no JSON is 415, or 400 with the position in DEBUG", function()
      assert.are.equal(415, status(read_json, { body = "{}" }).status)
      assert.are.equal(415, status(read_json, { body = "{}", headers = { ["Content-Type"] = "text/json" } }).status)
      local options = { body = "{\"a\":}", headers = { ["Content-Type"] = "application/json" } }
      local res = status(read_json, options)
      assert.are.equal(400, res.status)
      assert.is_nil(res.body:find "line 1")
      assert.matches("line 1, column 6", status(read_json, options, { DEBUG = true }).body)
    end)

    it("may be JSON by another name, by force, or silently not", function()
      local problem = { body = "1", headers = { ["Content-Type"] = "application/problem+json; charset=utf-8" } }
      assert.are.equal(200, status(read_json, problem).status)
      assert.are.equal(1, (ask(function(req) return req:json { force = true } end, "POST", "/x", { body = "1" })))
      assert.is_nil((ask(function(req) return req:json { silent = true } end, "POST", "/x", { body = "1" })))
      local both = { force = true, silent = true }
      assert.is_nil((ask(function(req) return req:json(both) end, "POST", "/x", { body = "{" })))
      local _, err = ask(function(req) return pcall(req.json, req, { forse = true }) end, "POST", "/x")
      assert.matches("did you mean 'force'", err)
    end)

    it("larger than MAX_CONTENT_LENGTH is 413 where it is read, announced or not", function()
      local function read(req) return req:body() end
      local config = { MAX_CONTENT_LENGTH = 1000 }
      assert.are.equal(200, status(read, { body = ("x"):rep(1000) }, config).status)
      assert.are.equal(413, status(read, { body = ("x"):rep(1001) }, config).status)
      local function pieces()
        return coroutine.wrap(function()
          for _ = 1, 11 do coroutine.yield(("x"):rep(100)) end
        end)
      end
      assert.are.equal(413, status(read, { body = pieces() }, config).status)
      assert.are.equal(413, status(function(req) for _ in req:chunks() do end end, { body = pieces() }, config).status)
      assert.are.equal(200, status(function() end, { body = ("x"):rep(1001) }, config).status)
    end)

    it("may have a limit of its route or its view", function()
      local function read(req)
        req.max_content_length = 2000
        return req:body()
      end
      assert.are.equal(200, status(read, { body = ("x"):rep(1500) }, { MAX_CONTENT_LENGTH = 1000 }).status)
      app = dewar.app()
      app:post("/", { max_content_length = 10 }, function(req) return req:body() end)
      local c <close> = app:test_client()
      assert.are.equal(413, c:post("/", { body = ("x"):rep(11) }).status)
    end)

    it("is text only if it is UTF-8", function()
      local function read(req) return req:text() end
      assert.are.equal(200, status(read, { body = "h\u{e9}" }).status)
      assert.are.equal(400, status(read, { body = "h\xe9" }).status)
    end)

    it("is a form if it is urlencoded, and an empty one if it is not", function()
      local r = ask(function(req) return { req.form.a, req.form "a", req.form.b, req.form == req.form } end,
        "POST", "/x", { form = { a = { "1", "2" }, b = "x y&z" } })
      assert.are.same({ "1", { "1", "2" }, "x y&z", true }, r)
      assert.is_nil((ask(function(req) return req.form.a end, "POST", "/x", { body = "a=1" })))
    end)

    it("can't be had whole behind chunks, nor by chunks behind whole", function()
      local _, err = ask(function(req)
        req:chunks()
        return pcall(req.body, req)
      end, "POST", "/x", { body = "x" })
      assert.matches("chunks", tostring(err))
      _, err = ask(function(req)
        req:body()
        return pcall(req.chunks, req)
      end, "POST", "/x", { body = "x" })
      assert.matches("whole", tostring(err))
    end)

    it("is read by one task at a time", function()
      local ok, err = ask(function(req)
        return pcall(dewar.gather, function() return req:body() end, function() return req:body() end)
      end, "POST", "/x", { body = coroutine.wrap(function()
        dewar.sleep(0.01)
        coroutine.yield "x"
      end) })
      assert.is_false(ok)
      assert.matches("another task is reading", tostring(err))
    end)
  end)

  it("gives required fields, converted, or a 400 that names them", function()
    app:get("/", function(req)
      return { page = dewar.required(req.args, "page", math.tointeger) or 0 }
    end)
    app:get("/n", function(req) return { page = dewar.required(req.args, "page", tonumber) } end)
    client = app:test_client()
    assert.are.equal(7, client:get("/n?page=7"):json().page)
    local res = client:get "/n"
    assert.are.equal(400, res.status)
    assert.matches("page", res.body)
    res = client:get "/n?page=x"
    assert.are.equal(400, res.status)
    assert.matches("page", res.body)
  end)

  it("misses required fields in JSON that is no object, or null", function()
    app:post("/", function(req) return dewar.required(req:json(), "len") end)
    client = app:test_client()
    for _, value in ipairs { 5, true, "text", dewar.null, { len = dewar.null } } do
      local res = client:post("/", { json = value })
      assert.are.equal(400, res.status)
      assert.matches("The field 'len' is missing", res.body:gsub("&#39;", "'"), 1, true)
    end
    assert.are.equal("a", client:post("/", { json = { len = "a" } }).body)
  end)
end)

describe("a proxy", function()
  it("says so outside of what it stands for", function()
    local ok, err = pcall(function() return dewar.request.path end)
    assert.is_false(ok)
    assert.matches("request_spec.lua:%d+: dewar.request was used outside of a request", err)
    ok, err = pcall(function() dewar.g.x = 1 end)
    assert.is_false(ok)
    assert.matches("dewar.g was used outside of a request", err)
    ok, err = pcall(function() return dewar.current_app.name end)
    assert.is_false(ok)
    assert.matches("dewar.current_app", err)
    assert.is_nil(dewar.request())
  end)

  it("may be kept in a local, reads, writes, iterates and calls methods", function()
    local request, g, current_app = dewar.request, dewar.g, dewar.current_app
    local app = dewar.app { name = "kept" }
    app:post("/", function()
      g.a = 1
      local keys = {}
      for k in pairs(g) do keys[#keys + 1] = k end
      local args = {}
      for k, v in pairs(request.args) do args[#args + 1] = k .. v end
      return { request:text(), request.form.x or "none", keys, args, current_app.name, g.a }
    end)
    local client <close> = app:test_client()
    assert.are.same({ "body", "none", { "a" }, { "q1" }, "kept", 1 }, client:post("/?q=1", { body = "body" }):json())
  end)
end)
