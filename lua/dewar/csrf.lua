--- Protection against cross-site request forgery: a page of another site can make
--- a browser send a form here, cookies and all, but it can't know the token that
--- lies in the visitor's session.

local core = require "dewar.core"
local markup = require "dewar.markup"

local M = {}

local crypto = core.crypto

--- The key of the session that holds the secret.
local KEY = "_csrf"
local SIZE = 32

--- Why a request was refused: a 400 with `reason`, one of "missing", "session",
--- "mismatch", "origin" and "referer".
M.CSRFError = core.errors[400]:extend("CSRFError", { reason = "missing" })

local function xor(a, b)
  local bytes = { a:byte(1, -1) }
  for i, byte in ipairs(bytes) do bytes[i] = byte ~ b:byte(i) end
  return string.char(table.unpack(bytes))
end

--- The session's secret as bytes, or nil.
local function secret_of(session)
  local text = session[KEY]
  local secret = type(text) == "string" and crypto.base64url_decode(text)
  return secret and #secret == SIZE and secret or nil
end

--- A token for the session, which gets a secret if it has none. No two tokens
--- look alike, so that a compressed page doesn't tell what is in it (BREACH).
---@param session table
---@return string
function M.token_of(session)
  local secret = secret_of(session)
  if not secret then
    secret = crypto.random(SIZE)
    session[KEY] = crypto.base64url_encode(secret)
  end
  local mask = crypto.random(SIZE)
  return crypto.base64url_encode(mask .. xor(mask, secret))
end

--- Why a token isn't the session's, or nil.
---@param session table
---@param token string?
---@return "missing"|"session"|"mismatch"|nil
function M.fault(session, token)
  if not token or token == "" then return "missing" end
  local secret = secret_of(session)
  if not secret then return "session" end
  local bytes = crypto.base64url_decode(token)
  if not bytes or #bytes ~= 2 * SIZE then return "mismatch" end
  local given = xor(bytes:sub(1, SIZE), bytes:sub(SIZE + 1))
  if not crypto.equal(given, secret) then return "mismatch" end
end

local function current(name)
  local req = core.request()
  if not req then error(name .. " was used outside of a request", 3) end
  if not req.app._csrf then
    error(name .. " needs the protection that goes with it: app:use(dewar.middleware.csrf())", 3)
  end
  return req
end

--- A token for forms and scripts of the running request's visitor.
---@return string
function M.token()
  local req = current "csrf_token"
  return M.token_of(req.session)
end

--- The same as a hidden field of a form.
---@return dewar.Markup
function M.field()
  local req = current "csrf_field"
  return markup.new(('<input type="hidden" name="%s" value="%s">')
    :format(core.escape(req.app._csrf.field), M.token_of(req.session)))
end

return M
