--- What an app has to do with templates. The engine is loaded when the first one
--- is rendered.

local Scaffold = require "dewar.scaffold"

---@class dewar.App
local App = {}

local function templates()
  return require "dewar.template"
end

--- What renders: another one may take its place. See docs/templates.md.
---@type dewar.TemplateEngine
App.template_engine = setmetatable({}, { __index = function(_, name) return templates().engine[name] end })

--- What a new app has for its templates.
function App:_init_templates()
  self._registered = {}
  self._context_processors = {}
  self._template_filters, self._template_globals = {}, {}
  self._templates = {}
  self._string_templates = { new = {}, old = {}, n = 0 }
end

-- --- Setting up -------------------------------------------------------------------------

local KEYWORDS = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or
  repeat return then true until while]]):gmatch "%a+" do
  KEYWORDS[word] = true
end

--- Raises unless the name can be used in a template.
function App._check_template_name(method, name, level)
  if type(name) == "string" and name:find "^[%a_][%w_]*$" and not KEYWORDS[name] then return end
  error(("%s: the first argument is a name as Lua has them; got %s")
    :format(method, type(name) == "string" and "'" .. name .. "'" or "a " .. type(name)), level + 1)
end

function App._check_template_value(method, value, level)
  if value == nil then error(method .. ": the second argument is the value; got nil", level + 1) end
end

function App:_add_template_name(kind, name, value)
  self[kind][name] = value
  self._template_mt = nil
end

--- Makes a function known to all templates, by its name and in `filters`: it gets
--- the value, and what else the template gives it. It may wait.
---@param name string
---@param f fun(value: any, ...: any): any
---@return function f
function App:template_filter(name, f)
  self:_check_setup("template_filter", 2)
  App._check_template_name("template_filter", name, 2)
  Scaffold._check_callable("template_filter", "the filter", f, 2)
  self:_add_template_name("_template_filters", name, f)
  return f
end

--- Makes a function, or another value, known to all templates.
---@generic T
---@param name string
---@param value T
---@return T value
function App:template_global(name, value)
  self:_check_setup("template_global", 2)
  App._check_template_name("template_global", name, 2)
  App._check_template_value("template_global", value, 2)
  self:_add_template_name("_template_globals", name, value)
  return value
end

--- Whether a template gives out HTML, so that values are escaped: by its
--- extension. An app may override it.
---@param name string
---@return boolean
function App:select_autoescape(name) -- luacheck: ignore self
  return require("dewar.template.loader").escapes(name)
end

-- --- Rendering ----------------------------------------------------------------------------

--- Renders a template for this app; in a request `dewar.render_template` does.
---@param name string|string[] of a list the first that there is
---@param values? table
---@return string
function App:render_template(name, values)
  return (templates().call(self, "render_template", name, values, 2)) -- no tail calls: levels count
end

--- Renders a template that is a text.
---@param text string
---@param values? table
---@return string
function App:render_template_string(text, values)
  return (templates().call(self, "render_template_string", text, values, 2))
end

--- Renders a template in pieces, for a view to return or for a loop.
---@param name string|string[]
---@param values? table
---@return fun(): string?
function App:stream_template(name, values)
  return (templates().call(self, "stream_template", name, values, 2))
end

--- Renders a template that is a text in pieces.
---@param text string
---@param values? table
---@return fun(): string?
function App:stream_template_string(text, values)
  return (templates().call(self, "stream_template_string", text, values, 2))
end

return App
