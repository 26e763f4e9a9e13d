--- The command `dewar`. Each command is a module of dewar.cli or one of the app's
--- own; all return the exit code: 0 it went well, 1 the app failed, 2 wrong usage.

local core = require "dewar.core"
local apps = require "dewar.cli.app"
local arguments = require "dewar.cli.arguments"
local commands = require "dewar.commands"

local M = {}

local HELP = [[
Dewar, a flask for Lua.

Usage:
  dewar run [APP] [options]       serve an app
  dewar routes [APP]              list the routes of an app
  dewar shell [APP]               Lua at a prompt, with the app at hand
  dewar test [arguments]          run an app's specs, by busted
  dewar new NAME                  make a small app to begin with
  dewar COMMAND [arguments]       a command of the app of this folder
  dewar APP COMMAND [arguments]   a command of another one
  dewar APP                       list an app's commands
  dewar COMMAND --help            what a command takes
  dewar --version

APP is a Lua file that returns an app:

  local dewar = require "dewar"
  local app = dewar.app()
  app:get("/", function() return "Hello, World!" end)
  return app

Without APP it is what the variable DEWAR_APP says, or else app.lua or init.lua.
Variables may stand in the files .env and .dewarenv, of this folder or of the
app's; what the environment has already wins.

In front of the command:
  -A, --app APP      the app
  --env-file PATH    read variables from this file, too
  --no-env           read no .env and no .dewarenv
]]

local ENV_OPTIONS = {
  { "--env-file", value = "PATH", type = function(path)
    if path ~= "" then return path end
    return nil, "is empty"
  end },
  { "--no-env", flag = true },
}

local GLOBAL = arguments.new({
  { "--app", "-A" }, { "--version", flag = true }, table.unpack(ENV_OPTIONS),
}, 1)

--- The exit code where Ctrl-C has ended a command, as shells have it.
local INTERRUPTED = 130

local MODULES = { "new", "routes", "run", "shell", "test" }

--- The module of a built-in command, or nil.
local function builtin(name)
  for _, known in ipairs(MODULES) do
    if name == known then return require("dewar.cli." .. name) end
  end
end

local function misused(problem, help)
  apps.complain(problem)
  io.stderr:write(("Try '%s --help'.\n"):format(help))
  return 2
end

-- --- Built-in commands -------------------------------------------------------------------

local function takes(command)
  local list = {}
  if command.needs_app then
    list[1] = { "app", optional = true }
    table.move(ENV_OPTIONS, 1, #ENV_OPTIONS, 2, list)
  end
  return arguments.new(table.move(command.arguments, 1, #command.arguments, #list + 1, list), 1)
end

--- The path of the app that a command is about; or nil and the exit code, when
--- it was told what is wrong.
local function app_of(name, args, called)
  if args.app then return args.app end
  local path, problem = apps.default(args.env)
  if path then return path end
  if not problem then return nil, misused(name .. ": " .. apps.NONE, called) end
  apps.complain(problem)
  return nil, 1
end

--- Options that may stand in front of the command and behind it.
local function env_of(args, global)
  return { file = args.env_file or global.env_file, off = args.no_env or global.no_env }
end

local function run_builtin(name, words, first, global)
  local command, called = builtin(name), "dewar " .. name
  if command.raw then
    return command.main(table.move(words, first, #words, 1, {}), env_of({}, global))
  end
  local args, problem = takes(command):parse(words, first, name)
  if not args then return misused(problem, called) end
  if args.help then
    io.stdout:write(command.help)
    return 0
  end
  args.env = env_of(args, global)
  if not command.needs_app then return command.main(args) end
  if args.app and global.app then
    return misused(("%s takes one APP; it is '%s' or '%s'?"):format(name, global.app, args.app), called)
  end
  args.app = args.app or global.app
  problem = command.problem and command.problem(args)
  if problem then return misused(problem, called) end
  local path, code = app_of(name, args, called)
  return path and command.main(path, args) or code
end

-- --- Commands of apps ------------------------------------------------------------------------

local function list_commands(app, called)
  local rows = {}
  for _, name in ipairs(commands.names(app)) do
    rows[#rows + 1] = { called .. name, app._commands[name].help or "" }
  end
  return rows
end

local function unknown_command(app, word)
  local names = app and commands.names(app) or {}
  table.move(MODULES, 1, #MODULES, #names + 1, names)
  table.sort(names)
  return arguments.unknown("command", word, names)
end

--- Runs one, and tells its error. A whole number that it returns is the exit
--- code.
local function call(app, command, args)
  local function main() return xpcall(app:ensure_sync(command.f), apps.traceback, args) end
  local ran, ok, result = pcall(apps.interruptible, app, true, main)
  io.stdout:flush()
  if not ran or not ok then
    local interrupted = require("dewar.system").interrupted()
    apps.complain(interrupted and "interrupted" or ran and result or tostring(ok))
    return interrupted and INTERRUPTED or 1
  end
  if math.type(result) ~= "integer" then return result == false and 1 or 0 end
  if result >= 0 and result <= 255 then return result end
  apps.complain(("the command returned %d; an exit code is a number from 0 to 255"):format(result))
  return 1
end

--- Runs the command that words[first] names, of the app in a file.
local function run_app_command(path, called, words, first, env)
  local app = apps.open(path, env)
  if not app then return 1 end
  local name = words[first]
  local command = app._commands[name]
  if not command then return misused(unknown_command(app, name), called) end
  called = called .. " " .. name
  local args, problem = command.arguments:parse(words, first + 1, name)
  if not args then return misused(problem, called) end
  if args.help == true and command.arguments.own_help then
    io.stdout:write(command.arguments:help(called, command.help))
    return 0
  end
  if command.arguments.own_help then args.help = nil end
  return call(app, command, args)
end

--- What an app can do, where nothing is asked of it.
local function show_app(path, env)
  local app = apps.open(path, env)
  if not app then return 1 end
  local rows = list_commands(app, "")
  for _, name in ipairs(MODULES) do
    if builtin(name).needs_app then rows[#rows + 1] = { name, "see dewar " .. name .. " --help" } end
  end
  io.stdout:write("Usage: dewar ", path, " COMMAND [arguments]\n\n", arguments.columns(rows))
  return 0
end

--- `dewar APP COMMAND ...`
local function with_app(path, words, first, global)
  local name = words[first]
  if not name or name == "--help" or name == "-h" then return show_app(path, env_of({}, global)) end
  local command = builtin(name)
  if command and command.needs_app then
    global.app = path
    return run_builtin(name, words, first + 1, global)
  end
  return run_app_command(path, "dewar " .. path, words, first, env_of({}, global))
end

--- A word that is no command of Dewar's: one of the app of this folder.
local function without_app(words, first, global)
  local path, problem = apps.default(env_of({}, global))
  if path then return run_app_command(path, "dewar", words, first, env_of({}, global)) end
  if not problem then return misused(unknown_command(nil, words[first]), "dewar") end
  apps.complain(problem)
  return 1
end

local function is_path(word)
  return word:find "%.lua$" ~= nil or word:find("/", 1, true) ~= nil
end

--- The help, with the commands of the app of this folder.
local function help(global)
  io.stdout:write(HELP)
  local env = env_of({}, global)
  local path = global.app or apps.default(env)
  local app = path and apps.open(path, env)
  if app and next(app._commands) then
    io.stdout:write("\nCommands of ", path, ":\n",
      arguments.columns(list_commands(app, "")))
  end
  return 0
end

--- Runs the command with its arguments and returns the exit code.
---@param words string[]
---@return integer
function M.main(words)
  if words[1] == nil then
    io.stderr:write(HELP)
    return 2
  end
  local global, first = GLOBAL:parse(words, 1, "dewar", true)
  if not global then return misused(first, "dewar") end
  local word = words[first]
  if global.help then return help(global) end
  if global.version then
    print("dewar " .. core.version)
    return 0
  elseif global.app and not builtin(word) then
    return with_app(global.app, words, first, global)
  elseif not word then
    return misused("a command is missing", "dewar")
  elseif builtin(word) then
    return run_builtin(word, words, first + 1, global)
  elseif is_path(word) then
    return with_app(word, words, first + 1, global)
  end
  return without_app(words, first, global)
end

return M
