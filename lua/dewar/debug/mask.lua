--- What the debug page doesn't show: values by their names, and what is known to
--- be secret wherever it stands.

local core = require "dewar.core"

local M = {}

--- What stands in a secret's place.
M.HIDDEN = "••••••••"

local WORDS = {
  "key", "secret", "token", "password", "passwd", "passphrase", "authorization", "cookie", "session", "csrf",
  "credential", "signature", "dsn",
}

--- Words that say it where they stand alone: "db_pass", but not "passenger".
local WHOLE = { pass = true, pw = true, pwd = true, pin = true, otp = true, jwt = true, salt = true, bearer = true,
  cvv = true, cvc = true }

--- Settings that have such a word in their names and say nothing.
local HARMLESS = {
  SESSION_COOKIE_NAME = true, SESSION_COOKIE_DOMAIN = true, SESSION_COOKIE_PATH = true,
  SESSION_COOKIE_SAMESITE = true, MAX_COOKIE_SIZE = true, PERMANENT_SESSION_LIFETIME = true,
}

--- Whether a value of this name is kept back.
---@param name any
---@return boolean
function M.hides(name)
  if type(name) ~= "string" or HARMLESS[name] then return false end
  local lower = name:lower()
  for _, word in ipairs(WORDS) do
    if lower:find(word, 1, true) then return true end
  end
  for word in name:gsub("(%l)(%u)", "%1 %2"):gmatch "%a+" do
    if WHOLE[word:lower()] then return true end
  end
  return false
end

--- Texts shorter than that would be found in too many places.
local SHORTEST, SHORTEST_KEY = 6, 3

---@class dewar.debug.Mask
---@field _secrets string[] the longest first
local Mask = {}
Mask.__index = Mask

local function add(found, value, shortest)
  if type(value) == "string" and #value >= shortest then found[value] = true end
end

--- The password of a URL such as "postgres://shop:tea@host/db".
local CREDENTIALS = "(://[^%s/:@]*:)([^%s/@]+)@"

--- What a field says that must not be seen: all of it, or what a URL in it has.
local function add_field(found, name, value)
  if M.hides(name) then add(found, value, SHORTEST) end
  if type(value) ~= "string" then return end
  for _, password in value:gmatch(CREDENTIALS) do add(found, password, SHORTEST) end
end

local function add_pairs(found, values)
  for name, value in pairs(values) do add_field(found, name, value) end
end

--- What Authorization says: a token, or a name and a password.
local function add_credentials(found, header)
  local credentials = header:match "^%S+%s+(.+)$"
  if not credentials then return end
  add(found, credentials, SHORTEST)
  local plain = header:lower():find "^basic " and core.crypto.base64_decode(credentials)
  add(found, plain and plain:match ":(.*)$", SHORTEST)
end

--- A described value (bindings/snapshot.c), and what is in it.
local function add_node(found, name, node)
  if node.type == "string" and node.size == #node.text then add_field(found, name, node.text) end
  for _, item in ipairs(node.items or {}) do add_node(found, item[1].text, item[2]) end
end

local function add_variables(found, variables)
  for _, variable in ipairs(variables or {}) do add_node(found, variable.name, variable.value) end
end

--- Of an app and a request: its key; and settings, fields and variables with
--- telling names.
---@param app dewar.App
---@param req dewar.Request
---@param made table what of the request has been made, by name
---@return dewar.debug.Mask
function M.new(app, req, made)
  local found = {}
  add(found, app.config.SECRET_KEY, SHORTEST_KEY)
  for _, key in ipairs(app.config.SECRET_KEY_FALLBACKS or {}) do add(found, key, SHORTEST_KEY) end
  add_pairs(found, app.config)
  add_pairs(found, req.headers)
  add_pairs(found, req.args)
  add_pairs(found, req.cookies)
  if made.form then add_pairs(found, made.form) end
  if made.g then add_node(found, nil, core.snapshot(made.g)) end
  if type(made.session) == "table" then add_node(found, nil, core.snapshot(made.session)) end
  add(found, req.cookies[app.config.SESSION_COOKIE_NAME], SHORTEST)
  add_credentials(found, req.headers.authorization or "")
  for _, report in ipairs(made["\1reports"] or {}) do
    add_node(found, nil, core.snapshot(report.value))
    for _, frame in ipairs(report.frames or {}) do
      add_variables(found, frame.locals)
      add_variables(found, frame.upvalues)
    end
  end
  local secrets = {}
  for secret in pairs(found) do secrets[#secrets + 1] = secret end
  table.sort(secrets, function(a, b) return #a > #b end)
  return setmetatable({ _secrets = secrets }, Mask)
end

local function replace(text, secret)
  local from = text:find(secret, 1, true)
  if not from then return text end
  local parts, at = {}, 1
  while from do
    parts[#parts + 1] = text:sub(at, from - 1)
    at = from + #secret
    from = text:find(secret, at, true)
  end
  parts[#parts + 1] = text:sub(at)
  return table.concat(parts, M.HIDDEN)
end

--- The text with all secrets out of it; of one that was cut, also the beginning
--- of a secret at its end.
---@param text string
---@param cut? boolean
---@return string
function Mask:text(text, cut)
  text = text:gsub(CREDENTIALS, "%1" .. M.HIDDEN .. "@")
  for _, secret in ipairs(self._secrets) do
    text = replace(text, secret)
    for n = cut and math.min(#secret - 1, #text) or 0, 3, -1 do
      if text:sub(-n) == secret:sub(1, n) then
        text = text:sub(1, -n - 1) .. M.HIDDEN
        break
      end
    end
  end
  return text
end

--- A line of source, without texts that are given to telling names.
---@param line string
---@return string
function M.source(line)
  return (line:gsub("([%w_]+)(%s*=%s*)([\"'])(.-)%3", function(name, equals, mark)
    if M.hides(name) then return name .. equals .. mark .. M.HIDDEN .. mark end
  end))
end

--- The same for a URL or a query: what a telling name has goes, too.
---@param text string
---@return string
function Mask:url(text)
  return (self:text(text):gsub("([^?&=#]+)=([^&#]*)", function(name, value)
    if value ~= "" and M.hides(name) then return name .. "=" .. M.HIDDEN end
  end))
end

-- A field of a form, a header: URLs are looked into.
local URLS = { referer = true, origin = true, location = true }

--- The value of a field, as it may be shown.
---@param name string
---@param value string
---@return string
function Mask:field(name, value)
  if M.hides(name) then return M.HIDDEN end
  if URLS[name:lower()] then return self:url(value) end
  return self:text(value)
end

return M
