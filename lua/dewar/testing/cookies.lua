--- The test client's cookies (RFC 6265), made simple: names belong to hosts and
--- paths and expire as in a browser; SameSite is kept but not looked at, and
--- Secure cookies are sent, since nobody listens between the ends of a pair.

local M = {}

---@class dewar.TestCookie
---@field name string
---@field value string
---@field domain string
---@field host_only boolean no Domain was given: subdomains don't get it
---@field path string
---@field expires? number seconds since 1970
---@field secure boolean
---@field httponly boolean
---@field samesite? string
---@field partitioned boolean

local Jar = {}
Jar.__index = Jar

local DEFAULT_HOST = "localhost"

-- --- Text -----------------------------------------------------------------------

local function trim(text)
  return text:match "^%s*(.-)%s*$"
end

local function octal(c)
  return ("\\%03o"):format(c:byte())
end

--- As Flask and Dewar write what a cookie can't carry as it is.
local function quote(value)
  if not value:find '[^!-~]' and not value:find '[",;\\]' then return value end
  return '"' .. value:gsub('["\\]', "\\%0"):gsub("[^ -~]", octal):gsub("[,;]", octal) .. '"'
end

--- The text behind \" and \054, which stand between quotes.
local function unquote(value)
  local inner = value:match '^"(.*)"$'
  if not inner then return value end
  local parts, from = {}, 1
  for at, escape, behind in inner:gmatch "()\\([0-3]?[0-7]?[0-7]?)()" do
    if at >= from then
      local code = #escape == 3
      parts[#parts + 1] = inner:sub(from, at - 1)
      parts[#parts + 1] = code and string.char(tonumber(escape, 8)) or inner:sub(at + 1, at + 1)
      from = code and behind or at + 2
    end
  end
  return table.concat(parts) .. inner:sub(from)
end

local MONTHS = {
  jan = 1, feb = 2, mar = 3, apr = 4, may = 5, jun = 6, jul = 7, aug = 8, sep = 9, oct = 10,
  nov = 11, dec = 12,
}

--- Days since 1970-01-01 of a date of the Gregorian calendar, whose years are
--- counted from March here.
local function days(year, month, day)
  if month <= 2 then year = year - 1 end
  local era, of_era = year // 400, year % 400
  local of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
  return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468
end

--- "Sun, 06 Nov 1994 08:49:37 GMT" as seconds since 1970, or nil.
local function parse_date(text)
  local day, name, year, h, m, s =
    text:match "(%d%d?)[ -](%a%a%a)%a*[ -](%d+) (%d%d?):(%d%d):(%d%d)"
  local month = name and MONTHS[name:lower()]
  if not month then return nil end
  year = tonumber(year)
  if year < 70 then year = year + 2000 elseif year < 100 then year = year + 1900 end
  return days(year, month, tonumber(day)) * 86400
    + tonumber(h) * 3600 + tonumber(m) * 60 + tonumber(s)
end

-- --- Matching -------------------------------------------------------------------

--- An authority without its port, in lower case.
local function bare_host(authority)
  local host = authority:match "^(%b[])" or authority:match "^([^:]*)"
  return host:lower()
end

local function matches_domain(host, domain)
  return host == domain or host:sub(-#domain - 1) == "." .. domain
end

local function matches_path(path, prefix)
  if path == prefix then return true end
  if path:sub(1, #prefix) ~= prefix then return false end
  return prefix:sub(-1) == "/" or path:sub(#prefix + 1, #prefix + 1) == "/"
end

--- The folder of the request's path, which a cookie without Path belongs to.
local function default_path(path)
  local folder = path:match "^(/.*)/[^/]*$"
  return folder or "/"
end

-- --- The jar --------------------------------------------------------------------

function Jar:_find(name, domain, path)
  for i, cookie in ipairs(self.list) do
    if cookie.name == name and cookie.domain == domain and cookie.path == path then return i end
  end
end

--- Puts a cookie in place of the one it replaces; one that has expired just
--- takes that away.
function Jar:put(cookie)
  local i = self:_find(cookie.name, cookie.domain, cookie.path)
  if cookie.expires and cookie.expires <= self.now() then
    if i then table.remove(self.list, i) end
  else
    self.list[i or #self.list + 1] = cookie
  end
end

function Jar:_drop_expired()
  local now = self.now()
  for i = #self.list, 1, -1 do
    local expires = self.list[i].expires
    if expires and expires <= now then table.remove(self.list, i) end
  end
end

local ATTRIBUTES = {}

function ATTRIBUTES.expires(cookie, value)
  cookie.expires = cookie.max_age_given and cookie.expires or parse_date(value)
end

ATTRIBUTES["max-age"] = function(cookie, value, now)
  if not value:find "^%-?%d+$" then return end
  local seconds = tonumber(value)
  cookie.expires = seconds > 0 and now + seconds or 0
  cookie.max_age_given = true
end

function ATTRIBUTES.domain(cookie, value)
  value = value:gsub("^%.", ""):lower()
  if value == "" then return end
  cookie.domain, cookie.host_only = value, false
end

function ATTRIBUTES.path(cookie, value)
  if value:sub(1, 1) == "/" then cookie.path = value end
end

function ATTRIBUTES.secure(cookie) cookie.secure = true end
function ATTRIBUTES.httponly(cookie) cookie.httponly = true end
function ATTRIBUTES.partitioned(cookie) cookie.partitioned = true end
function ATTRIBUTES.samesite(cookie, value) cookie.samesite = value end

--- Keeps what a Set-Cookie line says, which came with an answer from there.
---@param line string
---@param authority string
---@param path string
function Jar:store(line, authority, path)
  local pair, rest = line:match "^([^;]*)(.*)$"
  local name, value = pair:match "^%s*([^=]*)=(.*)$"
  if not name or trim(name) == "" then return end
  local host = bare_host(authority)
  local cookie = {
    name = trim(name), raw = trim(value), value = unquote(trim(value)),
    domain = host, host_only = true, path = default_path(path),
    secure = false, httponly = false, partitioned = false,
  }
  local now = self.now()
  for attribute in rest:gmatch ";([^;]*)" do
    local key, given = attribute:match "^%s*([^=]-)%s*=%s*(.-)%s*$"
    key = (key or trim(attribute)):lower()
    if ATTRIBUTES[key] then ATTRIBUTES[key](cookie, given or "", now) end
  end
  cookie.max_age_given = nil
  if matches_domain(host, cookie.domain) then self:put(cookie) end
end

--- The Cookie header for a request, or nil.
---@param authority string
---@param path string
---@return string?
function Jar:header(authority, path)
  self:_drop_expired()
  local host, found = bare_host(authority), {}
  for i, cookie in ipairs(self.list) do
    local here = cookie.host_only and host == cookie.domain
      or not cookie.host_only and matches_domain(host, cookie.domain)
    if here and matches_path(path, cookie.path) then found[#found + 1] = { cookie, i } end
  end
  table.sort(found, function(a, b) -- longer paths first, then older cookies
    if #a[1].path ~= #b[1].path then return #a[1].path > #b[1].path end
    return a[2] < b[2]
  end)
  for i, item in ipairs(found) do found[i] = item[1].name .. "=" .. item[1].raw end
  return found[1] and table.concat(found, "; ")
end

--- All cookies of a name, of whatever host and path.
---@param name string
---@return dewar.TestCookie[]
function Jar:all(name)
  self:_drop_expired()
  local found = {}
  for _, cookie in ipairs(self.list) do
    if cookie.name == name then found[#found + 1] = cookie end
  end
  return found
end

--- Sets a cookie of localhost, or takes away all of that name.
---@param name string
---@param value string?
function Jar:set(name, value)
  if value == nil then
    for i = #self.list, 1, -1 do
      if self.list[i].name == name then table.remove(self.list, i) end
    end
    return
  end
  self:put {
    name = name, raw = quote(value), value = value, domain = DEFAULT_HOST,
    host_only = true, path = "/", secure = false, httponly = false, partitioned = false,
  }
end

---@param now fun(): number seconds since 1970
function M.new(now)
  return setmetatable({ list = {}, now = now }, Jar)
end

--- What a spec sees of a jar: index for one value, call for all, pairs;
--- assignment sets a cookie, nil takes it away.
function M.view(jar)
  local View = { __name = "dewar.cookies" }

  function View.__index(_, name)
    local cookie = jar:all(name)[1]
    return cookie and cookie.value
  end

  function View.__newindex(_, name, value)
    local is_name = type(name) == "string" and name ~= "" and not name:find "[^!#$%%&'*+%-.^_`|~%w]"
    if not is_name then
      error("a cookie's name is of letters, digits and !#$%&'*+-.^_`|~", 2)
    end
    if value ~= nil and type(value) ~= "string" then
      error(("the cookie '%s' must be a string, or nil to delete it; got a %s")
        :format(name, type(value)), 2)
    end
    jar:set(name, value)
  end

  function View.__call(_, name)
    local values = jar:all(name)
    for i, cookie in ipairs(values) do values[i] = cookie.value end
    return values
  end

  function View.__pairs()
    jar:_drop_expired()
    local i = 0
    return function()
      i = i + 1
      local cookie = jar.list[i]
      if cookie then return cookie.name, cookie.value end
    end
  end

  return setmetatable({}, View)
end

return M
