-- The life of a connection: keep-alive, HTTP/1.0, pipelining, its end.
local core = require "dewar.core"
local dewar = require "dewar"
local clean = require "spec.support.clean"
local http = require "spec.support.http"

local app, client, seen, gates

local function note(text) seen[#seen + 1] = text end

local function gate(name)
  gates[name] = gates[name] or dewar.event()
  return gates[name]
end

before_each(function()
  seen, gates = {}, {}
  app = dewar.app()
  app:get("/", function() return "hello" end)
  app:get("/n/<int:n>", function(_, n)
    note("view " .. n)
    return "answer " .. n
  end)
  app:get("/wait/<name>", function(_, name)
    note("waits " .. name)
    gate(name):wait()
    note("ends " .. name)
    return "waited " .. name
  end)
  app:get("/large/<int:n>", function(_, n)
    note("large " .. n)
    return ("%04d"):format(n):rep(10000)
  end)
  app:post("/echo", function(req) return req:body() end)
  app:get("/stream", function()
    return coroutine.wrap(function()
      coroutine.yield "one,"
      dewar.sleep(0)
      coroutine.yield "two"
    end)
  end)
  app:teardown_request(function(req, err)
    if dewar.is_cancelled(err) then note("cancelled " .. req.path) end
  end)
  client = app:test_client()
end)
after_each(function() client:close() end)
clean.watch(before_each, after_each)

local function exchange(bytes, opts)
  local text, state = client:send_raw(bytes, opts)
  return http.answers(text), state
end

describe("HTTP/1.1", function()
  it("keeps the connection alive", function()
    local answers, state = exchange(http.get "/")
    assert.is_nil(answers[1].headers.connection)
    assert.are.equal("idle", state)
  end)

  it("closes it when asked to", function()
    for _, value in ipairs { "close", "Close", "x, close", "close, keep-alive" } do
      local answers, state = exchange(http.get("/", "Connection: " .. value) .. http.get "/")
      assert.are.equal(1, #answers)
      assert.are.equal("close", answers[1].headers.connection)
      assert.are.equal("closed", state)
    end
  end)

  it("closes it when the app asks for that", function()
    app:get("/bye", function() return "bye", 200, { Connection = "close" } end)
    local answers, state = exchange(http.get "/bye" .. http.get "/")
    assert.are.equal(1, #answers)
    assert.are.equal("close", answers[1].headers.connection)
    assert.are.equal("closed", state)
  end)

  it("sends streams in chunks", function()
    local answers = exchange(http.get "/stream" .. http.get "/")
    assert.are.equal("chunked", answers[1].headers["transfer-encoding"])
    assert.is_nil(answers[1].headers["content-length"])
    assert.are.equal("one,two", answers[1].body)
    assert.are.equal("hello", answers[2].body)
  end)
end)

describe("HTTP/1.0", function()
  local function get(path, ...)
    return table.concat({ "GET " .. path .. " HTTP/1.0", ... }, "\r\n") .. "\r\n\r\n"
  end

  it("closes the connection", function()
    local answers, state = exchange(get "/" .. get "/")
    assert.are.equal(1, #answers)
    assert.are.equal("close", answers[1].headers.connection)
    assert.are.equal("closed", state)
  end)

  it("keeps it alive when asked to, and says so", function()
    local answers, state = exchange(get("/", "Connection: keep-alive") .. get("/"))
    assert.are.equal("keep-alive", answers[1].headers.connection)
    assert.are.equal("close", answers[2].headers.connection)
    assert.are.equal("closed", state)
  end)

  it("never gets chunks: the end of the connection ends a stream", function()
    local answers, state = exchange(get("/stream", "Connection: keep-alive") .. get "/")
    assert.are.equal(1, #answers)
    assert.is_nil(answers[1].headers["transfer-encoding"])
    assert.are.equal("close", answers[1].headers.connection)
    assert.are.equal("one,two", answers[1].body)
    assert.are.equal("closed", state)
  end)

  it("is answered as 1.1, which says what this server is able to", function()
    assert.matches("^HTTP/1%.1 200 OK\r\n", (client:send_raw(get "/")))
  end)

  it("waits for no 100 Continue", function()
    local bytes = client:send_raw(
      "POST /echo HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n", { close = false })
    assert.are.equal("", bytes)
  end)
end)

describe("pipelined requests", function()
  it("are answered in order, by views that wait, too", function()
    local bytes = http.get "/wait/a" .. http.get "/n/1" .. http.get "/wait/b" .. http.get "/n/2"
    local conn <close> = client:connect()
    conn:send(bytes)
    assert.are.same({ "waits a" }, seen)
    gate("b"):set()
    conn:send ""
    assert.are.same({ "waits a" }, seen)
    gate("a"):set()
    local bodies = {}
    for i, answer in ipairs(http.answers((conn:receive()))) do bodies[i] = answer.body end
    assert.are.same({ "waited a", "answer 1", "waited b", "answer 2" }, bodies)
    assert.are.same({ "waits a", "ends a", "view 1", "waits b", "ends b", "view 2" }, seen)
  end)

  it("come in any pieces", function()
    local bytes = http.post("/echo", "one") .. http.get "/n/7"
      .. http.request("POST", "/echo", { "Transfer-Encoding: chunked" }, http.chunked("t", "wo"))
      .. http.get "/stream" .. http.request("HEAD", "/n/8")
    local whole = client:send_raw(bytes):gsub("Date: [^\r]+", "")
    for _, size in ipairs { 1, 2, 7, 31 } do
      local split = client:send_raw(bytes, { split = size }):gsub("Date: [^\r]+", "")
      assert.are.equal(whole, split)
    end
    local conn <close> = client:connect()
    conn:send(bytes, { split = 3 })
    assert.are.equal(whole, (conn:receive():gsub("Date: [^\r]+", "")))
  end)

  it("are all answered, however many", function()
    local bytes, wanted = {}, {}
    for i = 1, 3000 do
      bytes[i] = http.get("/n/" .. i)
      wanted[i] = "answer " .. i
    end
    local bodies = {}
    local answers, state = exchange(table.concat(bytes))
    for i, answer in ipairs(answers) do bodies[i] = answer.body end
    assert.are.same(wanted, bodies)
    assert.are.equal("idle", state)
  end)

  it("wait while their answers are not read", function()
    local bytes = {}
    for i = 1, 400 do bytes[i] = http.get("/large/" .. i) end
    local conn <close> = client:connect()
    conn:send(table.concat(bytes))
    -- 40 kB each; on the way are three or four buffers of 64 KiB.
    assert.is_true(#seen >= 1 and #seen < 20, #seen .. " views ran")
    local answers = http.answers((conn:receive()))
    assert.are.equal(400, #answers)
    assert.are.equal(("0400"):rep(10000), answers[400].body)
  end)

  it("are not read on behind a view that waits, past a limit", function()
    local conn <close> = client:connect()
    conn:send(http.get "/wait/a")
    local more = http.get("/n/1", "X-Padding: " .. ("p"):rep(900))
    local sender = dewar.spawn(function()
      for _ = 1, 400 do conn._conn:send(more) end
    end)
    for _ = 1, 4000 do dewar.yield() end
    -- Of 400 kB, the pair and the connection hold less than 300.
    assert.are.same({ "waits a" }, seen)
    gate("a"):set()
    dewar.await(sender)
    local answers = http.answers((conn:receive()))
    assert.are.equal(401, #answers)
  end)

  it("that are malformed end the connection behind the answers in front", function()
    local bytes = http.get "/wait/a" .. http.get "/n/1" .. "BAD\r\n\r\n" .. http.get "/n/2"
    local conn <close> = client:connect()
    conn:send(bytes)
    gate("a"):set()
    local text, state = conn:receive()
    assert.are.same({ 200, 200, 400 }, http.statuses(text))
    assert.are.equal("closed", state)
    assert.are.same({ "waits a", "ends a", "view 1" }, seen)
  end)
end)

describe("a stop", function()
  local function stop() app._core:stop() end

  it("closes idle connections", function()
    local conn <close> = client:connect()
    conn:send(http.get "/")
    assert.are.equal("idle", select(2, conn:receive()))
    stop()
    assert.are.same({ "", "closed" }, { conn:receive() })
  end)

  it("answers what runs, says that it closes, and reads no more", function()
    local conn <close> = client:connect()
    conn:send(http.get "/wait/a" .. http.get "/n/1")
    stop()
    gate("a"):set()
    local text, state = conn:receive()
    local answers = http.answers(text)
    assert.are.equal(1, #answers)
    assert.are.equal("waited a", answers[1].body)
    assert.are.equal("close", answers[1].headers.connection)
    assert.are.equal("closed", state)
  end)

  it("answers a request whose head is on its way", function()
    local conn <close> = client:connect()
    conn:send "GET /n/1 HTTP/1.1\r\nHos"
    stop()
    conn:send "t: a\r\n\r\n"
    local text, state = conn:receive()
    assert.are.equal("answer 1", http.answers(text)[1].body)
    assert.are.equal("close", http.answers(text)[1].headers.connection)
    assert.are.equal("closed", state)
  end)

  it("waits for no body that nobody reads", function()
    app:post("/ignore", function() return "ignored" end)
    local conn <close> = client:connect()
    conn:send(http.request("POST", "/ignore", { "Content-Length: 10" }, "half"))
    assert.are.same({ 200 }, http.statuses((conn:receive())))
    stop()
    assert.are.same({ "", "closed" }, { conn:receive() })
  end)
end)

describe("a client that is gone", function()
  it("has its view cancelled", function()
    local conn <close> = client:connect()
    conn:send(http.get "/wait/a")
    conn:close()
    assert.are.same({ "waits a", "cancelled /wait/a" }, seen)
  end)

  it("is gone when it has only ended its side", function()
    local conn <close> = client:connect()
    conn:send(http.get "/wait/a")
    conn:shutdown()
    local text, state = conn:receive()
    assert.are.equal("", text)
    assert.are.equal("closed", state)
    assert.are.same({ "waits a", "cancelled /wait/a" }, seen)
  end)

  it("gets what was answered before it ended its side", function()
    local conn <close> = client:connect()
    conn._conn:send(http.get "/n/1" .. http.get "/large/2" .. http.get "/wait/a")
    conn:shutdown()
    local text, state = conn:receive()
    assert.are.same({ 200, 200 }, http.statuses(text))
    assert.are.equal("closed", state)
  end)

  it("gets the whole answer if it ends its side behind a request", function()
    local answers, state = exchange(http.get "/large/1", { close = true })
    assert.are.equal(1, #answers)
    assert.is_true(answers[1].whole)
    assert.are.equal("closed", state)
  end)

  it("gets the whole answer if it ends its side while it is sent", function()
    app:get("/bytes/<int:n>", function(_, n) return ("b"):rep(n), 200, { Connection = "close" } end)
    for _, size in ipairs { 1, 100000, 1000000 } do
      local conn <close> = client:connect()
      conn:send(http.get("/bytes/" .. size))
      conn:shutdown()
      local text, state = conn:receive()
      assert.is_true(http.answers(text)[1].whole)
      assert.are.equal("closed", state)
    end
  end)

  it("is answered with what came before it was gone in a head", function()
    local answers, state = exchange(http.get "/n/1" .. "GET /n/2 HTT", { close = true })
    assert.are.equal(1, #answers)
    assert.are.equal("closed", state)
    assert.are.same({ "view 1" }, seen)
  end)

  it("ends a view that reads its body", function()
    local conn <close> = client:connect()
    conn:send(http.request("POST", "/echo", { "Content-Length: 10" }, "abc"))
    conn:close()
    assert.are.same({ "cancelled /echo" }, seen)
  end)

  it("does not disturb the view where the app doesn't want that", function()
    app.config.CANCEL_ON_DISCONNECT = false
    local conn <close> = client:connect()
    conn:send(http.get "/wait/a" .. http.get "/n/1")
    conn:shutdown()
    conn:send ""
    gate("a"):set()
    local text, state = conn:receive()
    assert.are.same({ 200 }, http.statuses(text))
    assert.are.equal("close", http.answers(text)[1].headers.connection)
    assert.are.equal("closed", state)
    assert.are.same({ "waits a", "ends a" }, seen)
  end)

  it("does not disturb it by a reset either", function()
    app.config.CANCEL_ON_DISCONNECT = false
    local conn <close> = client:connect()
    conn:send(http.get "/wait/a")
    conn._conn:drop(true)
    for _ = 1, 20 do dewar.yield() end
    gate("a"):set()
    conn:close()
    assert.are.same({ "waits a", "ends a" }, seen)
  end)

  it("leaves nothing behind, ten thousand times", function()
    local cancelled = 0
    app = dewar.app()
    app:get("/for-ever", function() gate("never"):wait() end)
    app:teardown_request(function(_, err)
      cancelled = cancelled + (dewar.is_cancelled(err) and 1 or 0)
    end)
    -- A hundred at once, half of them by a reset.
    local function disconnect(times)
      for _ = 1, times // 100 do
        local conns = {}
        for i = 1, 100 do
          conns[i] = core.client_open(app._core)
          conns[i]:send(http.get "/for-ever")
        end
        for i = 1, 100 do conns[i]:drop(i % 2 == 0) end
        for i = 1, 100 do conns[i]:close() end
      end
    end
    disconnect(5000)
    local before = clean.counts()
    disconnect(10000)
    assert.are.equal(15000, cancelled)
    assert.is_nil(clean.left(before))
    local more = clean.counts().memory - before.memory
    assert.is_true(more < 10000, more .. " bytes more")
  end)
end)
