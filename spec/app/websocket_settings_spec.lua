-- What an app says of all its WebSockets: sizes, compression, times.
local dewar = require "dewar"
local clean = require "spec.support.clean"

if not require("dewar.core").websocket_codec then
  pending "this build has no WebSocket"
  return
end

clean.watch(before_each, after_each)

local function serve(view, config)
  local app = dewar.app { config = { TESTING = true } }
  app.config:from_mapping(config)
  app:websocket("/", view)
  return app:test_client()
end

local function echo(ws)
  for message in ws:messages() do ws:send(message) end
end

describe("a websocket's settings", function()
  it("close with 1009 when a message is too big", function()
    local got
    local client <close> = serve(function(ws) got = table.pack(ws:receive()) end,
      { WEBSOCKET_MAX_MESSAGE_SIZE = 100 })
    for _, text in ipairs { ("x"):rep(101), ("x"):rep(5000) } do
      local ws = client:websocket "/"
      ws:send(text)
      assert.are.same({ n = 3, nil, 1009, "the message is too big" }, table.pack(ws:receive()))
      ws:close()
      assert.are.same({ n = 3, nil, 1009, "the message is too big" }, got)
    end
    local ws = client:websocket "/"
    ws:send(("x"):rep(100))
    assert.are.equal(1000, select(2, ws:receive()))
    ws:close()
  end)

  it("compress where the client offers it", function()
    for how, extensions in pairs {
      [true] = "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
      context = "permessage-deflate; client_max_window_bits=12",
      [false] = "none",
    } do
      local client <close> = serve(echo, { WEBSOCKET_COMPRESS = how })
      local ws = client:websocket "/"
      assert.are.equal(extensions, ws.headers.sec_websocket_extensions or "none")
      for i = 1, 3 do
        local text = ("all the same words "):rep(i * 100)
        ws:send(text)
        assert.are.equal(text, (ws:receive()))
      end
      ws:close()
    end
  end)

  it("are checked", function()
    local app = dewar.app()
    for key, value in pairs {
      WEBSOCKET_PING_INTERVAL = "20", WEBSOCKET_PING_TIMEOUT = -1,
      WEBSOCKET_MAX_MESSAGE_SIZE = "1", WEBSOCKET_MAX_QUEUE = 0, WEBSOCKET_COMPRESS = "yes",
    } do
      local ok, err = pcall(function() app.config[key] = value end)
      assert.is_false(ok)
      assert.is_truthy(err:find("websocket_settings_spec.lua:%d+: config." .. key), err)
    end
  end)
end)
