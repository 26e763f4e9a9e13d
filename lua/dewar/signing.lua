--- Signed texts that carry the time of their making, as Flask's itsdangerous
--- writes and reads them: `value.time.signature`, by HMAC-SHA1 with a key that is
--- derived from the secret and a salt. Different salts keep apart what is signed
--- for different ends.

local core = require "dewar.core"

local M = {}

local crypto = core.crypto

--- The least number of bytes, the most significant one first.
local function pack_time(seconds)
  return (string.pack(">I8", seconds):gsub("^\0+", ""))
end

local function unpack_time(text)
  local bytes = crypto.base64url_decode(text)
  if not bytes or #bytes == 0 or #bytes > 7 then return nil end
  return (string.unpack(">I" .. #bytes, bytes))
end

local function signature(key, salt, text)
  return crypto.base64url_encode(crypto.hmac("sha1", crypto.hmac("sha1", key, salt), text))
end

--- Signs a value, which must not hold what a cookie can't carry.
---@param key string
---@param salt string
---@param value string
---@param time? number seconds since 1970; default now
---@return string
function M.sign(key, salt, value, time)
  local seconds = math.floor(time or core.time())
  local text = value .. "." .. crypto.base64url_encode(pack_time(seconds))
  return text .. "." .. signature(key, salt, text)
end

--- The value of a signed text, and when it was signed; or nil and what is wrong
--- with it. Signatures are compared as they are written, so that each text has
--- exactly one that fits.
---@param keys string[] any of them may have signed it
---@param salt string
---@param text string
---@param max_age? number seconds; what is older, or of the future, has expired
---@return string? value
---@return integer | "signature" | "expired" time_or_reason
function M.unsign(keys, salt, text, max_age)
  local value, time, given = text:match "^(.*)%.([^.]*)%.([^.]*)$"
  if not value then return nil, "signature" end
  local signed, good = text:sub(1, -#given - 2), false
  for _, key in ipairs(keys) do
    good = crypto.equal(signature(key, salt, signed), given) or good
  end
  if not good then return nil, "signature" end
  local seconds = unpack_time(time)
  if not seconds then return nil, "signature" end
  local age = math.floor(core.time()) - seconds
  if max_age and (age < 0 or age > math.floor(max_age)) then return nil, "expired" end
  return value, seconds
end

return M
