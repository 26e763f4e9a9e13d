--- Cache-Control (RFC 9111, 5.2), as fields: `res.cache_control.max_age = 60`. An
--- object has no state: it reads and writes the header, so the two can't differ.

local options = require "dewar.options"
local text = require "dewar.headers.text"

local M = {}

-- What a directive's value is: a number of seconds, a flag, a flag that may name
-- something, or a flag that may be a number.
local RESPONSE = {
  max_age = "seconds", s_maxage = "seconds", stale_while_revalidate = "seconds", stale_if_error = "seconds",
  no_store = "flag", no_transform = "flag", must_revalidate = "flag", proxy_revalidate = "flag",
  must_understand = "flag", public = "flag", immutable = "flag",
  no_cache = "names", private = "names",
}

local REQUEST = {
  max_age = "seconds", min_fresh = "seconds", stale_if_error = "seconds", max_stale = "limit",
  no_cache = "flag", no_store = "flag", no_transform = "flag", only_if_cached = "flag",
}

local function sorted_names(kinds)
  local names = {}
  for name in pairs(kinds) do names[#names + 1] = name end
  table.sort(names)
  return names
end

local NAMES = { [RESPONSE] = sorted_names(RESPONSE), [REQUEST] = sorted_names(REQUEST) }

--- The directives in their order: { name =, value = }, value nil where none was
--- given. Of several with one name, the first counts (RFC 9111, 4.2.1).
local function parse(header)
  local list, seen = {}, {}
  for _, part in ipairs(text.split(header or "", ",")) do
    local name, value = text.pair(part)
    name = name:gsub("-", "_")
    if not seen[name] and name ~= "" then
      seen[name] = true
      list[#list + 1] = { name = name, value = value }
    end
  end
  return list
end

--- Names of headers are quoted (RFC 9111, 5.2.2.4).
local function format(list)
  local parts = {}
  for i, directive in ipairs(list) do
    local name = directive.name:gsub("_", "-")
    parts[i] = directive.value
      and name .. "=" .. text.quote(directive.value, RESPONSE[directive.name] == "names") or name
  end
  return parts[1] and table.concat(parts, ", ")
end

--- A directive's value for Lua. One that has no sense counts as not given.
local function read(kind, directive)
  if not directive then
    if kind == "flag" or kind == "names" then return false end
    return nil
  end
  local value = directive.value
  if kind == "flag" then return true end
  if kind == "seconds" then return value and value:find "^%d+$" and math.tointeger(tonumber(value)) end
  if kind == "limit" and value then return value:find "^%d+$" and math.tointeger(tonumber(value)) end
  return value or true
end

local function shown(value)
  return type(value) == "number" and tostring(value) or "a " .. type(value)
end

--- What to write for a value, or nil to write nothing; raises for the caller of
--- the caller's caller.
local function written(kind, name, value, level)
  local function bad(what)
    error(("cache_control.%s is %s; got %s"):format(name, what, shown(value)), level + 2)
  end
  if value == nil or value == false then return nil end
  if kind == "seconds" then
    local n = type(value) == "number" and math.tointeger(value)
    if not n or n < 0 then bad "a whole number of seconds, or nil" end
    return { name = name, value = tostring(n) }
  end
  if kind == "flag" and value ~= true then bad "true or false" end
  if value == true then return { name = name } end
  if math.tointeger(value) and kind == "any" then value = tostring(math.tointeger(value)) end
  if type(value) ~= "string" then
    bad(kind == "names" and "true, false or the names of headers" or "true, false, a string or a whole number")
  end
  if value:find "[%z\1-\8\10-\31\127]" then bad "a text without control characters" end
  return { name = name, value = value }
end

local Object = { __name = "dewar.CacheControl" }
local secret = setmetatable({}, { __mode = "k" }) -- what each object belongs to

local function find(list, name)
  for i, directive in ipairs(list) do
    if directive.name == name then return directive, i end
  end
end

local function wire_name(name, level)
  if type(name) ~= "string" or not text.is_token(name) then
    error(("a directive of Cache-Control has a name such as 'max_age'; got %s"):format(
      type(name) == "string" and "'" .. name .. "'" or "a " .. type(name)), level + 1)
  end
  return (name:lower():gsub("-", "_"))
end

local methods = {}

local function set(self, name, value, level)
  local owner = secret[self]
  local kind = owner.kinds[name] or "any"
  local directive = written(kind, name, value, level + 1)
  local list = parse(owner.get())
  local _, place = find(list, name)
  if directive then
    list[place or #list + 1] = directive
  elseif place then
    table.remove(list, place)
  else
    return
  end
  owner.set(format(list))
end

local function check_writable(self, level)
  if not secret[self].set then
    error("what a request says of caching can't be changed", level + 1)
  end
end

--- The value of a directive, whatever its name is.
---@param name string
---@return string | integer | boolean | nil
function methods:get(name)
  name = wire_name(name, 2)
  local owner = secret[self]
  return read(owner.kinds[name] or "any", find(parse(owner.get()), name))
end

--- Sets a directive of any name: true, a string, a whole number of seconds; nil
--- and false remove it.
---@param name string
---@param value string | integer | boolean | nil
function methods:set(name, value)
  check_writable(self, 2)
  set(self, wire_name(name, 2), value, 2)
end

function Object:__index(name)
  if methods[name] then return methods[name] end
  name = wire_name(name, 2)
  local owner = secret[self]
  local directive = find(parse(owner.get()), name)
  local near = not directive and not owner.kinds[name] and options.nearest(name, NAMES[owner.kinds])
  if near then
    error(("Cache-Control has no directive '%s'; did you mean '%s'?"):format(name, near), 2)
  end
  return read(owner.kinds[name] or "any", directive)
end

function Object:__newindex(name, value)
  check_writable(self, 2)
  name = wire_name(name, 2)
  local owner = secret[self]
  local near = not owner.kinds[name] and options.nearest(name, NAMES[owner.kinds])
  if near then
    error(("Cache-Control has no directive '%s'; did you mean '%s'? One of your own is set by :set(name, value)")
      :format(name, near), 2)
  end
  set(self, name, value, 2)
end

function Object:__pairs()
  local owner = secret[self]
  local list, i = parse(owner.get()), 0
  return function()
    local directive
    repeat
      i = i + 1
      directive = list[i]
      local value = directive and read(owner.kinds[directive.name] or "any", directive)
      if value then return directive.name, value end
    until not directive
  end
end

function Object:__tostring()
  return secret[self].get() or ""
end

local function new(owner)
  local self = setmetatable({}, Object)
  secret[self] = owner
  return self
end

--- Of a request's header: read only.
---@param header string?
---@return dewar.CacheControl
function M.request(header)
  return new { kinds = REQUEST, get = function() return header end }
end

--- Of a response's headers, in step with them.
---@param res dewar.Response
---@return dewar.CacheControl
function M.response(res)
  return new {
    kinds = RESPONSE,
    get = function() return res.headers.cache_control end,
    set = function(header) res.headers["Cache-Control"] = header end,
  }
end

--- Puts what is given in place of a response's header: a text, a table of
--- directives, another's object, or nil.
---@param res dewar.Response
---@param value string | table | nil
---@param level integer
function M.assign(res, value, level)
  if value == nil or type(value) == "string" then
    options.call(level + 1, function() res.headers["Cache-Control"] = value end)
    return
  end
  if type(value) ~= "table" then
    error("cache_control is a table such as { max_age = 60 }, a string or nil; got a " .. type(value), level + 1)
  end
  local list, names = {}, {}
  for name in pairs(value) do names[#names + 1] = name end
  if not secret[value] then table.sort(names, function(a, b) return tostring(a) < tostring(b) end) end
  for _, name in ipairs(names) do
    local wire = wire_name(name, level + 1)
    local near = not RESPONSE[wire] and options.nearest(wire, NAMES[RESPONSE])
    if near and not secret[value] then
      error(("Cache-Control has no directive '%s'; did you mean '%s'?"):format(wire, near), level + 1)
    end
    list[#list + 1] = written(RESPONSE[wire] or "any", wire, value[name], level + 1)
  end
  res.headers["Cache-Control"] = format(list)
end

return M
