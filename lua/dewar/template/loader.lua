--- Finds templates in the folders of an app and its blueprints, and keeps them
--- compiled.

local compiler = require "dewar.template.compiler"
local errors = require "dewar.template.errors"
local options = require "dewar.options"

local M = {}

local ESCAPED = { html = true, htm = true, xml = true, xhtml = true, svg = true }

--- Whether templates of a name give out HTML or XML.
---@param name string
---@return boolean
function M.escapes(name)
  local extension = name:match "%.([%w]+)$"
  return extension ~= nil and ESCAPED[extension:lower()] == true
end

--- The folders in which an app looks for templates, in order.
---@param app dewar.App
---@return string[]
function M.folders(app)
  local folders, seen = {}, {}
  local function add(folder)
    if not seen[folder] then folders[#folders + 1] = folder end
    seen[folder] = true
  end
  add(options.join_path(app.root_path, app.template_folder))
  for _, blueprint in ipairs(app._registered) do
    if blueprint.template_folder then
      add(options.join_path(blueprint.root_path, blueprint.template_folder))
    end
  end
  return folders
end

--- A name stays inside of its folder: no "..", nothing absolute, one way to write
--- it.
local function is_inside(name)
  if name == "" or name:find "[\0\\]" or name:sub(1, 1) == "/" or name:sub(-1) == "/" then return false end
  for part in name:gmatch "[^/]*" do
    if part == "" or part == "." or part == ".." then return false end
  end
  return true
end

-- What io.open says where there is no such file.
local ENOENT, ENOTDIR, ENAMETOOLONG = 2, 20, 36

--- The text of a file; nil where there is none, or nil and why it can't be had.
local function read(path)
  local file, message, code = io.open(path, "rb")
  if not file then
    local missing = code == ENOENT or code == ENOTDIR or code == ENAMETOOLONG
    return nil, not missing and message or nil
  end
  local text = file:read "a" -- nil of a folder
  file:close()
  return text
end

--- A path as messages have it: without the app's own folder.
local function display(app, path)
  local root = options.join_path(app.root_path, "")
  if root ~= "" and path:sub(1, #root) == root then return path:sub(#root + 1) end
  return path
end

local function not_found(app, names, position)
  local quoted, folders = {}, M.folders(app)
  for i, name in ipairs(names) do quoted[i] = "'" .. tostring(name) .. "'" end
  local where = table.concat(folders, ", ")
  local text = ("there is no template %s in %s"):format(table.concat(quoted, " or "), where)
  if #names == 1 and not (type(names[1]) == "string" and is_inside(names[1])) then
    text = ("%s can't be a template's name, which is a path inside of %s"):format(quoted[1], where)
  end
  error(errors.NotFound(position and position .. ": " .. text or text,
    { template = names[1], folders = folders }), 0)
end

local function compile(app, name, path, source)
  local escaping = app:select_autoescape(name)
  return compiler.compile(source, name, display(app, path), escaping and true or false)
end

--- Reads anew what may have changed; the same text is the same template.
local function find(app, name, cache, position)
  for _, folder in ipairs(M.folders(app)) do
    local path = options.join_path(folder, name)
    local source, failure = read(path)
    if failure then
      error(("%sthe template '%s' can't be read: %s"):format(position and position .. ": " or "", name, failure), 0)
    end
    if source then
      local entry = cache[name]
      if not entry or entry.path ~= path or entry.source ~= source then
        entry = { path = path, source = source, template = compile(app, name, path, source) }
        cache[name] = entry
      end
      return entry.template
    end
  end
end

local function reloads(app)
  local reload = app.config.TEMPLATES_AUTO_RELOAD
  if reload == nil then return app.config.DEBUG end
  return reload
end

--- The template of a name, or the first that there is of a list of names; raises
--- a TemplateNotFound.
---@param app dewar.App
---@param name string|string[]
---@param position? string of who asks, for the message
---@param optional? boolean nil instead of an error
---@return dewar.Template
function M.get(app, name, position, optional)
  local cache = app._templates
  local names = type(name) == "table" and name or { name }
  local fresh = not reloads(app)
  for _, each in ipairs(names) do
    local entry = fresh and cache[each]
    if entry then return entry.template end
    local template = type(each) == "string" and is_inside(each) and find(app, each, cache, position)
    if template then return template end
  end
  if not optional then return not_found(app, names, position) end
end

-- --- Templates in strings -------------------------------------------------------------

--- Keeps this many, and as many of those that came before.
local KEPT = 64

--- The template of a text; those that were used last are kept compiled.
---@param app dewar.App
---@param text string
---@return dewar.Template
function M.of_string(app, text)
  local kept = app._string_templates
  local template = kept.new[text] or kept.old[text]
  template = template or compiler.compile(text, "<template>", "<template>", true)
  if not kept.new[text] then
    if kept.n >= KEPT then kept.old, kept.new, kept.n = kept.new, {}, 0 end
    kept.new[text], kept.n = template, kept.n + 1
  end
  return template
end

return M
