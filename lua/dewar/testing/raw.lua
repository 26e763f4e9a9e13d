--- A connection of the test client for bytes as they are: for specs of HTTP
--- itself.

local options = require "dewar.options"

local M = {}

---@class dewar.TestConnection
local Connection = {}
Connection.__index = Connection
Connection.__name = "dewar.TestConnection"

local SEND_OPTIONS = { "split" }

--- The places behind which the bytes are cut.
local function cuts(bytes, split, level)
  local places = {}
  if split == nil then return places end
  if math.type(split) == "integer" and split > 0 then
    for at = split, #bytes - 1, split do places[#places + 1] = at end
    return places
  end
  if type(split) ~= "table" then
    error("split is the length of the pieces, or a list of places to cut at", level + 1)
  end
  for i, at in ipairs(split) do
    local last = places[#places] or 0
    if math.type(at) ~= "integer" or at <= last then
      error(("split: item %d must be a whole number beyond %d"):format(i, last), level + 1)
    end
    if at < #bytes then places[#places + 1] = at end
  end
  return places
end

local function check_bytes(method, bytes, level)
  if type(bytes) ~= "string" then
    error(("%s: the bytes must be a string; got a %s"):format(method, type(bytes)), level + 1)
  end
end

local function send(conn, bytes, places)
  local from = 1
  for _, at in ipairs(places) do
    if not conn:send(bytes:sub(from, at)) then return false end
    from = at + 1
  end
  return conn:send(bytes:sub(from))
end

--- Sends bytes, in pieces with turns of the loop between them where `split`
--- says so: a length, or the places behind which to cut.
---@param bytes string
---@param opts? { split: integer|integer[]? }
---@return boolean # false: the server has closed the connection
function Connection:send(bytes, opts)
  check_bytes("send", bytes, 2)
  opts = options.check("send", opts, SEND_OPTIONS, 2)
  local places = cuts(bytes, opts.split, 2)
  local open = send(self._conn, bytes, places)
  return open
end

--- Everything that has come since the last call. Waits until nothing more comes
--- without more bytes or time: the server has "closed" the connection, is
--- "idle" between two requests, or is "waiting" for the rest of one. Until it is
--- called no more is read than the buffers hold: a slow reader.
---@return string bytes
---@return "closed"|"idle"|"waiting" state
---@return string? code "ECONNRESET" where the end was a reset
function Connection:receive()
  local bytes, state, code = self._conn:receive()
  return bytes, state, code
end

--- Ends this side: the server sees that the client is gone.
function Connection:shutdown()
  self._conn:shutdown()
end

--- Disconnects, and returns after the teardown of what was being answered.
function Connection:close()
  self._conn:close()
end

Connection.__close = Connection.close

---@param conn userdata
---@return dewar.TestConnection
function M.new(conn)
  return setmetatable({ _conn = conn }, Connection)
end

M.cuts = cuts
M.check_bytes = check_bytes

return M
