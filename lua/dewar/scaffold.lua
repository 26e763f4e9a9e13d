--- What an app and a blueprint have in common: routes, hooks, error handlers.
-- Each of these calls checks what it is given and hands it to the two methods
-- that differ: `_add_rule(rule, options, view)` and `_add(kind, ...)`.

local core = require "dewar.core"
local files = require "dewar.files"
local options = require "dewar.options"
local views = require "dewar.views"

---@class dewar.Scaffold
local Scaffold = {}

---@class dewar.RouteOptions
---@field methods? string[] default { "GET" }, or what the view says
---@field endpoint? string a name for url_for: letters, digits, "_" and "-"
---@field defaults? table values of variables that the rule may lack
---@field strict_slashes? boolean
---@field merge_slashes? boolean
---@field host? string a pattern for the whole host
---@field subdomain? string in front of config.SERVER_NAME
---@field alias? boolean matches, but URLs are built from the main rule
---@field redirect_to? string|fun(req: dewar.Request, values: table): string
---@field build_only? boolean never matches
---@field provide_automatic_options? boolean
---@field max_content_length? integer bytes
---@field timeout? number seconds; then 503

---@class dewar.WebSocketRouteOptions
---@field endpoint? string
---@field defaults? table
---@field strict_slashes? boolean
---@field merge_slashes? boolean
---@field host? string
---@field subdomain? string
---@field alias? boolean
---@field timeout? number seconds until it is accepted; then 503

local ROUTE_OPTIONS = {
  "methods", "endpoint", "defaults", "strict_slashes", "merge_slashes", "host",
  "subdomain", "alias", "redirect_to", "build_only",
  "provide_automatic_options", "max_content_length", "timeout",
}

--- A websocket has neither methods nor a body.
local WEBSOCKET_OPTIONS = {
  "endpoint", "defaults", "strict_slashes", "merge_slashes", "host", "subdomain", "alias",
  "timeout",
}

local ROUTE_FLAGS = {
  "strict_slashes", "merge_slashes", "alias", "build_only", "provide_automatic_options",
}

local function callable(value)
  if type(value) == "function" then return true end
  local mt = getmetatable(value)
  return type(mt) == "table" and mt.__call ~= nil
end

--- Raises at the line that called the method, unless f can be called.
local function check_callable(method, what, f, level)
  if callable(f) then return end
  if type(f) == "thread" then
    error(("%s: %s is a coroutine, which could run only once; give the function instead")
      :format(method, what), level + 1)
  end
  error(("%s: %s must be a function; got %s")
    :format(method, what, f == nil and "nil" or "a " .. type(f)), level + 1)
end

local function check_endpoint(name, level)
  if name == nil then return end
  if type(name) ~= "string" or not name:find "^[%w_-]+$" then
    error(("an endpoint is a name of letters, digits, '_' and '-'; got %s")
      :format(type(name) == "string" and "'" .. name .. "'" or "a " .. type(name)), level + 1)
  end
end

--- The view and the options of a route call, in either order of the call.
local function arguments(method, self, rule, opts, view, level, names)
  self:_check_setup(method, level + 1)
  if view == nil and opts ~= nil and (callable(opts) or type(opts) ~= "table") then
    opts, view = nil, opts
  end
  if type(rule) ~= "string" then
    error(("%s: the rule must be a string such as \"/users/<int:id>\"; got a %s")
      :format(method, type(rule)), level + 1)
  end
  if view == nil and views.is_class(opts) then
    error(("%s: the view is a class; give what its as_view() returns"):format(method), level + 1)
  end
  opts = options.check(method, opts, names or ROUTE_OPTIONS, level + 1)
  for _, name in ipairs(ROUTE_FLAGS) do
    options.check_type(method, opts, name, "boolean", level + 1)
  end
  check_endpoint(opts.endpoint, level + 1)
  return opts, view
end

local function add(method, self, rule, opts, view, methods, level)
  opts, view = arguments(method, self, rule, opts, view, level + 1)
  if methods then
    if opts.methods then
      error(method .. ": methods are fixed here; use app:route for others", level + 1)
    end
    opts.methods = methods
  end
  check_callable(method, "the view", view, level + 1)
  self:_add_rule(rule, opts, view, level + 1)
  return view
end

--- Adds a route for all of options.methods, by default { "GET" }.
---@param rule string
---@param opts? dewar.RouteOptions
---@param view function
---@return function view
function Scaffold:route(rule, opts, view)
  return (add("route", self, rule, opts, view, nil, 2)) -- no tail call: levels count
end

for _, method in ipairs { "get", "post", "put", "patch", "delete" } do
  local methods = { method:upper() }
  Scaffold[method] = function(self, rule, opts, view)
    return (add(method, self, rule, opts, view, methods, 2)) -- no tail call: levels count
  end
end

--- Adds a route for websockets; the view gets the request, which receives and
--- sends: see docs/websockets.md.
---@param rule string
---@param opts? dewar.WebSocketRouteOptions
---@param view fun(ws: dewar.WebSocket, ...): any
---@return function view
function Scaffold:websocket(rule, opts, view)
  if not core.websocket_codec then
    error("websocket: this build of Dewar has no WebSocket (DEWAR_WITH_WEBSOCKET)", 2)
  end
  opts, view = arguments("websocket", self, rule, opts, view, 2, WEBSOCKET_OPTIONS)
  check_callable("websocket", "the view", view, 2)
  opts.websocket = true
  self:_add_rule(rule, opts, view, 2)
  return view
end

--- Adds a rule; without a view it is for url_for only (build_only), or a
--- redirect (redirect_to).
---@param rule string
---@param opts? dewar.RouteOptions
---@param view? function
function Scaffold:add_url_rule(rule, opts, view)
  opts, view = arguments("add_url_rule", self, rule, opts, view, 2)
  if view ~= nil then
    check_callable("add_url_rule", "the view", view, 2)
  elseif not (opts.build_only or opts.redirect_to) then
    error("add_url_rule: without a view a rule must be build_only or have redirect_to", 2)
  end
  self:_add_rule(rule, opts, view, 2)
end

--- Serves the files of a folder: app:static("/files", "public").
---@param prefix string where its files are
---@param folder string relative to the file that made the app, or the blueprint
---@param opts? dewar.StaticOptions
function Scaffold:static(prefix, folder, opts)
  self:_check_setup("static", 2)
  if type(prefix) ~= "string" or prefix:sub(1, 1) ~= "/" then
    error("static: where the files are must be a string that starts with '/'", 2)
  end
  if type(folder) ~= "string" or folder == "" then
    error("static: the second argument is a folder's path; got "
      .. (folder == "" and "none" or "a " .. type(folder)), 2)
  end
  opts = files.check_folder("static", opts, 2)
  check_endpoint(opts.endpoint, 2)
  files.mount(self, (prefix:gsub("/+$", "")), folder, opts, 2)
end

--- What the rule's own options and the view's (of a class) come to.
function Scaffold.route_options(opts, view)
  local merged = {}
  local info = view and views.info(view)
  if info then
    merged.methods = info.methods
    merged.provide_automatic_options = info.provide_automatic_options
  end
  for k, v in pairs(opts) do merged[k] = v end
  return merged
end

--- The view that a redirect_to function stands for.
local function redirecting(target)
  return function(req)
    local url = views.ensure_sync(req.app, target)(req, req.view_args)
    if type(url) ~= "string" then
      error("redirect_to must return a URL; it returned a " .. type(url), 0)
    end
    return core.response("", 308, { Location = url })
  end
end

--- A function as redirect_to becomes a view; a string is the router's matter.
function Scaffold.redirect_view(opts, view)
  local target = opts.redirect_to
  if callable(target) then
    opts.redirect_to = nil
    return redirecting(target)
  end
  return view
end

local function hook(name, kind, scope)
  Scaffold[name] = function(self, f)
    self:_check_setup(name, 2)
    check_callable(name, "its argument", f, 2)
    self:_add(kind, scope, f)
    return f
  end
end

hook("before_request", "before")
hook("after_request", "after")
hook("teardown_request", "teardown")
hook("url_value_preprocessor", "preprocess")
hook("url_defaults", "url_defaults")
hook("context_processor", "context_processors")
Scaffold._app_hook = hook

--- The error class that an argument of errorhandler stands for.
local function error_class(method, key, level)
  if math.type(key) == "integer" then
    local class = core.errors[key]
    if class then return class end
    error(("%s: %d is no error status; use one of 400 to 599 that is registered, or a class")
      :format(method, key), level + 1)
  end
  if key == core.Cancelled then
    error(method .. ": a Cancelled never reaches handlers; clean up in teardown_request", level + 1)
  end
  if core.is_error_class(key) then return key end
  error(("%s: the first argument is a status such as 404, or an error class such as "
    .. "dewar.HTTPError; got %s"):format(method, type(key) == "table" and "another table"
    or "a " .. type(key)), level + 1)
end

--- Handles errors of a status or a class.
---@param key integer|table a status such as 404, or an error class
---@param f fun(req: dewar.Request, err: any): any
function Scaffold:errorhandler(key, f)
  self:_check_setup("errorhandler", 2)
  local class = error_class("errorhandler", key, 2)
  check_callable("errorhandler", "the handler", f, 2)
  self:_add("error", nil, f, class)
  return f
end

Scaffold._error_class = error_class
Scaffold._check_callable = check_callable

return Scaffold
