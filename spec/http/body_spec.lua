-- Bodies of requests: 100 Continue, limits, back-pressure, what nobody reads,
-- trailers.
local dewar = require "dewar"
local clean = require "spec.support.clean"
local http = require "spec.support.http"

local app, client, gate, seen

local KIB = 1024

before_each(function()
  gate, seen = dewar.event(), {}
  app = dewar.app()
  app:post("/echo", function(req) return req:body() end)
  app:post("/ignore", function() return "ignored" end)
  app:post("/wait", function()
    gate:wait()
    return "waited"
  end)
  app:post("/late", function(req)
    gate:wait()
    return req:body()
  end)
  app:post("/chunks", function(req)
    local sizes = {}
    for chunk in req:chunks() do
      sizes[#sizes + 1] = #chunk
      gate:wait()
    end
    return sizes
  end)
  app:post("/headers", function(req)
    local body = req:body()
    local lines = {}
    for name, value in pairs(req.headers) do lines[#lines + 1] = name .. ": " .. value end
    return { body = body, headers = lines, authorization = req.headers.authorization,
      length = req.content_length, host = req.host }
  end)
  app:get("/", function() return "next" end)
  client = app:test_client()
end)
after_each(function() client:close() end)
clean.watch(before_each, after_each)

local function exchange(bytes, opts)
  local text, state = client:send_raw(bytes, opts)
  return http.answers(text), state
end

local function settle()
  for _ = 1, 500 do dewar.yield() end
end

--- A body of so many KiB for the client, and how much of it was sent.
local function pieces(count)
  local sent, piece = 0, ("p"):rep(KIB)
  return function()
    if sent == count * KIB then return nil end
    sent = sent + KIB
    return piece
  end, function() return sent end
end

local CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n"

describe("Expect: 100-continue", function()
  local function ask(path, lines)
    local conn = client:connect()
    conn:send(http.request("POST", path, lines or { "Expect: 100-continue", "Content-Length: 2" }))
    return conn
  end

  it("is met when the view reads the body", function()
    local conn <close> = ask "/echo"
    local text, state = conn:receive()
    assert.are.equal(CONTINUE, text)
    assert.are.equal("waiting", state)
    conn:send "hi"
    assert.are.equal("hi", http.answers((conn:receive()))[1].body)
    conn:send(http.get "/")
    assert.are.equal("next", http.answers((conn:receive()))[1].body)
  end)

  it("is met for chunks as well, and in any case of letters", function()
    local conn <close> = ask("/echo", { "expect: 100-Continue", "Transfer-Encoding: chunked" })
    assert.are.equal(CONTINUE, (conn:receive()))
    conn:send(http.chunked("h", "i"))
    assert.are.equal("hi", http.answers((conn:receive()))[1].body)
  end)

  it("is not met before the view reads", function()
    local conn <close> = ask "/late"
    local got
    local reader = dewar.spawn(function() got = conn:receive() end)
    settle()
    assert.is_nil(got)
    gate:set()
    dewar.await(reader)
    assert.are.equal(CONTINUE, got)
  end)

  it("is not met where the view never reads; then the connection closes", function()
    local conn <close> = ask "/ignore"
    local text, state = conn:receive()
    local answers = http.answers(text)
    assert.are.equal(1, #answers)
    assert.are.equal(200, answers[1].status)
    assert.are.equal("close", answers[1].headers.connection)
    assert.are.equal("closed", state)
  end)

  it("is not met where the body is too large; then the connection closes", function()
    app.config.MAX_CONTENT_LENGTH = 1
    local conn <close> = ask "/echo"
    local text, state = conn:receive()
    assert.are.same({ 413 }, http.statuses(text))
    assert.are.equal("close", http.answers(text)[1].headers.connection)
    assert.are.equal("closed", state)
  end)

  it("is not met where the body comes unasked", function()
    local answers, state = exchange(
      http.post("/echo", "hi", "Expect: 100-continue") .. http.get "/")
    assert.are.equal(2, #answers)
    assert.are.equal("hi", answers[1].body)
    assert.are.equal("next", answers[2].body)
    assert.are.equal("idle", state)
  end)

  it("is not met a second time", function()
    local conn <close> = ask("/echo", { "Expect: 100-continue", "Content-Length: 4" })
    assert.are.equal(CONTINUE, (conn:receive()))
    for c in ("body"):gmatch "." do conn:send(c) end
    assert.are.equal("body", http.answers((conn:receive()))[1].body)
  end)

  it("is met in its turn behind other answers", function()
    local text = client:send_raw(http.get "/"
      .. http.request("POST", "/echo", { "Expect: 100-continue", "Content-Length: 2" }))
    assert.matches("next" .. CONTINUE:gsub("%p", "%%%0") .. "$", text)
  end)

  it("is refused for anything else, by 417", function()
    local answers, state = exchange(http.post("/echo", "hi", "Expect: 200-ok") .. http.get "/")
    assert.are.equal(1, #answers)
    assert.are.equal(417, answers[1].status)
    assert.are.equal("closed", state)
  end)
end)

describe("a body", function()
  it("is the same in any pieces", function()
    local body = ("0123456789"):rep(100)
    local bytes = http.request("POST", "/echo", { "Transfer-Encoding: chunked" },
      http.chunked(body, "x", body))
    for _, split in ipairs { 1, 2, 64, 999 } do
      local answers, state = exchange(bytes, { split = split })
      assert.are.equal(body .. "x" .. body, answers[1].body)
      assert.are.equal("idle", state)
    end
  end)

  it("may be large", function()
    local body = ("0123456789abcdef"):rep(256 * KIB)
    local answers = exchange(http.post("/echo", body))
    assert.is_true(answers[1].body == body)
  end)

  it("may stay away for as long as the view has other things to do", function()
    local conn <close> = client:connect()
    conn:send(http.request("POST", "/late", { "Content-Length: 5" }))
    settle()
    gate:set()
    conn:send "hello"
    assert.are.equal("hello", http.answers((conn:receive()))[1].body)
  end)

  it("that is malformed in a chunk is a 400 for who reads it, and a close", function()
    local bytes = http.request("POST", "/echo", { "Transfer-Encoding: chunked" },
      "3\r\nabc\r\nZ\r\n") .. http.get "/"
    for _, split in ipairs { 1, 5, #bytes } do
      local answers, state = exchange(bytes, { split = split })
      assert.are.equal(1, #answers)
      assert.are.equal(400, answers[1].status)
      assert.are.equal("close", answers[1].headers.connection)
      assert.are.equal("closed", state)
    end
  end)

  it("that is malformed is no request any more for who doesn't read it", function()
    local bytes = http.request("POST", "/ignore", { "Transfer-Encoding: chunked" },
      "3\r\nabc\r\nZ\r\n") .. http.get "/"
    for _, split in ipairs { 1, 5, #bytes } do
      local answers, state = exchange(bytes, { split = split })
      assert.are.equal(1, #answers)
      assert.are.equal("closed", state)
    end
  end)

  it("has back-pressure: what nobody takes isn't read", function()
    local body, sent = pieces(2000)
    local task = dewar.spawn(client.post, client, "/late", { body = body })
    settle()
    -- Four buffers of 64 KiB are on the way, and one piece too many.
    assert.is_true(sent() <= 300 * KIB, sent() .. " bytes were taken")
    gate:set()
    assert.are.equal(2000 * KIB, #dewar.await(task).body)
    assert.are.equal(2000 * KIB, sent())
  end)

  it("reaches chunks() in pieces that are bounded, however fast it comes", function()
    gate:set()
    local answer = exchange(http.post("/chunks", ("c"):rep(1000 * KIB)))[1]
    local sizes, total = dewar.json.decode(answer.body), 0
    for _, size in ipairs(sizes) do
      total = total + size
      assert.is_true(size <= 192 * KIB, "a piece of " .. size)
    end
    assert.are.equal(1000 * KIB, total)
  end)
end)

describe("a limit of bodies", function()
  local function post(body, ...) return http.post("/echo", body, ...) end

  before_each(function() app.config.MAX_CONTENT_LENGTH = 10 end)

  it("lets a body of its size pass", function()
    assert.are.equal(200, exchange(post "0123456789")[1].status)
    local chunked = http.request("POST", "/echo", { "Transfer-Encoding: chunked" },
      http.chunked("01234", "56789"))
    assert.are.equal(200, exchange(chunked)[1].status)
  end)

  it("answers a larger one by 413, before it has come", function()
    local answers = exchange(http.request("POST", "/echo", { "Content-Length: 11" }))
    assert.are.equal(413, answers[1].status)
  end)

  it("goes on behind a larger one that is small enough to be swallowed", function()
    local answers, state = exchange(post "0123456789a" .. http.get "/")
    assert.are.equal(413, answers[1].status)
    assert.are.equal("next", answers[2].body)
    assert.are.equal("idle", state)
  end)

  it("closes behind a larger one that is not", function()
    local answers, state = exchange(post(("x"):rep(100 * KIB)) .. http.get "/")
    assert.are.equal(1, #answers)
    assert.are.equal(413, answers[1].status)
    assert.are.equal("close", answers[1].headers.connection)
    assert.are.equal("closed", state)
  end)

  it("counts the bytes of chunks, without their framing", function()
    local lines = { "Transfer-Encoding: chunked" }
    local bytes = http.request("POST", "/echo", lines, "5;a=b\r\n01234\r\n6\r\n56789a\r\n")
    for _, split in ipairs { 1, #bytes } do
      assert.are.equal(413, exchange(bytes, { split = split })[1].status)
    end
  end)

  it("may be raised and lowered by the view", function()
    app:post("/own/<int:n>", function(req, n)
      req.max_content_length = n
      return req:body()
    end)
    assert.are.equal(200, exchange(http.post("/own/20", ("x"):rep(20)))[1].status)
    assert.are.equal(413, exchange(http.post("/own/20", ("x"):rep(21)))[1].status)
    assert.are.equal(413, exchange(http.post("/own/5", ("x"):rep(6)))[1].status)
  end)

  it("may be the route's", function()
    app:post("/route", { max_content_length = 12 }, function(req) return req:body() end)
    assert.are.equal(200, exchange(http.post("/route", ("x"):rep(12)))[1].status)
    assert.are.equal(413, exchange(http.post("/route", ("x"):rep(13)))[1].status)
  end)

  it("doesn't matter to who doesn't read", function()
    assert.are.equal(200, exchange(http.post("/ignore", ("x"):rep(11)))[1].status)
  end)

  it("holds on when the error was swallowed: no more is kept than the limit", function()
    app.config.MAX_CONTENT_LENGTH = 50 * KIB
    app:post("/swallow", function(req)
      local ok, err = pcall(req.body, req)
      seen[1] = not ok and err.status
      gate:wait()
      return "swallowed"
    end)
    local body, sent = pieces(2000)
    local task = dewar.spawn(client.post, client, "/swallow", { body = body })
    settle()
    assert.are.equal(413, seen[1])
    assert.is_true(sent() <= 300 * KIB, sent() .. " bytes were taken")
    gate:set()
    assert.are.equal("swallowed", dewar.await(task).body)
    assert.is_true(sent() < 1000 * KIB, sent() .. " bytes were taken")
  end)
end)

describe("a body that a stream reads", function()
  before_each(function()
    app:post("/upper", function(req)
      return coroutine.wrap(function()
        for chunk in req:chunks() do coroutine.yield(chunk:upper()) end
      end)
    end)
  end)

  it("may be as large as it likes; then the connection closes", function()
    -- Whether the stream will read all of it is not known when its head is sent,
    -- and a proxy must be told before it sends the next request.
    local answers, state = exchange(http.post("/upper", ("x"):rep(500 * KIB)) .. http.get "/")
    assert.are.equal(1, #answers)
    assert.are.equal("close", answers[1].headers.connection)
    assert.is_true(answers[1].body == ("X"):rep(500 * KIB))
    assert.are.equal("closed", state)
  end)

  it("leaves the connection open where it is small enough to be swallowed", function()
    local answers, state = exchange(http.post("/upper", ("x"):rep(50 * KIB)) .. http.get "/")
    assert.is_nil(answers[1].headers.connection)
    assert.is_true(answers[1].body == ("X"):rep(50 * KIB))
    assert.are.equal("next", answers[2].body)
    assert.are.equal("idle", state)
  end)
end)

describe("a body that nobody reads", function()
  it("is swallowed up to 64 KiB", function()
    for _, size in ipairs { 1, 1000, 64 * KIB } do
      local bytes = http.post("/ignore", ("x"):rep(size)) .. http.get "/"
      for _, split in ipairs { 4000, 65536, #bytes } do
        local answers, state = exchange(bytes, { split = split })
        assert.are.equal("ignored", answers[1].body)
        assert.is_nil(answers[1].headers.connection)
        assert.are.equal("next", answers[2].body)
        assert.are.equal("idle", state)
      end
    end
  end)

  it("ends the connection behind the answer past that", function()
    for _, size in ipairs { 64 * KIB + 1, 100 * KIB, 1000 * KIB } do
      local bytes = http.post("/ignore", ("x"):rep(size)) .. http.get "/"
      for _, split in ipairs { 4000, 65536, #bytes } do
        local answers, state = exchange(bytes, { split = split })
        assert.are.equal(1, #answers)
        assert.are.equal("ignored", answers[1].body)
        assert.are.equal("close", answers[1].headers.connection)
        assert.are.equal("closed", state)
      end
    end
  end)

  it("is swallowed in chunks as well, trailers included", function()
    local bytes = http.request("POST", "/ignore", { "Transfer-Encoding: chunked" },
      "3\r\nabc\r\n0\r\nX: y\r\nAuthorization: z\r\n\r\n") .. http.get "/"
    for _, split in ipairs { 1, 10, #bytes } do
      local answers, state = exchange(bytes, { split = split })
      assert.are.equal(2, #answers)
      assert.are.equal("next", answers[2].body)
      assert.are.equal("idle", state)
    end
  end)

  it("ends the connection past 64 KiB of chunks, too", function()
    local bytes = http.request("POST", "/ignore", { "Transfer-Encoding: chunked" },
      http.chunked(("x"):rep(40 * KIB), ("y"):rep(40 * KIB))) .. http.get "/"
    for _, split in ipairs { 4000, #bytes } do
      local answers, state = exchange(bytes, { split = split })
      assert.are.equal(1, #answers)
      assert.are.equal("closed", state)
    end
  end)

  it("may be a part of one that somebody has begun to read", function()
    gate:set()
    app:post("/some", function(req)
      return "read " .. #req:chunks()()
    end)
    local bytes = http.request("POST", "/some", { "Content-Length: " .. 1000 * KIB })
    local conn <close> = client:connect()
    conn:send(bytes .. ("x"):rep(950 * KIB), { split = 32 * KIB })
    local text, state = conn:receive()
    assert.are.same({ 200 }, http.statuses(text))
    assert.are.equal("close", http.answers(text)[1].headers.connection)
    assert.are.equal("closed", state)
  end)

  it("is swallowed where all but a little of a large one was read", function()
    app:post("/most", function(req)
      local count = 0
      for chunk in req:chunks() do
        count = count + #chunk
        if count >= 990 * KIB then return "most" end
      end
    end)
    local answers, state = exchange(http.post("/most", ("x"):rep(1000 * KIB)) .. http.get "/",
      { split = 10 * KIB })
    assert.are.equal("most", answers[1].body)
    assert.is_nil(answers[1].headers.connection)
    assert.are.equal("next", answers[2].body)
    assert.are.equal("idle", state)
  end)

  it("is swallowed behind a view that waited", function()
    local conn <close> = client:connect()
    conn:send(http.post("/wait", ("x"):rep(60 * KIB)) .. http.get "/")
    gate:set()
    local text, state = conn:receive()
    assert.are.same({ 200, 200 }, http.statuses(text))
    assert.are.equal("idle", state)
  end)

  it("that is announced and doesn't come lets no other request in", function()
    local conn <close> = client:connect()
    conn:send(http.request("POST", "/ignore", { "Content-Length: 1000" }) .. http.get "/")
    local text, state = conn:receive()
    assert.are.same({ 200 }, http.statuses(text))
    assert.are.equal("waiting", state)
  end)
end)

describe("trailers", function()
  it("never act as headers", function()
    local trailers = "Authorization: Basic YTpi\r\nConnection: close\r\nCookie: a=b\r\nX: y\r\n"
    local bytes = http.request("POST", "/headers", { "Transfer-Encoding: chunked" },
      "2\r\nhi\r\n0\r\n" .. trailers .. "\r\n") .. http.get "/"
    for _, split in ipairs { 1, 40, #bytes } do
      local answers, state = exchange(bytes, { split = split })
      local request = dewar.json.decode(answers[1].body)
      assert.are.equal("hi", request.body)
      assert.are.equal("localhost", request.host)
      assert.are.same({ "Host: localhost", "Transfer-Encoding: chunked" }, request.headers)
      assert.is_nil(request.authorization)
      assert.is_nil(request.length)
      assert.is_nil(answers[1].headers.connection)
      assert.are.equal("next", answers[2].body)
      assert.are.equal("idle", state)
    end
  end)

  it("that would frame or route the request are refused", function()
    for _, line in ipairs { "Content-Length: 5", "Host: evil", "Transfer-Encoding: chunked" } do
      local bytes = http.request("POST", "/headers", { "Transfer-Encoding: chunked" },
        "2\r\nhi\r\n0\r\n" .. line .. "\r\n\r\n") .. http.get "/"
      for _, split in ipairs { 1, #bytes } do
        local answers, state = exchange(bytes, { split = split })
        assert.are.equal(1, #answers)
        assert.are.equal(400, answers[1].status)
        assert.are.equal("closed", state)
      end
    end
  end)

  it("have a limit of their own, past which is 431 and a close", function()
    app.config.MAX_TRAILER_SIZE = 100
    local bytes = http.request("POST", "/echo", { "Transfer-Encoding: chunked" },
      "0\r\nX: " .. ("y"):rep(100) .. "\r\n\r\n") .. http.get "/"
    for _, split in ipairs { 1, #bytes } do
      local answers, state = exchange(bytes, { split = split })
      assert.are.equal(1, #answers)
      assert.are.equal(431, answers[1].status)
      assert.are.equal("closed", state)
    end
  end)
end)

describe("chunks of a size", function()
  local function sizes_of(size)
    return function(req)
      local sizes, text = {}, {}
      for chunk in req:chunks(size) do
        sizes[#sizes + 1] = #chunk
        text[#text + 1] = chunk
      end
      return { sizes = sizes, text = table.concat(text) }
    end
  end

  it("have just that size, but for the last", function()
    app:post("/sized", sizes_of(4))
    for _, split in ipairs { 1, 3, 4, 7, 1000 } do
      for _, framing in ipairs { "length", "chunked" } do
        local body = "abcdefghij"
        local request = framing == "length"
          and http.request("POST", "/sized", { "Content-Length: 10" }, body)
          or http.request("POST", "/sized", { "Transfer-Encoding: chunked" }, http.chunked("abc", "defghi", "j"))
        local answers = exchange(request, { split = split })
        assert.are.equal(200, answers[1].status, framing .. " in pieces of " .. split)
        local got = dewar.json.decode(answers[1].body)
        assert.are.same({ 4, 4, 2 }, got.sizes)
        assert.are.equal(body, got.text)
      end
    end
  end)

  it("leave no empty one behind a body that they divide", function()
    app:post("/sized", sizes_of(5))
    assert.are.same({ 5, 5 }, client:post("/sized", { body = "abcdefghij" }):json().sizes)
    assert.are.same({}, client:post("/sized", { body = "" }):json().sizes)
  end)

  it("may be larger than what is read ahead, or the body", function()
    local size = 300 * KIB
    app:post("/sized", sizes_of(size))
    assert.are.same({ size, size, 100 * KIB },
      client:post("/sized", { body = pieces(700) }):json().sizes)
    assert.are.same({ 5 }, client:post("/sized", { body = "abcde" }):json().sizes)
  end)

  it("may be a byte each, at no more cost than the bytes", function()
    app:post("/bytes", function(req)
      local n = 0
      for chunk in req:chunks(1) do
        assert(#chunk == 1)
        n = n + 1
      end
      return tostring(n)
    end)
    assert.are.equal(tostring(200 * KIB), client:post("/bytes", { body = pieces(200) }).body)
  end)

  it("go on where an iterator of another size has stopped", function()
    app:post("/both", function(req)
      return { req:chunks(3)(), req:chunks(2)(), req:chunks()() }
    end)
    local answers = exchange(http.request("POST", "/both", { "Content-Length: 8" }, "abcdefgh"))
    assert.are.equal('["abc","de","fgh"]\n', answers[1].body)
  end)

  it("hold the client back while nobody takes them", function()
    app:post("/slow", function(req)
      local n = 0
      for chunk in req:chunks(10 * KIB) do
        n = n + #chunk
        gate:wait()
      end
      return tostring(n)
    end)
    local body, sent = pieces(4096)
    local answer = dewar.spawn(function() return client:post("/slow", { body = body }).body end)
    settle()
    assert.is_true(sent() < 1024 * KIB, "the client was held back")
    gate:set()
    assert.are.equal(tostring(4096 * KIB), (dewar.await(answer)))
  end)

  it("are refused with a 413 where the body is too large", function()
    app.config.MAX_CONTENT_LENGTH = 6
    app:post("/sized", sizes_of(4))
    assert.are.equal(413, client:post("/sized", { body = "abcdefghij" }).status)
    local answers = exchange(http.request("POST", "/sized", { "Transfer-Encoding: chunked" },
      http.chunked("abc", "defghi", "j")))
    assert.are.equal(413, answers[1].status)
  end)

  it("have a size that is a positive whole number", function()
    local message
    app:post("/bad", function(req)
      local bad = ({ zero = 0, minus = -1, half = 1.5, text = "4", list = {} })[req.args.size]
      local ok, err = pcall(function() return req:chunks(bad) end)
      assert(not ok)
      message = err
      return req:body()
    end)
    for name, shown in pairs { zero = "0", minus = "-1", half = "1.5", text = "4", list = "table: " } do
      assert.are.equal("x", client:post("/bad", { query = { size = name }, body = "x" }).body)
      assert.matches("body_spec.lua:%d+: chunks: the size of a piece is a positive whole number of bytes; got "
        .. shown:gsub("%p", "%%%0"), message)
    end
  end)
end)
