-- WebSockets and time: limits, pings, and what ends only after a while. Time stands
-- still for all of this file.
local dewar = require "dewar"
local clean = require "spec.support.clean"

if not require("dewar.core").websocket_codec then
  pending "this build has no WebSocket"
  return
end

local sink = dewar.log.sink

--- An app with its client; TESTING unless `config` says otherwise.
local function new(setup, config, options)
  local app = dewar.app { config = { TESTING = true } }
  app.config:from_mapping(config or {})
  local log = {}
  setup(app, log)
  return app:test_client(options), log, app
end

--- An app whose only view is `view`, at "/".
local function serve(view, config, options)
  return new(function(app, log)
    app:websocket("/", view)
    app:teardown_request(function(_, err)
      log[#log + 1] = "teardown " .. (dewar.is_cancelled(err) and "cancelled" or tostring(err))
    end)
  end, config, options)
end

local function echo(ws)
  for message, kind in ws:messages() do
    if kind == "text" then ws:send(message) else ws:send_binary(message) end
  end
end

local function status_of(client, path, options)
  local ok, err = pcall(client.websocket, client, path, options)
  assert.is_false(ok)
  assert.is_true(dewar.Error:is(err), tostring(err))
  return err.status, err
end

describe("a websocket, as time goes by,", function()
  local logged

  before_each(function()
    logged = {}
    dewar.log.sink = function(level, text) logged[#logged + 1] = level .. " " .. text end
  end)
  after_each(function() dewar.log.sink = sink end)
  clean.watch(before_each, after_each)

  it("receives for so many seconds only", function()
    local timed_out
    local client <close> = serve(function(ws)
      local _, err = pcall(ws.receive, ws, 5)
      timed_out = dewar.TimeoutError:is(err)
      ws:send(ws:receive(5))
    end, nil, { clock = "virtual" })
    local ws = client:websocket "/"
    client.clock:advance(5)
    assert.is_true(timed_out)
    ws:send "late"
    assert.are.equal("late", ws:receive())
    ws:close()
  end)

  it("gets a 503 if it isn't accepted in time", function()
    local client <close> = new(function(app)
      app:websocket("/slow", { timeout = 5 }, function(ws)
        dewar.sleep(60)
        ws:accept()
      end)
      app:websocket("/quick", { timeout = 5 }, function(ws)
        ws:accept()
        dewar.sleep(60)
        ws:send "still here"
      end)
    end, nil, { clock = "virtual" })
    local refusal = dewar.spawn(function() return (status_of(client, "/slow")) end)
    local late = dewar.spawn(function()
      local ws <close> = client:websocket "/quick"
      return (ws:receive())
    end)
    client.clock:advance(5)
    assert.are.equal(503, dewar.await(refusal))
    client.clock:advance(55)
    assert.are.equal("still here", dewar.await(late))
  end)

  it("hears the client's code and reason, after all of its messages", function()
    local got = {}
    local client <close>, log = serve(function(ws)
      ws:accept()
      dewar.sleep(1)
      for message in ws:messages() do got[#got + 1] = message end
      got[#got + 1] = table.concat({ select(2, ws:receive()) }, " ")
      dewar.sleep(1) -- nobody cancels it: it knows
      got[#got + 1] = "the end"
    end, nil, { clock = "virtual" })
    local ws = client:websocket "/"
    ws:send "1"
    ws:send "2"
    local closing = dewar.spawn(function() ws:close(4000, "bye") end)
    client.clock:advance(1)
    client.clock:advance(1)
    dewar.await(closing)
    assert.are.same({ "1", "2", "4000 bye", "the end" }, got)
    assert.are.same({ "teardown nil" }, log)

    got = {}
    local other <close> = serve(function(wsock)
      got[#got + 1] = wsock:receive()
      dewar.sleep(1)
      for message in wsock:messages() do got[#got + 1] = message end
      got[#got + 1] = table.concat({ select(2, wsock:receive()) }, " ")
      dewar.sleep(1)
      got[#got + 1] = "the end"
    end, nil, { clock = "virtual" })
    ws = other:websocket "/"
    for i = 1, 3 do ws:send(tostring(i)) end
    closing = dewar.spawn(function() ws:close(4000, "bye") end)
    other.clock:advance(1)
    other.clock:advance(1)
    dewar.await(closing)
    assert.are.same({ "1", "2", "3", "4000 bye", "the end" }, got)
  end)

  it("is cancelled where its view doesn't ask for them in time", function()
    local client <close>, log = serve(function(ws)
      ws:accept()
      dewar.sleep(3600)
    end, nil, { clock = "virtual" })
    local ws = client:websocket "/"
    ws:send "1"
    local closing = dewar.spawn(function() ws:close(4000, "bye") end)
    client.clock:advance(4.9)
    assert.are.same({}, log)
    client.clock:advance(0.1)
    dewar.await(closing)
    assert.are.same({ "teardown cancelled" }, log)
    assert.are.equal(4000, ws.close_code)

  end)

  it("is cancelled where its view doesn't end in time", function()
    local client <close>, log, app = serve(function(ws)
      ws:receive()
      dewar.sleep(3600)
    end, { SHUTDOWN_TIMEOUT = 5 }, { clock = "virtual" })
    local ws = client:websocket "/"
    ws:send "x"
    app:stop()
    client.clock:advance(5)
    ws:disconnect()
    assert.are.same({ "teardown cancelled" }, log)
  end)

  it("pings a client that says nothing, and cuts it off if that doesn't answer", function()
    local client <close>, log = serve(echo,
      { WEBSOCKET_PING_INTERVAL = 20, WEBSOCKET_PING_TIMEOUT = 5 }, { clock = "virtual" })
    local ws = client:websocket "/"
    client.clock:advance(20)
    assert.are.same({}, log)
    client.clock:advance(5)
    assert.are.same({ "teardown cancelled" }, log)
    assert.are.equal(1006, select(2, ws:receive()))
    ws:close()
  end)

  it("lets a client live that answers pings", function()
    local client <close>, log = serve(echo,
      { WEBSOCKET_PING_INTERVAL = 20, WEBSOCKET_PING_TIMEOUT = 5 }, { clock = "virtual" })
    local ws = client:websocket "/"
    local reader = dewar.spawn(function() return ws:receive() end)
    for _ = 1, 10 do client.clock:advance(20) end
    assert.are.same({}, log)
    ws:send "hi"
    assert.are.equal("hi", dewar.await(reader))
    ws:close()
  end)

  it("never pings with WEBSOCKET_PING_INTERVAL = nil", function()
    local client <close>, log = new(function(app, log)
      app.config.WEBSOCKET_PING_INTERVAL = nil
      app:websocket("/", echo)
      app:teardown_request(function() log[1] = "teardown" end)
    end, nil, { clock = "virtual" })
    local ws = client:websocket "/"
    client.clock:advance(100000)
    assert.are.same({}, log)
    ws:close()
  end)
end)
