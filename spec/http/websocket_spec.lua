-- WebSocket as bytes: what a client may send, what it may not, and what comes back,
-- fed whole, byte by byte and cut in two; and clients that leave at any point.
local dewar = require "dewar"
local clean = require "spec.support.clean"
local websocket = require "spec.support.websocket"

if not require("dewar.core").websocket_codec then
  pending "this build has no WebSocket"
  return
end

local FILES = { "framing", "control", "reserved", "fragments", "text", "closing" }

local BYTEWISE_MAX = 1000 -- longer ones are cut in larger pieces

local sink = dewar.log.sink

local function echo_app(settings)
  local app = dewar.app { config = settings }
  app:websocket("/", function(ws)
    for message, kind in ws:messages() do
      if kind == "text" then ws:send(message) else ws:send_binary(message) end
    end
  end)
  return app
end

local function run(case, split)
  local client <close> = echo_app(case.settings):test_client()
  local bytes, state = client:send_raw(websocket.request() .. case.bytes, { split = split })
  local status, rest = websocket.answer(bytes)
  assert.are.equal(101, status)
  local frames, left = websocket.frames(rest)
  assert.are.equal(0, left)
  assert.are.same(case.expected, frames)
  local last = case.expected[#case.expected]
  assert.are.equal(last:find "^close" and "closed" or "waiting", state)
end

for _, file in ipairs(FILES) do
  describe("a websocket, fed with " .. file .. ",", function()
    clean.watch(before_each, after_each)

    for _, case in ipairs(websocket.fixtures(file)) do
      it(case.title, function()
        run(case)
        run(case, #case.bytes > BYTEWISE_MAX and 4099 or 1)
        local head = #websocket.request()
        run(case, { head + 1 })
        run(case, { head, head + (#case.bytes + 1) // 2 })
      end)
    end
  end)
end

describe("a client of a websocket", function()
  before_each(function() dewar.log.sink = function() end end)
  after_each(function() dewar.log.sink = sink end)
  clean.watch(before_each, after_each)

  local SCRIPT = websocket.request() .. websocket.frame(0x81, "Hello") .. websocket.frame(0x01, "Wor")
    .. websocket.frame(0x89, "ping") .. websocket.frame(0x80, "ld") .. websocket.frame(0x88, "\x03\xe8bye")

  it("may leave at any byte, and one teardown runs for each view", function()
    local views, teardowns = 0, 0
    local app = dewar.app()
    app:websocket("/", function(ws)
      views = views + 1
      for message in ws:messages() do ws:send(message) end
    end)
    app:teardown_request(function() teardowns = teardowns + 1 end)
    local client <close> = app:test_client()
    for at = 1, #SCRIPT do
      local connection = client:connect()
      connection:send(SCRIPT:sub(1, at))
      connection:close()
    end
    assert.are.equal(#SCRIPT - #websocket.request() + 1, views)
    assert.are.equal(views, teardowns)
  end)

  it("may end its side at any byte", function()
    local app = echo_app {}
    local teardowns = 0
    app:teardown_request(function() teardowns = teardowns + 1 end)
    local client <close> = app:test_client()
    for at = #websocket.request(), #SCRIPT do
      local _, state = client:send_raw(SCRIPT:sub(1, at), { close = true })
      assert.are.equal("closed", state)
    end
    assert.are.equal(#SCRIPT - #websocket.request() + 1, teardowns)
  end)

  it("may send its first frames along with its request", function()
    local client <close> = echo_app({}):test_client()
    local bytes = client:send_raw(SCRIPT)
    local _, rest = websocket.answer(bytes)
    assert.are.same({ "pong ping", "text Hello", "text World", "close 1000" },
      (websocket.frames(rest)))
  end)

  it("is answered over HTTP if it is refused, and may go on", function()
    local app = echo_app {}
    app:get("/http", function() return "hello" end)
    local client <close> = app:test_client()
    local bytes, state = client:send_raw(websocket.request "/http" .. "GET /http HTTP/1.1\r\nHost: a\r\n\r\n")
    assert.is_truthy(bytes:find "^HTTP/1.1 400 ")
    assert.is_truthy(bytes:find "\r\n\r\nhello$")
    assert.are.equal("idle", state)
  end)

  it("sends as much as it likes, and each message arrives in its order", function()
    local got, go = {}, dewar.event()
    local app = dewar.app { config = { WEBSOCKET_MAX_QUEUE = 2 } }
    app:websocket("/", function(ws)
      ws:receive()
      go:wait()
      for message in ws:messages() do got[#got + 1] = tonumber(message) end
    end)
    local client <close> = app:test_client()
    local connection <close> = client:connect()
    local frames = {}
    for i = 0, 5000 do frames[#frames + 1] = websocket.frame(0x81, tostring(i)) end
    connection:send(websocket.request() .. table.concat(frames))
    assert.are.equal(0, #got)
    go:set()
    connection:send(websocket.frame(0x88, "\x03\xe8"))
    connection:receive()
    assert.are.equal(5000, #got)
    for i = 1, 5000 do assert.are.equal(i, got[i]) end
  end)
end)
