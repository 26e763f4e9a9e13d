--- Words that only this response knows, so that a Content-Security-Policy can
--- tell the app's own scripts from others.

local core = require "dewar.core"

local M = {}

local nonces = setmetatable({}, { __mode = "k" })

--- The word of a request's response: 128 random bits.
---@param req dewar.Request
---@return string
function M.of(req)
  local nonce = nonces[req]
  if not nonce then
    nonce = core.crypto.base64url_encode(core.crypto.random(16))
    nonces[req] = nonce
  end
  return nonce
end

--- The same for the running request.
---@return string
function M.current()
  local req = core.request()
  if not req then error("csp_nonce was used outside of a request", 2) end
  return M.of(req)
end

--- Lets templates ask for it.
---@param app dewar.App
function M.attach(app)
  app:template_global("csp_nonce", M.current)
end

return M
