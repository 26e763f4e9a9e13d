-- The deadlines of a connection: heads, bodies, idle connections, slow readers,
-- requests that take too long. The clock is turned by hand.
local dewar = require "dewar"
local clean = require "spec.support.clean"
local http = require "spec.support.http"

local app, client, seen, gate

local LIMITS = {
  HEADER_TIMEOUT = 10, BODY_TIMEOUT = 20, KEEP_ALIVE_TIMEOUT = 75, WRITE_TIMEOUT = 30,
}

local function note(...) seen[#seen + 1] = table.concat({ ... }, " ") end

--- What a slow reader is sent: more than all buffers on the way hold.
local LARGE = ("x"):rep(1024 * 1024)

local function new_app(config)
  app = dewar.app { config = LIMITS }
  for key, value in pairs(config or {}) do app.config[key] = value end
  app:get("/", function() return "hello" end)
  app:get("/large", function() return LARGE end)
  app:get("/n/<int:size>", function(_, size) return ("n"):rep(size) end)
  app:get("/wait", function()
    gate:wait()
    return "waited"
  end)
  app:post("/body", function(req) return req:body() end)
  app:post("/late", function(req)
    gate:wait()
    return req:body()
  end)
  app:post("/never", function()
    gate:wait()
    return "not read"
  end)
  app:post("/ignore", function() return "ignored" end)
  app:post("/chunks", function(req)
    local count = 0
    for chunk in req:chunks() do
      count = count + #chunk
      gate:wait()
    end
    return tostring(count)
  end)
  app:get("/stream", function()
    return coroutine.wrap(function()
      while true do coroutine.yield(("y"):rep(10000)) end
    end)
  end)
  app:teardown_request(function(_, err)
    note("teardown", dewar.is_cancelled(err) and "cancelled" or tostring(err))
  end)
  client = app:test_client { clock = "virtual" }
end

local function advance(seconds) client.clock:advance(seconds) end

--- What the server has sent, and whether its end was a reset.
local function ending(conn)
  local bytes, state = conn:receive()
  local ok, err = pcall(conn._conn.outcome, conn._conn)
  return bytes, state, not ok and err.code or nil
end

local function is_closed_with(status, conn)
  local bytes, state, code = ending(conn)
  assert.are.same({ status }, http.statuses(bytes))
  assert.are.equal("close", http.answers(bytes)[1].headers.connection)
  assert.are.equal("closed", state)
  assert.is_nil(code)
end

local function is_closed_silently(conn)
  local bytes, state, code = ending(conn)
  assert.are.equal("", bytes)
  assert.are.equal("closed", state)
  assert.is_nil(code)
end

local function is_open(conn)
  local bytes, state = conn:receive()
  assert.are_not.equal("closed", state)
  return bytes
end

local sink = dewar.log.sink
before_each(function()
  dewar.log.sink = function() end
  seen, gate = {}, dewar.event()
  new_app()
end)
after_each(function()
  client:close()
  dewar.log.sink = sink
end)
clean.watch(before_each, after_each)

describe("a connection without a request", function()
  it("closes silently if no byte ever comes", function()
    local conn <close> = client:connect()
    conn:send("")
    advance(9)
    is_open(conn)
    advance(2)
    is_closed_silently(conn)
  end)

  it("closes silently when it has been idle for too long", function()
    local conn <close> = client:connect()
    conn:send(http.get "/")
    assert.are.same({ 200 }, http.statuses((conn:receive())))
    advance(74)
    assert.are.equal("", is_open(conn))
    advance(2)
    is_closed_silently(conn)
  end)

  it("counts idleness from the last answer", function()
    local conn <close> = client:connect()
    for _ = 1, 3 do
      conn:send(http.get "/")
      assert.are.same({ 200 }, http.statuses(is_open(conn)))
      advance(50)
    end
    is_open(conn)
    advance(26)
    is_closed_silently(conn)
  end)

  it("stays without a limit", function()
    client:close()
    new_app()
    app.config.KEEP_ALIVE_TIMEOUT = nil
    local conn <close> = client:connect()
    conn:send(http.get "/")
    is_open(conn)
    advance(100000)
    is_open(conn)
  end)
end)

describe("slow headers", function()
  it("are answered by 408 and a close", function()
    local conn <close> = client:connect()
    conn:send "GET / HTTP/1.1\r\nHost: a\r\n"
    advance(11)
    is_closed_with(408, conn)
  end)

  it("have their time from the first byte, however fast others come", function()
    local conn <close> = client:connect()
    conn:send "GET / HTTP/1.1\r\n"
    for i = 1, 9 do
      advance(1)
      assert.is_true(conn:send(("X-%d: y\r\n"):format(i)))
      assert.are.equal("", is_open(conn))
    end
    advance(2)
    is_closed_with(408, conn)
  end)

  it("have their time from their own first byte behind another request", function()
    local conn <close> = client:connect()
    conn:send(http.get "/")
    is_open(conn)
    advance(70)
    conn:send "GET"
    advance(9)
    assert.are.equal("", is_open(conn))
    advance(2)
    is_closed_with(408, conn)
  end)

  it("count when they came together with the request before", function()
    local conn <close> = client:connect()
    conn:send(http.get "/" .. "GET / HTTP/1.1\r\n")
    assert.are.same({ 200 }, http.statuses(is_open(conn)))
    advance(11)
    is_closed_with(408, conn)
  end)

  it("begin with an empty line, too", function()
    local conn <close> = client:connect()
    conn:send(http.get "/")
    is_open(conn)
    conn:send "\r\n"
    advance(11)
    is_closed_with(408, conn)
  end)

  it("get no more time from an answer that is read slowly", function()
    local conn <close> = client:connect()
    conn:send(http.get "/n/120000")
    conn:send(http.get "/n/50000" .. "GET / HTTP/1.1\r\n")
    advance(9)
    assert.are.same({ 200, 200 }, http.statuses(is_open(conn)))
    advance(2)
    is_closed_with(408, conn)
  end)
end)

describe("a slow body", function()
  it("is answered by 408 and a close", function()
    local conn <close> = client:connect()
    conn:send(http.request("POST", "/body", { "Content-Length: 5" }, "he"))
    advance(19)
    assert.are.equal("", is_open(conn))
    advance(2)
    is_closed_with(408, conn)
    assert.are.same({ "teardown nil" }, seen)
  end)

  it("has its time between bytes", function()
    local conn <close> = client:connect()
    conn:send(http.request("POST", "/body", { "Content-Length: 5" }))
    for c in ("hello"):gmatch "." do
      advance(19)
      assert.is_true(conn:send(c))
    end
    local bytes = is_open(conn)
    assert.are.equal("hello", http.answers(bytes)[1].body)
    assert.are.equal("keep-alive", http.answers(bytes)[1].headers.connection or "keep-alive")
  end)

  it("is slow in chunks as well", function()
    local conn <close> = client:connect()
    conn:send(http.request("POST", "/chunks", { "Transfer-Encoding: chunked" }, "5\r\nhe"))
    gate:set()
    advance(21)
    is_closed_with(408, conn)
  end)

  it("may be told from others by an error handler", function()
    client:close()
    new_app()
    app:errorhandler(408, function(_, err) return "slow: " .. err.status, 408 end)
    local conn <close> = client:connect()
    conn:send(http.request("POST", "/body", { "Content-Length: 5" }, "he"))
    advance(21)
    local bytes = conn:receive()
    assert.are.equal("slow: 408", http.answers(bytes)[1].body)
  end)

  it("is nobody's fault while the view doesn't read it", function()
    local conn <close> = client:connect()
    conn:send(http.request("POST", "/late", { "Content-Length: 5" }, "he"))
    advance(100)
    assert.is_true(conn:send "l")
    advance(100)
    assert.is_true(conn:send "lo")
    gate:set()
    assert.are.equal("hello", http.answers(is_open(conn))[1].body)
  end)

  it("has its time from when the view reads it", function()
    local conn <close> = client:connect()
    conn:send(http.request("POST", "/late", { "Content-Length: 5" }, "he"))
    advance(100)
    gate:set()
    conn:send ""
    advance(19)
    assert.are.equal("", is_open(conn))
    advance(2)
    is_closed_with(408, conn)
  end)

  it("is nobody's fault while back-pressure holds it up", function()
    local conn <close> = client:connect()
    local body = ("b"):rep(500000)
    local sender = dewar.spawn(conn.send, conn, http.post("/chunks", body))
    for _ = 1, 5 do
      for _ = 1, 20 do dewar.yield() end
      advance(50)
    end
    gate:set()
    assert.is_true(dewar.await(sender))
    local bytes = is_open(conn)
    assert.are.equal("500000", http.answers(bytes)[1].body)
  end)

  it("that nobody reads ends the connection behind the answer", function()
    local conn <close> = client:connect()
    conn:send(http.request("POST", "/ignore", { "Content-Length: 5" }, "he"))
    assert.are.same({ 200 }, http.statuses(is_open(conn)))
    advance(15)
    assert.is_true(conn:send "l")
    advance(6)
    local bytes, state = conn:receive()
    assert.are.equal("", bytes)
    assert.are.equal("closed", state)
  end)

  it("has no limit where there is none", function()
    client:close()
    new_app()
    app.config.BODY_TIMEOUT = nil
    local conn <close> = client:connect()
    conn:send(http.request("POST", "/body", { "Content-Length: 5" }, "he"))
    advance(100000)
    conn:send "llo"
    assert.are.equal("hello", http.answers(is_open(conn))[1].body)
  end)
end)

describe("a slow reader", function()
  --- Sends the request and reads nothing.
  local function ask(path)
    local conn = client:connect()
    conn:send(http.get(path))
    return conn
  end

  local function is_cut(conn)
    local bytes, state, code = ending(conn)
    assert.are.equal("closed", state)
    assert.are.equal("ECONNRESET", code)
    return bytes
  end

  it("is cut when nothing moves for too long", function()
    local conn <close> = ask "/large"
    advance(29)
    advance(32)
    local bytes = is_cut(conn)
    assert.is_false(http.answers(bytes)[1].whole)
  end)

  it("is cut whatever the limit for idle connections", function()
    client:close()
    new_app()
    app.config.KEEP_ALIVE_TIMEOUT = nil
    local conn <close> = ask "/large"
    advance(61)
    is_cut(conn)
  end)

  it("is cut before the limit for idle connections", function()
    client:close()
    new_app { KEEP_ALIVE_TIMEOUT = 1000 }
    local conn <close> = ask "/large"
    advance(61)
    is_cut(conn)
  end)

  it("is not cut by the limit for idle connections while it reads", function()
    client:close()
    new_app { KEEP_ALIVE_TIMEOUT = 5 }
    local conn <close> = ask "/large"
    advance(25)
    local bytes = is_open(conn)
    assert.is_true(http.answers(bytes)[1].whole)
    advance(4)
    is_open(conn)
    advance(2)
    is_closed_silently(conn)
  end)

  it("is cut behind an answer that closes", function()
    local conn <close> = client:connect()
    conn:send(http.get("/large", "Connection: close"))
    advance(61)
    is_cut(conn)
  end)

  it("is cut while a view waits for something else", function()
    local conn <close> = client:connect()
    conn:send(http.get "/large" .. http.get "/wait")
    advance(61)
    is_cut(conn)
  end)

  it("is cut in a stream, whose request is cancelled", function()
    local conn <close> = ask "/stream"
    advance(61)
    is_cut(conn)
    assert.are.same({ "teardown cancelled" }, seen)
  end)

  it("is cut in the answer to a body that is still coming", function()
    client:close()
    new_app()
    app.config.BODY_TIMEOUT = nil
    app:post("/both", function(req)
      return coroutine.wrap(function()
        for chunk in req:chunks() do
          for _ = 1, 30 do coroutine.yield(chunk) end
        end
      end)
    end)
    local conn <close> = client:connect()
    conn:send(http.request("POST", "/both", { "Content-Length: 100000" }, ("z"):rep(20000)))
    advance(61)
    is_cut(conn)
  end)

  it("that goes on reading gets everything", function()
    local conn <close> = ask "/large"
    local parts = {}
    for i = 1, 12 do
      advance(25)
      parts[i] = conn._conn:read() or ""
    end
    parts[#parts + 1] = is_open(conn)
    local answer = http.answers(table.concat(parts))[1]
    assert.is_true(answer.whole)
    assert.are.equal(LARGE, answer.body)
  end)
end)

describe("a request that takes too long", function()
  local function new_slow_app(config)
    client:close()
    new_app(config)
  end

  local function statuses_of(conn) return http.statuses((conn:receive())) end

  it("is answered by 503, and the connection goes on", function()
    new_slow_app { REQUEST_TIMEOUT = 5 }
    local conn <close> = client:connect()
    conn:send(http.get "/wait")
    advance(6)
    conn:send(http.get "/")
    local bytes, state = conn:receive()
    assert.are.same({ 503, 200 }, http.statuses(bytes))
    assert.are.equal("idle", state)
    assert.are.equal("teardown nil", seen[1])
  end)

  it("has the route's own limit where there is one", function()
    new_slow_app { REQUEST_TIMEOUT = 50 }
    app:get("/quick", { timeout = 2 }, function() gate:wait() end)
    local conn <close> = client:connect()
    conn:send(http.get "/quick")
    advance(3)
    assert.are.same({ 503 }, statuses_of(conn))
  end)

  it("has it in hooks before the view", function()
    new_slow_app { REQUEST_TIMEOUT = 5 }
    app:before_request(function() gate:wait() end)
    local conn <close> = client:connect()
    conn:send(http.get "/")
    advance(6)
    assert.are.same({ 503 }, statuses_of(conn))
  end)

  it("has it in hooks behind the view", function()
    new_slow_app { REQUEST_TIMEOUT = 5 }
    app:after_request(function(_, res)
      if res.status == 200 then gate:wait() end
      return res
    end)
    local conn <close> = client:connect()
    conn:send(http.get "/")
    advance(6)
    assert.are.same({ 503 }, statuses_of(conn))
  end)

  it("has it in error handlers", function()
    new_slow_app { REQUEST_TIMEOUT = 5 }
    app:errorhandler(404, function() gate:wait() end)
    local conn <close> = client:connect()
    conn:send(http.get "/nothing")
    advance(6)
    assert.are.same({ 503 }, statuses_of(conn))
  end)

  it("may be dealt with by an error handler, which may wait", function()
    new_slow_app { REQUEST_TIMEOUT = 5 }
    app:errorhandler(503, function(_, err)
      dewar.sleep(0)
      return "late " .. err.status, 503
    end)
    local conn <close> = client:connect()
    conn:send(http.get "/wait")
    advance(6)
    conn:send ""
    advance(1)
    assert.are.equal("late 503", http.answers((conn:receive()))[1].body)
  end)

  it("is not a stream that has begun", function()
    new_slow_app { REQUEST_TIMEOUT = 5 }
    app:get("/slow-stream", function()
      return coroutine.wrap(function()
        coroutine.yield "a"
        gate:wait()
        coroutine.yield "b"
      end)
    end)
    local conn <close> = client:connect()
    conn:send(http.get "/slow-stream")
    advance(100)
    gate:set()
    local answer = http.answers((conn:receive()))[1]
    assert.are.equal("ab", answer.body)
    assert.is_true(answer.whole)
  end)

  it("has the time of waiting for its body", function()
    new_slow_app { REQUEST_TIMEOUT = 5 }
    local conn <close> = client:connect()
    conn:send(http.request("POST", "/body", { "Content-Length: 5" }, "he"))
    advance(6)
    assert.are.same({ 503 }, statuses_of(conn))
  end)
end)

describe("the end of a connection", function()
  it("leaves a slow reader what it was sent before", function()
    local conn <close> = client:connect()
    conn:send(http.get("/n/120000", "Connection: close"))
    advance(20)
    local bytes, state, code = ending(conn)
    assert.is_true(http.answers(bytes)[1].whole)
    assert.are.equal("closed", state)
    assert.is_nil(code)
  end)
end)

describe("a client that goes on sending behind the end", function()
  it("is let go after a moment", function()
    local conn <close> = client:connect()
    conn:send(http.get("/", "Connection: close") .. http.get "/wait")
    assert.are.same({ 200 }, http.statuses((conn:receive())))
    conn:send "GET /"
    advance(3)
    assert.is_false(conn:send "x")
    assert.are.same({ "teardown nil" }, seen)
  end)
end)
