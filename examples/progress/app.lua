-- A long computation, and how far it is, by server-sent events.
--
--   dewar run examples/progress/app.lua
--
-- The primes below a limit are counted slice by slice, on another core, while
-- this one serves. Whoever leaves the page stops the counting; who only lost the
-- connection comes again by itself and goes on where it was.

local dewar = require "dewar"
local count_primes = require "primes"

local app = dewar.app { name = "progress" }
app.config:from_mapping { SLICES = 100, LARGEST = 50000000 }

app:use(dewar.middleware.security_headers { csp = { default_src = "self", frame_ancestors = "none" } })

local running = 0

app:get("/", function()
  return dewar.render_template("progress.html", { largest = app.config.LARGEST })
end)

local function integer(text)
  return text and math.tointeger(tonumber(text))
end

--- Where a client was that comes again: it says the last event's id.
local function resumed(req)
  local slice, found = (req.last_event_id or ""):match "^(%d+) (%d+)$"
  slice, found = integer(slice), integer(found)
  if not (slice and found) then return 0, 0 end
  return slice, found
end

app:get("/primes", { endpoint = "primes" }, function(req)
  local below = dewar.required(req.args, "below", integer)
  if below < 2 or below > app.config.LARGEST then
    dewar.abort(422, ("below is a number from 2 to %d"):format(app.config.LARGEST))
  end
  local slices = app.config.SLICES
  local first, found = resumed(req)

  return dewar.sse(function(send)
    running = running + 1
    local _ <close> = setmetatable({}, { __close = function() running = running - 1 end })
    for slice = first + 1, slices do
      found = found + dewar.work(count_primes, (slice - 1) * below // slices, slice * below // slices)
      send {
        event = "progress",
        id = ("%d %d"):format(slice, found),
        data = { percent = 100 * slice / slices, found = found },
      }
    end
    send { event = "result", data = { found = found } }
  end)
end)

app:get("/running", function()
  return { running = running }
end)

return app
