--- Fields of responses that are headers, each with a value that suits it. They
--- have no state beside the header.

local core = require "dewar.core"
local cache_control = require "dewar.headers.cache_control"
local options = require "dewar.options"
local set = require "dewar.headers.set"
local text = require "dewar.headers.text"

local M = {}

-- The function that is called by an assignment, core's, whoever assigns.
local LEVEL = 3

local function set_header(res, header, value)
  options.call(LEVEL + 1, function() res.headers[header] = value end)
end

--- A header as it is, or as `convert` makes it.
local function text_field(header, convert)
  return {
    get = function(res) return res.headers[header] end,
    set = function(res, value)
      if value ~= nil and type(value) ~= "string" then
        error(("%s is a string or nil; got a %s"):format(header, type(value)), LEVEL)
      end
      set_header(res, header, value and convert and convert(value) or value)
    end,
  }
end

--- A header that is a whole number; other texts read as themselves where they may
--- stand there, too.
local function number_field(header, what, also_text)
  return {
    get = function(res)
      local value = res.headers[header]
      local number = value and value:find "^%d+$" and math.tointeger(tonumber(value))
      return number or (also_text and value or nil)
    end,
    set = function(res, value)
      local number = type(value) == "number" and math.tointeger(value)
      local fits = value == nil or (number and number >= 0) or (also_text and type(value) == "string")
      if not fits then
        error(("%s is %s, or nil; got %s"):format(header, what,
          type(value) == "number" and tostring(value) or "a " .. type(value)), LEVEL)
      end
      set_header(res, header, number or value)
    end,
  }
end

local function set_field(header)
  return {
    get = function(res) return set.new(res, header) end,
    set = function(res, value) set.assign(res, header, value, LEVEL) end,
  }
end

--- What a 401 asks for: { type = "basic", realm = "x" } as a challenge.
local function challenge(value)
  if type(value) == "string" then return value end
  if type(value) ~= "table" or type(value.type) ~= "string" or not text.is_token(value.type) then
    error("www_authenticate is a string, a table such as { type = \"basic\", realm = \"staff\" }, a list of them, "
      .. "or nil", LEVEL + 1)
  end
  local names, parts = {}, {}
  for name in pairs(value) do
    if name ~= "type" then names[#names + 1] = tostring(name) end
  end
  table.sort(names)
  for i, name in ipairs(names) do
    parts[i] = name .. "=" .. text.quote(tostring(value[name]), true)
  end
  local scheme = value.type:sub(1, 1):upper() .. value.type:sub(2)
  return parts[1] and scheme .. " " .. table.concat(parts, ", ") or scheme
end

M.fields = {
  cache_control = {
    get = cache_control.response,
    set = function(res, value) cache_control.assign(res, value, LEVEL) end,
  },
  vary = set_field "Vary",
  allow = set_field "Allow",
  content_language = set_field "Content-Language",
  location = text_field("Location", text.uri),
  content_type = text_field "Content-Type",
  content_encoding = text_field "Content-Encoding",
  content_length = number_field("Content-Length", "a whole number of bytes"),
  age = number_field("Age", "a whole number of seconds"),
  retry_after = number_field("Retry-After", "a whole number of seconds or a date", true),
  mimetype_params = {
    get = function(res)
      local _, parameters = text.parameters(res.headers.content_type or "")
      return parameters
    end,
  },
  is_json = {
    get = function(res)
      return text.is_json(res.headers.content_type or "")
    end,
  },
  www_authenticate = {
    get = function(res) return res.headers["WWW-Authenticate"] end,
    set = function(res, value)
      local lines = value
      if type(value) == "table" then
        lines = {}
        for i, one in ipairs(value[1] and value or { value }) do lines[i] = challenge(one) end
      elseif value ~= nil then
        lines = challenge(value)
      end
      set_header(res, "WWW-Authenticate", lines)
    end,
  },
}

core.response_fields(M.fields)

return M
