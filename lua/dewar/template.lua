--- Templates: HTML with Lua in it. This is the engine that an app has unless it
--- sets `app.template_engine`, and what stands in front of either.

local environment = require "dewar.template.environment"
local loader = require "dewar.template.loader"
local runtime = require "dewar.template.runtime"
local signals = require "dewar.signals"
local views = require "dewar.views"

local M = {}

local before_render = signals.signal "before_render_template"
local rendered = signals.signal "template_rendered"

--- What an app's `template_engine` must have, and may have. A context is a table
--- of values, with url_for and the other names that are always there behind it.
---@class dewar.TemplateEngine
---@field render fun(app: dewar.App, name: string|string[], context: table): string
---@field render_string? fun(app: dewar.App, text: string, context: table): string
---@field stream? fun(app: dewar.App, name: string|string[], context: table): fun(): string?
---@field stream_string? fun(app: dewar.App, text: string, context: table): fun(): string?

---@type dewar.TemplateEngine
local engine = {}
M.engine = engine

local function loading(app)
  return function(name, position, optional)
    return loader.get(app, name, position, optional)
  end
end

function engine.render(app, name, context)
  return runtime.render(loader.get(app, name), context, loading(app))
end

function engine.render_string(app, text, context)
  return runtime.render(loader.of_string(app, text), context, loading(app))
end

function engine.stream(app, name, context)
  return runtime.stream(loader.get(app, name), context, loading(app))
end

function engine.stream_string(app, text, context)
  return runtime.stream(loader.of_string(app, text), context, loading(app))
end

-- --- In front of an engine ---------------------------------------------------------------

--- What the public functions call of an engine.
local CALLS = {
  render_template = "render",
  render_template_string = "render_string",
  stream_template = "stream",
  stream_template_string = "stream_string",
}

local function check_source(method, source, level)
  if type(source) == "string" then return end
  local by_name = not method:find "_string$"
  local is_list = by_name and type(source) == "table"
  if is_list and #source > 0 then return end
  error(("%s takes %s; got %s"):format(method,
    by_name and "a template's name, or a list of names" or "a template as a text",
    is_list and "an empty list" or "a " .. type(source)), level + 1)
end

local function check_values(method, values, level)
  if values ~= nil and type(values) ~= "table" then
    error(("%s: the values are a table by name; got a %s"):format(method, type(values)), level + 1)
  end
end

--- The function of the app's engine, which may lack those for streams: then what
--- it renders is one piece.
local function engine_call(app, method, level)
  local own, name = app.template_engine, CALLS[method]
  if type(own) ~= "table" then
    error(("%s: app.template_engine must be a table with a function render; it is a %s")
      :format(method, type(own)), level + 1)
  end
  local call = own[name]
  if call then return views.ensure_sync(app, call) end
  local whole = name:find "^stream" and own[name == "stream" and "render" or "render_string"]
  if not whole then
    error(("%s: the app's template_engine has no %s(app, %s, context)"):format(method, name,
      name:find "_string$" and "text" or "name"), level + 1)
  end
  return function(...)
    local text = views.ensure_sync(app, whole)(...)
    return coroutine.wrap(function() coroutine.yield(text) end)
  end
end

--- The pieces, and the signal behind the last one.
local function with_signal(app, pieces, fields)
  if #rendered:receivers(app) == 0 then return pieces end
  return coroutine.wrap(function()
    for piece in pieces do coroutine.yield(piece) end
    rendered:send(app, fields)
  end)
end

--- Renders for one of the public functions; misuse is the mistake of the caller's
--- caller.
---@param app dewar.App
---@param method string
---@param source string|string[]
---@param values table?
---@param level integer
function M.call(app, method, source, values, level)
  check_source(method, source, level + 1)
  check_values(method, values, level + 1)
  local call = engine_call(app, method, level + 1)
  local context = environment.context(app, values)
  local fields = { template = not method:find "_string$" and source or nil, context = context }
  before_render:send(app, fields)
  local result = call(app, source, context)
  if CALLS[method]:find "^stream" then return with_signal(app, result, fields) end
  rendered:send(app, fields)
  return result
end

return M
