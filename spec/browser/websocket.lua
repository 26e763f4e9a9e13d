-- Websockets for a browser and a program to talk to.
local dewar = require "dewar"

local app = dewar.app { config = { WEBSOCKET_MAX_MESSAGE_SIZE = 1024 * 1024, SHUTDOWN_TIMEOUT = 2 } }
local room = dewar.room()

app:get("/", function()
  return "<!doctype html><title>WebSockets</title><link rel=icon href='data:,'><p>Hello"
end)

app:websocket("/echo", function(ws)
  for _, name in ipairs(ws.subprotocols) do
    if name == "echo.v2" then ws:accept { subprotocol = name, headers = { ["Set-Cookie"] = "seen=yes" } } end
  end
  for message, kind in ws:messages() do
    if kind == "text" then ws:send(message) else ws:send_binary(message) end
  end
end)

app:websocket("/close", function(ws) ws:close(4321, "Schöne Grüße") end)
app:websocket("/fail", function(ws)
  ws:receive()
  error "boom"
end)
app:websocket("/refuse", function() return "no", 403 end)

app:websocket("/room/<name>", function(ws, name)
  room:join(ws)
  room:send(name .. " came")
  for message in ws:messages() do room:send(name .. ": " .. message) end
end)

return app
