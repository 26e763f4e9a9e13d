-- Events, websockets and the room that both are in, of the app of the chaos spec.

local common = require "spec.chaos.common"
local core = require "dewar.core"
local dewar = require "dewar"
local pattern = require "spec.chaos.pattern"

local chaos, opened, pause = common.chaos, common.opened, common.pause

local news = dewar.queue(4)
local room = dewar.room { backlog = 200000, slow = "skip" }

local function events(app)
  app:get("/events/<int:n>", function(_, n)
    return dewar.sse(function(send)
      local _ <close> = opened()
      for i = 1, n do
        pause()
        send { id = i, data = pattern.bytes(i, i % 50) }
      end
    end, { heartbeat = 0.05 })
  end)

  app:get("/news", function()
    return dewar.sse(function(send)
      local _ <close> = opened()
      for item in news:items() do send { data = item } end
    end, { heartbeat = 0.05 })
  end)
  app:post("/news", function()
    return pcall(news.put, news, "news", 0.01) and "put" or "full"
  end)

  app:get("/room", function() return dewar.sse(room, { heartbeat = 0.05 }) end)
  app:post("/room/<int:seed>", function(_, seed)
    room:send { event = "told", data = pattern.bytes(seed, 100) }
    return "told"
  end)
end

local function websockets(app)
  app:websocket("/ws/echo", function(ws)
    local _ <close> = opened()
    for message, kind in ws:messages() do
      pause()
      if kind == "text" then ws:send(message) else ws:send_binary(message) end
    end
  end)

  app:websocket("/ws/room", function(ws)
    local _ <close> = opened()
    room:join(ws)
    for message in ws:messages() do
      room:send(message)
      pause()
    end
  end)

  app:websocket("/ws/push/<int:seed>", function(ws, seed)
    local _ <close> = opened()
    for i = 1, 10000 do
      if i % 50 == 0 then pause() end
      ws:send(pattern.bytes(seed + i, 1000))
    end
  end)

  --- While more is queued than fits, nobody hears that the client has gone.
  app:websocket("/ws/deaf", function(ws)
    ws:accept()
    dewar.sleep(1)
  end)
  app:websocket("/ws/error", function(ws)
    ws:accept()
    pause()
    chaos "websocket"
  end)
  app:websocket("/ws/refused", function() return "no", 403 end)
end

--- Adds all of it to an app.
return function(app)
  events(app)
  if core.websocket_codec then websockets(app) end
end
