--- The command `dewar`. Each command has its options, its help and a function
--- that returns the exit code: 0 it went well, 1 the app failed, 2 wrong usage.

local core = require "dewar.core"
local options = require "dewar.options"
local serve = require "dewar.serve"

local M = {}

local HELP = [[
Dewar, a flask for Lua.

Usage:
  dewar run APP [options]    serve an app
  dewar routes APP           list the routes of an app
  dewar COMMAND --help       what a command takes
  dewar --version

APP is a Lua file that returns an app:

  local dewar = require "dewar"
  local app = dewar.app()
  app:get("/", function() return "Hello, World!" end)
  return app
]]

local RUN_HELP = [[
Usage: dewar run APP [options]

Serves the app that the Lua file APP returns. Modules beside APP can be
required. SIGINT (Ctrl-C) and SIGTERM stop it: requests under way may finish
within the app's SHUTDOWN_TIMEOUT. A second signal stops at once.

  --host ADDRESS         listen on this address only, 0.0.0.0 being all of this
                         machine's (127.0.0.1)
  --port NUMBER          listen on this port; 0 takes a free one (5000)
  --unix PATH            listen on a unix socket instead
  --workers NUMBER       processes that serve, or auto; this version knows 1
  --debug                set the app's config.DEBUG, and log everything
  --log-level LEVEL      log records of this level and above: debug, info, warn
                         or error (info)
  --log-format FORMAT    text, or json: an object a line (text)
  --help                 show this

The log goes to standard error. The exit code is 0 after a stop, 1 if the app
failed or the address is taken, 2 if something is wrong with these options.
]]

local ROUTES_HELP = [[
Usage: dewar routes APP

Lists the routes of the app that the Lua file APP returns, in the order in which
they were added: the endpoint, which is what url_for takes, the methods, the
rule, and the host where it is of one only.

  --help    show this
]]

-- --- Options -------------------------------------------------------------------

local function one_of(...)
  local choices = { ... }
  return function(text)
    for _, choice in ipairs(choices) do
      if text == choice then return choice end
    end
    local near = options.nearest(text, choices)
    return nil, ("is one of %s; got '%s'%s"):format(table.concat(choices, ", "), text,
      near and "; did you mean '" .. near .. "'?" or "")
  end
end

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
  if not number or number < 1 then
    return nil, ("is a number from 1 on, or auto; got '%s'"):format(value)
  end
  return number
end

-- A function reads the option's value; true: it has none.
local RUN_OPTIONS = {
  ["--host"] = text,
  ["--port"] = port,
  ["--unix"] = text,
  ["--workers"] = workers,
  ["--debug"] = true,
  ["--log-level"] = one_of("debug", "info", "warn", "error"),
  ["--log-format"] = one_of("text", "json"),
  ["--help"] = true,
}

local ROUTES_OPTIONS = { ["--help"] = true }

local function names_of(map)
  local names = {}
  for name in pairs(map) do names[#names + 1] = name end
  table.sort(names)
  return names
end

local function unknown(what, word, names)
  local near = options.nearest(word, names)
  if near then return ("unknown %s '%s'; did you mean '%s'?"):format(what, word, near) end
  return ("unknown %s '%s'; there are: %s"):format(what, word, table.concat(names, ", "))
end

--- The options in args from `first` on, and the other arguments; or nil and
--- what is wrong. "--name value" and "--name=value" are the same; after "--"
--- there are no options.
local function parse(args, first, known)
  local opts, rest = {}, {}
  local i = first
  while i <= #args do
    local word = args[i]
    local name, value = word:match "^(%-%-[^=]+)=(.*)$"
    name = name or word
    if word == "--" then
      table.move(args, i + 1, #args, #rest + 1, rest)
      break
    elseif word:sub(1, 1) ~= "-" or word == "-" then
      rest[#rest + 1] = word
    elseif not known[name] then
      return nil, unknown("option", name, names_of(known))
    elseif known[name] == true then
      if value then return nil, name .. " takes no value" end
      opts[name] = true
    else
      if not value then
        i = i + 1
        value = args[i]
        if not value then return nil, name .. " needs a value" end
      end
      local read, problem = known[name](value)
      if read == nil then return nil, name .. " " .. problem end
      opts[name] = read
    end
    i = i + 1
  end
  return opts, rest
end

-- --- The app ---------------------------------------------------------------------

--- A message handler: the traceback from the failure to the app's main chunk,
--- without what called that.
local function traceback(err)
  local trace = debug.traceback(tostring(err), 2)
  local last, from = nil, 1
  repeat
    from = trace:find("\n\t[C]: in function 'xpcall'", from, true)
    if from then last, from = from, from + 1 end
  until not from
  return last and trace:sub(1, last - 1) or trace
end

local function folder_of(path)
  return path:match "^(.*)/[^/]*$" or "."
end

--- Where there is no such file: what may have been meant.
local function instead_of(path)
  for _, candidate in ipairs { path .. ".lua", path:gsub("/+$", "") .. "/app.lua" } do
    local file = io.open(candidate)
    if file then
      file:close()
      return ("; did you mean '%s'?"):format(candidate)
    end
  end
  return ""
end

--- The app that a file returns, or nil and what is wrong.
local function load_app(path)
  local folder = folder_of(path)
  package.path = ("%s/?.lua;%s/?/init.lua;%s"):format(folder, folder, package.path)
  local chunk, problem = loadfile(path)
  if not chunk then
    local missing = problem:find "^cannot "
    return nil, problem .. (missing and instead_of(path) or "")
  end
  serve.loading = true
  local ok, app = xpcall(chunk, traceback, path)
  serve.loading = false
  if not ok then return nil, app end
  if type(app) == "table" and rawget(app, "_core") then return app end
  return nil, ("%s returned %s, which is no app; its last line must be `return app`, "
    .. "with an app that was made by dewar.app()"):format(path,
    app == nil and "nil" or "a " .. type(app))
end

local function complain(...)
  io.stderr:write("dewar: ", table.concat({ ... }), "\n")
end

-- --- Commands ----------------------------------------------------------------------

local commands = {}

commands.run = { help = RUN_HELP, options = RUN_OPTIONS }

function commands.run.problem(opts)
  return serve.problem {
    host = opts["--host"],
    port = opts["--port"],
    unix = opts["--unix"],
    workers = opts["--workers"],
  }
end

function commands.run.main(path, opts)
  core.log.format = opts["--log-format"] or "text"
  core.log.level = opts["--log-level"] or opts["--debug"] and "debug" or "info"
  local app, problem = load_app(path)
  if not app then
    complain(problem)
    return 1
  end
  if opts["--debug"] then app.config.DEBUG = true end
  local ok, err = pcall(serve.serve, app, {
    host = opts["--host"],
    port = opts["--port"],
    unix = opts["--unix"],
  }, path)
  if ok then return 0 end
  complain("cannot ", tostring(core.Error:is(err) and err.message or err))
  return 1
end

commands.routes = { help = ROUTES_HELP, options = ROUTES_OPTIONS }

--- Rows of texts as lines with columns of one width.
local function aligned(rows)
  local widths = {}
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do
      widths[i] = math.max(widths[i] or 0, utf8.len(cell) or #cell)
    end
  end
  local lines = {}
  for n, row in ipairs(rows) do
    local cells = {}
    for i, cell in ipairs(row) do
      local width = utf8.len(cell) or #cell
      cells[i] = cell .. (" "):rep(widths[i] - width)
    end
    lines[n] = table.concat(cells, "  "):gsub("%s+$", "")
  end
  return table.concat(lines, "\n")
end

function commands.routes.main(path)
  local app, problem = load_app(path)
  if not app then
    complain(problem)
    return 1
  end
  local rows = { { "Endpoint", "Methods", "Rule", "Host" } }
  for _, rule in ipairs(app._core:rules()) do
    rows[#rows + 1] = {
      rule.endpoint or "",
      rule.websocket and "WebSocket" or table.concat(rule.methods, ", "),
      rule.rule,
      rule.host or "",
    }
  end
  if #rows == 1 then
    print(path .. " has no routes")
    return 0
  end
  local hosts = false
  for i = 2, #rows do hosts = hosts or rows[i][4] ~= "" end
  if not hosts then rows[1][4] = "" end
  print(aligned(rows))
  return 0
end

-- --- The command line -----------------------------------------------------------------

local function misused(problem, help)
  complain(problem)
  io.stderr:write(("Try '%s --help'.\n"):format(help))
  return 2
end

local function run_command(name, args)
  local command = commands[name]
  local opts, rest = parse(args, 2, command.options)
  local called = "dewar " .. name
  if not opts then return misused(rest, called) end
  if opts["--help"] then
    io.stdout:write(command.help)
    return 0
  end
  if #rest == 0 then
    return misused(name .. " needs APP, a Lua file that returns an app", called)
  elseif #rest > 1 then
    return misused(("%s takes one APP; what is '%s'?"):format(name, rest[2]), called)
  end
  local problem = command.problem and command.problem(opts)
  if problem then return misused(problem, called) end
  return command.main(rest[1], opts)
end

--- Runs the command with its arguments and returns the exit code.
---@param args string[]
---@return integer
function M.main(args)
  local first = args[1]
  if first == nil then
    io.stderr:write(HELP)
    return 2
  elseif first == "--help" or first == "-h" then
    io.stdout:write(HELP)
    return 0
  elseif first == "--version" then
    print("dewar " .. core.version)
    return 0
  elseif commands[first] then
    return run_command(first, args)
  elseif first:sub(1, 1) == "-" then
    return misused(unknown("option", first, { "--help", "--version" }), "dewar")
  end
  return misused(unknown("command", first, names_of(commands)), "dewar")
end

return M
