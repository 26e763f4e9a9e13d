-- Notes that are kept while the server runs:
--
--   dewar run examples/quickstart/app.lua
--   curl http://127.0.0.1:5000/notes

local dewar = require "dewar"

local app = dewar.app()

local notes = {
  { id = 1, text = "Water the plants" },
  { id = 2, text = "Read Programming in Lua" },
}

-- A view is a function. A string that it returns is a page.
app:get("/", function()
  return "<h1>Hello, World!</h1>"
end)

-- What varies in the rule follows the request; headers follow the status.
app:get("/hello/<name>", function(_, name)
  return ("Hello, %s!\n"):format(name), 200, { content_type = "text/plain; charset=utf-8" }
end)

-- A table is JSON.
app:get("/notes", function()
  return { notes = dewar.array(notes) }
end)

-- <int:id> is a number, and whatever is none doesn't get here.
app:get("/notes/<int:id>", { endpoint = "note" }, function(_, id)
  return notes[id] or dewar.abort(404, "There is no such note.")
end)

app:post("/notes", function(req)
  local text = dewar.required(req:json(), "text")
  local note = { id = #notes + 1, text = text }
  notes[note.id] = note
  return note, 201, { location = app:url_for("note", { id = note.id }) }
end)

-- A view that waits is written like any other. Meanwhile others are served.
app:get("/tea", function(req)
  local seconds = dewar.required(req.args, "seconds", tonumber)
  dewar.sleep(math.min(math.max(seconds, 0), 60))
  return { tea = "ready", after = seconds }
end)

-- Errors are answered in one place, whoever raised them.
app:errorhandler(dewar.HTTPError, function(req, err)
  return { error = err.message, path = req.path }, err.status, err.headers
end)

-- Hooks run around every view; req.g is the request's own drawer.
app:before_request(function(req)
  req.g.started = dewar.now()
end)

app:after_request(function(req, res)
  local milliseconds = (dewar.now() - req.g.started) * 1000
  res.headers.server_timing = ("view;dur=%.1f"):format(milliseconds)
  return res
end)

return app
