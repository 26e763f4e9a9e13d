--- `dewar test`: runs an app's specs by busted, in this very Lua.

local core = require "dewar.core"
local apps = require "dewar.cli.app"
local env = require "dewar.cli.env"

local M = {
  raw = true, -- all words are busted's
  help = [[
Usage: dewar test [arguments of busted]

Runs the specs in spec/ by busted, inside of Dewar: require "dewar" finds this
version, require "app" the app of this folder, and modules beside it. Variables
of .env and .dewarenv are set.

  dewar test                         all of spec/
  dewar test spec/shop_spec.lua      one file
  dewar test --filter "logs in"      what has these words in its name
  dewar test --help                  show this, and what busted takes

The exit code is busted's: 0 where all specs pass.
]],
}

local MISSING = [[busted, which runs specs, isn't installed for Lua 5.4.
  Debian, Ubuntu:  apt install lua-busted
  elsewhere:       luarocks --lua-version 5.4 install busted]]

--- Runs f, which ends the process by os.exit; the exit code. The process ends by
--- itself then, as everything in it does.
local function until_exit(f, ...)
  local ending = { code = true }
  local exit = os.exit
  rawset(os, "exit", function(code)
    ending.code = code
    error(ending, 0)
  end)
  local ok, err = xpcall(f, function(err)
    return rawequal(err, ending) and err or debug.traceback(tostring(err), 2)
  end, ...)
  rawset(os, "exit", exit)
  if not ok and err ~= ending then error(err, 0) end
  local code = ending.code
  if math.type(code) == "integer" then return math.min(code, 255) end
  return code == false and 1 or 0
end

---@param words string[]
---@param opts dewar.EnvOptions
---@return integer code
function M.main(words, opts)
  if words[1] == "--help" then io.stdout:write(M.help, "\n") end
  package.path = "./?.lua;./?/init.lua;" .. package.path
  local app = apps.default(opts)
  local folder = app and apps.folder_of(app)
  if folder and folder ~= "." then apps.use_folder(app) end
  local problem = env.load(folder, opts)
  if problem then
    apps.complain(problem)
    return 1
  end
  local found, runner = pcall(require, "busted.runner")
  if not found then
    if not tostring(runner):find("module 'busted.runner' not found", 1, true) then error(runner, 0) end
    apps.complain(MISSING)
    return 1
  end
  core.log.level = "warn" -- requests aren't news here
  -- What busted looks at: its arguments, and the name it goes by.
  local argv = { [0] = "dewar test" }
  table.move(words, 1, #words, 1, argv)
  _G.arg = argv
  return until_exit(runner, { standalone = false })
end

return M
