--- The app that a command is about: where it is, how it is loaded, how something
--- is run in it.

local core = require "dewar.core"
local env = require "dewar.cli.env"
local mount = require "dewar.mount"
local inspect = require "dewar.cli.inspect"
local options = require "dewar.options"
local serve = require "dewar.serve"

local M = {}

function M.complain(...)
  io.stderr:write("dewar: ", table.concat({ ... }), "\n")
end

--- What to do about a port that can't be had.
local INSTEAD = {
  EADDRINUSE = "; is it served already? --port takes another one, 0 any that is free",
  EACCES = "; ports below 1024 are often the system's, --port takes another one",
}

--- Why an app can't be served, for people.
---@param err any
---@return string
function M.cannot(err)
  if not core.Error:is(err) then return tostring(err) end
  local port = err.message:find "^listen on .*:%d+: "
  return "cannot " .. err.message .. (port and INSTEAD[err.code] or "")
end

local function exists(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end

function M.folder_of(path)
  local folder = path:match "^(.*)/[^/]*$"
  return folder == "" and "/" or folder or "."
end

--- The app of this folder: what DEWAR_APP says, in the environment or in a file
--- of variables, or else app.lua or init.lua. nil: there is none; with a text:
--- something is wrong.
---@param opts dewar.EnvOptions
---@return string? path, string? problem
function M.default(opts)
  local values, problem = env.collect(nil, opts)
  if not values then return nil, problem end
  local path = os.getenv "DEWAR_APP" or values.DEWAR_APP
  if path and path ~= "" then return path end
  for _, name in ipairs { "app.lua", "init.lua" } do
    if exists(name) then return name end
  end
end

M.NONE = "APP is missing, a Lua file that returns an app; there is no app.lua or init.lua "
  .. "here, and DEWAR_APP is not set"

--- A traceback's lines without those of the command itself, and of the C
--- function that each of these has called.
local function without_own(trace)
  local lines = {}
  for line in trace:gmatch "[^\n]+" do
    if not line:find "^\tdewar/cli/" then
      lines[#lines + 1] = line
    elseif lines[#lines]:find "^\t%[C%]:" then
      lines[#lines] = nil
    end
  end
  return table.concat(lines, "\n")
end

--- A message handler: the traceback from the failure to the app's main chunk,
--- without what called that.
function M.traceback(err)
  local mt = debug.getmetatable(err)
  local has_text = type(err) ~= "table" or type(mt) == "table" and mt.__tostring
  local message = has_text and tostring(err) or "an error that is a table: " .. inspect.show(err)
  local trace = debug.traceback(nil, 2)
  local last, from = nil, 1
  repeat
    from = trace:find("\n\t[C]: in function 'xpcall'", from, true)
    if from then last, from = from, from + 1 end
  until not from
  return message .. "\n" .. without_own(last and trace:sub(1, last - 1) or trace)
end

--- Where there is no such file: what may have been meant.
local function instead_of(path)
  for _, candidate in ipairs { path .. ".lua", path:gsub("/+$", "") .. "/app.lua" } do
    if exists(candidate) then return ("; did you mean '%s'?"):format(candidate) end
  end
  return ""
end

--- Modules beside the app can be required.
function M.use_folder(path)
  local folder = M.folder_of(path)
  local own = ("%s/?.lua;%s/?/init.lua;"):format(folder, folder)
  if package.path:sub(1, #own) ~= own then package.path = own .. package.path end
end

--- The app that a file returns, or nil and what is wrong.
---@param path string
---@return dewar.App? app, string? problem
function M.load(path)
  M.use_folder(path)
  local chunk, problem = loadfile(path)
  if not chunk then
    local missing = problem:find "^cannot "
    return nil, problem .. (missing and instead_of(path) or "")
  end
  serve.loading, options.loading = true, path
  local ok, app = xpcall(chunk, M.traceback, path)
  serve.loading, options.loading = false, nil
  if not ok then return nil, app end
  if type(app) == "table" and rawget(app, "_core") then return app end
  return nil, ("%s returned %s, which is no app; its last line must be `return app`, "
    .. "with an app that was made by dewar.app()"):format(path,
    app == nil and "nil" or "a " .. type(app))
end

--- Makes an app, and those mounted in it, say all that they know.
---@param app dewar.App
function M.set_debug(app)
  for _, one in ipairs(mount.all(app)) do one.config.DEBUG = true end
end

--- Sets the environment and the app's folder up, and loads it. nil: it was told
--- what is wrong, which is also returned.
---@param path string
---@param opts dewar.EnvOptions
---@return dewar.App? app, string? problem
function M.open(path, opts)
  local problem = env.load(M.folder_of(path), opts)
  local app
  if not problem then app, problem = M.load(path) end
  if problem then M.complain(problem) end
  if app and M.debug() then M.set_debug(app) end
  return app, problem
end

--- Whether the environment asks for debugging.
---@param value? string of DEWAR_DEBUG
function M.debug(value)
  value = value or os.getenv "DEWAR_DEBUG"
  return value == "1" or value == "true"
end

--- Runs f(...) in a task that has the app, waits for its end and that of the
--- tasks it started.
---@param app dewar.App
---@return boolean ok, any result_or_traceback
function M.call(app, f, ...)
  return core.await(app._core:background(function(...)
    return xpcall(app:ensure_sync(f), M.traceback, ...)
  end, ...))
end

--- Runs f in a task that has the app, and which Ctrl-C cancels; where it computes,
--- a hook does. It may compute for long, as nobody else waits. Raises what the
--- task raises.
---@param app dewar.App
---@param once boolean whether a second Ctrl-C ends the process
---@return any ... what f returns
function M.interruptible(app, once, f)
  local system = require "dewar.system"
  app._core:configure("CPU_LIMIT", nil)
  local descriptor = system.interrupts(once)
  system.forget()
  local task = app._core:background(function()
    debug.sethook(function()
      if system.interrupted() then error("interrupted", 2) end
    end, "", 10000)
    local results = table.pack(f())
    debug.sethook()
    return table.unpack(results, 1, results.n)
  end)
  local watcher = descriptor and core.spawn(function()
    core.poll(descriptor, "r")
    task:cancel()
  end)
  local results = table.pack(pcall(core.await, task))
  if watcher then watcher:cancel() end
  if not results[1] then error(results[2], 0) end
  return table.unpack(results, 2, results.n)
end

return M
