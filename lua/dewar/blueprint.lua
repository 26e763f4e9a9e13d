--- Blueprints: parts of an app that are set up by themselves and registered
--- under a prefix, a subdomain, a name; they nest.

local commands = require "dewar.commands"
local files = require "dewar.files"
local options = require "dewar.options"
local Scaffold = require "dewar.scaffold"
local templates = require "dewar.template.app"

---@class dewar.Blueprint: dewar.Scaffold
---@field name string
---@field url_prefix string?
---@field root_path string the folder of the file that made it
---@field static_folder string?
---@field static_url_path string?
---@field template_folder string?
local Blueprint = setmetatable({}, { __index = Scaffold })
Blueprint.__index = Blueprint
Blueprint.__name = "dewar.Blueprint"

local OPTIONS = {
  "url_prefix", "subdomain", "url_defaults", "root_path", "static_folder", "static_url_path", "template_folder",
}
local REGISTER_OPTIONS = { "name", "url_prefix", "subdomain", "url_defaults" }

local function check_name(method, name, level)
  if type(name) ~= "string" or not name:find "^[%w_-]+$" then
    error(("%s: a blueprint's name has letters, digits, '_' and '-', no dots; got %s")
      :format(method, type(name) == "string" and "'" .. name .. "'" or "a " .. type(name)), level + 1)
  end
end

local function check_prefix(method, prefix, level)
  if prefix ~= nil and (type(prefix) ~= "string" or prefix:sub(1, 1) ~= "/") then
    error(method .. ": url_prefix must be a string that starts with '/'", level + 1)
  end
end

---@class dewar.BlueprintOptions
---@field url_prefix? string
---@field subdomain? string
---@field url_defaults? table defaults of all of its routes
---@field root_path? string default the folder of the file that calls this
---@field static_folder? string in root_path; served below the prefix
---@field static_url_path? string default: "/" and the folder's name
---@field template_folder? string in root_path; the app's own templates win

--- A new blueprint.
---@param name string unique in the app, without dots
---@param opts? dewar.BlueprintOptions
---@return dewar.Blueprint
function Blueprint.new(name, opts)
  check_name("blueprint", name, 2)
  opts = options.check("blueprint", opts, OPTIONS, 2)
  check_prefix("blueprint", opts.url_prefix, 2)
  options.check_type("blueprint", opts, "subdomain", "string", 2)
  options.check_type("blueprint", opts, "url_defaults", "table", 2)
  options.check_type("blueprint", opts, "root_path", "string", 2)
  options.check_type("blueprint", opts, "template_folder", "string", 2)
  local self = setmetatable({
    name = name,
    url_prefix = opts.url_prefix,
    root_path = opts.root_path or options.folder_at(2),
    template_folder = opts.template_folder,
    subdomain = opts.subdomain,
    _defaults = opts.url_defaults,
    _records = {},
    _used = false,
  }, Blueprint)
  files.mount_own(self, opts, nil, "blueprint", 2)
  return self
end

function Blueprint:__tostring()
  return ("dewar.Blueprint: %s"):format(self.name)
end

--- What is added after the registration would be lost.
function Blueprint:_check_setup(method, level)
  if self._used then
    error(("%s was called on the blueprint '%s' after it had been registered; set it up before")
      :format(method, self.name), level + 1)
  end
end

function Blueprint:_record(f)
  self._records[#self._records + 1] = f
end

function Blueprint:_add_rule(rule, opts, view)
  self:_record(function(state, level)
    state:add_rule(rule, opts, view, level + 1)
  end)
end

function Blueprint:_add(kind, app_wide, f, class)
  self:_record(function(state)
    state.app:_add_to(not app_wide and state.scope or nil, not app_wide and state.name or nil,
      kind, f, class)
  end)
end

for name, kind in pairs {
  before_app_request = "before",
  after_app_request = "after",
  teardown_app_request = "teardown",
  app_context_processor = "context_processors",
  before_app_serving = "before_serving",
  while_app_serving = "while_serving",
  after_app_serving = "after_serving",
} do
  Scaffold._app_hook(name, kind, true)
  Blueprint[name], Scaffold[name] = Scaffold[name], nil
end

--- Handles errors of the whole app.
---@param key integer|table
---@param f fun(req: dewar.Request, err: any): any
function Blueprint:app_errorhandler(key, f)
  self:_check_setup("app_errorhandler", 2)
  local class = self._error_class("app_errorhandler", key, 2)
  self._check_callable("app_errorhandler", "the handler", f, 2)
  self:_add("error", true, f, class)
  return f
end

--- Makes a function known to all templates of the app; see App:template_filter.
---@param name string
---@param f fun(value: any, ...: any): any
---@return function f
function Blueprint:app_template_filter(name, f)
  self:_check_setup("app_template_filter", 2)
  templates._check_template_name("app_template_filter", name, 2)
  self._check_callable("app_template_filter", "the filter", f, 2)
  self:_record(function(state) state.app:_add_template_name("_template_filters", name, f) end)
  return f
end

--- Makes a value known to all templates of the app; see App:template_global.
---@generic T
---@param name string
---@param value T
---@return T value
function Blueprint:app_template_global(name, value)
  self:_check_setup("app_template_global", 2)
  templates._check_template_name("app_template_global", name, 2)
  templates._check_template_value("app_template_global", value, 2)
  self:_record(function(state) state.app:_add_template_name("_template_globals", name, value) end)
  return value
end

--- Adds a command to the app, whose name begins with the blueprint's: "shop.seed".
--- See App:command.
---@param name string
---@param arguments dewar.CommandArguments
---@param f fun(args: table): any
---@return function f
---@overload fun(self, name: string, f: function): function
function Blueprint:command(name, arguments, f)
  self:_check_setup("command", 2)
  local command
  command, f = commands.new(self, name, arguments, f, 2)
  self:_record(function(state, level)
    commands.add(state.app, state.name .. "." .. name, command, level + 1)
  end)
  return f
end

--- Nests another blueprint in this one.
---@param child dewar.Blueprint
---@param opts? dewar.RegisterOptions
function Blueprint:register_blueprint(child, opts)
  self:_check_setup("register_blueprint", 2)
  opts = Blueprint._check_registration(child, opts, 2)
  if child == self then
    error("register_blueprint: a blueprint can't be registered on itself", 2)
  end
  self:_record(function(state, level)
    child:_register(state.app, opts, state, level + 1)
  end)
end

---@class dewar.RegisterOptions
---@field name? string in place of its own, to register it again
---@field url_prefix? string in place of its own
---@field subdomain? string
---@field url_defaults? table

function Blueprint._check_registration(child, opts, level)
  if getmetatable(child) ~= Blueprint then
    error("register_blueprint takes a blueprint; got a " .. type(child), level + 1)
  end
  -- What `require "pages"` gives beside the blueprint: where it was found.
  if type(opts) == "string" then opts = nil end
  opts = options.check("register_blueprint", opts, REGISTER_OPTIONS, level + 1)
  if opts.name ~= nil then check_name("register_blueprint", opts.name, level + 1) end
  check_prefix("register_blueprint", opts.url_prefix, level + 1)
  options.check_type("register_blueprint", opts, "subdomain", "string", level + 1)
  options.check_type("register_blueprint", opts, "url_defaults", "table", level + 1)
  return opts
end

--- Joins with exactly one slash.
local function join(prefix, rule)
  if not prefix or prefix == "" then return rule end
  return (prefix:gsub("/+$", "")) .. "/" .. (rule:gsub("^/+", ""))
end

local function merged(...)
  local all = {}
  for i = 1, select("#", ...) do
    for k, v in pairs((select(i, ...)) or {}) do all[k] = v end
  end
  return next(all) and all or nil
end

--- A registration under way: where its rules go.
local State = {}
State.__index = State

function State:add_rule(rule, opts, view, level)
  local own = {}
  for k, v in pairs(opts) do own[k] = v end
  own.defaults = merged(self.defaults, opts.defaults)
  own.subdomain = opts.subdomain or self.subdomain
  if opts.endpoint then own.endpoint = self.name .. "." .. opts.endpoint end
  if self.prefix and rule ~= "" then
    rule = join(self.prefix, rule)
  elseif self.prefix then
    rule = self.prefix
  end
  self.app:_add_core_rule(rule, own, view, self.scope, level + 1)
end

function Blueprint:_register(app, opts, parent, level)
  local name = opts.name or self.name
  if parent then name = parent.name .. "." .. name end
  if app.blueprints[name] then
    error(("register_blueprint: the name '%s' is taken; register it again with { name = \"other\" }")
      :format(name), level + 1)
  end
  local prefix = opts.url_prefix or self.url_prefix
  local subdomain = opts.subdomain or self.subdomain
  if parent and parent.prefix then prefix = prefix and join(parent.prefix, prefix) or parent.prefix end
  if parent and parent.subdomain then
    subdomain = subdomain and subdomain .. "." .. parent.subdomain or parent.subdomain
  end
  app.blueprints[name] = self
  app._registered[#app._registered + 1] = self
  self._used = true
  local state = setmetatable({
    app = app,
    name = name,
    prefix = prefix,
    subdomain = subdomain,
    defaults = merged(parent and parent.defaults, self._defaults, opts.url_defaults),
    scope = app._core:add_scope(name, parent and parent.scope),
  }, State)
  for _, record in ipairs(self._records) do record(state, level + 1) end
end

return Blueprint
