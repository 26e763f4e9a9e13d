--- Requests of the test client: what its options ask for, checked, and where a
--- redirect leads. What is wrong is raised as a text without a place.

local body = require "dewar.testing.body"
local target = require "dewar.testing.target"

local M = {}

local HOST = "localhost"

local function misuse(format, ...)
  error(format:format(...), 0)
end

--- An option that is true or false.
function M.check_flag(opts, name)
  local value = opts[name]
  if value ~= nil and type(value) ~= "boolean" then
    misuse("%s must be true or false; got a %s", name, type(value))
  end
end

-- --- Headers and targets --------------------------------------------------------

local function header_value(name, value)
  if type(value) == "number" then value = tostring(math.tointeger(value) or value) end
  if type(value) ~= "string" then
    misuse("header %s: a string, a number or a list of them expected; got a %s", name,
      type(value))
  end
  if value:find "[%z\1-\8\10-\31\127]" then
    misuse("header %s: the value has a line break or a control character; " ..
      "client:send_raw sends whatever it is given", name)
  end
  return value
end

local function check_header_name(name)
  if type(name) ~= "string" or name == "" or name:find "[^!#$%%&'*+%-.^_`|~%w]" then
    misuse("headers: a name is of letters, digits and !#$%%&'*+-.^_`|~; got %s",
      type(name) == "string" and ("%q"):format(name) or "a " .. type(name))
  end
end

--- The headers as a list of { name, value }, the named ones sorted. In lower case
--- `_` is `-`, as in all tables of headers; X_Odd goes out as it is, since a spec
--- may want to see what becomes of it.
local function header_list(headers)
  if headers == nil then return {} end
  if type(headers) ~= "table" then
    misuse("headers must be a table; got a %s", type(headers))
  end
  local named, list = {}, {}
  for name, value in pairs(headers) do
    if math.type(name) ~= "integer" then
      check_header_name(name)
      if not name:find "%u" then name = name:gsub("_", "-") end
      named[name] = value
    end
  end
  for _, pair in ipairs(headers) do
    if type(pair) ~= "table" then
      misuse("headers are { [name] = value } or a list of { name, value }; got a %s in the list",
        type(pair))
    end
    check_header_name(pair[1])
    list[#list + 1] = { pair[1], header_value(pair[1], pair[2]) }
  end
  local sorted = target.sorted(named, header_value)
  table.move(sorted, 1, #sorted, #list + 1, list)
  return list
end

--- The first value of a header, whose name is given in lower case.
---@param list table of { name, value }
---@param name string
---@return string?
function M.header(list, name)
  for _, pair in ipairs(list) do
    if pair[1]:lower() == name then return pair[2] end
  end
end

local function query_text(query)
  if type(query) == "string" then return (query:gsub("^%?", "")) end
  if type(query) ~= "table" then
    misuse("query must be a table or a string; got a %s", type(query))
  end
  return target.join(target.sorted(query, function(name, value)
    local kind = type(value)
    if kind ~= "string" and kind ~= "number" and kind ~= "boolean" then
      misuse("query: '%s' must be a string, a number or a list of them; got a %s", name, kind)
    end
    return tostring(value)
  end))
end

local function target_for(path, query)
  if type(path) ~= "string" then misuse("the path must be a string; got a %s", type(path)) end
  local known = path:find "^/" or path == "*" or path:find "^%a[%w+.-]*://"
  if not known then misuse("the path '%s' must start with '/'", path) end
  if query == nil then return target.clean(path) end
  local text = query_text(query)
  if text == "" then return target.clean(path) end
  return target.clean(path .. (path:find("?", 1, true) and "&" or "?") .. text)
end

-- --- Authorization --------------------------------------------------------------

local BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local function base64(text)
  local padding = -#text % 3
  local coded = (text .. ("\0"):rep(padding)):gsub("...", function(three)
    local a, b, c = three:byte(1, 3)
    local bits = a << 16 | b << 8 | c
    local four = ""
    for shift = 18, 0, -6 do
      local digit = (bits >> shift & 63) + 1
      four = four .. BASE64:sub(digit, digit)
    end
    return four
  end)
  return coded:sub(1, #coded - padding) .. ("="):rep(padding)
end

local function authorization(auth)
  if type(auth) ~= "table" or type(auth[1]) ~= "string" or type(auth[2]) ~= "string" then
    misuse "auth must be { user, password }"
  end
  return "Basic " .. base64(auth[1] .. ":" .. auth[2])
end

-- --- The request ----------------------------------------------------------------

--- What will be sent: { method, target, host, headers, body }.
---@param method string
---@param path string
---@param opts dewar.RequestOptions
---@return table
function M.build(method, path, opts)
  if type(method) ~= "string" or method == "" or method:find "[^!#$%%&'*+%-.^_`|~%w]" then
    misuse("a method is a word such as \"GET\"; got %s",
      type(method) == "string" and ("%q"):format(method) or "a " .. type(method))
  end
  M.check_flag(opts, "follow_redirects")
  M.check_flag(opts, "stream")
  local request = {
    method = method,
    target = target_for(path, opts.query),
    headers = header_list(opts.headers),
  }
  local headers = request.headers
  local content, content_type = body.make(opts)
  request.body = content
  if content_type and not M.header(headers, "content-type") then
    headers[#headers + 1] = { "Content-Type", content_type }
  end
  if opts.auth ~= nil then headers[#headers + 1] = { "Authorization", authorization(opts.auth) } end
  local authority = target.split(request.target)
  request.host = M.header(headers, "host") or authority or HOST
  return request
end

-- --- Redirects ------------------------------------------------------------------

local REDIRECTS = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }

--- Whether a header belongs to a body, or (at another host) must not leave.
local function is_dropped(name, bodiless, abroad)
  name = name:lower()
  if name == "host" then return true end
  if abroad and (name == "authorization" or name == "cookie") then return true end
  return bodiless and (name:find "^content%-" or name == "transfer-encoding") and true or false
end

--- The request that an answer redirects to, or nil.
---@param request table
---@param status integer
---@param location string?
---@return table?
function M.redirected(request, status, location)
  if not REDIRECTS[status] or not location then return nil end
  local authority, path = target.resolve(request.target, location)
  local host = authority or request.host
  local method = request.method
  if status == 303 and method ~= "HEAD" or status < 303 and method == "POST" then
    method = "GET"
  end
  local bodiless = method ~= request.method
  if not bodiless and request.body and type(request.body) ~= "string" then
    misuse("a body that was given in pieces can't be sent again to %s", location)
  end
  local headers = {}
  for _, pair in ipairs(request.headers) do
    local dropped = is_dropped(pair[1], bodiless, host ~= request.host)
    if not dropped then headers[#headers + 1] = pair end
  end
  if host ~= HOST then headers[#headers + 1] = { "Host", host } end
  return {
    method = method, target = path, host = host, headers = headers,
    body = not bodiless and request.body or nil,
  }
end

return M
