-- A chat: rooms that talk over websockets, with names, a history, and who is there.
--
--   dewar run examples/chat/app.lua
--
-- What goes over the wire is JSON, and tells by its "type" what it is: from the
-- browser "enter" and "say", from here "welcome", "said", "people" and "refused".

local dewar = require "dewar"
local Place = require "place"

local app = dewar.app { name = "chat" }
app.config:from_mapping {
  WEBSOCKET_MAX_MESSAGE_SIZE = 8 * 1024,
  PAUSE = 0.1, -- seconds between two things that one person says
}

app:use(dewar.middleware.security_headers { csp = { default_src = "self", frame_ancestors = "none" } })

local places = { Place.new "lobby", Place.new "tea", Place.new "moon" }
for _, place in ipairs(places) do places[place.name] = place end

app:get("/", { endpoint = "lobby" }, function()
  return dewar.redirect(dewar.url_for("place", { name = "lobby" }))
end)

app:get("/<name>", { endpoint = "place" }, function(_, name)
  local place = places[name] or dewar.abort(404)
  return dewar.render_template("chat.html", { place = place, places = places })
end)

--- The next message as a table; nil when the browser has closed, or talks nonsense.
local function hear(ws)
  local text = ws:receive()
  if not text then return nil end
  local ok, message = pcall(dewar.json.decode, text)
  if ok and type(message) == "table" then return message end
  ws:close(1003, "that is no JSON object")
end

--- Lets somebody in under a name of theirs, or says why not and asks again.
local function greet(ws, place)
  while true do
    local hello = hear(ws)
    if not hello then return nil end
    local person, why = place:enter(ws, hello.name)
    if person then
      local welcome = dewar.json.encode {
        type = "welcome",
        name = person.name,
        history = place:since(math.tointeger(hello.since) or 0),
      }
      local ok, err = pcall(ws.send, ws, welcome)
      if ok then return person end
      person:leave()
      error(err, 0)
    end
    ws:send(dewar.json.encode { type = "refused", why = why })
  end
end

app:websocket("/<name>", { endpoint = "talk" }, function(ws, name)
  local place = places[name] or dewar.abort(404)
  -- Whoever comes leaves in the end, and be it that the network fails.
  local person <close> = greet(ws, place)
  if not person then return end
  person:arrive()
  local message = hear(ws)
  while message do
    person:say(message.text)
    dewar.sleep(app.config.PAUSE) -- meanwhile the queue fills, and the socket isn't read
    message = hear(ws)
  end
end)

return app
