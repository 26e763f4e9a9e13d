--- WebSockets of the test client: the client's side of the protocol over a
--- connection inside the process.

local core = require "dewar.core"

local M = {}

local PING_MAX, REASON_MAX = 125, 123 -- bytes

---@class dewar.TestWebSocket
---@field headers table of the 101 answer; index for one, call for all
---@field subprotocol? string that the view has chosen
---@field closed boolean
---@field close_code? integer 1006 where there was no close
---@field close_reason? string
local Socket = {}
Socket.__index = Socket
Socket.__name = "dewar.TestWebSocket"

-- --- The handshake ----------------------------------------------------------------

--- What a request needs to ask for a websocket: a codec, and header lines.
---@param subprotocols string[]?
---@return table codec
---@return string lines
function M.ask(subprotocols)
  local codec = core.websocket_codec()
  local key, extensions = codec:request()
  local lines = {
    "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: " .. key, "Sec-WebSocket-Extensions: " .. extensions,
  }
  if subprotocols then
    lines[#lines + 1] = "Sec-WebSocket-Protocol: " .. table.concat(subprotocols, ", ")
  end
  return codec, table.concat(lines, "\r\n") .. "\r\n"
end

--- Raises what is wrong with the subprotocols, without a position.
function M.check_subprotocols(list)
  if list == nil then return end
  if type(list) ~= "table" or #list == 0 then
    error("subprotocols must be a list of names", 0)
  end
  for i, name in ipairs(list) do
    if type(name) ~= "string" or not name:find "^[!#$%%&'*+%-.^_`|~%w]+$" then
      error(("subprotocols: item %d must be a word such as \"chat\""):format(i), 0)
    end
  end
end

--- The error of an answer that isn't 101.
---@param answer dewar.TestResponse
function M.refusal(answer)
  local message = ("the websocket was refused: %d %s"):format(answer.status, answer.reason)
  local class = core.errors[answer.status]
    or answer.status >= 400 and core.HTTPError:extend("Refused", { status = answer.status })
    or core.Error
  return class(message, { response = answer })
end

--- The websocket of a connection that was answered with 101.
---@param conn table
---@param codec table
---@param headers table
---@param raise fun(err: any, traceback: string?) for what the view raised
---@return dewar.TestWebSocket
function M.new(conn, codec, headers, raise)
  local problem = codec:answered(headers.sec_websocket_accept, headers.sec_websocket_extensions)
  if problem then error("the answer is no websocket's: " .. problem, 0) end
  return setmetatable({
    headers = headers,
    subprotocol = headers.sec_websocket_protocol,
    closed = false,
    _conn = conn,
    _codec = codec,
    _raise = raise,
    _events = {},
    _first = 1,
  }, Socket)
end

-- --- The end ----------------------------------------------------------------------

local function set_closed(self, code, reason)
  if self.closed then return end
  self.closed, self.close_code, self.close_reason = true, code, reason
end

--- Raises what the view raised, if that is over and its app propagates it. That
--- the connection was reset is no error here.
local function check(self)
  local known, ok, err, traceback = pcall(self._conn.outcome, self._conn)
  if known and not ok then self._raise(err, traceback) end
end

--- Waits until nothing more comes without us, ends our side, and waits for the
--- end of the view.
local function finish(self)
  local conn = self._conn
  if not conn then return end
  self._conn = nil
  local _ <close> = setmetatable({}, { __close = function() conn:close() end })
  conn:receive()
  conn:shutdown()
  pcall(conn.read_all, conn)
  check { _conn = conn, _raise = self._raise }
end

local function put(self, bytes)
  if self._conn then self._conn:send(bytes) end
end

-- --- Receiving --------------------------------------------------------------------

--- The other side has closed: it gets an answer, and an error of the view is
--- raised here.
local function take_close(self, event)
  local answered = self.closed
  set_closed(self, event.code, event.data)
  if not answered then put(self, self._codec:close(event.code, "")) end
  if event.code == 1011 then finish(self) end
end

--- Deals with an event; a message and its kind, if it is one.
local function take(self, event)
  if event.kind == "text" or event.kind == "binary" then return event.data, event.kind end
  if event.kind == "ping" then
    put(self, self._codec:encode("pong", event.data))
  elseif event.kind == "close" then
    take_close(self, event)
  elseif event.kind == "failure" then
    error("the server broke the rules of WebSocket: " .. event.data, 0)
  end
end

local function next_event(self)
  local event = self._events[self._first]
  if not event then return nil end
  self._events[self._first] = nil
  self._first = self._first + 1
  return event
end

local function vanished(self)
  set_closed(self, 1006, "")
  check(self)
end

--- The next message and its kind, "text" or "binary"; at the end nil, the code
--- and the reason. Waits; an error of the view that its app propagates is raised.
---@param seconds? number then dewar.TimeoutError is raised
---@return string? message
---@return "text"|"binary"|integer kind_or_code
---@return string? reason
function Socket:receive(seconds)
  while true do
    local event = next_event(self)
    if event then
      local message, kind = take(self, event)
      if message then return message, kind end
    elseif self.closed then
      return nil, self.close_code, self.close_reason
    else
      local bytes = self._conn:read(seconds)
      if bytes then
        self._events, self._first = self._codec:decode(bytes), 1
      else
        vanished(self)
      end
    end
  end
end

--- An iterator over the messages until the end, each with its kind.
---@return fun(): string?, "text"|"binary"
function Socket:messages()
  return function() return self:receive() end
end

-- --- Sending ----------------------------------------------------------------------

local function send(self, name, kind, data)
  if type(data) ~= "string" then
    error(("%s takes a string; got a %s"):format(name, type(data)), 3)
  end
  if self.closed then
    error(("%s: this websocket is closed (%s)"):format(name, self.close_code), 3)
  end
  put(self, self._codec:encode(kind, data))
end

--- Sends a text. It isn't checked: a spec may want to see what becomes of it.
---@param text string
function Socket:send(text) send(self, "send", "text", text) end

---@param bytes string
function Socket:send_binary(bytes) send(self, "send_binary", "binary", bytes) end

--- Sends a ping; the pong is swallowed.
---@param data? string
function Socket:ping(data)
  if type(data) == "string" and #data > PING_MAX then
    error(("ping: the data has %d bytes; %d fit"):format(#data, PING_MAX), 2)
  end
  send(self, "ping", "ping", data or "")
end

--- Codes and reasons that are wrong can be sent, but they must fit.
local function check_close(code, reason)
  if code ~= nil then
    local whole = type(code) == "number" and math.tointeger(code)
    if not whole or whole < 0 or whole > 65535 then
      error(("close: the code is a whole number of 0 to 65535; got %s"):format(
        type(code) == "number" and tostring(code) or "a " .. type(code)), 3)
    end
  end
  if reason ~= nil and type(reason) ~= "string" then
    error(("close: the reason is a string; got a %s"):format(type(reason)), 3)
  elseif reason and #reason > REASON_MAX then
    error(("close: the reason has %d bytes; %d fit"):format(#reason, REASON_MAX), 3)
  end
end

--- Closes, with 1000 unless there is another code, and returns after the
--- request's teardown. An error of the view that its app propagates is raised.
---@param code? integer
---@param reason? string
function Socket:close(code, reason)
  check_close(code, reason)
  if not self.closed then
    put(self, self._codec:close(code or 1000, reason or ""))
    set_closed(self, code or 1000, reason or "")
  end
  finish(self)
end

Socket.__close = function(self) self:close() end

--- Disconnects without a word, as a client that vanishes, and returns after the
--- request's teardown.
function Socket:disconnect()
  local conn = self._conn
  self._conn = nil
  set_closed(self, 1006, "")
  if conn then conn:close() end
end

function Socket:__tostring()
  return ("dewar.TestWebSocket (%s)"):format(
    self.closed and "closed with " .. self.close_code or "open")
end

return M
