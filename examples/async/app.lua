-- Waiting without a colour: no function here is marked as one that waits.
--
--   dewar run examples/async/app.lua
--   curl 'http://127.0.0.1:5000/weather?city=Oslo&city=Rome&city=Lima'

local dewar = require "dewar"

local app = dewar.app()

-- In place of a service on the network, which takes its time.
local function weather(city)
  dewar.sleep(0.1)
  return { city = city, degrees = #city * 4 }
end

-- All cities at once: this takes as long as one of them.
app:get("/weather", function(req)
  local tasks = {}
  for i, city in ipairs(req.args("city")) do
    tasks[i] = dewar.spawn(weather, city)
  end
  return dewar.array { dewar.gather(table.unpack(tasks)) }
end)

-- A task that a view starts belongs to the request: when that has been
-- answered, the heart stops by itself.
local heart = { alive = false, beats = 0, stopped = 0 }

local function beat()
  local _ <close> = setmetatable({}, { __close = function()
    heart.alive, heart.stopped = false, heart.stopped + 1
  end })
  heart.alive = true
  while true do
    heart.beats = heart.beats + 1
    dewar.sleep(0.02)
  end
end

app:get("/marathon", function()
  dewar.spawn(beat)
  dewar.sleep(0.1)
  return { alive = heart.alive, beats = heart.beats }
end)

app:get("/heart", function()
  return heart
end)

-- A decorator that wants what a view finally returns, be it an async function
-- or not, calls it through ensure_sync.
local function shouting(view)
  return function(...)
    local text = dewar.current_app:ensure_sync(view)(...)
    return text:upper()
  end
end

app:get("/shout/plain", shouting(function()
  return "hello"
end))

app:get("/shout/async", shouting(dewar.async(function()
  dewar.sleep(0.01)
  return "hello"
end)))

-- A decorator that knows nothing of all that works as well: an awaitable that a
-- view returns is awaited.
local function private(view)
  return function(...)
    dewar.after_this_request(function(_, res)
      res.headers.cache_control = "no-store"
      return res
    end)
    return view(...)
  end
end

app:get("/private/plain", private(function()
  return "between us"
end))

app:get("/private/async", private(dewar.async(function()
  dewar.sleep(0.01)
  return "between us"
end)))

-- A generator may wait between its chunks.
app:get("/countdown/<int(max=10):from>", function(_, from)
  return coroutine.wrap(function()
    for i = from, 1, -1 do
      coroutine.yield(i .. "\n")
      dewar.sleep(0.01)
    end
    coroutine.yield("lift-off\n")
  end)
end)

return app
