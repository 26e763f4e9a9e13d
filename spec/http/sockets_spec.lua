-- What only real sockets show: ports in use, MAX_CONNECTIONS, resets, memory while
-- clients are slow, and a stop with connections in all states.
local http = require "spec.support.http"
local process = require "spec.support.process"
local tcp = require "spec.support.tcp"

local APP = [[
local core = require "dewar.core"
local dewar = require "dewar"
local app = dewar.app { config = { %s } }
app.config.ACCESS_LOG = false
local gate = dewar.event()
app:get("/", function() return "hello" end)
app:get("/memory", function()
  collectgarbage()
  return ("%%d"):format(core.debug_counts().memory)
end)
app:get("/wait", function()
  gate:wait()
  return "waited"
end)
app:get("/open", function()
  gate:set()
  return "opened"
end)
app:get("/large/<int:mib>", function(_, mib) return ("x"):rep(mib * 1024 * 1024) end)
local quarters = 0
app:get("/quarter", function()
  quarters = quarters + 1
  return ("q"):rep(256 * 1024)
end)
app:get("/quarters", function() return ("%%d"):format(quarters) end)
app:get("/endless", function()
  return coroutine.wrap(function()
    while true do coroutine.yield(("y"):rep(10000)) end
  end)
end)
local kept
app:get("/block", function() os.execute "sleep 0.3" return "blocked" end)
app:get("/events", function()
  return dewar.sse(function(send)
    kept = send
    return ("e"):rep(1000)
  end)
end)
app:get("/poke", function()
  os.execute "sleep 0.3"
  local ok, err = pcall(kept, ("p"):rep(100000))
  return ("%%s %%s"):format(ok, not ok and err.code)
end)
app:get("/broken", function()
  return coroutine.wrap(function()
    coroutine.yield "one"
    dewar.sleep(0.1)
    error("it broke", 0)
  end)
end)
app:post("/ignore", function() return "ignored" end)
app:teardown_request(function(req, err)
  dewar.log.warn("over " .. req.path, { cancelled = dewar.is_cancelled(err) })
end)
return app
]]

local folder, server

local function serve(config)
  local path = process.write(folder .. "/app.lua", APP:format(config or ""))
  server = process.serve(path)
  return server
end

--- Waits for a line of the log.
local function logs(pattern) server:expect(pattern) end

--- What Dewar and Lua hold in the server, in KiB.
local function memory()
  return tonumber((process.get(server.url .. "/memory"))) / 1024
end

local function connect() return assert(tcp.connect(server.url)) end

local function read_answer(conn)
  return http.answers(conn:read_until "\r\n\r\n.")[1]
end

--- Stops it, and sees that it ended well, without a word of a sanitizer.
local function stop()
  server:signal "TERM"
  assert.are.equal(0, server:wait(), server:err())
end

before_each(function() folder = process.folder() end)
after_each(function()
  process.stop_all()
  os.execute("rm -r " .. folder)
end)

describe("a port in use", function()
  it("is an error, also of another server of the same user", function()
    serve()
    local port = server.url:match ":(%d+)$"
    local code, _, err = process.run {
      process.dewar(), "run", folder .. "/app.lua", "--port", port,
    }
    assert.are.equal(1, code)
    assert.matches("127.0.0.1:" .. port, err, nil, true)
    assert.are.equal("hello", (process.get(server.url)))
    stop()
  end)
end)

describe("MAX_CONNECTIONS", function()
  it("lets others wait until one of them closes", function()
    serve "MAX_CONNECTIONS = 2"
    local first, second, third = connect(), connect(), connect()
    for _, conn in ipairs { first, second, third } do conn:send(http.get "/") end
    assert.are.equal("hello", read_answer(first).body)
    assert.are.equal("hello", read_answer(second).body)
    assert.are.same({ nil, "timeout" }, { third:read(0.3) })
    second:close()
    assert.are.equal("hello", read_answer(third).body)
    first:close()
    third:close()
    stop()
  end)
end)

describe("a slow reader", function()
  it("is cut, and costs no more memory than the buffers on its way", function()
    serve "WRITE_TIMEOUT = 1"
    local before, conns = memory(), {}
    for i = 1, 30 do
      conns[i] = connect()
      conns[i]:send(http.get "/endless")
    end
    os.execute "sleep 0.5"
    local each = (memory() - before) / #conns
    assert.is_true(each < 256, each .. " KiB for each of them")
    process.eventually("the end of all", function()
      return select(2, server:err():gsub("over /endless cancelled=true", "")) == #conns
    end)
    for _, conn in ipairs(conns) do
      assert.is_false(http.answers((conn:read_all()))[1].whole)
      conn:close()
    end
    stop()
  end)

  it("has few answers made for it, as the system doesn't take them all", function()
    serve()
    local conn = connect()
    conn:send(http.get("/quarter"):rep(100))
    os.execute "sleep 0.3"
    local made = tonumber((process.get(server.url .. "/quarters")))
    assert.is_true(made >= 1 and made < 8, made .. " answers of 256 KiB")
    conn:close()
    stop()
  end)

  it("doesn't keep others from their answers", function()
    serve()
    local slow = connect()
    slow:send(http.get "/endless")
    assert.are.equal("hello", (process.get(server.url)))
    slow:close()
    logs "over /endless cancelled=true"
    stop()
  end)

  it("gets an answer whole that the server has done with", function()
    serve()
    local conn = connect()
    conn:send(http.get("/large/2", "Connection: close"))
    os.execute "sleep 3"
    local bytes, why = conn:read_all()
    assert.is_true(http.answers(bytes)[1].whole)
    assert.are.equal("end", why)
    conn:close()
    stop()
  end)
end)

describe("a client that sends more than anybody reads", function()
  it("is held back behind a view that waits", function()
    serve "SHUTDOWN_TIMEOUT = 0.1"
    local conn = connect()
    local before = memory()
    conn:send(http.get "/wait")
    local request = http.get("/", "X-Padding: " .. ("p"):rep(900))
    local sent = conn:send(request:rep(64 * 1024), 0.5)
    assert.is_true(sent < 32 * 1024 * 1024, sent .. " bytes were taken")
    local more = memory() - before
    assert.is_true(more < 512, more .. " KiB more")
    conn:close()
    stop()
  end)

  it("gets the answer while it is still sending a body that isn't read", function()
    serve()
    local conn = connect()
    local size = 64 * 1024 * 1024
    conn:send(http.request("POST", "/ignore", { "Content-Length: " .. size }))
    assert.is_true(conn:send(("b"):rep(size), 0.5) < size)
    local bytes = conn:read_all()
    local answer = http.answers(bytes)[1]
    assert.are.equal("ignored", answer.body)
    assert.are.equal("close", answer.headers.connection)
    conn:close()
    stop()
  end)
end)

describe("a client that goes away", function()
  it("ends its view by closing", function()
    serve()
    local conn = connect()
    conn:send(http.get "/wait")
    conn:close()
    logs "over /wait cancelled=true"
    stop()
  end)

  it("ends its view by a reset", function()
    serve()
    local conn = connect()
    conn:send(http.get "/" .. http.get "/wait")
    os.execute "sleep 0.2"
    conn:close() -- with bytes unread
    logs "over /wait cancelled=true"
    stop()
  end)
end)

describe("an answer that is cut", function()
  it("has no final chunk", function()
    serve()
    local conn = connect()
    conn:send(http.get "/broken")
    local bytes, why = conn:read_all()
    local answer = http.answers(bytes)[1]
    assert.are.equal("one", answer.body)
    assert.is_false(answer.whole)
    assert.are.equal("end", why)
    conn:close()
    stop()
  end)

  it("is cut by a reset in HTTP/1.0", function()
    serve()
    local conn = connect()
    conn:send "GET /broken HTTP/1.0\r\n\r\n"
    assert.are.equal("reset", (select(2, conn:read_all())))
    conn:close()
    stop()
  end)

  it("fails in curl", function()
    serve()
    for _, version in ipairs { "--http1.0", "--http1.1" } do
      local body, code = process.get(server.url .. "/broken", version, "-N")
      assert.are.equal("one", body)
      assert.is_true(code == 18 or code == 56, "curl ended with " .. code)
    end
    stop()
  end)
end)

describe("a stop", function()
  it("closes idle connections, answers running requests and heads on their way", function()
    serve()
    local idle, busy, late, pipelined = connect(), connect(), connect(), connect()
    idle:send(http.get "/")
    read_answer(idle)
    busy:send(http.get "/wait")
    late:send(http.get "/open":sub(1, -3))
    pipelined:send(http.get "/wait" .. http.get "/")
    os.execute "sleep 0.2"
    server:signal "TERM"
    assert.are.same({ "", "end" }, { idle:read_all() })
    assert.is_nil((tcp.connect(server.url)))
    late:send "\r\n"
    for conn, body in pairs { [late] = "opened", [busy] = "waited", [pipelined] = "waited" } do
      local bytes, why = conn:read_all()
      local answers = http.answers(bytes)
      assert.are.equal(1, #answers)
      assert.are.equal(body, answers[1].body)
      assert.are.equal("close", answers[1].headers.connection)
      assert.are.equal("end", why)
      conn:close()
    end
    idle:close()
    assert.are.equal(0, server:wait())
  end)

  it("ends what is left when its time is over", function()
    serve "SHUTDOWN_TIMEOUT = 1"
    local busy, half, reader = connect(), connect(), connect()
    busy:send(http.get "/wait")
    half:send "GET / HT"
    reader:send(http.get "/endless")
    os.execute "sleep 0.2"
    server:signal "TERM"
    assert.are.equal(0, server:wait())
    assert.matches("over /wait cancelled=true", server:err())
    assert.matches("over /endless cancelled=true", server:err())
    for _, conn in ipairs { busy, half, reader } do conn:close() end
  end)
end)

describe("a write to the stream of another request", function()
  it("is an error for the writer alone where the client is found gone by it", function()
    serve()
    local holder, listener, other = connect(), connect(), connect()
    -- Both come in one turn, in which the stream rests, having written its share.
    holder:send(http.get "/block")
    os.execute "sleep 0.1"
    listener:send(http.get "/events")
    other:send(http.get "/poke")
    assert.are.equal("blocked", read_answer(holder).body)
    os.execute "sleep 0.1"
    listener:close() -- with bytes unread: a reset
    local answer = read_answer(other)
    assert.is_truthy(answer, server:err())
    answer = answer.body
    assert.is_truthy(answer:match "^false ECLOSED" or answer:match "^true", answer)
    logs "over /events.*cancelled=true"
    assert.are.equal("hello", (process.get(server.url)))
    stop()
  end)
end)
