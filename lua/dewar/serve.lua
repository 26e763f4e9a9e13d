--- Serving an app on an address until it is stopped: what `dewar run` and
--- app:run have in common.

local core = require "dewar.core"
local lifespan = require "dewar.lifespan"
local tasks = require "dewar.tasks"

local M = {
  --- Set while the command loads an app's file: app:run is the command's part.
  loading = false,
}

---@class dewar.RunOptions
---@field host? string an address or a name; default "127.0.0.1"
---@field port? integer default 5000; 0 takes a free one
---@field unix? string the path of a unix socket, instead of host and port
---@field workers? integer|"auto" `dewar run --workers` starts more than one

local function is_port(port)
  return math.type(port) == "integer" and port >= 0 and port <= 65535
end

--- What is wrong with the options, or nil.
---@param opts dewar.RunOptions
---@return string?
function M.problem(opts)
  if opts.host ~= nil and (type(opts.host) ~= "string" or opts.host == "") then
    return "the host is an address such as 127.0.0.1"
  elseif opts.port ~= nil and not is_port(opts.port) then
    return ("the port is a number from 0 to 65535; got %s"):format(tostring(opts.port))
  elseif opts.unix ~= nil and (type(opts.unix) ~= "string" or opts.unix == "") then
    return "unix is the path of a socket"
  elseif opts.unix and (opts.host or opts.port) then
    return "a unix socket takes the place of host and port; give one or the other"
  elseif opts.workers ~= nil and opts.workers ~= 1 and opts.workers ~= "auto" then
    return "app:run serves with one worker; dewar run --workers starts more"
  end
end

M.HOST, M.PORT = "127.0.0.1", 5000

--- Where one listens, for people.
---@param host string
---@param port integer
---@return string
function M.url(host, port)
  if host:find(":", 1, true) then host = "[" .. host .. "]" end
  return ("http://%s:%d"):format(host, port)
end

--- Listens, and says where.
local function listen(app_core, opts)
  if opts.unix then
    app_core:listen_unix(opts.unix)
    return "unix:" .. opts.unix
  end
  local host = opts.host or M.HOST
  return M.url(host, app_core:listen(host, opts.port or M.PORT))
end

--- For whoever reads a terminal a plain line, else a record like all others.
---@param name string of the app
---@param where string
function M.announce(name, where)
  local text = ("Serving %s on %s (Ctrl-C stops)"):format(name, where)
  if core.log.format == "text" then
    io.stderr:write(text, "\n")
  else
    core.log.info(text)
  end
end

--- Runs what is to run before serving; false: a signal came before that was over.
local function start(life)
  life:wait()
  if life.state == "serving" then return true end
  local failure = life.failures[1]
  if failure then error("can't start: " .. lifespan.describe(failure), 0) end
  return false
end

--- Background tasks have what is left of SHUTDOWN_TIMEOUT.
local function finish(app, life, stopped_for, at_once)
  local left = (app.config.SHUTDOWN_TIMEOUT or 0) - stopped_for
  local failures = life:stop(left, at_once)
  for _, failure in ipairs(failures) do
    if not failure.logged then core.log.error(lifespan.describe(failure)) end
  end
  return #failures == 0
end

--- Closes the listeners, where it comes to no serving.
local Closing = {
  __close = function(self)
    if self.done then return end
    self.app:stop()
    self.app._core:serve()
  end,
}

--- An app's whole life in this process: `open` listens, `ready` is called when it
--- has started. Raises where one of them, or the start, fails.
---@return boolean ok false: it was stopped by an error, or had one at its end
local function live(app, worker, open, ready)
  local app_core = app._core
  if app.config.ACCESS_LOG ~= false then app_core:configure("ACCESS_LOG", true) end
  local life
  local stops = 0
  local function on_stop(count)
    stops = count
    if not life then return end
    if count == 1 then life:abort() elseif life.state ~= "serving" then life:hurry() end
  end
  local function on_dump() return tostring(tasks.list()) end
  local signals <close> = app_core:watch(on_stop, on_dump, worker) -- luacheck: ignore signals
  app_core:hold() -- clients wait in line until it has started
  local closing <close> = setmetatable({ app = app }, Closing)
  open(app_core)
  life = lifespan.start(app)
  if not start(life) then return true end
  app_core:admit()
  ready()
  closing.done = true
  local stopped_for = app_core:serve()
  return finish(app, life, stopped_for, stops > 1)
end

--- Serves until a signal, or app:stop(), and until what ran then is over.
--- Raises where it can't listen or start.
---@param app dewar.App
---@param opts dewar.RunOptions without problems
---@param name string of the app, for the line that says where it is
---@return boolean ok false: it was stopped by an error, or had one at its end, which is in the log
function M.serve(app, opts, name)
  local where
  return live(app, false, function(app_core) where = listen(app_core, opts) end,
    function() M.announce(name, where) end)
end

--- Serves as a worker: on a socket that its supervisor has opened, until that
--- says stop. Raises where it can't start.
---@param app dewar.App
---@param socket integer
---@param ready function called when it serves
---@return boolean ok as of `serve`
function M.work(app, socket, ready)
  -- The supervisor holds the socket, so clients wait in its line until then; and
  -- where the start fails, it is still there for another app.
  return live(app, true, function() end, function()
    app._core:listen_fd(socket)
    ready()
  end)
end

--- app:run.
---@param app dewar.App
---@param opts dewar.RunOptions
function M.run(app, opts)
  local problem = M.problem(opts)
  if problem then error("run: " .. problem, 2) end
  if M.loading then
    core.log.warn("app:run does nothing here: the command serves the app that the file returns")
    return
  end
  -- A stock Lua logs from "warn" on, and requests are of level "info".
  if app.config.ACCESS_LOG ~= false and core.log.format and core.log.level == "warn" then
    core.log.level = "info"
  end
  if not M.serve(app, opts, arg and arg[0] or app.name) then
    error("the app was stopped by an error, or had one at its end; see the log", 2)
  end
end

return M
