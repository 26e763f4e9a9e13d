--- Class-based views: View with dispatch_request, MethodView with a method for
--- each HTTP method.

local M = {}

--- What as_view knows of the functions it made: methods and options.
local infos = setmetatable({}, { __mode = "k" })

--- What add_url_rule takes over from a view: its methods, if it is of a class.
---@param view any
---@return { methods: string[]?, provide_automatic_options: boolean? }?
function M.info(view)
  return infos[view]
end

--- Whether the value is a class of views, rather than a view.
---@param value any
---@return boolean
function M.is_class(value)
  return type(value) == "table" and type(value.as_view) == "function"
end

---@class dewar.View
---@field methods? string[]
---@field decorators? (fun(view: function): function)[] applied in order
---@field init_every_request? boolean default true: an instance a request
---@field provide_automatic_options? boolean
local View = { init_every_request = true }
View.__index = View

--- A subclass. Its fields are inherited by its own subclasses.
---@generic T
---@param name string
---@param fields? table what it has from the start: `init_every_request = false`...
---@return dewar.View
function View:extend(name, fields)
  if type(name) ~= "string" then
    error("extend takes the name of the class; got a " .. type(name), 2)
  elseif fields ~= nil and type(fields) ~= "table" then
    error("extend takes the fields of the class in a table; got a " .. type(fields), 2)
  end
  local class = setmetatable({}, { __index = self,
    __tostring = function() return "view class " .. name end })
  for key, value in pairs(fields or {}) do class[key] = value end
  class.__name, class.__index = name, class
  return class
end

--- Called with the arguments of as_view for each new instance.
function View:init() end

function View:dispatch_request()
  error(("%s defines no dispatch_request(req, ...)"):format(self.__name or "the view"), 0)
end

local wrapped = setmetatable({}, { __mode = "k" })

--- What the app's ensure_sync makes of f, which passes through it once, when it
--- is first called: so that an override counts for what was added before it.
---@param app dewar.App
---@param f function
---@return function
function M.ensure_sync(app, f)
  local of_app = wrapped[app]
  if not of_app then
    of_app = setmetatable({}, { __mode = "k" })
    wrapped[app] = of_app
  end
  local g = of_app[f]
  if not g then
    g = app:ensure_sync(f)
    if g == nil then
      error("the app's ensure_sync returned nil; it must return a function that can be called "
        .. "like the one it was given", 0)
    end
    of_app[f] = g
  end
  return g
end

local function decorators_of(class, level)
  local list = class.decorators or {}
  if type(list) ~= "table" then
    error(("the decorators of %s are a list of functions; got a %s"):format(class.__name, type(list)),
      level + 1)
  end
  return list
end

--- A view function of the class; the arguments go to init.
---@return function
function View:as_view(...)
  local class, args = self, table.pack(...)
  local function new()
    local instance = setmetatable({}, class)
    instance:init(table.unpack(args, 1, args.n))
    return instance
  end
  local single = not class.init_every_request and new()
  local function view(req, ...)
    local kind = type(req)
    local app = (kind == "userdata" or kind == "table") and req.app
    if not app then
      error(("a view of %s takes a request, or a table with an app in it; got %s"):format(class.__name,
        req == nil and "nil" or kind == "table" and "one without" or "a " .. kind), 2)
    end
    local instance = single or new()
    return M.ensure_sync(app, instance.dispatch_request)(instance, req, ...)
  end
  for i, decorate in ipairs(decorators_of(class, 2)) do
    view = decorate(view)
    if view == nil then
      error(("decorator %d of %s returned nil; it must return a view"):format(i, class.__name), 2)
    end
  end
  infos[view] = {
    methods = class:_methods(),
    provide_automatic_options = class.provide_automatic_options,
  }
  return view
end

function View:_methods()
  return self.methods
end

---@class dewar.MethodView: dewar.View
local MethodView = View:extend "MethodView"

local HTTP_METHODS = { "get", "head", "post", "put", "patch", "delete", "options", "trace" }

--- The methods that the class defines, inherited ones included.
function MethodView:_methods()
  if self.methods then return self.methods end
  local list = {}
  for _, name in ipairs(HTTP_METHODS) do
    if self[name] then list[#list + 1] = name:upper() end
  end
  if #list == 0 then
    error(("%s defines no method such as get or post"):format(self.__name), 3)
  end
  return list
end

function MethodView:dispatch_request(req, ...)
  local name = req.method:lower()
  local method = self[name] or name == "head" and self.get
  if not method then
    error(("%s has no method for %s"):format(self.__name, req.method), 0)
  end
  return M.ensure_sync(req.app, method)(self, req, ...)
end

M.View = View
M.MethodView = MethodView

return M
