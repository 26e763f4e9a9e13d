--- What is at hand in a template: values, what context processors add, Dewar's
--- own names, filters, and of Lua what has no effect elsewhere.

local core = require "dewar.core"
local filters = require "dewar.template.filters"
local markup = require "dewar.markup"
local url = require "dewar.url"
local views = require "dewar.views"

local M = {}

local LUA = {
  "assert", "error", "getmetatable", "ipairs", "next", "pairs", "pcall", "rawequal", "rawget", "rawlen", "rawset",
  "select", "setmetatable", "tonumber", "tostring", "type", "xpcall", "coroutine", "math", "string", "table", "utf8",
}

--- Of os only what tells the time.
local TIME = { clock = os.clock, date = os.date, difftime = os.difftime, time = os.time }

--- Names of Dewar that are looked up when they are used.
local LATE = { session = true, get_flashed_messages = true }

local function super()
  error("super is at hand inside of a block", 2)
end

local function each(app, values)
  local ready = {}
  for name, value in pairs(values) do
    local mt = getmetatable(value)
    local callable = type(value) == "function" or type(mt) == "table" and mt.__call
    ready[name] = callable and views.ensure_sync(app, value) or value
  end
  return ready
end

--- Dewar's names, for all templates of an app.
local function globals_of(app)
  local all = {}
  for _, name in ipairs(LUA) do all[name] = _G[name] end
  local known = setmetatable(each(app, app._template_filters), { __index = filters })
  for name, f in pairs(filters) do all[name] = f end
  for name, f in pairs(app._template_filters) do all[name] = known[name] or f end
  all.os = TIME
  all.filters = known
  all.markup, all.escape = markup.new, markup.escape
  all.array, all.null = core.array, core.null
  all.super = super
  all.config, all.current_app, all.g = app.config, app, core.g
  function all.url_for(endpoint, values)
    return (url.build(app, endpoint, values, 2)) -- no tail call: levels count
  end
  for name, value in pairs(each(app, app._template_globals)) do all[name] = value end
  return setmetatable(all, { __index = function(_, name)
    if LATE[name] then return require("dewar")[name] end
  end })
end

--- What all contexts of an app have for a metatable.
local function metatable_of(app)
  local mt = app._template_mt
  if not mt then
    mt = { __index = globals_of(app) }
    app._template_mt = mt
  end
  return mt
end

--- Of a table that finds values elsewhere, too.
local function metatable_over(values, mt)
  return { __index = function(_, name)
    local value = values[name]
    if value == nil then value = mt.__index[name] end
    return value
  end }
end

local function add_processed(app, scope, req, context)
  for _, f in ipairs(app._context_processors[scope] or {}) do
    local more = views.ensure_sync(app, f)(req)
    if more ~= nil and type(more) ~= "table" then
      error(("a context processor returns a table of values; it returned a %s"):format(type(more)), 0)
    end
    for name, value in pairs(more or {}) do context[name] = value end
  end
end

--- The names of the blueprints that a request belongs to, the outer one first.
local function scopes_of(req)
  local name, names = req.blueprint, {}
  while name do
    table.insert(names, 1, name)
    name = name:match "^(.*)%.[^.]*$"
  end
  return names
end

--- The context of a rendering: the values, over what context processors give, over
--- what is always there. A write to it is nobody else's matter.
---@param app dewar.App
---@param values table?
---@return table
function M.context(app, values)
  local req = core.has_request() and core.request() or nil
  if req and req.app ~= app then req = nil end
  local context = { request = req }
  if next(app._context_processors) then
    add_processed(app, "", req, context)
    for _, scope in ipairs(req and scopes_of(req) or {}) do add_processed(app, scope, req, context) end
  end
  local mt = metatable_of(app)
  if values then
    for name, value in pairs(values) do context[name] = value end
    local own = getmetatable(values)
    if type(own) == "table" and own.__index ~= nil then mt = metatable_over(values, mt) end
  end
  return setmetatable(context, mt)
end

return M
