---@meta dewar.websocket
-- Websockets (bindings/websocket.c) and rooms (bindings/room.c).

---What the view of `app:websocket` gets: the request, with more methods. Whatever
---talks to the client accepts first, if that wasn't done. Errors of misuse are
---raised at the caller's line.
---@class dewar.WebSocket: dewar.Request
---@field subprotocols string[] what the client offers, in its order
---@field accepted boolean
---@field closed boolean by either side
---@field close_code integer? nil while it is open; 1006 where the client vanished
---@field close_reason string?
local WebSocket = {}

---@class dewar.AcceptOptions
---@field headers? table<string, string|string[]>
---@field subprotocol? string one of `ws.subprotocols`

---Accepts, with headers or a subprotocol.
---@param options? dewar.AcceptOptions
function WebSocket:accept(options) end

---The next message and its kind, "text" or "binary"; after the close nil, the code
---and the reason. Waits; only one task may do so. A client that vanishes without a
---close cancels the view, as everywhere.
---@param seconds? number then `dewar.TimeoutError` is raised
---@return string? message
---@return "text"|"binary"|integer kind_or_code
---@return string? reason
function WebSocket:receive(seconds) end

---An iterator over the messages until the close, each with its kind.
---@return fun(): string?, "text"|"binary"
function WebSocket:messages() end

---Sends a text, which must be valid UTF-8. Waits where the client is slow; several
---tasks may send. After the client's close `dewar.WebSocketClosed` is raised.
---@param text string
function WebSocket:send(text) end

---Sends bytes.
---@param bytes string
function WebSocket:send_binary(bytes) end

---Asks the client for a sign of life, which needs no answer of yours. The server
---does so by itself (config.WEBSOCKET_PING_INTERVAL).
function WebSocket:ping() end

---Closes; of a closed one it does nothing.
---@param code? integer 1000 by default; 4000 to 4999 are an app's own
---@param reason? string up to 123 bytes
function WebSocket:close(code, reason) end

---Those who get the same messages: websockets, and event streams by their `send`.
---Members leave when they close.
---@class dewar.Room
---@operator len: integer
local Room = {}

---Adds a member; a websocket is accepted if it wasn't. Once is enough. An event
---stream whose function has returned goes on for as long as it is in a room.
---@param member dewar.WebSocket|dewar.EventSender
function Room:join(member) end

---@param member dewar.WebSocket|dewar.EventSender
function Room:leave(member) end

---@param member dewar.WebSocket|dewar.EventSender
---@return boolean
function Room:has(member) end

---Sends a text, or an event, to all members, or to all but one. Event streams take a
---text as data; websockets get an event's data. Never waits: a member that is too
---far behind is dropped, or left out.
---@param message string|dewar.ServerEvent
---@param except? dewar.WebSocket|dewar.EventSender
---@return integer # how many it went to
function Room:send(message, except) end

---To the websockets; events can't carry bytes.
---@param bytes string
---@param except? dewar.WebSocket|dewar.EventSender
---@return integer # how many it went to
function Room:send_binary(bytes, except) end

---An iterator over those who are members now.
---@return fun(): dewar.WebSocket|dewar.EventSender?
function Room:members() end

---@class dewar.RoomOptions
---@field backlog? integer bytes that a member may be behind; default 1 MiB
---What becomes of one that is further behind: "close" (the default) closes it (a
---websocket with 1013), "skip" leaves it out until it has caught up.
---@field slow? "close"|"skip"

---@class dewar
local dewar = {}

---A new room: `local lobby = dewar.room()`.
---@param options? dewar.RoomOptions
---@return dewar.Room
function dewar.room(options) end

---Raised by sending to a websocket that its client has closed; `close_code` and
---`reason` are the client's. A view that ends with it ends normally.
---@type dewar.ErrorClass
dewar.WebSocketClosed = nil

return { WebSocket = WebSocket, Room = Room }
