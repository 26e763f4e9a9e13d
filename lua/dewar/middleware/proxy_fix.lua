--- What a proxy in front of the app says about the client: its address, and the
--- scheme, host and path that it has asked for. Anybody can send these headers,
--- so each is believed as far as there are proxies that have added to it.

local core = require "dewar.core"
local options = require "dewar.options"

--- The options, and how else they are written: "for" is a word of Lua's.
local OPTIONS = { "for", "proto", "host", "port", "prefix", "forwarded" }
local ALIASES = { for_ = "for", x_for = "for", x_proto = "proto", x_host = "host", x_port = "port",
  x_prefix = "prefix" }
local DEFAULTS = { ["for"] = 1, proto = 1, host = 0, port = 0, prefix = 0 }

--- The options by their plain names; errors are the caller's caller's.
local function read_options(opts)
  local plain = {}
  if type(opts) == "table" then
    for key, value in pairs(opts) do
      local name = ALIASES[key] or key
      if plain[name] ~= nil then error(("proxy_fix: the option '%s' is given twice"):format(name), 3) end
      plain[name] = value
    end
    opts = plain
  end
  plain = options.check("proxy_fix", opts, OPTIONS, 3)
  for name, default in pairs(DEFAULTS) do
    local count = plain[name]
    if count == nil then
      plain[name] = default
    elseif math.type(count) ~= "integer" or count < 0 then
      error(("proxy_fix: the option '%s' is a number of proxies; got %s"):format(name, tostring(count)), 3)
    end
  end
  options.check_type("proxy_fix", plain, "forwarded", "boolean", 3)
  return plain
end

local function refuse(header)
  core.abort(400, ("The header %s, which a proxy has set, makes no sense."):format(header))
end

--- The value that the outermost of so many proxies has added to the list, or nil.
local function trusted(list, count)
  if count == 0 or #list < count then return nil end
  return list[#list - count + 1]
end

--- The items of a list, without empty ones and quotes around them.
local function split(text)
  local list = {}
  for item in (text or ""):gmatch "[^,]+" do
    item = item:match '^%s*"?(.-)"?%s*$'
    if item ~= "" then list[#list + 1] = item end
  end
  return list
end

--- An address without its port: "192.0.2.1:80", "[2001:db8::1]:80".
local function address(text)
  return text:match "^%[([%x:.]+)%]$" or text:match "^%[([%x:.]+)%]:%w+$" or text:match "^([%d.]+):%w+$" or text
end

local SCHEMES = { http = "http", https = "https", ws = "http", wss = "https" }

--- Assigns a field; what doesn't fit is the proxy's fault.
local function set(req, field, value, header)
  local ok, err = pcall(function() req[field] = value end)
  if ok then return end
  if type(err) ~= "string" or err:find "not enough memory" then error(err, 0) end
  refuse(header)
end

local function set_scheme(req, value, header)
  set(req, "scheme", SCHEMES[value:lower()] or value, header)
end

--- The host with another port.
local function with_port(host, port)
  return (host:match "^%[.-%]" or host:match "^[^:]*") .. ":" .. port
end

-- --- X-Forwarded-* ------------------------------------------------------------------

local function fix(req, counts)
  local headers = req.headers
  local function value(name, header)
    return trusted(split(headers[header]), counts[name])
  end
  local client = value("for", "X-Forwarded-For")
  if client then set(req, "remote_addr", address(client), "X-Forwarded-For") end
  local proto = value("proto", "X-Forwarded-Proto")
  if proto then set_scheme(req, proto, "X-Forwarded-Proto") end
  local host = value("host", "X-Forwarded-Host")
  if host then set(req, "host", host, "X-Forwarded-Host") end
  local port = value("port", "X-Forwarded-Port")
  if port then set(req, "host", with_port(req.host, port), "X-Forwarded-Port") end
  local prefix = value("prefix", "X-Forwarded-Prefix")
  if prefix then set(req, "script_root", prefix, "X-Forwarded-Prefix") end
end

-- --- Forwarded (RFC 7239) -----------------------------------------------------------

--- Reads `for=192.0.2.1;proto=https, for="[2001:db8::1]"`: a list of tables, or nil
--- where that isn't its form.
local function parse_forwarded(text)
  local hops, hop, at = {}, {}, 1
  while true do
    local name, value, behind = text:match("^%s*([%w!#$%%&'*+.^_`|~-]+)=([%w!#$%%&'*+.^_`|~:%[%]-]+)%s*()", at)
    if not name then
      name, value, behind = text:match('^%s*([%w!#$%%&\'*+.^_`|~-]+)="([^"\\]*)"%s*()', at)
    end
    if not name then return nil end
    hop[name:lower()] = value
    local separator = text:sub(behind, behind)
    if separator ~= ";" then
      hops[#hops + 1], hop = hop, {}
    end
    if behind > #text then return hops end
    if separator ~= ";" and separator ~= "," then return nil end
    at = behind + 1
  end
end

local function fix_forwarded(req, counts)
  local text = req.headers.Forwarded
  if not text then return end
  local hops = parse_forwarded(text) or refuse "Forwarded"
  local function value(name)
    local hop = trusted(hops, counts[name])
    return hop and hop[name]
  end
  local client, proto, host = value "for", value "proto", value "host"
  if client then set(req, "remote_addr", address(client), "Forwarded") end
  if proto then set_scheme(req, proto, "Forwarded") end
  if host then set(req, "host", host, "Forwarded") end
end

---@class dewar.ProxyFixOptions
---@field for_? integer proxies that add to X-Forwarded-For; 1. Also `["for"]` and `x_for`
---@field proto? integer ... to X-Forwarded-Proto; 1
---@field host? integer ... to X-Forwarded-Host; 0
---@field port? integer ... to X-Forwarded-Port; 0
---@field prefix? integer ... to X-Forwarded-Prefix; 0
---@field forwarded? boolean they write RFC 7239's Forwarded instead

--- Believes the proxies in front of the app, so many for each header.
---@param opts? dewar.ProxyFixOptions
---@return dewar.Middleware
return function(opts)
  local counts = read_options(opts)
  local how = counts.forwarded and fix_forwarded or fix
  if counts.forwarded and (counts.port > 0 or counts.prefix > 0) then
    error("proxy_fix: Forwarded has no port and no prefix; leave them out", 2)
  end
  return {
    name = "proxy_fix",
    request = function(req) how(req, counts) end,
  }
end
