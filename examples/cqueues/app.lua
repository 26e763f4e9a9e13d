-- Dewar and cqueues on one loop, both ways: views that are written for cqueues,
-- and a server of cqueues' beside the app.
--
--   dewar run examples/cqueues/app.lua
--   curl http://127.0.0.1:5000/nap
--   curl http://127.0.0.1:5000/shout/hello

local cqueues = require "cqueues"
local condition = require "cqueues.condition"
local socket = require "cqueues.socket"
local bridge = require "bridge"
local dewar = require "dewar"

local app = dewar.app()

-- Views for cqueues ---------------------------------------------------------
-- An app that overrides ensure_sync decides how every view, hook and error
-- handler is called. Those that are marked here get a controller.

local marked = setmetatable({}, { __mode = "k" })

local function in_cqueues(f)
  marked[f] = true
  return f
end

function app:ensure_sync(f)
  if not marked[f] then return dewar.App.ensure_sync(self, f) end
  return function(...) return bridge.run(f, ...) end
end

app:get("/nap", in_cqueues(function()
  cqueues.sleep(0.05)
  return { slept = "in cqueues" }
end))

-- Two coroutines of one controller, one of which waits for the other.
app:get("/relay", in_cqueues(function(req)
  local handed_over, baton = condition.new(), nil
  cqueues.running():wrap(function()
    cqueues.sleep(0.02)
    baton = req.args.baton or "stick"
    handed_over:signal()
  end)
  handed_over:wait()
  return { baton = baton }
end))

-- Those that aren't marked are Dewar's, as ever.
app:get("/plain", function()
  dewar.sleep(0.01)
  return { slept = "in dewar" }
end)

app:errorhandler(404, in_cqueues(function(_, err)
  cqueues.sleep(0.01)
  return { error = err.message }, 404
end))

-- A server of cqueues' ------------------------------------------------------
-- One controller for as long as the app is served, with a task that steps it. To
-- each line it answers in capitals.

local beside = {} -- the controller, the server's port, how many it has served

local function serve_lines(server)
  for connection in server:clients() do
    beside.controller:wrap(function()
      for line in connection:lines() do
        connection:write(line:upper(), "\n")
        beside.lines = beside.lines + 1
      end
      connection:close()
    end)
  end
end

app:while_serving(function(serve)
  local server = assert(socket.listen("127.0.0.1", 0))
  assert(server:listen())
  beside.controller, beside.lines = cqueues.new(), 0
  beside.port = select(3, server:localname())
  beside.controller:wrap(serve_lines, server)
  local _ <close> = dewar.spawn(bridge.drive, beside.controller)
  serve()
end)

-- A view of Dewar's has something done there, and waits for it.
app:get("/shout/<word>", function(_, word)
  return (bridge.call(beside.controller, function()
    local connection = socket.connect("127.0.0.1", beside.port)
    connection:settimeout(5)
    connection:write(word, "\n")
    local answer = connection:read "*l"
    connection:close()
    return answer
  end))
end)

-- And one for cqueues talks to it from its own controller.
app:get("/whisper/<word>", in_cqueues(function(_, word)
  local connection = socket.connect("127.0.0.1", beside.port)
  connection:write(word, "\n")
  local answer = connection:read "*l"
  connection:close()
  return { said = word, heard = answer, lines = beside.lines }
end))

return app
