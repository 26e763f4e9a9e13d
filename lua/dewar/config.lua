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
  PROVIDE_AUTOMATIC_OPTIONS = true,
  ACCESS_LOG = true,
  MAX_COOKIE_SIZE = 4093,
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
  WEBSOCKET_PING_INTERVAL = 20,
  WEBSOCKET_PING_TIMEOUT = 20,
  WEBSOCKET_MAX_MESSAGE_SIZE = 16 * 1024 * 1024,
  WEBSOCKET_MAX_QUEUE = 16,
  WEBSOCKET_COMPRESS = true,
  JSON_EMPTY_TABLE = "object",
  SESSION_COOKIE_NAME = "session",
  SESSION_COOKIE_HTTPONLY = true,
  SESSION_COOKIE_SECURE = false,
  SESSION_COOKIE_PARTITIONED = false,
  PERMANENT_SESSION_LIFETIME = 31 * 24 * 60 * 60,
  SESSION_REFRESH_EACH_REQUEST = true,
  COMPRESS = true,
  COMPRESS_LEVEL = 5,
  COMPRESS_BR_LEVEL = 4,
  COMPRESS_MIN_SIZE = 1024,
  COMPRESS_TYPES = {
    "text/*", "application/json", "application/*+json", "application/javascript", "application/x-javascript",
    "application/xml", "application/*+xml", "application/wasm", "application/x-ndjson", "application/jsonl",
    "application/rtf", "application/toml", "application/yaml", "image/svg+xml", "image/bmp", "image/x-icon",
    "image/vnd.microsoft.icon", "font/ttf", "font/otf",
  },
}

local TYPES = {
  DEBUG = "boolean",
  TESTING = "boolean",
  PROPAGATE_EXCEPTIONS = "boolean",
  TEMPLATES_AUTO_RELOAD = "boolean",
  SECRET_KEY = "string",
  CSRF_ENABLED = "boolean",
  ACCESS_LOG = "boolean",
  PROVIDE_AUTOMATIC_OPTIONS = "boolean",
  SERVER_NAME = "string",
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
  APPLICATION_ROOT = {
    function(value) return type(value) == "string" and value:find "^/[%w%-._~!$&'()*+,;=:@%%/]*$" ~= nil
      and value:sub(1, 2) ~= "//" end,
    'a path that starts with "/", percent-encoded',
  },
  MAX_COOKIE_SIZE = {
    function(value) return value == nil or math.type(value) == "integer" and value >= 0 end,
    "a number of bytes; 0 or nil for none",
  },
  PREFERRED_URL_SCHEME = {
    function(value) return type(value) == "string" and value:find "^%a[%w+.-]*$" ~= nil end,
    'a scheme such as "https"',
  },
  SECRET_KEY_FALLBACKS = {
    function(value) return value == nil or is_list_of_strings(value) end,
    "a list of strings, the keys that were used before",
  },
  SESSION_COOKIE_DOMAIN = {
    function(value) return value == nil or type(value) == "string" and value:find "^%.?%w[%w.-]*$" ~= nil end,
    'a host such as "example.com", in ASCII ("xn--..."), or nil for the host alone',
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

--- `app.config`.
---@class dewar.Config
---@field [string] any
local methods = {}

--- A message without the line in front, which is ours.
local function plain_message(message)
  return (tostring(message):gsub("^[^:\n]+:%d+: ", ""))
end

--- Sets a key; what is wrong with it is the mistake of who called the caller.
--- `where` says where it comes from.
local function assign(config, key, value, where, level)
  local ok, err = pcall(function() config[key] = value end)
  if ok then return end
  if type(err) ~= "string" then error(err, 0) end
  error((where and where .. ": " or "") .. plain_message(err), level + 1)
end

local function assign_all(config, mapping, where, level)
  for key, value in pairs(mapping) do assign(config, key, value, where, level + 1) end
end

--- Sets every key of a table.
---@param mapping table
function methods:from_mapping(mapping)
  if type(mapping) ~= "table" then
    error("from_mapping takes a table; got a " .. type(mapping), 2)
  end
  assign_all(self, mapping, nil, 2)
end

-- --- Files ------------------------------------------------------------------------

local function read_lua(text, path)
  local env = setmetatable({}, { __index = _G })
  local chunk, message = load(text, "@" .. path, "t", env)
  if not chunk then error(message, 0) end
  local result = chunk()
  if type(result) == "table" then return result end
  if result ~= nil then
    error(("%s: the file returns a %s; it returns a table, or sets globals"):format(path, type(result)), 0)
  end
  return setmetatable(env, nil)
end

local function read_json(text, path)
  local ok, value = pcall(core.json.decode, text)
  if not ok then error(path .. ": " .. plain_message(value), 0) end
  if type(value) ~= "table" or getmetatable(value) == getmetatable(core.array {}) then
    error(path .. ": the file must hold an object", 0)
  end
  return value
end

local READERS = { json = read_json, lua = read_lua }

--- The file's text, or nil and why not.
local function read_file(path)
  local file, message, code = io.open(path, "rb")
  if not file then return nil, message, code end
  local text
  text, message, code = file:read "a"
  file:close()
  return text, message and path .. ": " .. message, code
end

local FILE_OPTIONS = { "silent" }
local ENOENT = 2

--- Sets the keys of a file: .json holds an object, whose nulls are nil; .lua
--- returns a table or sets globals. Of both, only UPPERCASE keys count.
---@param path string relative ones are looked for in app.root_path
---@param opts? { silent: boolean? } silent: a file that isn't there is no error
---@return boolean found
function methods:from_file(path, opts)
  if type(path) ~= "string" then error("from_file takes a path; got a " .. type(path), 2) end
  opts = options.check("from_file", opts, FILE_OPTIONS, 2)
  options.check_type("from_file", opts, "silent", "boolean", 2)
  local read = READERS[path:match "%.(%w+)$"]
  if not read then error(path .. ": a config file is a .json or a .lua file", 2) end
  path = options.join_path(self._root_path, path)
  local text, message, code = read_file(path)
  if not text then
    if opts.silent and code == ENOENT then return false end
    error("from_file: " .. message, 2)
  end
  local ok, values = pcall(read, text, path)
  if not ok then error(type(values) == "string" and "from_file: " .. values or values, 2) end
  for key, value in pairs(values) do
    if type(key) == "string" and key:find "^%u[%u%d_]*$" then
      if value == core.null then value = nil end
      assign(self, key, value, path, 2)
    end
  end
  return true
end

-- --- The environment -----------------------------------------------------------

--- What a variable's text says for a key: JSON, or else the text itself, as also
--- where the key is a string and the JSON is none. 1 and "yes" are true for keys
--- that want a boolean.
local function env_value(key, text)
  local wanted = TYPES[key] or type(DEFAULTS[key])
  local meant = options.boolean(text)
  if wanted == "boolean" and meant ~= nil then return meant end
  local ok, value = pcall(core.json.decode, text)
  if not ok or wanted == "string" and value ~= core.null and type(value) ~= "string" then return text end
  if value == core.null then return nil end
  return value
end

local function copy(value)
  local fields = {}
  if type(value) == "table" then
    for k, v in pairs(value) do fields[k] = v end
  end
  return fields
end

--- The table of a key with one field set; the one it was stays as it is, as it
--- may be another app's, too.
local function with_field(value, parts, at, field)
  local fields = copy(value)
  local name = parts[at]
  if at < #parts then field = with_field(fields[name], parts, at + 1, field) end
  fields[name] = field
  return fields
end

--- The setting of a variable without its prefix: A__B is the field B of A.
local function set_from_env(config, name, text)
  local parts = {}
  for part in (name .. "__"):gmatch "(.-)__" do parts[#parts + 1] = part end
  local key, value = parts[1], env_value(name, text)
  if #parts > 1 then value = with_field(config[key], parts, 2, value) end
  config[key] = value
end

--- Sets every key whose variable in the environment starts with the prefix and
--- "_": DEWAR_DEBUG=true sets DEBUG. Values are JSON where they can be, else
--- strings; DEWAR_A__b__C sets the field C of the field b of A.
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
    if key and (key .. "__"):match "^(.-)__":find "^%u[%u%d_]*$" then found[#found + 1] = key end
  end
  table.sort(found)
  for _, key in ipairs(found) do
    local name = prefix .. "_" .. key
    local ok, message = pcall(set_from_env, self, key, os.getenv(name))
    if not ok then error(("%s in the environment: %s"):format(name, plain_message(message)), 2) end
  end
end

-- --- Looking ----------------------------------------------------------------------

local NAMESPACE_OPTIONS = { "lowercase", "trim_namespace" }

--- The settings whose keys begin with a prefix, as a table: of "MAIL_" MAIL_PORT
--- is `port`, as it may be handed to somebody as options.
---@param prefix string
---@param opts? { lowercase: boolean?, trim_namespace: boolean? } both true by default
---@return table<string, any>
function methods:get_namespace(prefix, opts)
  if type(prefix) ~= "string" then error("get_namespace takes a prefix; got a " .. type(prefix), 2) end
  opts = options.check("get_namespace", opts, NAMESPACE_OPTIONS, 2)
  options.check_type("get_namespace", opts, "lowercase", "boolean", 2)
  options.check_type("get_namespace", opts, "trim_namespace", "boolean", 2)
  local found = {}
  for key, value in pairs(self) do
    if key:sub(1, #prefix) == prefix then
      if opts.trim_namespace ~= false then key = key:sub(#prefix + 1) end
      if opts.lowercase ~= false then key = key:lower() end
      found[key] = value
    end
  end
  return found
end

--- The settings of an app, backed by its core.
---@param app_core table
---@param initial table?
---@param level integer of whose mistake a wrong initial key is
---@param root_path string the folder that paths of files are relative to
---@return dewar.Config
function M.new(app_core, initial, level, root_path)
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
    if key == "COMPRESS_TYPES" then value = table.move(value, 1, #value, 1, {}) end
    values[key] = value
    if key == "TESTING" or key == "PROPAGATE_EXCEPTIONS" then
      local propagate = values.PROPAGATE_EXCEPTIONS
      if propagate == nil then propagate = values.TESTING end
      app_core:configure("PROPAGATE_EXCEPTIONS", propagate or false)
    end
  end

  config = setmetatable({ _root_path = root_path }, {
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
  if initial then assign_all(config, initial, nil, level + 1) end
  return config
end

return M
