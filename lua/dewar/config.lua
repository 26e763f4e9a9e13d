--- An app's settings: UPPERCASE keys, Flask's names where Flask has them. A
--- wrong type raises where it is written; unknown keys are the user's own.

local core = require "dewar.core"
local options = require "dewar.options"

local M = {}

local DEFAULTS = {
  DEBUG = false,
  TESTING = false,
  PREFERRED_URL_SCHEME = "http",
  APPLICATION_ROOT = "/",
  CSRF_ENABLED = true,
  HEADER_TIMEOUT = 10,
  BODY_TIMEOUT = 60,
  KEEP_ALIVE_TIMEOUT = 75,
  WRITE_TIMEOUT = 60,
  SHUTDOWN_TIMEOUT = 10,
  MAX_CONTENT_LENGTH = 16 * 1024 * 1024,
  MAX_FORM_MEMORY_SIZE = 500 * 1000,
  MAX_FORM_PARTS = 1000,
  FORM_SPOOL_SIZE = 500 * 1000,
  MAX_TARGET_SIZE = 8 * 1024,
  MAX_HEADER_SIZE = 16 * 1024,
  MAX_HEADERS = 100,
  MAX_TRAILER_SIZE = 4 * 1024,
  CANCEL_ON_DISCONNECT = true,
  JSON_EMPTY_TABLE = "object",
  SESSION_COOKIE_NAME = "session",
  SESSION_COOKIE_HTTPONLY = true,
  SESSION_COOKIE_SECURE = false,
  SESSION_COOKIE_PARTITIONED = false,
  PERMANENT_SESSION_LIFETIME = 31 * 24 * 60 * 60,
  SESSION_REFRESH_EACH_REQUEST = true,
}

local TYPES = {
  DEBUG = "boolean",
  TESTING = "boolean",
  PROPAGATE_EXCEPTIONS = "boolean",
  PREFERRED_URL_SCHEME = "string",
  TEMPLATES_AUTO_RELOAD = "boolean",
  SECRET_KEY = "string",
  APPLICATION_ROOT = "string",
  CSRF_ENABLED = "boolean",
  SESSION_COOKIE_DOMAIN = "string",
  SESSION_COOKIE_PATH = "string",
  SESSION_COOKIE_HTTPONLY = "boolean",
  SESSION_COOKIE_SECURE = "boolean",
  SESSION_COOKIE_PARTITIONED = "boolean",
  SESSION_REFRESH_EACH_REQUEST = "boolean",
}

local function is_list_of_strings(value)
  if type(value) ~= "table" then return false end
  for key, item in pairs(value) do
    if math.type(key) ~= "integer" or key < 1 or key > #value or type(item) ~= "string" then return false end
  end
  return true
end

--- What a key's value must be, where that is more than a type: a test, and its
--- words.
local CHECKS = {
  SECRET_KEY_FALLBACKS = {
    function(value) return value == nil or is_list_of_strings(value) end,
    "a list of strings, the keys that were used before",
  },
  SESSION_COOKIE_NAME = {
    function(value) return type(value) == "string" and value:find "^[!#$%%&'*+%-.^_`|~%w]+$" ~= nil end,
    "a cookie's name, of letters, digits and !#$%&'*+-.^_`|~",
  },
  SESSION_COOKIE_SAMESITE = {
    function(value) return value == nil or value == "Strict" or value == "Lax" or value == "None" end,
    '"Strict", "Lax", "None", or nil to leave it out',
  },
  PERMANENT_SESSION_LIFETIME = {
    function(value) return type(value) == "number" and value >= 0 and value < 1e12 end,
    "a number of seconds",
  },
}

local methods = {}

--- What is wrong with a key is the mistake of who called the caller.
local function assign(config, mapping, level)
  for key, value in pairs(mapping) do
    options.call(level + 1, function() config[key] = value end)
  end
end

--- Sets every key of a table.
---@param mapping table
function methods:from_mapping(mapping)
  if type(mapping) ~= "table" then
    error("from_mapping takes a table; got a " .. type(mapping), 2)
  end
  assign(self, mapping, 2)
end

local function read_lua(path)
  local env = setmetatable({}, { __index = _G })
  local chunk, message = loadfile(path, "t", env)
  if not chunk then error(message, 3) end
  local result = chunk()
  if type(result) == "table" then return result end
  return setmetatable(env, nil)
end

local function read_json(path)
  local file, message = io.open(path, "rb")
  if not file then error(message, 3) end
  local text = file:read "a"
  file:close()
  local ok, value = pcall(core.json.decode, text)
  if not ok then error(path .. ": " .. tostring(value), 3) end
  if type(value) ~= "table" then error(path .. ": the file must hold an object", 3) end
  return value
end

--- Sets the keys of a file: .json holds an object; .lua returns a table or sets
--- globals. Of both, only UPPERCASE keys count.
---@param path string
function methods:from_file(path)
  if type(path) ~= "string" then error("from_file takes a path; got a " .. type(path), 2) end
  local read = path:find "%.json$" and read_json or path:find "%.lua$" and read_lua
  if not read then error(path .. ": a config file is a .json or a .lua file", 2) end
  local upper = {}
  for key, value in pairs(read(path)) do
    if type(key) == "string" and key:find "^%u[%u%d_]*$" then upper[key] = value end
  end
  self:from_mapping(upper)
end

--- What a variable's text says: JSON, or else the text itself.
local function env_value(text)
  local ok, value = pcall(core.json.decode, text)
  if not ok then return text end
  if value == core.null then return nil end
  return value
end

--- The setting of a variable without its prefix: A__B is the field B of A.
local function set_from_env(config, name, value)
  local parts = {}
  for part in (name .. "__"):gmatch "(.-)__" do parts[#parts + 1] = part end
  if #parts == 1 then
    config[name] = value
    return
  end
  local top = type(config[parts[1]]) == "table" and config[parts[1]] or {}
  local inner = top
  for i = 2, #parts - 1 do
    if type(inner[parts[i]]) ~= "table" then inner[parts[i]] = {} end
    inner = inner[parts[i]]
  end
  inner[parts[#parts]] = value
  config[parts[1]] = top
end

--- Sets every key whose variable in the environment starts with the prefix and
--- "_": DEWAR_DEBUG=true sets DEBUG. Values are JSON where they can be, else
--- strings; DEWAR_A__B sets the field B of A.
---@param prefix? string default "DEWAR"
function methods:from_prefixed_env(prefix)
  prefix = prefix == nil and "DEWAR" or prefix
  if type(prefix) ~= "string" or prefix == "" then
    error(("from_prefixed_env takes a prefix such as \"DEWAR\"; got %s"):format(
      prefix == "" and "''" or "a " .. type(prefix)), 2)
  end
  local found = {}
  for name in pairs(core.environ()) do
    local key = name:sub(1, #prefix + 1) == prefix .. "_" and name:sub(#prefix + 2)
    if key and key:find "^%u[%u%d_]*$" then found[#found + 1] = key end
  end
  table.sort(found)
  for _, key in ipairs(found) do
    local name = prefix .. "_" .. key
    local ok, message = pcall(set_from_env, self, key, env_value(os.getenv(name)))
    if not ok then
      error(("%s in the environment: %s"):format(name, (tostring(message):gsub("^[^\n:]+:%d+: ", ""))), 2)
    end
  end
end

--- The settings of an app, backed by its core.
---@param app_core table
---@param initial table?
---@param level integer of whose mistake a wrong initial key is
---@return table
function M.new(app_core, initial, level)
  local values = {}
  local config

  local function set(key, value)
    if type(key) ~= "string" or not key:find "^%u[%u%d_]*$" then
      error(("a config key is UPPERCASE; got '%s'"):format(tostring(key)), 3)
    end
    local wanted = TYPES[key]
    if wanted and value ~= nil and type(value) ~= wanted then
      error(("config.%s is a %s; got a %s"):format(key, wanted, type(value)), 3)
    end
    local check = CHECKS[key]
    if check and not check[1](value) then
      local got = type(value) == "string" and ("%q"):format(value)
        or type(value) == "table" and "another table" or tostring(value)
      error(("config.%s is %s; got %s"):format(key, check[2], got), 3)
    end
    options.call(3, app_core.configure, app_core, key, value)
    values[key] = value
    if key == "TESTING" or key == "PROPAGATE_EXCEPTIONS" then
      local propagate = values.PROPAGATE_EXCEPTIONS
      if propagate == nil then propagate = values.TESTING end
      app_core:configure("PROPAGATE_EXCEPTIONS", propagate or false)
    end
  end

  config = setmetatable({}, {
    __name = "dewar.Config",
    __index = function(_, key)
      local value = values[key]
      if value == nil then return methods[key] end
      return value
    end,
    __newindex = function(_, key, value) set(key, value) end,
    __pairs = function() return next, values end,
  })
  for key, value in pairs(DEFAULTS) do set(key, value) end
  if initial then assign(config, initial, level + 1) end
  return config
end

return M
