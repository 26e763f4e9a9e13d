--- Passwords as hashes, in Werkzeug's format: `method$salt$hex`. Making one
--- takes a tenth of a second, so it is done on another thread, and waited for.

local core = require "dewar.core"

local M = {}

local crypto = core.crypto

local DEFAULT = "scrypt"
local SALT_SIZE = 16
local LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
--- Rounds of pbkdf2 where none are told.
local ROUNDS = { sha1 = 1300000, sha256 = 600000, sha512 = 210000 }

--- Letters and digits, each as likely as any other.
local function new_salt()
  local letters = {}
  repeat
    for byte in crypto.random(32):gmatch "." do
      local n = byte:byte()
      if n < 248 and #letters < SALT_SIZE then -- 4 * 62
        letters[#letters + 1] = LETTERS:sub(n % 62 + 1, n % 62 + 1)
      end
    end
  until #letters == SALT_SIZE
  return table.concat(letters)
end

--- A method with its costs, in numbers that fit, or nil.
---@return string? method with the defaults of what it leaves out
---@return string? kind for core.crypto.derive
---@return integer ... costs
local function parse(method)
  if method == "scrypt" then method = "scrypt:32768:8:1" end
  if method == "pbkdf2" then method = "pbkdf2:sha256" end
  local digest, rounds = method:match "^pbkdf2:(%w+):?(%d*)$"
  if ROUNDS[digest] then
    if rounds == "" then rounds = ("%d"):format(ROUNDS[digest]) end
    return ("pbkdf2:%s:%s"):format(digest, rounds), digest, math.tointeger(tonumber(rounds))
  end
  local n, r, p = method:match "^scrypt:(%d+):(%d+):(%d+)$"
  if not n then return nil end
  return method, "scrypt", math.tointeger(tonumber(n)), math.tointeger(tonumber(r)), math.tointeger(tonumber(p))
end

--- The key as hexadecimal digits, or nil for costs that make no sense.
local function derive(password, salt, kind, n, r, p)
  if not n or (kind == "scrypt" and not (r and p)) then return nil end
  local key = crypto.derive(kind, password, salt, n, r, p)
  return key and (key:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

local function check_text(method, what, value)
  if type(value) ~= "string" then
    error(("%s: %s must be a string; got %s"):format(method, what,
      value == nil and "nil" or "a " .. type(value)), 3)
  end
end

--- A hash to be stored in the place of a password. It has a salt of its own, so
--- the same password never gives the same hash. Waits.
---@async
---@param password string
---@param method? string "scrypt", the default, or "pbkdf2"; or with costs: "scrypt:65536:8:1", "pbkdf2:sha256:1000000"
---@return string hash
function M.generate(password, method)
  check_text("generate_password_hash", "the password", password)
  check_text("generate_password_hash", "the method", method or DEFAULT)
  local full, kind, n, r, p = parse(method or DEFAULT)
  local salt = new_salt()
  local key = full and derive(password, salt, kind, n, r, p)
  if not key then
    error(("generate_password_hash: '%s' is no method; it is \"scrypt[:n:r:p]\", n being a power of two, or "
      .. "\"pbkdf2[:sha256[:rounds]]\", and bounded"):format(method), 2)
  end
  return full .. "$" .. salt .. "$" .. key
end

--- Whether a password is the one that a hash was made of, also one that Werkzeug
--- has made. A text that is no hash fits no password. Waits.
---@async
---@param hash string
---@param password string
---@return boolean
function M.check(hash, password)
  check_text("check_password_hash", "the hash", hash)
  check_text("check_password_hash", "the password", password)
  local method, salt, expected = hash:match "^([^$]+)%$([^$]*)%$(%x+)$"
  if not method then return false end
  local key = derive(password, salt, select(2, parse(method)))
  return key ~= nil and crypto.equal(key, expected:lower())
end

return M
