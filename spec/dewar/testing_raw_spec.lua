-- The test client's connections for bytes as they are.
local dewar = require "dewar"
local clean = require "spec.support.clean"

clean.watch(before_each, after_each)

local GET = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n"

describe("raw bytes", function()
  local app, client

  before_each(function()
    app = dewar.app()
    app:get("/x", function() return "x!" end)
    app:post("/read", function(req) return "read " .. req:body() end)
    client = app:test_client()
  end)
  after_each(function() client:close() end)

  local function statuses(text)
    local found = {}
    for status in text:gmatch "HTTP/1%.1 (%d+)" do found[#found + 1] = status end
    return table.concat(found, " ")
  end

  it("are answered, and the server stays idle", function()
    local text, state = client:send_raw(GET)
    assert.matches("^HTTP/1%.1 200 OK\r\n", text)
    assert.matches("\r\n\r\nx!$", text)
    assert.are.equal("idle", state)
  end)

  it("are answered in order where they are pipelined", function()
    local text, state = client:send_raw(GET .. GET:gsub("/x", "/y") .. GET)
    assert.are.equal("200 404 200", statuses(text))
    assert.are.equal("idle", state)
  end)

  it("say the same in one piece and in any others", function()
    local bytes = "POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
      .. "5\r\nHello\r\n6\r\n World\r\n0\r\n\r\n" .. GET
    for _, split in ipairs { 1, 2, 7, 1000, { 10, 60, 61 } } do
      local text, state = client:send_raw(bytes, { split = split })
      assert.are.equal("200 200", statuses(text))
      assert.matches("read Hello World", text)
      assert.are.equal("idle", state)
    end
  end)

  it("find the server waiting for the rest of a head or a body", function()
    local text, state = client:send_raw "GET /x HTT"
    assert.are.equal("", text)
    assert.are.equal("waiting", state)
    text, state = client:send_raw "POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc"
    assert.are.equal("", text)
    assert.are.equal("waiting", state)
  end)

  it("find the connection closed after what can't be a request", function()
    local text, state = client:send_raw "NONSENSE\r\n\r\n"
    assert.are.equal("400", statuses(text))
    assert.are.equal("closed", state)
    text, state = client:send_raw((GET:gsub("\r\n\r\n", "\r\nConnection: close\r\n\r\n")))
    assert.are.equal("200", statuses(text))
    assert.are.equal("closed", state)
  end)

  it("may be followed by the end of our side", function()
    local text, state = client:send_raw("", { close = true })
    assert.are.equal("", text)
    assert.are.equal("closed", state)
  end)

  it("may be sent and received bit by bit", function()
    local connection <close> = client:connect()
    assert.is_true(connection:send "POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n"
      and connection:send "Expect: 100-continue\r\n\r\n")
    local text, state = connection:receive()
    assert.are.equal("100", statuses(text))
    assert.are.equal("waiting", state)
    connection:send "abcd"
    text, state = connection:receive()
    assert.are.equal("200", statuses(text))
    assert.are.equal("idle", state)
    connection:send(GET)
    assert.are.equal("200", statuses((connection:receive())))
    connection:shutdown()
    text, state = connection:receive()
    assert.are.equal("", text)
    assert.are.equal("closed", state)
    assert.is_false(connection:send(GET))
  end)

  it("wait for views that wait", function()
    app:get("/slow", function() dewar.sleep(0.005) return "slow" end)
    local text, state = client:send_raw(GET:gsub("/x", "/slow") .. GET)
    assert.are.equal("200 200", statuses(text))
    assert.are.equal("idle", state)
  end)

  it("get a 500 for an error, whatever TESTING says", function()
    app.config.TESTING = true
    app:get("/error", function() error "x" end)
    local sink = dewar.log.sink
    dewar.log.sink = function() end
    local text, state = client:send_raw(GET:gsub("/x", "/error") .. GET)
    dewar.log.sink = sink
    assert.are.equal("500 200", statuses(text))
    assert.are.equal("idle", state)
  end)

  it("pass what a pair holds at once", function()
    local body = ("x"):rep(300000)
    local text = client:send_raw("POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n"
      .. body)
    assert.are.equal("200", statuses(text))
    assert.are.equal("read " .. body, text:match "\r\n\r\n(.*)$")
  end)

  it("are not read before they are received", function()
    local made = 0
    app:get("/much", function()
      return coroutine.wrap(function()
        for _ = 1, 2000 do
          made = made + 1
          coroutine.yield(("x"):rep(1000))
        end
      end)
    end)
    local connection <close> = client:connect()
    connection:send((GET:gsub("/x", "/much")))
    for _ = 1, 50 do dewar.sleep(0) end
    assert.is_true(made < 1000, "made " .. made)
    local text, state = connection:receive()
    assert.are.equal(2000, made)
    assert.is_true(#text > 2000000)
    assert.are.equal("idle", state)
  end)

  it("tell a reset from an end", function()
    app:get("/cut", function()
      return coroutine.wrap(function() coroutine.yield("a") error("cut") end)
    end)
    local sink = dewar.log.sink
    dewar.log.sink = function() end
    assert.is_nil(select(3, client:send_raw((GET:gsub("/x", "/cut")))))
    dewar.log.sink = sink
    local connection <close> = client:connect()
    connection:send "GET /x"
    app:stop()
    app:stop()
    local text, state, code = connection:receive()
    assert.are.equal("", text)
    assert.are.equal("closed", state)
    assert.are.equal("ECONNRESET", code)
  end)

  it("are checked at the line of the caller", function()
    local function misuse(pattern, fn, ...)
      local ok, err = pcall(fn, ...)
      assert.is_false(ok)
      assert.matches("^[^\n]*testing_raw_spec%.lua:%d+: ", err)
      assert.matches(pattern, err)
    end
    misuse("send_raw: the bytes must be a string", function() client:send_raw(7) end)
    misuse("split is the length", function() client:send_raw("x", { split = 0 }) end)
    misuse("split: item 2 must be a whole number beyond 3",
      function() client:send_raw("xxxxx", { split = { 3, 3 } }) end)
    misuse("send_raw: unknown option 'splt'; did you mean 'split'",
      function() client:send_raw("x", { splt = 1 }) end)
    misuse("send: the bytes must be a string", function()
      local connection <close> = client:connect()
      connection:send()
    end)
  end)

  it("give their memory back", function()
    clean.keeps_memory(function() client:send_raw(GET .. "GET", { split = 9 }) end)
  end)
end)
