-- The client of specs: requests, answers, errors, streams.
local dewar = require "dewar"
local clean = require "spec.support.clean"

--- What fn raises.
local function raised(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok, "it raised nothing")
  return err
end

--- Misuse is reported at the line of this file where it happened.
local function misuse(pattern, fn)
  local err = raised(fn)
  assert.is_string(err)
  assert.matches("^[^\n]*testing_spec%.lua:%d+: ", err)
  assert.matches(pattern, err)
end

--- Without records on the terminal.
local function quietly(fn, ...)
  local sink = dewar.log.sink
  dewar.log.sink = function() end
  local results = table.pack(pcall(fn, ...))
  dewar.log.sink = sink
  assert(results[1], results[2])
  return table.unpack(results, 2, results.n)
end

--- What of a request a view sees.
local function seen(req)
  local headers = {}
  for name, value in pairs(req.headers) do headers[#headers + 1] = name .. ": " .. value end
  return {
    method = req.method, path = req.raw_path, query = req.query_string, body = req:body(),
    headers = headers, host = req.host,
  }
end

local app, client

local function new_app(config)
  app = dewar.app()
  app.config.TESTING = true
  if config then app.config:from_mapping(config) end
  for _, rule in ipairs { "/", "/echo", "/a/<path:rest>" } do
    app:route(rule, { methods = { "GET", "POST", "PUT", "PATCH", "DELETE", "PROPFIND" } }, seen)
  end
end

--- All headers of that name which a request arrived with.
local function lines(res, name)
  local found = {}
  for _, line in ipairs(res:json().headers) do
    local key, value = line:match "^(.-): (.*)$"
    if key:lower() == name:lower() then found[#found + 1] = value end
  end
  return found
end

clean.watch(before_each, after_each)

describe("the test client", function()
  before_each(function()
    new_app()
    client = app:test_client()
  end)
  after_each(function() client:close() end)

  describe("sends", function()
    it("each method by its name, and any by request", function()
      for _, name in ipairs { "get", "post", "put", "patch", "delete" } do
        assert.are.equal(name:upper(), client[name](client, "/echo"):json().method)
      end
      assert.are.equal("PROPFIND", client:request("PROPFIND", "/echo"):json().method)
      assert.are.equal("", client:head("/echo").body)
      assert.matches("GET", client:options("/echo").headers.allow)
    end)

    it("paths as they are given, but for what a request line can't carry", function()
      assert.are.equal("/a/b%2Fc", client:get("/a/b%2Fc"):json().path)
      assert.are.equal("/a/b%20%C3%A9%22%23", client:get '/a/b é"#':json().path)
      assert.are.equal("/a/%7E~^", client:get("/a/%7E~^"):json().path)
    end)

    it("a query from the path, a table, a string, or both", function()
      local function query(path, given)
        return client:get(path, { query = given }):json().query
      end
      assert.are.equal("x=%2F&y", query("/echo?x=%2F&y"))
      assert.are.equal("a=1&b=x%20%26&c=1&c=2&d=true",
        query("/echo", { b = "x &", a = 1, c = { 1, 2 }, d = true, e = {} }))
      assert.are.equal("x=1&y=2", query("/echo?x=1", { y = 2 }))
      assert.are.equal("x=1&y=+2", query("/echo", "?x=1&y=+2"))
      assert.are.equal("", query("/echo", {}))
    end)

    it("Host: localhost, unless a header says another", function()
      assert.are.equal("localhost", client:get("/echo"):json().host)
      assert.are.same({ "api.example.com" },
        lines(client:get("/echo", { headers = { host = "api.example.com" } }), "Host"))
    end)

    it("from this machine", function()
      app:get("/from", function(req) return req.remote_addr end)
      assert.are.equal("127.0.0.1", client:get("/from").body)
    end)

    it("headers by name, where _ is - in lower case, a list as several lines", function()
      local res = client:get("/echo", { headers = {
        ["X-One"] = "1", x_two = 2, ["X-Three"] = { "a", "b" }, { "X-Four", "4" }, { "X-Four", "5" },
        X_Five = "6",
      } })
      assert.are.same({ "1" }, lines(res, "X-One"))
      assert.are.same({ "2" }, lines(res, "x-two"))
      assert.are.same({ "6" }, lines(res, "X_Five"))
      assert.are.same({ "a", "b" }, lines(res, "X-Three"))
      assert.are.same({ "4", "5" }, lines(res, "X-Four"))
    end)

    it("a user and a password", function()
      local function auth(user, password)
        return lines(client:get("/echo", { auth = { user, password } }), "Authorization")[1]
      end
      assert.are.equal("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", auth("Aladdin", "open sesame"))
      assert.are.equal("Basic Og==", auth("", ""))
      assert.are.equal("Basic YTpiYg==", auth("a", "bb"))
      assert.are.equal("Basic YTpi", auth("a", "b"))
    end)

    it("JSON, with its type unless another is given", function()
      local res = client:post("/echo", { json = { a = { 1, 2 } } })
      assert.are.equal('{"a":[1,2]}', res:json().body)
      assert.are.same({ "application/json" }, lines(res, "Content-Type"))
      assert.are.same({ "11" }, lines(res, "Content-Length"))
      res = client:post("/echo", { json = false, headers = { ["content-type"] = "text/x" } })
      assert.are.equal("false", res:json().body)
      assert.are.same({ "text/x" }, lines(res, "Content-Type"))
    end)

    it("a form", function()
      local res = client:post("/echo", { form = { b = { "x y", "&" }, a = 1.5, c = true } })
      assert.are.equal("a=1.5&b=x%20y&b=%26&c=true", res:json().body)
      assert.are.same({ "application/x-www-form-urlencoded" }, lines(res, "Content-Type"))
    end)

    it("files, with the fields of a form", function()
      local res = client:post("/echo", {
        form = { title = "two" },
        files = {
          photo = { filename = 'a"b.png', content = "PNG\r\n", content_type = "image/png" },
          notes = { { content = "one" }, "two" },
        },
      })
      assert.are.same({ "multipart/form-data; boundary=dewar-boundary-0" },
        lines(res, "Content-Type"))
      assert.are.equal(table.concat({
        "--dewar-boundary-0",
        'Content-Disposition: form-data; name="title"', "", "two",
        "--dewar-boundary-0",
        'Content-Disposition: form-data; name="notes"; filename="notes"',
        "Content-Type: application/octet-stream", "", "one",
        "--dewar-boundary-0",
        'Content-Disposition: form-data; name="notes"; filename="notes"',
        "Content-Type: application/octet-stream", "", "two",
        "--dewar-boundary-0",
        'Content-Disposition: form-data; name="photo"; filename="a%22b.png"',
        "Content-Type: image/png", "", "PNG\r\n",
        "--dewar-boundary-0--", "",
      }, "\r\n"), res:json().body)
    end)

    it("files that contain the boundary behind another one", function()
      local res = client:post("/echo", { files = { f = "--dewar-boundary-0\r\n" } })
      assert.matches("boundary=dewar%-boundary%-1$", lines(res, "Content-Type")[1])
    end)

    it("a body as it is, with its length", function()
      local res = client:put("/echo", { body = "a\0b" })
      assert.are.equal("a\0b", res:json().body)
      assert.are.same({ "3" }, lines(res, "Content-Length"))
      assert.are.same({}, lines(res, "Content-Type"))
    end)

    it("no body where there is none, of length 0 if the method has one", function()
      assert.are.same({}, lines(client:get("/echo"), "Content-Length"))
      assert.are.same({ "0" }, lines(client:post("/echo"), "Content-Length"))
    end)

    it("a body in pieces, from a function that may wait", function()
      local n = 0
      local res = client:post("/echo", { body = function()
        n = n + 1
        if n > 1 then dewar.sleep(0) end
        return n < 4 and "piece " .. n .. " " or nil
      end })
      assert.are.equal("piece 1 piece 2 piece 3 ", res:json().body)
      assert.are.same({ "chunked" }, lines(res, "Transfer-Encoding"))
    end)

    it("pieces no faster than the app reads them", function()
      local sent, most, read = 0, 0, 0
      app:post("/slowly", function(req)
        for piece in req:chunks() do
          read = read + #piece
          most = math.max(most, sent - read)
          dewar.sleep(0)
        end
        return tostring(read)
      end)
      local piece = ("x"):rep(10000)
      local res = client:post("/slowly", { body = function()
        if sent >= 2000000 then return nil end
        sent = sent + #piece
        return piece
      end })
      assert.are.equal("2000000", res.body)
      assert.is_true(most < 500000, "so much was on its way: " .. most)
    end)

    it("no more of a body than the app wants", function()
      app.config.MAX_CONTENT_LENGTH = 1000
      local sent = 0
      local res = client:post("/echo", { body = function()
        if sent >= 50000000 then return nil end
        sent = sent + 10000
        return ("x"):rep(10000)
      end })
      assert.are.equal(413, res.status)
      assert.is_true(sent < 50000000)
    end)

    it("several requests over one connection, and others meanwhile", function()
      local ports = {}
      app:get("/both", function() dewar.sleep(0.001) return "both" end)
      for i = 1, 3 do ports[i] = client:get("/echo").status end
      assert.are.same({ 200, 200, 200 }, ports)
      assert.are.equal(1, clean.counts().connections)
      dewar.gather(function() client:get("/both") end, function() client:get("/both") end)
      assert.are.equal(2, clean.counts().connections)
    end)
  end)

  describe("gives", function()
    it("status, reason, headers and body", function()
      app:get("/teapot", function()
        return "short", "418 Short", { ["X-A"] = { "1", "2" }, ["Content-Type"] = "text/plain" }
      end)
      local res = client:get("/teapot")
      assert.are.equal(418, res.status)
      assert.are.equal("Short", res.reason)
      assert.are.equal("short", res.body)
      assert.are.equal("short", res.text)
      assert.are.equal("1, 2", res.headers["X-A"])
      assert.are.equal("text/plain", res.headers.content_type)
      assert.are.same({ "1", "2" }, res.headers "x-a")
      assert.is_nil(res.headers["X-B"])
      assert.are.equal("418 Short (5 bytes)", tostring(res))
    end)

    it("JSON, or an error at the line that asked for it", function()
      app:get("/json", function() return { a = { 1, dewar.null } } end)
      app:get("/text", function() return "not {json" end)
      assert.are.same({ a = { 1, dewar.null } }, client:get("/json"):json())
      misuse("the body of this 200 is no JSON: .*not {json", function()
        client:get("/text"):json()
      end)
    end)

    it("an answer after the teardown", function()
      local torn_down
      app:get("/torn", function() return "x" end)
      app:teardown_request(function() dewar.sleep(0.001) torn_down = true end)
      client:get("/torn")
      assert.is_true(torn_down)
    end)

    it("large bodies whole", function()
      app:get("/large", function() return ("0123456789"):rep(100000) end)
      assert.are.equal(1000000, #client:get("/large").body)
    end)

    it("what a request inside of a view gets", function()
      app:get("/outer", function() return "[" .. client:get("/inner").body .. "]" end)
      app:get("/inner", function() dewar.sleep(0) return "inner" end)
      assert.are.equal("[inner]", client:get("/outer").body)
    end)

    it("answers to concurrent tasks, each its own", function()
      app:get("/n/<int:n>", function(_, n) dewar.sleep((5 - n) / 1000) return tostring(n) end)
      local tasks = {}
      for n = 1, 5 do
        tasks[n] = dewar.spawn(function() return client:get("/n/" .. n).body end)
      end
      for n = 1, 5 do assert.are.equal(tostring(n), dewar.await(tasks[n])) end
    end)
  end)

  describe("follows redirects", function()
    before_each(function()
      app:get("/from", function() return dewar.redirect("/to?x=1") end)
      app:get("/to", function(req) return "to " .. req.query_string end)
      for _, status in ipairs { 301, 302, 303, 307, 308 } do
        app:route("/r" .. status, { methods = { "GET", "POST", "PUT" } }, function()
          return dewar.redirect("/echo", status)
        end)
      end
    end)

    it("only where it is told to", function()
      assert.are.equal(302, client:get("/from").status)
      local res = client:get("/from", { follow_redirects = true })
      assert.are.equal("to x=1", res.body)
      assert.are.equal(1, #res.history)
      assert.are.equal(302, res.history[1].status)
    end)

    it("with GET or the same method and body, as the status says", function()
      local function follow(method, status)
        local res = client:request(method, "/r" .. status, { body = "b", follow_redirects = true })
        local request = res:json()
        return request.method .. " " .. request.body
      end
      assert.are.equal("GET ", follow("POST", 301))
      assert.are.equal("GET ", follow("POST", 302))
      assert.are.equal("GET ", follow("POST", 303))
      assert.are.equal("GET ", follow("PUT", 303))
      assert.are.equal("PUT b", follow("PUT", 302))
      assert.are.equal("POST b", follow("POST", 307))
      assert.are.equal("POST b", follow("POST", 308))
    end)

    it("relative to where it is, and to other hosts without credentials", function()
      app:get("/d/relative", function() return "", 302, { Location = "../a/./b?c#d" } end)
      app:get("/abroad", function() return "", 302, { Location = "http://other.example/echo" } end)
      local res = client:get("/d/relative", { follow_redirects = true })
      assert.are.equal("/a/b", res:json().path)
      assert.are.equal("c", res:json().query)
      res = client:get("/abroad", { follow_redirects = true, auth = { "u", "p" } })
      assert.are.equal("other.example", res:json().host)
      assert.are.same({}, lines(res, "Authorization"))
      res = client:get("/from", { follow_redirects = true, auth = { "u", "p" } })
      assert.are.equal(200, res.status)
    end)

    it("not for ever, nor with a body that is gone", function()
      app:get("/loop", function() return dewar.redirect("/loop") end)
      misuse("redirected more than 20 times", function()
        client:get("/loop", { follow_redirects = true })
      end)
      misuse("can't be sent again", function()
        local body = { "x" }
        client:post("/r307", { follow_redirects = true, body = function()
          return table.remove(body)
        end })
      end)
    end)
  end)

  describe("raises", function()
    it("misuse at the line of the caller", function()
      misuse("get: the path 'x' must start with '/'", function() client:get("x") end)
      misuse("get: the path must be a string", function() client:get(nil) end)
      misuse("get: unknown option 'qery'; did you mean 'query'%?",
        function() client:get("/", { qery = 1 }) end)
      misuse("request: a method is a word", function() client:request("G T", "/") end)
      misuse("post: a request has one body; both json and form",
        function() client:post("/", { json = 1, form = {} }) end)
      misuse("post: files go with a form, not with json",
        function() client:post("/", { json = 1, files = {} }) end)
      misuse("post: json: cannot encode", function() client:post("/", { json = print }) end)
      misuse("post: form: 'a' must be a string", function() client:post("/", { form = { a = print } }) end)
      misuse("post: files: 'f' has an unknown field 'contents'; did you mean 'content'",
        function() client:post("/", { files = { f = { contents = "x" } } }) end)
      misuse("post: files: 'f' has no content",
        function() client:post("/", { files = { f = { filename = "x" } } }) end)
      misuse("post: body must be a string", function() client:post("/", { body = 7 }) end)
      misuse("get: header X: the value has a line break",
        function() client:get("/", { headers = { X = "a\r\nY: b" } }) end)
      misuse("get: headers: a name is of", function() client:get("/", { headers = { ["X Y"] = "a" } }) end)
      misuse("get: auth must be", function() client:get("/", { auth = "me" }) end)
      misuse("get: stream must be true or false", function() client:get("/", { stream = 1 }) end)
      misuse("get: query must be", function() client:get("/", { query = 1 }) end)
      misuse("test_client: unknown option 'cookie'; did you mean 'cookies'",
        function() local _ = app:test_client { cookie = false } end)
      misuse("test_client: clock can only be \"virtual\"",
        function() local _ = app:test_client { clock = "fast" } end)
    end)

    it("what a view raised, a string with the view's traceback", function()
      app:get("/string", function() error("boom", 0) end)
      app:get("/nested", function()
        local function inner() error("deep") end
        inner()
      end)
      local err = quietly(raised, client.get, client, "/string")
      assert.matches("^boom\n\nview traceback:\n\t.*testing_spec%.lua:%d+: in function", err)
      err = quietly(raised, client.get, client, "/nested")
      assert.matches("testing_spec%.lua:%d+: deep\n\nview traceback:.*in .-'inner'", err)
      assert.matches("stack traceback:.*'inner'", client.traceback)
    end)

    it("other values as they are", function()
      local Problem = dewar.Error:extend("Problem")
      local problem, thing = Problem("bad"), {}
      app:get("/problem", function() error(problem) end)
      app:get("/thing", function() dewar.sleep(0) error(thing) end)
      assert.are.equal(problem, quietly(raised, client.get, client, "/problem"))
      assert.are.equal(thing, quietly(raised, client.get, client, "/thing"))
    end)

    it("errors of hooks and streams, too", function()
      app:get("/fine", function() return "x" end)
      app:get("/stream", function()
        return coroutine.wrap(function() coroutine.yield("a") error("in the stream", 0) end)
      end)
      app:before_request(function(req) if req.args.fail then error("in the hook", 0) end end)
      assert.matches("^in the hook\n", quietly(raised, client.get, client, "/fine?fail=1"))
      assert.matches("^in the stream\n", quietly(raised, client.get, client, "/stream"))
      assert.are.equal("x", client:get("/fine").body)
    end)

    it("what was raised outside of any function without a heading for it", function()
      app:get("/fine", function() return "x" end)
      app:after_request(function() end)
      local err = quietly(raised, client.get, client, "/fine")
      assert.matches("after_request function of '/fine' returned nil", err, 1, true)
      assert.is_nil(err:find("view traceback", 1, true))
    end)

    it("nothing for HTTP errors, handled errors, or without TESTING", function()
      app:get("/missing", function() dewar.abort(404, "gone") end)
      app:get("/handled", function() error("x") end)
      app:errorhandler(dewar.Error, function(_, err)
        return "handled", err.status or 500
      end)
      assert.are.equal(404, client:get("/missing").status)
      assert.are.equal("handled", client:get("/handled").body)
      local other = dewar.app()
      other:get("/", function() error("x") end)
      local another <close> = other:test_client()
      assert.are.equal(500, quietly(another.get, another, "/").status)
    end)

    it("the error of a body's function, and disconnects", function()
      local cancelled
      app:post("/waits", function(req)
        local ok, err = pcall(req.body, req)
        cancelled = not ok and dewar.is_cancelled(err)
        return "x"
      end)
      local sent = false
      assert.are.equal("no more", raised(client.post, client, "/waits", { body = function()
        if sent then
          dewar.sleep(0.001)
          error("no more", 0)
        end
        sent = true
        return "some"
      end }))
      clean.counts()
      assert.is_true(cancelled)
      assert.matches("must return strings.*a number",
        raised(client.post, client, "/waits", { body = function() return 7 end }))
    end)

    it("once it is closed", function()
      client:close()
      client:close()
      misuse("get: this client is closed", function() client:get("/") end)
      misuse("connect: this client is closed", function() client:connect() end)
      misuse("send_raw: this client is closed", function() client:send_raw("") end)
      assert.matches("%(closed%)$", tostring(client))
    end)
  end)

  describe("streams", function()
    local log
    before_each(function()
      log = {}
      app:get("/count", function()
        return coroutine.wrap(function()
          for i = 1, 3 do
            log[#log + 1] = "made " .. i
            coroutine.yield(tostring(i))
            dewar.sleep(0.001)
          end
        end)
      end)
      app:get("/endless", function()
        return coroutine.wrap(function()
          local _ <close> = setmetatable({}, { __close = function() log[#log + 1] = "closed" end })
          while true do coroutine.yield(("x"):rep(1000)) end
        end)
      end)
      app:teardown_request(function(_, err)
        log[#log + 1] = dewar.is_cancelled(err) and "cancelled" or "torn down"
      end)
    end)

    it("piece by piece", function()
      local part = client:get("/count", { stream = true })
      assert.are.equal(200, part.status)
      assert.are.equal("200 OK (streaming)", tostring(part))
      for piece in part:chunks() do log[#log + 1] = "got " .. piece end
      assert.are.same({ "made 1", "got 1", "made 2", "got 2", "made 3", "got 3", "torn down" }, log)
      assert.is_nil(part:chunks()())
    end)

    it("until the part is closed, which the app sees as a disconnect", function()
      local part = client:get("/endless", { stream = true })
      assert.is_true(#part:chunks()() > 0)
      part:close()
      assert.are.same({ "closed", "cancelled" }, log)
      part:close()
      assert.are.equal("200 OK (closed)", tostring(part))
    end)

    it("no faster than they are read", function()
      local made = 0
      app:get("/much", function()
        return coroutine.wrap(function()
          for _ = 1, 2000 do
            made = made + 1
            coroutine.yield(("x"):rep(1000))
          end
        end)
      end)
      local part <close> = client:get("/much", { stream = true })
      for _ = 1, 50 do dewar.sleep(0) end
      assert.is_true(made < 1000, "made " .. made)
      local size = 0
      for piece in part:chunks() do size = size + #piece end
      assert.are.equal(2000000, size)
    end)

    it("and disconnects where a part is forgotten", function()
      client:get("/endless", { stream = true })
      clean.counts()
      assert.are.same({ "closed", "cancelled" }, log)
    end)

    it("raising where a body is cut off", function()
      app.config.PROPAGATE_EXCEPTIONS = false
      app:get("/cut", function()
        return coroutine.wrap(function() coroutine.yield("a") error("cut") end)
      end)
      quietly(function()
        local pieces = client:get("/cut", { stream = true }):chunks()
        assert.are.equal("a", pieces())
        local err = raised(pieces)
        assert.are.equal("ECONNRESET", err.code)
        assert.matches("ended within the answer", err.message)
      end)
      assert.are.equal("ECONNRESET", quietly(raised, client.get, client, "/cut").code)
    end)
  end)

  describe("in a task that is cancelled", function()
    it("disconnects, and the app's view is cancelled", function()
      local outcome
      app:get("/sleep", function() dewar.sleep(60) return "never" end)
      app:teardown_request(function(_, err) outcome = err end)
      local err = raised(dewar.timeout, 0.01, function() return client:get("/sleep") end)
      assert.is_true(dewar.TimeoutError:is(err))
      clean.counts()
      assert.is_true(dewar.is_cancelled(outcome))
    end)
  end)

  it("gives its memory back", function()
    clean.keeps_memory(function()
      client:post("/echo", { json = { a = 1 }, query = { x = 1 } })
      local _ <close> = client:get("/echo", { stream = true })
      client:send_raw("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n")
    end)
  end)

  it("closes what is open at its end", function()
    local other = app:test_client()
    local part = other:get("/echo", { stream = true })
    other:connect()
    other:close()
    assert.is_nil(clean.left { tasks = 0, timers = 1e9, connections = 0, clients = 0 })
    assert.are.equal(200, part.status)
  end)

  it("can't outlive its app's server", function()
    client:get("/")
    app:stop()
    misuse("this app has been stopped", function()
      client:get("/")
      client:get("/")
    end)
  end)
end)
