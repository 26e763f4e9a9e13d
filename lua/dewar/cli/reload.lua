--- A worker's part of live reload: it tells the supervisor which files the app is
--- made of, each before it is read, with the mark that it had then. So a change is
--- noticed whenever it comes.

local core = require "dewar.core"
local env = require "dewar.cli.env"
local folders = require "dewar.template.loader".folders

local M = {}

local told = {}

--- Tells of a file, or of a folder and all that is in it.
local function tell(system, kind, path)
  path = path:gsub("^%./", "")
  if told[path] then return end
  told[path] = true
  system.tell(core.json.encode { [kind] = path, mark = system.mark(path) or false })
end

--- Only what lies in the project changes: in this folder, or in the app's.
local function in_project(path, folder)
  if path:sub(1, 1) ~= "/" then return true end
  return folder:sub(1, 1) == "/" and path:sub(1, #folder + 1) == folder .. "/"
end

--- A module that is missing may be written yet: where it would be looked for.
local function tell_candidates(system, name, folder)
  local relative = name:gsub("%.", "/")
  for template in package.path:gmatch "[^;]+" do
    if in_project(template, folder) then tell(system, "file", (template:gsub("%?", (relative:gsub("%%", "%%%%"))))) end
  end
end

--- Has every Lua file told that is read from now on. The searcher finds nothing
--- itself: it only looks on, and is in no traceback.
local function watch_requires(system, folder)
  table.insert(package.searchers, 2, function(name)
    local path = package.searchpath(name, package.path)
    if not path then
      tell_candidates(system, name, folder)
    elseif in_project(path, folder) then
      tell(system, "file", path)
    end
  end)
  for _, name in ipairs { "loadfile", "dofile" } do
    local original = _G[name]
    _G[name] = function(path, ...)
      if type(path) == "string" and in_project(path, folder) then tell(system, "file", path) end
      return original(path, ...)
    end
  end
end

--- Before the app is loaded.
---@param system table
---@param path string of the app
---@param folder string
---@param args table
function M.begin(system, path, folder, args)
  for _, each in ipairs(env.paths(folder, args.env)) do tell(system, "file", each) end
  for _, each in ipairs(args.reload_include) do
    tell(system, system.kind(each) == "folder" and "folder" or "file", each)
  end
  tell(system, "file", path)
  watch_requires(system, folder)
end

--- When it is loaded.
---@param system table
---@param app dewar.App
function M.loaded(system, app)
  for _, folder in ipairs(folders(app)) do tell(system, "folder", folder) end
end

return M
