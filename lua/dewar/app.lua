--- An app: routes, hooks, error handlers, blueprints, settings. What serves it
--- is C; this is what is pleasant about it.

local core = require "dewar.core"
local Blueprint = require "dewar.blueprint"
local commands = require "dewar.commands"
local config = require "dewar.config"
local files = require "dewar.files"
local mount = require "dewar.mount"
local options = require "dewar.options"
local Scaffold = require "dewar.scaffold"
local session = require "dewar.session"
local signals = require "dewar.signals"
local templates = require "dewar.template.app"
local url = require "dewar.url"

---@class dewar.App: dewar.Scaffold
---@field name string
---@field root_path string the folder of the file that made it; others are relative to it
---@field static_folder string? what is served at static_url_path
---@field static_url_path string?
---@field template_folder string where render_template looks first
---@field config dewar.Config
---@field blueprints table<string, dewar.Blueprint>
---@field url_map table `.converters` takes new ones; `:rules()` lists the routes
---@field session_interface dewar.SessionInterface opens and saves sessions; see docs/sessions.md
local App = setmetatable({}, { __index = Scaffold })
App.__index = App
App.__name = "dewar.App"
for name, value in pairs(templates) do App[name] = value end

local OPTIONS = { "name", "config", "root_path", "static_folder", "static_url_path", "template_folder" }

--- `url_map.converters.hex = { ... }` makes <hex:n> known to rules added later.
local function converters(app_core)
  local known = {}
  return setmetatable({}, {
    __index = known,
    __newindex = function(_, name, converter)
      options.call(2, app_core.add_converter, app_core, name, converter)
      known[name] = converter
    end,
    __pairs = function() return next, known end,
  })
end

---@class dewar.AppOptions
---@field name? string
---@field config? table
---@field root_path? string default the folder of the file that calls this
---@field static_folder? string|false in root_path; default "static", if it is there
---@field static_url_path? string default: "/" and the folder's name
---@field template_folder? string in root_path; default "templates"

--- A new app; `dewar.app()` is short for it.
---@param opts? dewar.AppOptions
---@return dewar.App
function App.new(opts)
  opts = options.check("app", opts, OPTIONS, 2)
  options.check_type("app", opts, "name", "string", 2)
  options.check_type("app", opts, "config", "table", 2)
  options.check_type("app", opts, "root_path", "string", 2)
  options.check_type("app", opts, "template_folder", "string", 2)
  local self = setmetatable({
    name = opts.name or "app",
    root_path = opts.root_path or options.folder_at(2),
    template_folder = opts.template_folder or "templates",
    blueprints = {},
    _commands = {},
    _mounts = {},
    _shell_context = {},
    _url_defaults = {},
    _url_build_error_handlers = {},
  }, App)
  self._core = core.app_new(self)
  self:_init_templates()
  signals.attach(self)
  session.attach(self)
  self.config = config.new(self._core, opts.config, 2, self.root_path)
  self.url_map = {
    converters = converters(self._core),
    rules = function() return self._core:rules() end,
  }
  files.mount_own(self, opts, "static", "app", 2)
  return self
end

function App:__newindex(name, value)
  if name == "session_interface" and value ~= nil then session.use(self, value, 2) end
  rawset(self, name, value)
end

function App:__tostring()
  return "dewar.App: " .. self.name
end

-- --- Setting up -----------------------------------------------------------------

function App:_check_setup(method, level)
  if self._core:frozen() then
    error(("%s was called after the app had handled its first request; set the app up before")
      :format(method), level + 1)
  elseif self._life and self._life.state ~= "starting" then
    error(("%s was called after the app had been started; set the app up before")
      :format(method), level + 1)
  end
end

--- Hands a rule to the core; errors are the caller's at `level`.
function App:_add_core_rule(rule, opts, view, scope, level)
  local route = Scaffold.route_options(opts, view)
  if route.provide_automatic_options == nil then
    route.provide_automatic_options = self.config.PROVIDE_AUTOMATIC_OPTIONS
  end
  route.view = Scaffold.redirect_view(route, view)
  route.rule, route.scope = rule, scope
  options.call(level + 1, self._core.add_route, self._core, route)
end

function App:_add_rule(rule, opts, view, level)
  self:_add_core_rule(rule, opts, view, nil, level + 1)
end

local SERVING = { before_serving = true, while_serving = true, after_serving = true }

--- Adds a hook or a handler: to the app, or to a blueprint's scope.
function App:_add_to(scope, name, kind, f, class)
  if kind == "error" then
    self._core:add_error_handler(scope, class, f)
  elseif SERVING[kind] then
    require("dewar.lifespan").add(self, kind, f)
  elseif kind == "url_defaults" or kind == "context_processors" then
    local lists = self["_" .. kind]
    local list = lists[name or ""] or {}
    lists[name or ""] = list
    list[#list + 1] = f
  else
    self._core:add_hook(scope, kind, f)
  end
end

function App:_add(kind, _, f, class)
  self:_add_to(nil, nil, kind, f, class)
end

--- A handler for URLs that can't be built: it returns one, or nil to pass.
---@param f fun(err: any, endpoint: string, values: table): string?
function App:url_build_error_handler(f)
  self:_check_setup("url_build_error_handler", 2)
  self._check_callable("url_build_error_handler", "its argument", f, 2)
  local list = self._url_build_error_handlers
  list[#list + 1] = f
  return f
end

for name in pairs(SERVING) do
  Scaffold._app_hook(name, name)
  App[name], Scaffold[name] = Scaffold[name], nil
end

--- Runs f again and again while the app is served, `seconds` apart. A run that
--- takes longer leaves out those that would fall into it; an error is logged.
---@param seconds number
---@param opts? { now: boolean? } now: the first run is at the start, not after the first interval
---@param f fun()
---@return function f
---@overload fun(self, seconds: number, f: fun()): function
function App:every(seconds, opts, f)
  self:_check_setup("every", 2)
  local swapped = f == nil or type(opts) == "function"
  if swapped then opts, f = f, opts end
  self._check_callable("every", "what is to be run", f, 2)
  local lifespan = require "dewar.lifespan"
  lifespan.add(self, "every", lifespan.job(seconds, opts, f, 2))
  return f
end

--- Registers a blueprint: its routes and hooks become the app's.
---@param blueprint dewar.Blueprint
---@param opts? dewar.RegisterOptions
function App:register_blueprint(blueprint, opts)
  self:_check_setup("register_blueprint", 2)
  opts = Blueprint._check_registration(blueprint, opts, 2)
  blueprint:_register(self, opts, nil, 2)
end

--- Hands requests for what is below a path to another app, which sees the rest of
--- the path and has its own routes, hooks, error handlers, session and settings;
--- see docs/mount.md.
---@param prefix string "/admin", or "/" for all that goes nowhere else
---@param other dewar.App
---@param opts? dewar.MountOptions
---@return dewar.App other
function App:mount(prefix, other, opts)
  self:_check_setup("mount", 2)
  mount.add(self, prefix, other, opts, 2)
  return other
end

--- Adds a command: `dewar NAME ...` runs f(args) in a task that has the app.
--- See docs/cli.md.
---@param name string
---@param arguments dewar.CommandArguments
---@param f fun(args: table): any may wait; an integer is the exit code
---@return function f
---@overload fun(self, name: string, f: function): function
function App:command(name, arguments, f)
  local command
  command, f = commands.new(self, name, arguments, f, 2)
  commands.add(self, name, command, 2)
  return f
end

--- What `dewar shell` has at hand beside the usual: f() returns a table of names.
---@param f fun(): table<string, any>
---@return function f
function App:shell_context_processor(f)
  self._check_callable("shell_context_processor", "its argument", f, 2)
  local list = self._shell_context
  list[#list + 1] = f
  return f
end

local MIDDLEWARE_KEYS = { "name", "setup", "request", "response" }

--- The table, if it can be used: its keys are known, and it does something.
local function check_middleware(self, middleware, level)
  if type(middleware) ~= "table" then
    error(("use takes a middleware, or a function(app); got %s"):format(
      middleware == nil and "nil" or "a " .. type(middleware)), level + 1)
  end
  local public = {}
  for key, value in pairs(middleware) do
    if type(key) ~= "string" or key:sub(1, 1) ~= "_" then public[key] = value end
  end
  options.check("use", public, MIDDLEWARE_KEYS, level + 1)
  for _, key in ipairs { "setup", "request", "response" } do
    if middleware[key] ~= nil then
      self._check_callable("use", "the middleware's " .. key, middleware[key], level + 1)
    end
  end
  if not (middleware.setup or middleware.request or middleware.response) then
    error("use: the middleware does nothing; it has a function in setup, request or response", level + 1)
  end
end

--- Of one of dewar.middleware that wasn't called: its name.
local function name_of(f)
  for name, make in next, require "dewar.middleware" do
    if make == f then return name end
  end
end

---@class dewar.Middleware
---@field name? string for people
---@field setup? fun(app: dewar.App) called by `use`
---@field request? fun(req: dewar.Request): any before the route is known; a result answers
---@field response? fun(req: dewar.Request, res: dewar.Response): any another response, or nil

--- Installs a middleware, around everything else that a request meets; the first
--- one used is the outermost. A function is a plugin: it is called with the app.
---@generic T: dewar.Middleware | fun(app: dewar.App)
---@param middleware T
---@return T middleware
function App:use(middleware)
  self:_check_setup("use", 2)
  if type(middleware) == "function" then
    local name = name_of(middleware)
    if name then
      error(("use: dewar.middleware.%s makes one: app:use(dewar.middleware.%s(...))"):format(name, name), 2)
    end
    middleware(self)
    return middleware
  end
  check_middleware(self, middleware, 2)
  if middleware.setup then middleware.setup(self) end
  if middleware.request then self._core:add_hook(nil, "request", middleware.request) end
  if middleware.response then self._core:add_hook(nil, "response", middleware.response) end
  return middleware
end

-- --- At work ----------------------------------------------------------------------

--- A function that, called like f, returns what f finally returns: f itself if
--- it is a plain one. An app may override it; see docs/async.md.
App.ensure_sync = core.ensure_sync

--- The URL of an endpoint, with values for its variables; see docs/routing.md.
---@param endpoint string
---@param values? table `_anchor`, `_method`, `_scheme`, `_external` are options
---@return string
function App:url_for(endpoint, values)
  return (url.build(self, endpoint, values, 2)) -- no tail call: levels count
end

--- What a host that is C calls before it listens.
function App:_start_up()
  for _, app in ipairs(mount.all(self)) do
    if app._serving then return require("dewar.lifespan").start_up(self) end
  end
end

--- ... and when all that it served is over.
function App:_shut_down(at_once)
  if self._hosted then require("dewar.lifespan").shut_down(self, at_once) end
end

App.session_interface = session.cookies
App._open_session = session.open

--- A response from what a view may return; an awaitable is awaited first.
App.make_response = core.make_response

--- With config.DEBUG, the page in the place of a default one.
App._error_page = function(...)
  return require("dewar.debug").page(...)
end

--- Runs f(req, res) on the response of the current request.
---@param f fun(req: dewar.Request, res: dewar.Response): any
function App:after_this_request(f) -- luacheck: ignore self
  return (options.call(2, core.after_this_request, f))
end

--- Runs f as a task that outlives the request: it has the app, no request.
function App:add_background_task(f, ...)
  self._check_callable("add_background_task", "its argument", f, 2)
  return self._core:background(self:ensure_sync(f), ...)
end

--- A client for specs: see docs/testing.md.
---@param opts? table
---@return dewar.Client
function App:test_client(opts)
  return require("dewar.testing").new(self, opts)
end

local RUN_OPTIONS = { "host", "port", "unix", "workers" }

--- Serves until a signal or app:stop(). For a plain lua5.4; `dewar run` does the
--- same.
---@param opts? { host: string?, port: integer?, unix: string?, workers: integer? }
function App:run(opts)
  opts = options.check("run", opts, RUN_OPTIONS, 2)
  return require("dewar.serve").run(self, opts)
end

--- Stops serving: what runs may finish within config.SHUTDOWN_TIMEOUT.
function App:stop()
  self._core:stop()
end

return App
