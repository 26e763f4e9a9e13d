--- `dewar shell`: Lua at a prompt, with an app at hand. Each line runs in a task
--- that has the app, so what waits just works.

local core = require "dewar.core"
local apps = require "dewar.cli.app"
local inspect = require "dewar.cli.inspect"

local M = {
  needs_app = true,
  arguments = {},
  help = [[
Usage: dewar shell [APP]

Reads Lua from the terminal, or from standard input, and runs it with the app at
hand: app, client (a test client), dewar, url_for, and what the app's own
shell_context_processor adds. A line may wait, as a view may; the values of an
expression are shown. What isn't finished goes on on the next line.

  Ctrl-C    interrupts what a line has started; drops a line that is typed
  Ctrl-D    leaves
  Tab       completes globals, fields and methods
  Up, Down  go through the history, which is kept in
            $XDG_STATE_HOME/dewar/shell_history (~/.local/state)

  --env-file PATH  read variables from this file, too
  --no-env         read no .env and no .dewarenv
  --help           show this

Without APP it is what DEWAR_APP says, or else app.lua or init.lua.
]],
}

-- --- Names at hand ---------------------------------------------------------------------------

--- What lines see as globals.
local function names(app, client)
  local env = {
    app = app,
    client = client,
    dewar = require "dewar",
    url_for = function(...) return app:url_for(...) end,
  }
  for _, processor in ipairs(app._shell_context) do
    local ok, more = apps.call(app, processor)
    if not ok then
      apps.complain(more)
    elseif type(more) == "table" then
      for name, value in pairs(more) do env[name] = value end
    end
  end
  return setmetatable(env, { __index = _G })
end

-- --- Completion --------------------------------------------------------------------------------

--- The names in a value, and in what its fields are looked up in.
local function collect(value, found)
  for _ = 1, 10 do
    if type(value) == "table" then
      for key in next, value do
        if type(key) == "string" and key:find "^%a[%w_]*$" then found[key] = true end
      end
    end
    local mt = debug.getmetatable(value)
    value = type(mt) == "table" and rawget(mt, "__index")
    if type(value) ~= "table" then return end
  end
end

--- A field, without running anything.
local function field(value, key)
  for _ = 1, 10 do
    if type(value) == "table" then
      local found = rawget(value, key)
      if found ~= nil then return found end
    end
    local mt = debug.getmetatable(value)
    value = type(mt) == "table" and rawget(mt, "__index")
    if type(value) ~= "table" then return nil end
  end
end

--- What all of them begin with.
local function common(list)
  local first, last = list[1], list[#list]
  local n = 0
  while n < #first and first:byte(n + 1) == last:byte(n + 1) do n = n + 1 end
  return first:sub(1, n)
end

--- What completes a text: what to add to it, and the names where there are several.
---@param env table
---@param text string up to the cursor
---@return string? insertion, string? list
function M.complete(env, text)
  local path, word = text:match "([%a_][%w_.:]*[.:])([%w_]*)$"
  if not path then path, word = "", text:match "[%a_]?[%w_]*$" end
  local value = env
  for name in path:gmatch "[%w_]+" do
    value = field(value, name)
    if value == nil then return nil end
  end
  local found, list = {}, {}
  collect(value, found)
  for name in pairs(found) do
    if name:sub(1, #word) == word then list[#list + 1] = name end
  end
  table.sort(list)
  if #list == 0 then return nil end
  local insertion = common(list):sub(#word + 1)
  if #list == 1 then return insertion end
  return insertion ~= "" and insertion or nil, insertion == "" and table.concat(list, "  ") or nil
end

-- --- Lines -------------------------------------------------------------------------------------

local function history_path(system)
  local home = os.getenv "HOME"
  local state = os.getenv "XDG_STATE_HOME" or home and home .. "/.local/state"
  if not state or state:sub(1, 1) ~= "/" then return nil end
  local path = ""
  for part in (state .. "/dewar"):gmatch "[^/]+" do
    path = path .. "/" .. part
    system.mkdir(path)
  end
  return path .. "/shell_history"
end

--- A reader of lines: f(prompt) gives a line; nil at the end; false: drop it.
local function reader(system, env)
  local terminal = system.is_terminal(0)
  if terminal and system.is_terminal(1) and system.editor then
    local editor = system.editor(function(text) return M.complete(env, text) end, history_path(system))
    return function(prompt) return editor:read(prompt) end, function(text) editor:add(text) end
  end
  return function(prompt)
    if terminal then
      io.stdout:write(prompt)
      io.stdout:flush()
    end
    return (io.read "l")
  end, function() end
end

--- A function for a text; or nil, the message, and whether more is to come. As
--- in Lua's own prompt "=x" is short for "return x".
local function compile(text, env)
  text = text:gsub("^%s*=", "return ", 1)
  local chunk = load("return " .. text, "=shell", "t", env)
  if chunk then return chunk end
  local problem
  chunk, problem = load(text, "=shell", "t", env)
  return chunk, problem, problem ~= nil and problem:find "<eof>$" ~= nil
end

--- Reads lines until they make a chunk.
local function read_chunk(read, env)
  local text = read "> "
  if not text then return text end
  while true do
    local chunk, problem, unfinished = compile(text, env)
    if chunk or not unfinished then return text, chunk, problem end
    local more = read ">> "
    if more == false then return false end
    if more == nil then return text, nil, problem end
    text = text .. "\n" .. more
  end
end

local function describe(err)
  if core.is_cancelled(err) then return "interrupted" end
  return apps.traceback(err)
end

--- What the values of a chunk are, as text; the app is still at hand here.
local function show_all(...)
  local texts = table.pack(...)
  for i = 1, texts.n do texts[i] = inspect.show(texts[i]) end
  return table.concat(texts, "\t")
end

--- Runs a chunk, which Ctrl-C interrupts. Whether it went well, and the text of
--- its values or of what went wrong.
local function run(app, chunk)
  local ok, went_well, text = pcall(apps.interruptible, app, false, function()
    local results = table.pack(xpcall(chunk, describe))
    if not results[1] then return false, results[2] end
    return xpcall(show_all, describe, table.unpack(results, 2, results.n))
  end)
  if ok then return went_well, text end
  return false, core.is_cancelled(went_well) and "interrupted" or tostring(went_well)
end

local function print_result(ok, text)
  if not ok then
    io.stderr:write(text, "\n")
  elseif text ~= "" then
    print(text)
  end
end

---@param path string
---@param args table
---@return integer code
function M.main(path, args)
  local system = require "dewar.system"
  core.log.level = "warn"
  local app = apps.open(path, args.env)
  if not app then return 1 end
  local client <close> = app:test_client()
  local env = names(app, client)
  local read, remember = reader(system, env)
  local terminal = system.is_terminal(0)
  system.interrupts() -- between lines Ctrl-C ends nothing
  if terminal then
    print(("Dewar %s, %s. app of %s; client, dewar, url_for. Ctrl-D leaves."):format(core.version, _VERSION, path))
  end
  while true do
    local text, chunk, problem = read_chunk(read, env)
    if text == nil then break end
    if text and text:find "%S" then
      remember(text)
      if chunk then
        print_result(run(app, chunk))
      else
        io.stderr:write(problem, "\n")
      end
      io.stdout:flush()
    end
  end
  if terminal then print() end
  return 0
end

return M
