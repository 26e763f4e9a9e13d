-- SPDX-License-Identifier: MIT
-- News for all who listen, by an event stream or a websocket.
local dewar = require "dewar"

local app = dewar.app()
local room = dewar.room()

app:get("/events", function()
  return dewar.sse(room)
end)

app:websocket("/websocket", function(ws)
  room:join(ws)
  ws:receive()
end)

app:post("/tell/<text>", function(_, text)
  return { reached = room:send(text) }
end)

app:get("/listeners", function()
  return { count = #room }
end)

return app
