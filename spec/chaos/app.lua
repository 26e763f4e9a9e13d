-- The app that the chaos spec serves: a bit of everything, which waits, fails and
-- computes at random. What a view sends is determined by its path, so that the
-- client knows; how and when it does so is not. What is provoked here logs
-- "chaos:", and /state tells what there is.

local common = require "spec.chaos.common"
local core = require "dewar.core"
local dewar = require "dewar"
local inner = require "spec.chaos.inner"
local pattern = require "spec.chaos.pattern"
local streams = require "spec.chaos.streams"
local talk = require "spec.chaos.talk"
local tree = require "spec.support.tree"

local FOLDER = assert(os.getenv "CHAOS_FOLDER")

local app = dewar.app {
  static_folder = FOLDER .. "/static",
  config = {
    SECRET_KEY = "chaos", ACCESS_LOG = false,
    HEADER_TIMEOUT = 3, BODY_TIMEOUT = 3, KEEP_ALIVE_TIMEOUT = 4, WRITE_TIMEOUT = 3, SHUTDOWN_TIMEOUT = 1,
    WEBSOCKET_PING_INTERVAL = 1, WEBSOCKET_PING_TIMEOUT = 5, WEBSOCKET_MAX_MESSAGE_SIZE = 100000,
    MAX_CONTENT_LENGTH = 1 << 20, FORM_SPOOL_SIZE = 20000, MAX_FORM_MEMORY_SIZE = 50000,
    CPU_LIMIT = 0.25, MEMORY_LIMIT = 160 << 20, WORK_THREADS = 2, WORK_MEMORY_LIMIT = 16 << 20,
  },
}

local chaos, opened, pause, random = common.chaos, common.opened, common.pause, common.random
local counts = common.counts

app:use(common.middleware)
common.hooks(app)
talk(app)
app:mount("/inner", inner)

local Handled = dewar.Error:extend "Handled"
app:errorhandler(Handled, function(_, err)
  pause()
  if err.message == "twice" then chaos "handler" end
  return "handled", 418
end)
app:errorhandler(dewar.CPULimitError, function() return "too long", 503 end)

app:get("/state", function()
  for _ = 1, 3 do collectgarbage() end
  local now = core.debug_counts()
  for name, count in pairs(counts) do now[name] = count end
  now.lua = collectgarbage "count" * 1024 // 1 | 0
  now.list = tostring(dewar.tasks())
  return now
end)

-- --- Answers ----------------------------------------------------------------------

app:get("/plain/<int:seed>/<int:size>", function(_, seed, size)
  local mark <close> = opened()
  pause()
  return pattern.bytes(seed, size), { ["X-Mark"] = mark and "closing" }
end)

app:get("/json/<int:seed>", function(_, seed)
  pause()
  return { seed = seed, text = pattern.bytes(seed, 50) }
end)

app:get("/sleep/<int:ms>", function(_, ms)
  local _ <close> = opened()
  dewar.sleep(ms / 1000)
  return "slept"
end)

app:get("/late", { timeout = 0.02 }, function()
  pcall(dewar.sleep, 10)
  dewar.sleep(10)
end)

app:get("/cpu", function() while true do pcall(string.rep, "x", 10) end end)
app:get("/memory", function() return ("x"):rep(1 << 30) end)
app:get("/much", function()
  local text = "x"
  while true do text = text .. text end
end)

app:get("/error", function()
  pause()
  chaos "view"
end)
app:get("/nothing", function() dewar.abort(404, "chaos") end)
app:get("/handled", function() error(Handled "once") end)
app:get("/twice", function() error(Handled "twice") end)
app:get("/after-this", function()
  dewar.after_this_request(function() chaos "after this" end)
  return "never"
end)

app:get("/session", function(req)
  req.session.n = (req.session.n or 0) + 1
  pause()
  return tostring(req.session.n)
end)

app:get("/template/<int:seed>/<int:size>", function(_, seed, size)
  local make = random(2) == 1 and dewar.render_template_string or dewar.stream_template_string
  return make("<% for piece in pieces do pause() %><%= piece %><% end %>",
    { pieces = pattern.pieces(seed, size, random, 5000), pause = pause })
end)

app:get("/self/<int:seed>/<int:size>", function(_, seed, size)
  local client <close> = app:test_client()
  return client:get(("/stream/%d/%d"):format(seed, size)).body
end)

-- --- Streams ----------------------------------------------------------------------

local generator, stream = streams.generator, streams.stream

app:get("/stream/<int:seed>/<int:size>", function(req, seed, size)
  local make = random(2) == 1 and generator or stream
  return make(seed, size), { ["Content-Length"] = req.args.length and tostring(size) }
end)
app:get("/cut/<int:seed>/<int:size>", function(_, seed, size)
  local make = random(2) == 1 and generator or stream
  return make(seed, size, function() chaos "cut" end)
end)
app:get("/endless/<int:seed>", function(_, seed) return generator(seed, 20 << 20) end)
app:get("/push/<int:seed>", function(_, seed) return stream(seed, 20 << 20) end)

-- --- Bodies -----------------------------------------------------------------------

app:post("/echo", function(req)
  pause()
  return req:body()
end)

--- Whether the body is what it should be.
app:post("/verify/<int:seed>/<int:size>", function(req, seed, size)
  local parts = {}
  for chunk in req:chunks() do
    pause()
    parts[#parts + 1] = chunk
  end
  return table.concat(parts) == pattern.bytes(seed, size) and "same" or "other"
end)

app:post("/back", function(req)
  local _ <close> = opened()
  return coroutine.wrap(function()
    for chunk in req:chunks() do
      pause()
      coroutine.yield(chunk)
    end
  end)
end)

app:post("/first", function(req)
  return req:chunks()() and "first" or "none"
end)

app:post("/ignored", function()
  pause()
  return "ignored"
end)
app:post("/small", { max_content_length = 100 }, function(req) return req:body() end)
app:post("/swallow", function(req)
  pcall(req.body, req)
  pcall(dewar.sleep, 0.01)
  return "swallowed"
end)

--- Each file's name says what it holds: SEED-SIZE.
local function is_right(name, bytes)
  local seed, size = name:match "^(%d+)-(%d+)$"
  return bytes == pattern.bytes(tonumber(seed), tonumber(size))
end

local function content(file)
  local how = random(3)
  if how == 1 then return file:read() end
  local parts = {}
  if how == 2 then
    for chunk in file:chunks(random(50000)) do parts[#parts + 1] = chunk end
    return table.concat(parts)
  end
  local path = ("%s/tmp/%d"):format(FOLDER, counts.began + random(1 << 20) * 1000000)
  local _ <close> = setmetatable({}, { __close = function() os.remove(path) end })
  dewar.shield(file.save, file, path)
  return dewar.fs.read(path)
end

app:post("/files", function(req)
  local good = 0
  for _, file in pairs(req.files) do
    if is_right(file.filename, content(file)) then good = good + 1 end
  end
  return ("%d %d"):format(good, #req.form("field"))
end)

app:post("/parts", function(req)
  local good, fields = 0, 0
  for part in req:parts() do
    pause()
    if part.filename then
      if is_right(part.filename, part:read()) then good = good + 1 end
    else
      fields = fields + 1
    end
  end
  return ("%d %d"):format(good, fields)
end)

-- --- Tasks ------------------------------------------------------------------------

app:get("/tree/<int:seed>", function(req, seed)
  local world = tree.world(seed)
  req.g.world = world
  pcall(world.node, 4)
  return "grown"
end)

app:get("/left", function()
  for _ = 1, 3 do
    dewar.spawn(function()
      local _ <close> = opened()
      dewar.sleep(10)
    end)
  end
  pause()
  return "left"
end)

app:post("/background", function()
  app:add_background_task(function()
    local _ <close> = opened()
    dewar.sleep(random(30) / 1000)
    if random(5) == 1 then chaos "background" end
  end)
  return "begun"
end)

app:get("/work/<int:n>", function(_, n)
  return tostring(dewar.work(function(most)
    local sum = 0
    for i = 1, most do sum = sum + i end
    return sum
  end, n))
end)
app:get("/overwork", function()
  local ok = pcall(dewar.timeout, 0.02, dewar.work, function()
    while true do pcall(string.rep, "x", 10) end
  end)
  return ok and "ended" or "stopped"
end)
app:get("/work-memory", function()
  local ok = pcall(dewar.work, function() return #("x"):rep(1 << 28) end)
  return ok and "ended" or "stopped"
end)

local lock, gate = dewar.lock(), dewar.semaphore(3)
app:get("/lock", function()
  return lock:with(function()
    return gate:with(function()
      pause()
      return "locked"
    end)
  end)
end)

app:get("/fs/<int:seed>/<int:size>", function(_, seed, size)
  local folder
  local _ <close> = setmetatable({}, { __close = function()
    dewar.shield(dewar.fs.remove, folder, { recursive = true })
  end })
  dewar.shield(function() folder = dewar.fs.mkdtemp() end)
  dewar.fs.write(folder .. "/x", pattern.pieces(seed, size, random, 20000))
  return dewar.fs.read(folder .. "/x")
end)

app:get("/cat/<int:seed>/<int:size>", function(_, seed, size)
  return dewar.process.run({ "cat", stdin = pattern.bytes(seed, size) }).stdout
end)

local echo -- a server of connections
app:while_serving(function(serve)
  local server <close> = dewar.tcp.listen("127.0.0.1", 0)
  echo = server
  dewar.scope(function(scope)
    scope:spawn(function()
      for conn in server:connections() do
        scope:spawn(function()
          local _ <close> = conn
          pcall(function()
            for chunk in conn:chunks() do conn:write(chunk) end
          end)
        end)
      end
    end)
    serve()
    scope:cancel()
  end)
end)

app:get("/tcp/<int:seed>/<int:size>", function(_, seed, size)
  if not echo then return pattern.bytes(seed, size) end -- nobody serves
  local conn <close> = dewar.tcp.connect("127.0.0.1", echo.port)
  local text = dewar.gather(
    function() return conn:read(size) end,
    function() conn:write(pattern.bytes(seed, size)) end)
  return text
end)

app:every(0.05, function()
  pause()
  if random(10) == 1 then chaos "every" end
end)

app:after_serving(function()
  if counts.began ~= counts.ended or counts.opened ~= counts.closed then
    dewar.log.error("what was begun has not ended", counts)
  end
end)

return app
