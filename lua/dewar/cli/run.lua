--- `dewar run`: serves an app.

local core = require "dewar.core"
local apps = require "dewar.cli.app"
local arguments = require "dewar.cli.arguments"
local env = require "dewar.cli.env"
local reload = require "dewar.cli.reload"
local serve = require "dewar.serve"
local supervise = require "dewar.cli.supervise"

local function text(value)
  if value ~= "" then return value end
  return nil, "is empty"
end

local function port(value)
  local number = value:find "^%d+$" and math.tointeger(tonumber(value))
  if number and number <= 65535 then return number end
  return nil, ("is a number from 0 to 65535; got '%s'"):format(value)
end

local function workers(value)
  if value == "auto" then return value end
  local number = value:find "^%d+$" and math.tointeger(tonumber(value))
  if not number or number < 1 or number > 1024 then
    return nil, ("is a number from 1 to 1024, or auto; got '%s'"):format(value)
  end
  return number
end

local M = {
  needs_app = true,
  arguments = {
    { "--host", type = text },
    { "--port", "-p", type = port },
    { "--unix", type = text },
    { "--workers", "-w", type = workers },
    { "--debug", flag = true },
    { "--no-reload", flag = true },
    { "--reload-include", type = text, repeated = true },
    { "--log-level", type = arguments.one_of { "debug", "info", "warn", "error" } },
    { "--log-format", type = arguments.one_of { "text", "json" } },
  },
  help = [[
Usage: dewar run [APP] [options]

Serves the app that the Lua file APP returns. Modules beside APP can be
required. SIGINT (Ctrl-C) and SIGTERM stop it: requests under way may finish
within the app's SHUTDOWN_TIMEOUT. A second signal stops at once. SIGUSR1
writes to the log what every task is doing.

  --host ADDRESS         listen on this address only, 0.0.0.0 being all of this
                         machine's (DEWAR_RUN_HOST, or 127.0.0.1)
  -p, --port NUMBER      listen on this port; 0 takes a free one
                         (DEWAR_RUN_PORT, or 5000)
  --unix PATH            listen on a unix socket instead
  -w, --workers NUMBER   processes that serve, or auto: one for each processor
                         (1). One that dies is replaced; SIGHUP replaces all of
                         them, without dropping a connection
  --debug                set the app's config.DEBUG, log everything, and start
                         anew when a file of the app changes (DEWAR_DEBUG)
  --no-reload            with --debug: don't start anew
  --reload-include PATH  watch this file or folder, too; may be repeated
  --log-level LEVEL      log records of this level and above: debug, info, warn
                         or error (info)
  --log-format FORMAT    text, or json: an object a line (text)
  --env-file PATH        read variables from this file, too
  --no-env               read no .env and no .dewarenv
  --help                 show this

Without APP it is what DEWAR_APP says, or else app.lua or init.lua.

The log goes to standard error. The exit code is 0 after a stop, 1 if the app
failed or the address is taken, 2 if something is wrong with these options.
]],
}

--- What is wrong with options that are right each by itself.
---@return string?
function M.problem(args)
  return serve.problem { host = args.host, port = args.port, unix = args.unix }
end

--- Where to listen: options, or else the environment. Or nil and what is wrong.
local function address(args, variable)
  if args.unix then return { unix = args.unix } end
  local host, named = args.host or variable "DEWAR_RUN_HOST", variable "DEWAR_RUN_PORT"
  local number = args.port
  if number == nil and named then
    local problem
    number, problem = port(named)
    if not number then return nil, "DEWAR_RUN_PORT " .. problem end
  end
  if host == "" then return nil, "DEWAR_RUN_HOST is empty" end
  return { host = host, port = number }
end

--- Says why it doesn't serve, and returns that.
local function tell(err)
  local problem = apps.cannot(err)
  apps.complain(problem)
  return problem
end

--- This process is one of several, and serves from a socket it was given.
local function work(path, args, system, mode, socket)
  local failure = mode:match "^reload:(.*)$"
  local reloads = failure ~= nil
  if reloads then reload.begin(system, path, apps.folder_of(path), args) end
  local app, problem
  if reloads and failure ~= "" then
    problem = failure
  else
    app, problem = apps.open(path, args.env)
  end
  if not app and not reloads then return 1 end
  if app and args.debug then apps.set_debug(app) end
  if app and reloads then reload.loaded(system, app) end
  local function ready() system.tell "ready" end
  local ok, served
  if app then
    ok, served = pcall(serve.work, app, socket, ready)
    if ok then return served and 0 or 1 end
    problem = tell(served)
    if not reloads then return 1 end
  end
  return serve.work(require("dewar.cli.load_error").app(path, problem), socket, ready) and 0 or 1
end

--- This process does all of it.
local function serve_alone(path, args, where)
  local app = apps.open(path, args.env)
  if not app then return 1 end
  if args.debug then apps.set_debug(app) end
  local ok, served = pcall(serve.serve, app, where, path)
  if ok then return served and 0 or 1 end
  tell(served)
  return 1
end

--- Whether only this machine can reach it.
local function is_local(where)
  local host = where.host or serve.HOST
  return where.unix ~= nil or host == "localhost" or host == "::1" or host:find "^127%.[%d.]+$" ~= nil
end

local function count_of(args, system)
  if args.workers == "auto" then return args.debug and 1 or system.processors() end
  return args.workers or 1
end

---@param path string
---@param args table
---@return integer code
function M.main(path, args)
  local system = require "dewar.system"
  local values, problem = env.collect(apps.folder_of(path), args.env)
  local function variable(name) return os.getenv(name) or values and values[name] end
  args.debug = args.debug or apps.debug(variable "DEWAR_DEBUG")
  core.log.format = args.log_format or "text"
  core.log.level = args.log_level or args.debug and "debug" or "info"
  local mode, socket = system.worker()
  if mode then return work(path, args, system, mode, socket) end
  if not values then
    apps.complain(problem)
    return 1
  end
  local where
  where, problem = address(args, variable)
  if not where then
    apps.complain(problem)
    return 2
  end
  if args.debug and not is_local(where) then
    core.log.warn(("DEBUG shows code and variables to all who can reach %s"):format(where.host))
  end
  local count = count_of(args, system)
  local reloads = args.debug and not args.no_reload
  if count == 1 and not reloads then return serve_alone(path, args, where) end
  return supervise.run {
    name = path, host = where.host, port = where.port, unix = where.unix, workers = count, reloads = reloads,
  }
end

return M
