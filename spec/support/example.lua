--- Examples that specs use: loaded as the command does it, with the modules
--- beside them.
local M = {}

--- The app of examples/NAME, and a function that forgets its modules again.
---@param name string "quickstart/app.lua"
function M.load(name)
  local path = "examples/" .. name
  local search, loaded = package.path, {}
  for module in pairs(package.loaded) do loaded[module] = true end
  package.path = path:match "^(.*)/" .. "/?.lua;" .. search
  local app = assert(loadfile(path))(path)
  package.path = search
  return app, function()
    for module in pairs(package.loaded) do
      if not loaded[module] and not module:find "^dewar" then package.loaded[module] = nil end
    end
  end
end

return M
