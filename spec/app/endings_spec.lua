-- Each way in which a request can end, in memory and over TCP: teardown runs
-- exactly once and gets the right error, nothing stays behind, and the connection
-- is what it should be.

local cqueues = require "cqueues"
local clean = require "spec.support.clean"
local dewar = require "dewar"
local http = require "spec.support.http"
local process = require "spec.support.process"
local tcp = require "spec.support.tcp"
local frames = require "spec.support.websocket"

local APP = [[
local core = require "dewar.core"
local dewar = require "dewar"
local app = dewar.app { config = { ACCESS_LOG = false, MEMORY_LIMIT = 256 << 20, SHUTDOWN_TIMEOUT = %s } }
local log = {}
local function at(what) log[#log + 1] = what end

app:teardown_request(function(req, err)
  if req.path == "/state" or req.path == "/forget" or req.path == "/next" then return end
  if req.path == "/teardown" then
    at "in teardown"
    dewar.sleep(0.05)
  end
  local kind = dewar.is_cancelled(err) and "cancelled"
    or tostring(err):gsub("^[^\n]-:%%d+: ", ""):gsub("^%%a*Error: ", ""):match "[^\n]*"
  at("teardown: " .. kind)
  dewar.log.error("torn down: " .. kind)
end)

app:get("/next", function() return "next" end)
app:get("/answer", function() return "answer" end)
app:get("/teardown", function() return "answer" end)
app:get("/error", function() error "broken" end)
app:get("/abort", function() dewar.abort(404) end)
app:get("/response", function() dewar.abort(dewar.response("mine", 202)) end)
app:get("/nil", function() end)
app:get("/limit", function() dewar.timeout(0.01, dewar.sleep, 1000) end)
app:get("/timeout", { timeout = 0.01 }, function()
  pcall(dewar.sleep, 1000)
  dewar.sleep(1000)
end)
app:get("/memory", function() return ("x"):rep(1 << 29) end)

local Own = dewar.Error:extend "Own"
app:errorhandler(Own, function(_, err)
  if err.message == "twice" then error "broken again" end
  return "handled", 418
end)
app:get("/handled", function() error(Own "once") end)
app:get("/twice", function() error(Own "twice") end)

local function streams(path, f)
  app:get(path, function() return dewar.stream(f) end)
end
streams("/stream", function(write) write "one" write "two" end)
streams("/stream-fails", function() error "early" end)
streams("/stream-breaks", function(write)
  write "one"
  dewar.sleep(0.001)
  error "in the middle"
end)
app:get("/generator-breaks", function()
  return coroutine.wrap(function()
    coroutine.yield "one"
    error "generated"
  end)
end)
app:get("/short", function()
  return dewar.stream(function(write) write "one" end), { ["Content-Length"] = "9" }
end)
app:get("/long", function()
  return dewar.stream(function(write) write "more than that" end), { ["Content-Length"] = "3" }
end)
app:get("/after-breaks", function()
  dewar.after_this_request(function() error "after" end)
  return "never seen"
end)

app:get("/wait", function()
  dewar.spawn(dewar.sleep, 1000)
  at "waiting"
  dewar.sleep(1000)
end)
streams("/endless", function(write)
  at "streaming"
  while true do write(("x"):rep(5000)) dewar.sleep(0.001) end
end)
streams("/full", function(write)
  at "streaming"
  while true do write(("x"):rep(100000)) end
end)
app:get("/events", function()
  return dewar.sse(function(send)
    at "sending"
    send "x"
    dewar.queue():get()
  end, { heartbeat = 100 })
end)
app:post("/upload", function(req)
  at "reading"
  return req:body()
end)
app:post("/chunks", function(req)
  for chunk in req:chunks() do at("got " .. chunk) end
end)
app:post("/ignored", function() return "ignored" end)
app:post("/small", { max_content_length = 3 }, function(req) return req:body() end)

if require("dewar.core").websocket_codec then
  app:websocket("/ws", function(ws)
    ws:accept()
    at "accepted"
    for _ in ws:messages() do end
  end)
  app:websocket("/ws-deaf", function(ws)
    ws:accept()
    at "accepted"
    dewar.sleep(1000)
  end)
  app:websocket("/ws-ends", function(ws) ws:send "bye" end)
  app:websocket("/ws-breaks", function(ws)
    ws:accept()
    error "socket"
  end)
  app:websocket("/ws-refuses", function() return "no", 403 end)
end

local function state()
  collectgarbage()
  collectgarbage()
  local counts = core.debug_counts()
  return { log = dewar.array(log), tasks = counts.tasks, timers = counts.timers,
    connections = counts.connections, memory = counts.memory }
end
app:get("/state", state)
app:get("/forget", function()
  log = {}
  return "forgotten"
end)
return app, state, function() log = {} end
]]

local function fds(pid)
  local pipe = assert(io.popen(("ls /proc/%s/fd | wc -l"):format(pid)))
  local n = pipe:read "n"
  pipe:close()
  return n
end

-- --- Transports -------------------------------------------------------------------

--- Each opens connections to an app of its own: conn.send(bytes), conn.answers(n)
--- (that many whole ones, or what there is at the end), conn.leave() at once.
local transports = {}

function transports.memory()
  local app, state, forget = assert(load(APP:format "1"))()
  local client = app:test_client()
  local sink = dewar.log.sink
  dewar.log.sink = function() end
  local pid = io.open "/proc/self/stat":read "n"
  return {
    open = function()
      local conn = client:connect()
      return {
        send = function(bytes) conn:send(bytes) end,
        answers = function() return http.answers((conn:receive())) end,
        leave = function() conn:close() end,
      }
    end,
    state = function()
      for _ = 1, 3 do dewar.sleep(0) end
      local now = state()
      now.fds = fds(pid)
      return now
    end,
    forget = forget,
    pause = function() dewar.sleep(0.005) end,
    close = function()
      client:close()
      dewar.log.sink = sink
    end,
  }
end

local function serve(shutdown_timeout)
  local folder = process.folder()
  local server = process.serve(process.write(folder .. "/app.lua", APP:format(shutdown_timeout)))
  return server, function()
    process.stop_all()
    os.execute("rm -r " .. folder)
  end
end

function transports.tcp()
  local server, close = serve "1"
  return {
    open = function()
      local conn = assert(tcp.connect(server.url))
      return {
        send = function(bytes) conn:send(bytes) end,
        answers = function(n)
          local text = ""
          while true do
            local answers = http.answers(text)
            if #answers >= n and answers[n].whole then return answers end
            local bytes = conn:read()
            if not bytes then return answers end
            text = text .. bytes
          end
        end,
        leave = function() conn:close() end,
      }
    end,
    state = function()
      local now = dewar.json.decode((process.get(server.url .. "/state")))
      now.connections = now.connections - 1 -- its own
      now.fds = fds(server.pid)
      return now
    end,
    forget = function() process.get(server.url .. "/forget") end,
    pause = function() cqueues.sleep(0.02) end,
    close = function()
      server:signal "TERM"
      local code, err = server:wait(), server:err()
      close()
      assert.are.equal(0, code, err)
      assert.is_nil(err:find("Sanitizer", 1, true), err)
    end,
  }
end

-- --- Endings ----------------------------------------------------------------------

local function post(path, ...)
  return http.request("POST", path, { ... })
end

local function websocket(path)
  return http.get(path, "Upgrade: websocket", "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13")
end

local GOODBYE = "\x88\x82\0\0\0\0\x03\xe8"

--- `send` is what the client sends; with `at` it waits until the app has got there,
--- sends what `say` is, and leaves, unless it `stays` until teardown has begun.
--- Otherwise it reads an answer: its status, and whether it is `cut`, and whether
--- the connection is `closed` behind it; a `silent` client sends no other request.
local endings = {
  { "an answer", send = http.get "/answer", status = 200 },
  { "an answer to HEAD", send = http.request("HEAD", "/stream"), head = true },
  { "a stream", send = http.get "/stream", status = 200 },
  { "an error", send = http.get "/error", status = 500, teardown = "broken" },
  { "an error that is handled", send = http.get "/handled", status = 418 },
  { "an error of its handler", send = http.get "/twice", status = 500, teardown = "broken again" },
  { "an abort", send = http.get "/abort", status = 404 },
  { "an abort with a response", send = http.get "/response", status = 202 },
  { "no route", send = http.get "/nowhere", status = 404 },
  { "a view that returns nothing", send = http.get "/nil", status = 500,
    teardown = "the view of '/nil' returned nil; return a string, a table or a response" },
  { "an error of an after hook", send = http.get "/after-breaks", status = 500, teardown = "after" },
  { "a timeout in the view", send = http.get "/limit", status = 500,
    teardown = "the function of dewar.timeout took longer than 0.01 s (in: sleep)" },
  { "the route's timeout", send = http.get "/timeout", status = 503 },
  { "too little memory", send = http.get "/memory", status = 503 },
  { "an error before the first piece", send = http.get "/stream-fails", status = 200, cut = true,
    teardown = "early" },
  { "an error after the first piece", send = http.get "/stream-breaks", status = 200, cut = true,
    teardown = "in the middle" },
  { "an error of a generator", send = http.get "/generator-breaks", status = 200, cut = true,
    teardown = "generated" },
  { "a body that is too short", send = http.get "/short", status = 200, cut = true,
    teardown = "the body is shorter than its Content-Length" },
  { "a body that is too long", send = http.get "/long", status = 200, cut = true,
    teardown = "the body is longer than its Content-Length" },
  { "a body that nobody reads", send = http.post("/ignored", "x"), status = 200 },
  { "a body that is too large", send = http.post("/small", "large"), status = 413 },
  { "a client that waits to be told to go on, in vain", status = 200, closed = true, silent = true,
    send = post("/ignored", "Content-Length: 5", "Expect: 100-continue") },
  { "a malformed body", status = 400, closed = true,
    send = post("/upload", "Transfer-Encoding: chunked") .. "2\r\nhi\r\n", say = "Z\r\n",
    speaks_at = "reading" },
  { "a client that leaves a view that waits", send = http.get "/wait", at = "waiting",
    teardown = "cancelled" },
  { "a client that leaves a stream", send = http.get "/endless", at = "streaming",
    teardown = "cancelled" },
  { "a client that leaves a stream that it doesn't read", send = http.get "/full", at = "streaming",
    teardown = "cancelled" },
  { "a client that leaves events", send = http.get "/events", at = "sending", teardown = "cancelled" },
  { "a client that leaves in its upload", at = "reading", teardown = "cancelled",
    send = post("/upload", "Content-Length: 5") .. "hi" },
  { "a client that leaves in its upload of chunks", at = "got hi", teardown = "cancelled",
    send = post("/chunks", "Transfer-Encoding: chunked") .. "2\r\nhi\r\n" },
  { "a client that leaves while teardown waits", send = http.get "/teardown", at = "in teardown" },
  { "two requests, of which the first is left", send = http.get "/wait" .. http.get "/wait",
    at = "waiting", teardown = "cancelled" },
}

if require("dewar.core").websocket_codec then
  table.move({
    { "a websocket that its client closes", send = websocket "/ws", at = "accepted", say = GOODBYE,
      stays = true },
    { "a websocket that its view closes", send = websocket "/ws-ends", stays = true },
    { "a websocket whose view fails", send = websocket "/ws-breaks", stays = true, teardown = "socket" },
    { "a websocket that is refused", send = websocket "/ws-refuses", status = 403 },
    { "a websocket whose client vanishes", send = websocket "/ws", at = "accepted",
      teardown = "cancelled" },
  }, 1, 5, #endings + 1, endings)
end

local function has(list, wanted)
  for _, item in ipairs(list) do
    if item:find(wanted, 1, true) then return true end
  end
  return false
end

--- Looks at the state until it is as f wants it, and returns it.
local function eventually(transport, f)
  local state
  for _ = 1, 400 do
    state = transport.state()
    if f(state) then break end
    transport.pause()
  end
  return state
end

local function is_torn_down(state) return has(state.log, "teardown: ") end

local function leave(transport, conn, ending)
  if ending.at then eventually(transport, function(state) return has(state.log, ending.at) end) end
  if ending.say then conn.send(ending.say) end
  if ending.stays then eventually(transport, is_torn_down) end
  conn.leave()
end

local function read(transport, conn, ending)
  if ending.speaks_at then
    eventually(transport, function(state) return has(state.log, ending.speaks_at) end)
    conn.send(ending.say)
  end
  if not ending.silent then conn.send(http.get "/next") end
  local closed = ending.cut or ending.closed
  local answers = conn.answers(closed and 1 or 2)
  assert.are.equal(closed and 1 or 2, #answers)
  assert.are.equal(ending.status, answers[1].status)
  assert.are.equal(not ending.cut, answers[1].whole)
  if not closed then assert.are.equal("next", answers[2].body) end
  conn.leave()
end

--- Plays it through once.
local function play(transport, ending)
  local conn = transport.open()
  conn.send(ending.send)
  if ending.at or ending.stays then
    leave(transport, conn, ending)
  elseif ending.head then
    eventually(transport, is_torn_down)
    conn.leave()
  else
    read(transport, conn, ending)
  end
end

local ROUNDS = 4

for name, make in pairs(transports) do
  describe("over " .. name, function()
    local transport
    setup(function()
      transport = make()
      for _ = 1, 3 do play(transport, endings[1]) end
    end)
    teardown(function() transport.close() end)

    for _, ending in ipairs(endings) do
      it(ending[1] .. " is torn down once, and leaves nothing", function()
        local memory
        local base = transport.state()
        for round = 1, ROUNDS do
          transport.forget()
          play(transport, ending)
          local state = eventually(transport, function(now)
            return is_torn_down(now) and now.connections == 0 and now.tasks <= base.tasks
              and now.timers <= base.timers and now.fds <= base.fds
          end)
          local torn = {}
          for _, line in ipairs(state.log) do torn[#torn + 1] = line:match "^teardown: (.*)" end
          assert.are.same({ ending.teardown or "nil" }, torn)
          assert.are.equal(0, state.connections, "connections")
          for _, kind in ipairs { "tasks", "timers", "fds" } do
            assert.is_true(state[kind] <= base[kind], ("%s: %d, not %d"):format(kind, state[kind], base[kind]))
          end
          if round == 2 then memory = state.memory end
          if round == ROUNDS then
            assert.is_true(state.memory - memory < 8 * 1024, ("%d bytes more"):format(state.memory - memory))
          end
        end
      end)
    end
  end)
end

-- --- The server's own end ---------------------------------------------------------

describe("a server that stops", function()
  local server, close
  after_each(function() close() end)

  --- The errors that teardowns got, by the server's log.
  local function torn_down()
    local list = {}
    for kind in server:err():gmatch "torn down: (%w+)" do list[#list + 1] = kind end
    return list
  end

  --- The frames behind an answer.
  local function goodbye(text) return (frames.frames(select(2, frames.answer(text)))) end

  local function stop(timeout, signals, path)
    server, close = serve(timeout)
    local conn <close> = assert(tcp.connect(server.url))
    conn:send(path:find "^/ws" and websocket(path) or http.get(path))
    process.eventually("the request", function()
      local state = dewar.json.decode((process.get(server.url .. "/state")))
      return #state.log > 0
    end)
    for _, signal in ipairs(signals) do
      server:signal(signal)
      cqueues.sleep(0.1)
    end
    return server:wait(), (conn:read_all())
  end

  it("cancels what is left when its time is over", function()
    local code, text = stop("0.2", { "TERM" }, "/wait")
    assert.are.equal(0, code, server:err())
    assert.are.equal("", text)
    assert.are.same({ "cancelled" }, torn_down())
  end)

  it("cancels what is left at the second signal", function()
    local code = stop("60", { "TERM", "INT" }, "/wait")
    assert.are.equal(0, code, server:err())
    assert.are.same({ "cancelled" }, torn_down())
  end)

  it("cuts streams that are left, so that it can be seen", function()
    local code, text = stop("0.2", { "TERM" }, "/endless")
    assert.are.equal(0, code, server:err())
    assert.is_false(http.answers(text)[1].whole)
    assert.are.same({ "cancelled" }, torn_down())
  end)

  if require("dewar.core").websocket_codec then
    it("says goodbye to websockets, whose views end by themselves", function()
      local code, text = stop("60", { "TERM" }, "/ws")
      assert.are.equal(0, code, server:err())
      assert.are.same({ "close 1001" }, goodbye(text))
      assert.are.same({ "nil" }, torn_down())
    end)

    it("cancels the views of websockets that hear nothing, when time is over", function()
      local code, text = stop("0.2", { "TERM" }, "/ws-deaf")
      assert.are.equal(0, code, server:err())
      assert.are.same({ "close 1001" }, goodbye(text))
      assert.are.same({ "cancelled" }, torn_down())
    end)
  end
end)

-- --- Too little memory --------------------------------------------------------------

--- Requests while Lua may take `room` bytes more than it holds, for more and more
--- of them, so that another allocation fails each time.
describe("a request without memory", function()
  local ROOM = { from = 4096, to = 16384, step = 128 }
  local app, client, began, torn, sink

  --- The answer, or an empty one; within so many bytes.
  local function ask(bytes, room)
    local conn = client:connect()
    collectgarbage()
    collectgarbage()
    if room then app.config.MEMORY_LIMIT = (collectgarbage "count" * 1024 // 1 | 0) + room end
    local ok, text = pcall(function()
      conn:send(bytes)
      return (conn:receive())
    end)
    app.config.MEMORY_LIMIT = nil
    conn:close()
    return ok and http.answers(text)[1] or {}
  end

  setup(function()
    sink = dewar.log.sink
    dewar.log.sink = function() end
    app = dewar.app { config = { ACCESS_LOG = false, SECRET_KEY = "key" } }
    began, torn = 0, 0
    app:use { request = function() began = began + 1 end }
    app:teardown_request(function() torn = torn + 1 end)
    app:get("/json", function()
      local list = {}
      for i = 1, 50 do list[i] = { i = i } end
      return list
    end)
    app:get("/generator", function()
      return coroutine.wrap(function()
        for i = 1, 9 do
          coroutine.yield(("x"):rep(i * 100))
          dewar.yield()
        end
      end)
    end)
    app:get("/gather", function()
      local parts = dewar.gather { function() return ("a"):rep(2000) end, function() return ("b"):rep(3000) end }
      return table.concat(parts)
    end)
    app:get("/session", function(req)
      req.session.text = ("x"):rep(1500)
      return "kept"
    end)
    app:post("/form", function(req) return req.form.a end)
    client = app:test_client()
  end)
  teardown(function()
    client:close()
    dewar.log.sink = sink
  end)

  for _, bytes in ipairs {
    http.get "/json", http.get "/generator", http.get "/gather", http.get "/session",
    http.post("/form", "a=" .. ("b"):rep(4000), "Content-Type: application/x-www-form-urlencoded"),
  } do
    local path = bytes:match "^%a+ (%S+)"
    it("is refused or cut and torn down once, wherever it fails: " .. path, function()
      local whole = ask(bytes)
      assert.are.equal(200, whole.status)
      local before = clean.counts()
      local refused = 0
      for room = ROOM.from, ROOM.to, ROOM.step do
        local answer = ask(bytes, room)
        if answer.status == 200 and answer.whole then
          assert.are.equal(whole.body, answer.body)
        else
          refused = refused + 1
          assert.is_true(answer.status == 503 or not answer.whole, ("%s with %d bytes"):format(answer.status, room))
        end
        assert.are.equal(began, torn, room .. " bytes")
      end
      assert.is_true(refused > 0)
      assert.are.equal(200, ask(bytes).status)
      assert.is_nil(clean.left(before))
    end)
  end
end)
