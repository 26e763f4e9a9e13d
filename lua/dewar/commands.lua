--- Commands of apps and blueprints: `app:command("seed", { "file" }, f)` is run by
--- `dewar seed FILE`. Here they are kept; dewar.cli runs them. See docs/cli.md.

local arguments = require "dewar.cli.arguments"
local options = require "dewar.options"

local M = {}

---@class dewar.Command
---@field f function
---@field arguments dewar.Arguments
---@field help string?

---@class dewar.CommandArguments what it takes, in order: names, or tables that say more
---@field help? string what the command does
---@field [integer] string|dewar.Argument

local function check_name(name, level)
  if type(name) ~= "string" or not name:find "^%a[%w_-]*$" then
    error(("command: a name has letters, digits, '_' and '-'; got %s")
      :format(type(name) == "string" and "'" .. name .. "'" or "a " .. type(name)), level + 1)
  end
end

local function split(list, level)
  local entries, help = {}, nil
  for key, value in pairs(list) do
    if key == "help" and type(value) == "string" then
      help = value
    elseif math.type(key) == "integer" and key >= 1 and key <= #list then
      entries[key] = value
    elseif key == "help" then
      error("command: help is a string; got a " .. type(value), level + 1)
    else
      local near = type(key) == "string" and options.nearest(key, { "help" })
      error(("command: unknown key '%s'%s"):format(tostring(key),
        near and "; did you mean 'help'?" or "; arguments are a list, and help"), level + 1)
    end
  end
  return entries, help
end

--- Checks what `command` was given, on behalf of the level.
---@return dewar.Command command, function f
function M.new(scaffold, name, list, f, level)
  check_name(name, level + 1)
  if f == nil and type(list) ~= "table" then list, f = {}, list end
  if type(list) ~= "table" then
    error("command: the arguments are a list; got a " .. type(list), level + 1)
  end
  scaffold._check_callable("command", "what it runs", f, level + 1)
  local entries, help = split(list, level + 1)
  return { f = f, arguments = arguments.new(entries, level + 1), help = help }, f
end

--- Adds one to an app; raises at the level where the name is taken.
---@param app dewar.App
---@param name string
---@param command dewar.Command
---@param level integer
function M.add(app, name, command, level)
  if app._commands[name] then
    error(("command: the name '%s' is taken"):format(name), level + 1)
  end
  app._commands[name] = command
end

--- The names of an app's commands, sorted.
---@param app dewar.App
---@return string[]
function M.names(app)
  local names = {}
  for name in pairs(app._commands) do names[#names + 1] = name end
  table.sort(names)
  return names
end

return M
