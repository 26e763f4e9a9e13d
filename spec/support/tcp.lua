-- Connections to a server as a client sees them from below: bytes, and how they
-- ended. Blocking, each call with a limit, for servers in a process of their own.

local cqueues = require "cqueues"
local errno = require "cqueues.errno"
local socket = require "cqueues.socket"

local LIMIT = 20 -- seconds
local PATIENCE = 0.2 -- until somebody who sends looks whether he still can

local tcp = {}

local Connection = {}
Connection.__index = Connection

--- Connects to "http://host:port".
function tcp.connect(url)
  local host, port = url:match "//([%d.]+):(%d+)"
  local self = setmetatable({}, Connection)
  self.socket = assert(socket.connect(host, tonumber(port)))
  self.socket:setmode("bn", "bn")
  self.socket:onerror(function(_, _, code) return code end)
  local ok, code = self.socket:connect(LIMIT)
  if not ok then
    self.socket:close()
    return nil, errno[code]
  end
  return self
end

local function wait(self, events, seconds)
  return cqueues.poll({ pollfd = self.socket:pollfd(), events = events }, seconds) ~= seconds
end

--- Whether an end was a reset that cqueues has met with while it read the bytes
--- before it, and kept to itself: the system has forgotten the peer then.
function Connection:was_reset()
  return not self.half and self.socket:peername() == 0
end

--- Some bytes; or nil and "end", "reset" or "timeout".
function Connection:read(seconds)
  local deadline = cqueues.monotime() + (seconds or LIMIT)
  while true do
    local bytes, code = self.socket:recv(-65536)
    if bytes and #bytes > 0 then return bytes end
    self.socket:clearerr()
    if code == errno.ECONNRESET then return nil, "reset" end
    if code ~= errno.EAGAIN then return nil, self:was_reset() and "reset" or "end" end
    local left = deadline - cqueues.monotime()
    if left <= 0 then return nil, "timeout" end
    wait(self, "r", left)
  end
end

--- All bytes until the end, and what ended them.
function Connection:read_all(seconds)
  local parts = {}
  while true do
    local bytes, why = self:read(seconds)
    if not bytes then return table.concat(parts), why end
    parts[#parts + 1] = bytes
  end
end

--- Reads until the bytes match; all of them. They may be fewer at an end.
function Connection:read_until(pattern)
  local text = ""
  while not text:find(pattern) do
    local bytes = self:read()
    if not bytes then break end
    text = text .. bytes
  end
  return text
end

--- Sends what the other side takes: how many bytes that were within the time.
function Connection:send(bytes, seconds)
  local deadline = cqueues.monotime() + (seconds or LIMIT)
  local at = 1
  while at <= #bytes do
    local count, code = self.socket:send(bytes, at, #bytes, "bn")
    at = at + (count or 0)
    if at > #bytes then break end
    if code and code ~= errno.EAGAIN then
      self.socket:clearerr()
      break
    end
    local left = deadline - cqueues.monotime()
    if left <= 0 then break end
    wait(self, "w", math.min(left, PATIENCE))
  end
  return at - 1
end

--- Ends our side.
function Connection:shutdown()
  self.half = true
  self.socket:shutdown "w"
end

--- Closes. With bytes that were not read, the other side gets a reset.
function Connection:close() self.socket:close() end

Connection.__close = Connection.close

return tcp
