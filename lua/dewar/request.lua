--- Fields of requests that others give: parts of the URL, headers with a value
--- that suits them.

local core = require "dewar.core"
local cache_control = require "dewar.headers.cache_control"
local text = require "dewar.headers.text"

local M = {}

local function header(name)
  return { get = function(req) return req.headers[name] end }
end

local function kept(get)
  return { get = get, kept = true }
end

--- "http://localhost:5000/"
local function host_url(req)
  return req.scheme .. "://" .. req.host .. "/"
end

--- The same, and below it where the app is.
local function root_url(req)
  local root = req.script_root
  return req.scheme .. "://" .. req.host .. (root == "/" and "" or root) .. "/"
end

--- Who has passed the request on, as X-Forwarded-For says, else who has sent it.
local function access_route(req)
  local forwarded = req.headers.x_forwarded_for
  if forwarded then return text.split(forwarded, ",") end
  return { req.remote_addr }
end

--- What both the query and the form hold; the query comes first.
local Values = { __name = "dewar.values" }
local secret = setmetatable({}, { __mode = "k" })

function Values:__index(name)
  local both = secret[self]
  local value = both[1][name]
  if value == nil then value = both[2][name] end
  return value
end

function Values:__newindex()
  error("what came with a request can't be changed; copy it into a table with pairs", 2)
end

function Values:__call(name)
  if type(name) ~= "string" then
    error("the call takes a name, a string, not a " .. type(name), 2)
  end
  local all = {}
  for _, values in ipairs(secret[self]) do
    for _, value in ipairs(values(name)) do all[#all + 1] = value end
  end
  return all
end

function Values:__len()
  return #secret[self][1] + #secret[self][2]
end

function Values:__pairs()
  local list, i = {}, 0
  for _, values in ipairs(secret[self]) do
    for name, value in pairs(values) do list[#list + 1] = { name, value } end
  end
  return function()
    i = i + 1
    if list[i] then return list[i][1], list[i][2] end
  end
end

--- "outer.inner" and what is around it, from the inside out.
local function blueprints(req)
  local names, name = {}, req.blueprint
  while name do
    names[#names + 1] = name
    name = name:match "^(.*)%.[^.]*$"
  end
  return names
end

M.fields = {
  is_secure = { get = function(req) return req.scheme == "https" or req.scheme == "wss" end },
  is_json = { get = function(req) return text.is_json(req.content_type or "") end },
  mimetype = {
    get = function(req) return (text.parameters(req.content_type or "")) end,
  },
  mimetype_params = kept(function(req)
    local _, parameters = text.parameters(req.content_type or "")
    return parameters
  end),
  full_path = {
    get = function(req)
      local query = req.query_string
      local path = req.raw_path
      return query == "" and path or path .. "?" .. query
    end,
  },
  root_url = { get = root_url },
  url_root = { get = root_url },
  host_url = { get = host_url },
  access_route = { get = access_route },
  blueprints = { get = blueprints },
  referrer = header "Referer",
  origin = header "Origin",
  pragma = header "Pragma",
  content_encoding = header "Content-Encoding",
  access_control_request_method = header "Access-Control-Request-Method",
  access_control_request_headers = {
    get = function(req)
      local names = req.headers.access_control_request_headers
      return names and text.split(names, ",")
    end,
  },
  date = {
    get = function(req)
      local date = req.headers.date
      return date and core.http_date(date)
    end,
  },
  max_forwards = {
    get = function(req)
      local value = req.headers.max_forwards
      return value and value:find "^%d+$" and math.tointeger(tonumber(value)) or nil
    end,
  },
  cache_control = kept(function(req) return cache_control.request(req.headers.cache_control) end),
  values = kept(function(req)
    local self = setmetatable({}, Values)
    secret[self] = { req.args, req.form }
    return self
  end),
}

core.request_fields(M.fields)

return M
