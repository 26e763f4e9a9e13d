--- Sessions: a table that follows a browser from request to request. Unless the
--- app has an interface of its own, it lies in a signed cookie, as Flask's does.
--- C opens it where `req.session` is first asked for, and saves it behind the
--- after_request hooks (bindings/session.c, runtime/app/dispatch.c).

local core = require "dewar.core"
local options = require "dewar.options"
local signing = require "dewar.signing"
local tagged_json = require "dewar.tagged_json"

local M = {}

local crypto = core.crypto

local SALT = "cookie-session"

--- What a session may have as JSON; one that would inflate to more is refused.
local TEXT_MAX = 256 * 1024

--- How many cookies of one name are looked at.
local COOKIES_MAX = 8

local NO_KEY = "the session can't be changed as the app has no secret key: set app.config.SECRET_KEY "
  .. "to a long random string that stays the same, and keep it to yourself"
local NO_SESSION = "the session can't be changed: the app's session_interface has opened none"

--- Sessions that can't be written to: nothing is saved of them.
local null_sessions = setmetatable({}, { __mode = "k" })

--- What sessions were when they were opened: the text of their cookie, or false.
local opened = setmetatable({}, { __mode = "k" })

local function null_session(message)
  local session = core.read_only(message)
  null_sessions[session] = true
  return session
end

-- --- The cookie -----------------------------------------------------------------

local function has_key(config)
  return config.SECRET_KEY ~= nil and config.SECRET_KEY ~= ""
end

local function keys_of(config)
  return { config.SECRET_KEY, table.unpack(config.SECRET_KEY_FALLBACKS or {}) }
end

--- The session's text out of a cookie's value, or nil.
local function unpack_cookie(config, value)
  local payload = signing.unsign(keys_of(config), SALT, value, config.PERMANENT_SESSION_LIFETIME)
  if not payload then return nil end
  local compressed = payload:sub(1, 1) == "."
  local text = crypto.base64url_decode(compressed and payload:sub(2) or payload)
  if not text then return nil end
  if compressed then return (crypto.inflate(text, TEXT_MAX)) end
  return text
end

--- The first that is ours of several cookies of that name: a browser sends those of
--- all paths above, and other apps there may have other keys.
local function find_other(config, values)
  for i = 2, math.min(#values, COOKIES_MAX) do
    local text = unpack_cookie(config, values[i])
    if text then return text end
  end
end

--- Compressed where that makes it shorter.
local function pack_cookie(config, text)
  local small = crypto.can_deflate and crypto.deflate(text)
  local payload = small and #small < #text - 1 and "." .. crypto.base64url_encode(small)
    or crypto.base64url_encode(text)
  return signing.sign(config.SECRET_KEY, SALT, payload)
end

local function cookie_options(config, req)
  return {
    domain = config.SESSION_COOKIE_DOMAIN,
    path = config.SESSION_COOKIE_PATH or core.mounted_at(req) or config.APPLICATION_ROOT or "/",
    httponly = config.SESSION_COOKIE_HTTPONLY,
    secure = config.SESSION_COOKIE_SECURE,
    samesite = config.SESSION_COOKIE_SAMESITE,
    partitioned = config.SESSION_COOKIE_PARTITIONED,
  }
end

--- The session's text, whose keys and form are always the same for the same
--- values. A list would be another thing than a session to who reads it.
local function text_of(session, config)
  for key in next, session do
    if type(key) ~= "string" then
      error(("the session can't be saved: its keys are strings; one is a %s (%s)")
        :format(type(key), tostring(key)), 0)
    end
  end
  local ok, text = pcall(tagged_json.encode, session, config.JSON_EMPTY_TABLE)
  if not ok then
    error("the session can't be saved: " .. tostring(text):gsub("^[^:\n]+:%d+: ", ""), 0)
  elseif #text > TEXT_MAX then
    error(("the session can't be saved: it has %d bytes, and a cookie should have less than 4096; "
      .. "keep what is large elsewhere"):format(#text), 0)
  end
  return text
end

--- Whether it is another text than the session was opened with, be that written
--- in another form.
local function is_changed(text, was, config)
  if text == was then return false end
  return not was or text ~= text_of(tagged_json.decode(was), config)
end

---@class dewar.SessionInterface
---@field open fun(app: dewar.App, req: dewar.Request): any a table, or what is like one; nil: none
---@field save fun(app: dewar.App, req: dewar.Request, session: any, res: dewar.Response)

--- Sessions in signed cookies. An app's own interface may wait, in both functions.
---@type dewar.SessionInterface
M.cookies = {
  open = function(app, req)
    local config = app.config
    if not has_key(config) then return null_session(NO_KEY) end
    local name = config.SESSION_COOKIE_NAME
    local value = req.cookies[name]
    local text = value and unpack_cookie(config, value)
    if value and not text then text = find_other(config, req.cookies(name)) end
    local session = text and tagged_json.decode(text)
    if not session or next(session) == nil then session, text = {}, false end
    opened[session] = text
    return session
  end,

  save = function(app, req, session, res)
    local config, was = app.config, opened[session]
    res.vary:add "Cookie"
    if next(session) == nil then
      if was then res:delete_cookie(config.SESSION_COOKIE_NAME, cookie_options(config, req)) end
      return
    end
    local text = text_of(session, config)
    local permanent = session._permanent
    if not is_changed(text, was, config)
        and not (permanent and config.SESSION_REFRESH_EACH_REQUEST) then
      return
    end
    local opts = cookie_options(config, req)
    if permanent then opts.expires = core.time() + config.PERMANENT_SESSION_LIFETIME end
    res:set_cookie(config.SESSION_COOKIE_NAME, pack_cookie(config, text), opts)
  end,
}

-- --- Any interface --------------------------------------------------------------

--- Requests whose session is being opened.
local opening = setmetatable({}, { __mode = "k" })
local Opening = { __close = function(self) opening[self.req] = nil end }

--- The functions of the app's own interface, as its ensure_sync makes them.
local function functions_of(app, interface)
  local functions = app._session_functions
  if not functions or functions.interface ~= interface then
    M.check(interface, 2)
    functions = {
      interface = interface,
      open = app:ensure_sync(interface.open),
      save = app:ensure_sync(interface.save),
    }
    app._session_functions = functions
  end
  return functions
end

--- Opens the session of a request, by whatever interface the app has.
---@param app dewar.App
---@param req dewar.Request
---@return any
function M.open(app, req)
  local interface = app.session_interface or M.cookies
  if interface == M.cookies then return interface.open(app, req) end
  if opening[req] then
    error("req.session was used while the app's session_interface was opening it", 0)
  end
  opening[req] = true
  local _ <close> = setmetatable({ req = req }, Opening)
  local session = functions_of(app, interface).open(app, req)
  if session == nil then return null_session(NO_SESSION) end
  return session
end

--- Whether nothing can be written to it.
---@param session any
---@return boolean
function M.is_null(session)
  return null_sessions[session] ~= nil
end

--- Called for a request that has opened its session.
local function save(req, res)
  local app, session = req.app, req.session
  if M.is_null(session) then return end
  local interface = app.session_interface or M.cookies
  if interface == M.cookies then
    interface.save(app, req, session, res)
  else
    functions_of(app, interface).save(app, req, session, res)
  end
end

--- Makes the app's requests open and save sessions.
---@param app dewar.App
function M.attach(app)
  app._core:save_sessions_by(save)
end

local function is_callable(f)
  if type(f) == "function" then return true end
  local meta = debug.getmetatable(f)
  return meta ~= nil and type(meta.__call) == "function"
end

--- Raises where a value is no session interface.
---@param interface any
---@param level integer
function M.check(interface, level)
  local indexable = type(interface) == "table" or type(interface) == "userdata"
  for _, name in ipairs { "open", "save" } do
    if not indexable or not is_callable(interface[name]) then
      error(("a session_interface has functions open(app, req) and save(app, req, session, res); got %s")
        :format(indexable and "no " .. name or "a " .. type(interface)), level + 1)
    end
  end
end

--- One of the app's own opens its sessions before the route is known.
local function open_early(req)
  if req.app.session_interface ~= M.cookies then local _ = req.session end
end

---@param app dewar.App
---@param interface dewar.SessionInterface
---@param level integer
function M.use(app, interface, level)
  M.check(interface, level + 1)
  options.call(level + 1, app._core.open_sessions_by, app._core, open_early)
end

return M
