--- Connections, TCP's and those of Unix sockets: made, accepted, read and written.

local core = require "dewar.core"
local options = require "dewar.options"
local Reader = require "dewar.reader"

local net = core.net

local PIECE = 256 * 1024

---@class dewar.tcp
local tcp = {}

-- Connections ---------------------------------------------------------------

--- A connection. It is closed at the end of its block where it is a to-be-closed
--- variable, by the collector, and at the runtime's end.
---@class dewar.Connection: dewar.Reader
---@field remote_addr string "" for a Unix socket
---@field remote_port integer
local Connection = setmetatable({}, { __index = Reader })

local connection_type = { __index = Connection, __name = "dewar.Connection" }

--- Makes a connection of a socket.
---@private
function tcp._adopt(socket)
  local self = setmetatable({ _socket = socket }, connection_type)
  self.remote_addr, self.remote_port = socket:peer()
  return Reader._open(self)
end

function Connection:_receive(_, seconds, limit)
  if seconds == nil then seconds = self._seconds end
  return self._socket:read(seconds, limit)
end

--- The limit of each wait from now on, where a call gives none; nil for none.
---@param seconds? number
function Connection:set_timeout(seconds)
  if seconds ~= nil and (type(seconds) ~= "number" or seconds < 0) then
    error("set_timeout: the time must be a number of seconds, or nil", 2)
  end
  self._seconds = seconds
end

--- Writes, and waits until the system has taken it; returns the connection. What
--- was begun when time runs out may still be sent.
---@param data string|number
---@param seconds? number for each 256 KiB
---@return dewar.Connection
function Connection:write(data, seconds)
  if type(data) == "number" then data = tostring(data) end
  if type(data) ~= "string" then error("write: a connection takes a string; got a " .. type(data), 2) end
  if seconds == nil then seconds = self._seconds end
  for first = 1, #data, PIECE do
    self._socket:write(#data <= PIECE and data or data:sub(first, first + PIECE - 1), seconds)
  end
  return self
end

--- Ends our side: the other one reads the end, and may go on to send.
function Connection:shutdown() self._socket:shutdown() end

--- Closes it. Who waits for it gets an error with the code ECANCELED.
function Connection:close() self._socket:close() end

function connection_type:__close() self._socket:close() end

function connection_type:__tostring()
  local name = self.remote_port > 0 and self.remote_addr .. ":" .. self.remote_port or "local"
  return ("connection %s%s"):format(name, self._socket:is_open() and "" or " (closed)")
end

local function check_address(name, host, port)
  if type(host) ~= "string" or host == "" then
    error(("%s: a host is a string; got a %s"):format(name, type(host)), 3)
  end
  if math.type(port) ~= "integer" or port < 0 or port > 65535 then
    error(("%s: a port is a whole number up to 65535; got %s"):format(name, tostring(port)), 3)
  end
end

local function is_failure(err)
  return type(err) == "table" and err.code ~= nil and not core.is_cancelled(err)
end

--- To the first of a host's addresses that answers.
local function connect(host, port, nodelay)
  local failure
  for _, address in ipairs(net.lookup(host)) do
    local what = ("connect to %s port %d"):format(address, port)
    local ok, result = pcall(net.connect, address, port, nodelay, nil, what)
    if ok then return tcp._adopt(result) end
    if not is_failure(result) then error(result, 0) end
    failure = failure or result
  end
  error(failure, 0)
end

--- Connects to a host, trying its addresses in turn, or with `{ unix = path }`
--- to a Unix socket.
---@param host string|{ unix: string, timeout?: number }
---@param port? integer
---@param opts? { timeout?: number, nodelay?: boolean } nodelay is true by default
---@return dewar.Connection
function tcp.connect(host, port, opts)
  if type(host) == "table" then
    opts = options.check("connect", host, { "unix", "timeout" }, 2)
    if type(opts.unix) ~= "string" then error("connect: the option 'unix' is a path", 2) end
    return tcp._adopt(net.connect(opts.unix, -1, false, opts.timeout, "connect to " .. opts.unix))
  end
  check_address("connect", host, port)
  opts = options.check("connect", opts, { "timeout", "nodelay" }, 2)
  options.check_type("connect", opts, "timeout", "number", 2)
  local nodelay = opts.nodelay ~= false
  if opts.timeout then
    local what = ("connect to %s port %d"):format(host, port)
    return (core.limit(what, opts.timeout, connect, host, port, nodelay))
  end
  return (connect(host, port, nodelay))
end

-- Listening -----------------------------------------------------------------

--- Accepts connections. Others wait in the system's backlog meanwhile.
---@class dewar.Listener
---@field port integer 0 for a Unix socket
local Listener = {}

local listener_type = { __index = Listener, __name = "dewar.Listener" }

--- Waits for a connection; nil once it is closed.
---@param seconds? number
---@return dewar.Connection?
function Listener:accept(seconds)
  local socket = self._listener:accept(seconds)
  return socket and tcp._adopt(socket)
end

--- Goes over connections as they come, until it is closed.
---@return fun(): dewar.Connection?
function Listener:connections()
  return function() return (self:accept()) end
end

--- Closes it; what was accepted stays.
function Listener:close() self._listener:close() end

listener_type.__close = Listener.close

function listener_type:__tostring()
  return ("listener at %s%s"):format(self._where, self._listener:is_open() and "" or " (closed)")
end

--- Listens at an address (port 0 is a free one), or with `{ unix = path }` at a
--- Unix socket.
---@param host string|{ unix: string }
---@param port? integer
---@return dewar.Listener
function tcp.listen(host, port)
  local listener, where
  if type(host) == "table" then
    local opts = options.check("listen", host, { "unix" }, 2)
    if type(opts.unix) ~= "string" then error("listen: the option 'unix' is a path", 2) end
    where = opts.unix
    listener = net.listen(where, -1, "listen at " .. where)
  else
    check_address("listen", host, port)
    listener = net.listen(net.lookup(host)[1], port, ("listen at %s port %d"):format(host, port))
  end
  local port_taken = listener:port()
  return setmetatable({ _listener = listener, _where = where or host .. ":" .. port_taken, port = port_taken },
    listener_type)
end

return tcp
