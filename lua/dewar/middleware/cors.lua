--- Cross-origin resource sharing: which pages of other origins may read this
--- app's answers, as the Fetch standard has it. A preflight is answered before
--- any route is looked for.

local core = require "dewar.core"
local options = require "dewar.options"
local origins = require "dewar.origins"
local views = require "dewar.views"

local OPTIONS = { "origins", "methods", "headers", "credentials", "max_age", "expose", "paths" }
local METHODS = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE" }

local function listed(value)
  if type(value) == "table" then return value end
  return { value }
end

--- The option as the text of a header: a string, or a list of strings.
local function text_of(opts, name, level)
  local value = opts[name]
  if value == nil then return nil end
  for i, item in ipairs(listed(value)) do
    if type(item) ~= "string" then
      error(("cors: %s[%d] is a %s; it is a list of strings"):format(name, i, type(item)), level + 1)
    end
  end
  return type(value) == "string" and value or table.concat(value, ", ")
end

--- What the options come to; errors are of who called the caller.
local function read_options(opts)
  opts = options.check("cors", opts, OPTIONS, 3)
  options.check_type("cors", opts, "credentials", "boolean", 3)
  local rules = { credentials = opts.credentials, any = opts.origins == "*" }
  if opts.origins == nil then
    error("cors: the option 'origins' is missing: \"*\", \"https://example.com\", a list of these, or a "
      .. "function(origin, req)", 3)
  elseif type(opts.origins) == "function" then
    rules.ask = opts.origins
  elseif not rules.any then
    rules.allows = origins.matcher("cors", opts.origins, 3)
  elseif opts.credentials then
    error("cors: origins = \"*\" with credentials would open every visitor's account to every page; list the origins",
      3)
  end
  for _, name in ipairs { "methods", "headers", "expose", "paths" } do
    if opts[name] ~= nil and type(opts[name]) ~= "table" and type(opts[name]) ~= "string" then
      error(("cors: the option '%s' is a list of strings; got a %s"):format(name, type(opts[name])), 3)
    end
  end
  rules.methods = text_of(opts, "methods", 3) or table.concat(METHODS, ", ")
  rules.headers = opts.headers ~= "*" and text_of(opts, "headers", 3) or nil
  rules.expose = text_of(opts, "expose", 3)
  text_of(opts, "paths", 3)
  rules.paths = opts.paths and listed(opts.paths)
  if opts.max_age ~= nil then
    if type(opts.max_age) ~= "number" or opts.max_age ~= opts.max_age or opts.max_age < 0 then
      error("cors: the option 'max_age' is a number of seconds; got " .. tostring(opts.max_age), 3)
    end
    rules.max_age = math.floor(opts.max_age)
  end
  return rules
end

--- Whether the rules are for the request's path.
local function concerns(rules, req)
  if not rules.paths then return true end
  local path = req.path
  for _, prefix in ipairs(rules.paths) do
    if path:sub(1, #prefix) == prefix then return true end
  end
  return false
end

--- What Access-Control-Allow-Origin is for the origin, or nil.
local function allowed(rules, req, origin)
  if rules.any then return "*" end
  if rules.ask then return views.ensure_sync(req.app, rules.ask)(origin, req) and origin or nil end
  return rules.allows(origin) and origin or nil
end

--- Adds what goes for both kinds of answers; whether the origin is allowed.
local function share(rules, req, res)
  local origin = req.headers.Origin
  if not rules.any then res.vary:add "Origin" end
  local answer = origin and allowed(rules, req, origin)
  if not answer then return false end
  res.headers["Access-Control-Allow-Origin"] = answer
  if rules.credentials then res.headers["Access-Control-Allow-Credentials"] = "true" end
  return true
end

local function is_preflight(req)
  local headers = req.headers
  return req.method == "OPTIONS" and headers.Origin and headers["Access-Control-Request-Method"]
end

local function preflight(rules, req)
  local res = core.response("", 204)
  res.vary:add("Access-Control-Request-Method", "Access-Control-Request-Headers")
  if not share(rules, req, res) then return res end
  res.headers["Access-Control-Allow-Methods"] = rules.methods
  res.headers["Access-Control-Allow-Headers"] = rules.headers or req.headers["Access-Control-Request-Headers"]
  res.headers["Access-Control-Max-Age"] = rules.max_age
  return res
end

---@class dewar.CorsOptions
---@field origins string|string[]|fun(origin: string, req: dewar.Request): any "*" for any
---@field methods? string[] default GET, HEAD, POST, PUT, PATCH and DELETE
---@field headers? string|string[] that a request may have; default whatever it asks for
---@field credentials? boolean cookies and Authorization may come along
---@field max_age? number seconds for which the answer to a preflight is good
---@field expose? string[] headers of answers that a page may read
---@field paths? string[] what paths begin with to be shared; default all

--- Lets pages of other origins use the app.
---@param opts dewar.CorsOptions
---@return dewar.Middleware
return function(opts)
  local rules = read_options(opts)
  local answered = setmetatable({}, { __mode = "k" })
  return {
    name = "cors",
    request = function(req)
      if not is_preflight(req) or not concerns(rules, req) then return end
      answered[req] = true
      return preflight(rules, req)
    end,
    response = function(req, res)
      if answered[req] or not concerns(rules, req) then return end
      if share(rules, req, res) and rules.expose then
        res.headers["Access-Control-Expose-Headers"] = rules.expose
      end
    end,
  }
end
