--- The client of specs: requests to an app through the real parser, router and
--- dispatch, without a socket. See docs/testing.md.

local core = require "dewar.core"
local cookies = require "dewar.testing.cookies"
local options = require "dewar.options"
local raw = require "dewar.testing.raw"
local requests = require "dewar.testing.request"
local response = require "dewar.testing.response"
local sessions = require "dewar.testing.session"
local target = require "dewar.testing.target"
local websocket = require "dewar.testing.websocket"

local M = {}

---@class dewar.Client
---@field app dewar.App
---@field cookies? table index for one, call for all; assignment sets one, nil deletes
---@field clock? dewar.TestClock with clock = "virtual"
---@field traceback? string of the last error that a view raised through the client
local Client = {}
Client.__index = Client
Client.__name = "dewar.Client"

---@class dewar.RequestOptions
---@field json? any
---@field form? table names with values, a list repeats the name
---@field files? table<string, dewar.TestFile|dewar.TestFile[]|string>
---@field body? string|fun(): string? a function gives it in pieces, nil ends it
---@field headers? table names with values, a list repeats the header; in lower case `_` is `-`
---@field query? table|string
---@field auth? string[] { user, password }
---@field follow_redirects? boolean
---@field stream? boolean the answer is given once its head is there

---@class dewar.ClientOptions
---@field cookies? boolean false: none are kept
---@field lifespan? boolean true: before_serving runs before the first request, after_serving when it is closed
---@field clock? "virtual"

local CLIENT_OPTIONS = { "cookies", "lifespan", "clock" }
local REQUEST_OPTIONS = {
  "json", "form", "files", "body", "headers", "query", "auth", "follow_redirects", "stream",
}
local SESSION_OPTIONS = { "path", "headers" }
local WEBSOCKET_OPTIONS = { "headers", "subprotocols", "query", "auth" }
local RAW_OPTIONS = { "split", "close" }

local IDLE_MAX = 8
local REDIRECTS_MAX = 20

---@param jar? table
local function new_client(app, jar)
  return setmetatable({
    app = app,
    _idle = {},
    _open = setmetatable({}, { __mode = "k" }),
    _jar = jar,
  }, Client)
end

-- --- Sending --------------------------------------------------------------------

--- Drops the connection unless `conn` was taken out of the guard.
local Guard = { __close = function(self) if self.conn then self.conn:drop(true) end end }

--- Calls f, which waits for the app's start or end; a virtual clock goes on
--- meanwhile, as nobody could turn it.
function Client:_live(f, ...)
  local function turn()
    while true do core.clock_advance(1) end
  end
  local turning <close> = self.clock and core.spawn(turn) or nil -- luacheck: ignore turning
  return f(...)
end

--- Starts the app, where the client is to; an error of that is the caller's.
function Client:_start()
  if not self._lifespan or self._life then return end
  local life = require("dewar.lifespan").start(self.app)
  self._life = life
  self:_live(life.wait, life)
  if life.state == "serving" then return end
  self._life = nil
  local failure = life.failures[1] or { err = "the app was not started" }
  self:_raise(failure.err, failure.trace)
end

--- Ends it again, and returns the first failure.
function Client:_stop()
  local life = self._life
  self._life = nil
  if not life then return end
  local failures = self:_live(core.shield, life.stop, life, self.app.config.SHUTDOWN_TIMEOUT or 0)
  return failures[1]
end

--- A new connection; that there can be none is raised at `level`.
function Client:_connect(name, propagates, level)
  if self._closed then error(name .. ": this client is closed", level + 1) end
  self:_start()
  local ok, conn = pcall(core.client_open, self.app._core, propagates)
  if not ok then
    if type(conn) ~= "string" then error(conn, 0) end
    error(name .. ": " .. conn:gsub("^[^\n]-:%d+: ", "", 1), level + 1)
  end
  self._open[conn] = true
  return conn
end

--- A connection that has nothing to do, or a new one.
function Client:_take(name, level)
  local idle = self._idle
  while #idle > 0 do
    local conn = table.remove(idle)
    if conn:reusable() then return conn end
    conn:drop()
  end
  local conn = self:_connect(name, true, level + 1)
  return conn
end

--- The request on it is over.
function Client:_release(conn)
  if not self._closed and #self._idle < IDLE_MAX and conn:reusable() then
    self._idle[#self._idle + 1] = conn
  else
    conn:close()
  end
end

--- Raises what the view raised: a string with the view's traceback behind it, any
--- other value as it is.
function Client:_raise(err, traceback)
  self.traceback = traceback
  if type(err) ~= "string" or not traceback then error(err, 0) end
  local known = traceback:sub(1, #err) == err
  local calls = known and traceback:sub(#err + 1) or "\n" .. traceback
  calls = calls:gsub("^\nstack traceback:", "", 1)
  error(calls == "" and err or err .. "\n\nview traceback:" .. calls, 0)
end

--- At the end of a request: goes on only if there is a whole answer.
function Client:_check(conn)
  local ok, err, traceback = conn:outcome()
  if ok then return end
  conn:close()
  self:_raise(err, traceback)
end

local BODY_METHODS = { POST = true, PUT = true, PATCH = true }

local function fields_of(client, request)
  local lines, _, path = {}, target.split(request.target)
  for _, pair in ipairs(request.headers) do
    lines[#lines + 1] = pair[1] .. ": " .. pair[2] .. "\r\n"
  end
  local jar = client._jar
  local cookie = jar and not requests.header(request.headers, "cookie")
    and jar:header(request.host, path)
  if cookie then lines[#lines + 1] = "Cookie: " .. cookie .. "\r\n" end
  return table.concat(lines)
end

--- Sends a body in pieces for as long as the server wants them.
local function upload(conn, pieces)
  for piece in pieces do
    if type(piece) ~= "string" then
      error(("the body's function must return strings, and nil at the end; it returned a %s")
        :format(type(piece)), 0)
    end
    if not conn:write(piece) then return end
  end
  conn:finish()
end

local function keep_cookies(client, request, headers)
  if not client._jar then return end
  local _, path = target.split(request.target)
  for _, line in ipairs(headers "Set-Cookie") do client._jar:store(line, request.host, path) end
end

--- One request and its answer, which is left unread with `stream`.
local function exchange(client, conn, request, stream)
  local guard <close> = setmetatable({ conn = conn }, Guard)
  local whole = request.body
  local pieces = whole and type(whole) ~= "string" and whole or nil
  if pieces or not whole and BODY_METHODS[request.method] then whole = not pieces and "" or nil end
  conn:start(request.method, request.target, fields_of(client, request), whole, pieces ~= nil)
  if pieces then upload(conn, pieces) end
  local status, reason, headers = conn:head()
  if not status then
    client:_check(conn)
    error("the server gave no answer", 0)
  end
  keep_cookies(client, request, headers)
  local answer = { status = status, reason = reason, headers = headers, history = {} }
  if stream then
    guard.conn = nil
    return response.part(answer, {
      conn = conn,
      finish = function()
        client:_check(conn)
        answer.trailers = conn:trailers()
        client:_release(conn)
      end,
    })
  end
  answer.body = conn:read_all()
  client:_check(conn)
  answer.trailers = conn:trailers()
  guard.conn = nil
  client:_release(conn)
  return response.response(answer)
end

--- The next request where the answer redirects; its own body is of no interest.
local function follow(request, answer, history)
  local location = answer.headers.location
  local following = requests.redirected(request, answer.status, location)
  if following and #history >= REDIRECTS_MAX then
    error(("redirected more than %d times, at last to %s"):format(REDIRECTS_MAX, location), 0)
  end
  if following and answer.close then answer:close() end
  if following then history[#history + 1] = answer end
  return following
end

local function perform(client, name, method, path, opts, level)
  opts = options.check(name, opts, REQUEST_OPTIONS, level + 1)
  local ok, request = pcall(requests.build, method, path, opts)
  if not ok then error(name .. ": " .. request, level + 1) end
  local history = {}
  while true do
    local conn = client:_take(name, level + 1)
    local answer = exchange(client, conn, request, opts.stream)
    local next_request
    if opts.follow_redirects then
      ok, next_request = pcall(follow, request, answer, history)
      if not ok then error(name .. ": " .. tostring(next_request), level + 1) end
    end
    if not next_request then
      answer.history = history
      return answer
    end
    request = next_request
  end
end

--- Sends a request and returns its answer after the teardown. Works inside tasks
--- and, driving the loop, outside of them.
---@param method string
---@param path string as it is sent, with a query if there is one
---@param opts? dewar.RequestOptions
---@return dewar.TestResponse # with `stream`: a dewar.TestPart
function Client:request(method, path, opts)
  local answer = perform(self, "request", method, path, opts, 2)
  return answer
end

for _, name in ipairs { "get", "head", "post", "put", "patch", "delete", "options" } do
  Client[name] = function(self, path, opts)
    local answer = perform(self, name, name:upper(), path, opts, 2)
    return answer
  end
end

-- --- The session ----------------------------------------------------------------

--- Opens the session that the client's cookies stand for, calls f with it, and
--- saves it into them.
---@param f fun(session: any): any may wait
---@param opts? { path: string?, headers: table? } of the request that stands for it
---@return any ... what f has returned
function Client:session(f, opts)
  opts = options.check("session", opts, SESSION_OPTIONS, 2)
  if type(f) ~= "function" then
    error(("session takes a function(session); got a %s"):format(type(f)), 2)
  elseif not self._jar then
    error("session: this client keeps no cookies", 2)
  end
  local stand_in, results = sessions.stand_in(self.app, f)
  local visitor <close> = new_client(stand_in, self._jar)
  local answer = perform(visitor, "session", "GET", opts.path or sessions.path(self.app),
    { headers = opts.headers }, 2)
  if not results.n then
    error(("session: the app answered %d"):format(answer.status), 2)
  end
  return table.unpack(results, 1, results.n)
end

-- --- WebSockets -----------------------------------------------------------------

local function open_websocket(client, conn, request, subprotocols)
  local guard <close> = setmetatable({ conn = conn }, Guard)
  local codec, lines = websocket.ask(subprotocols)
  conn:start(request.method, request.target, fields_of(client, request) .. lines, nil, false, true)
  local status, reason, headers = conn:head()
  if not status then
    client:_check(conn)
    error("the server gave no answer", 0)
  end
  keep_cookies(client, request, headers)
  if status == 101 then
    local socket = websocket.new(conn, codec, headers, function(...) client:_raise(...) end)
    guard.conn = nil
    return socket
  end
  local answer = { status = status, reason = reason, headers = headers, history = {} }
  answer.body = conn:read_all()
  client:_check(conn)
  error(websocket.refusal(response.response(answer)), 0)
end

---@class dewar.WebSocketOptions
---@field headers? table
---@field subprotocols? string[] in the order of preference
---@field query? table|string
---@field auth? string[]

--- Opens a websocket. An answer that refuses it is raised as an HTTP error, which
--- has it in `response`.
---@param path string
---@param opts? dewar.WebSocketOptions
---@return dewar.TestWebSocket
function Client:websocket(path, opts)
  if not core.websocket_codec then
    error("websocket: this build of Dewar has no WebSocket (DEWAR_WITH_WEBSOCKET)", 2)
  end
  opts = options.check("websocket", opts, WEBSOCKET_OPTIONS, 2)
  local subprotocols = opts.subprotocols
  opts.subprotocols = nil
  local ok, request = pcall(function()
    websocket.check_subprotocols(subprotocols)
    return requests.build("GET", path, opts)
  end)
  if not ok then error("websocket: " .. request, 2) end
  local conn = self:_connect("websocket", true, 2)
  local socket = open_websocket(self, conn, request, subprotocols)
  return socket
end

-- --- Bytes ----------------------------------------------------------------------

--- Opens a connection for bytes as they are. Errors of views are answered by a
--- 500 there, whatever TESTING says.
---@return dewar.TestConnection
function Client:connect()
  local conn = self:_connect("connect", false, 2)
  return raw.new(conn)
end

--- Sends bytes as they are on a connection of their own, and returns all that
--- the server sent, and whether it has "closed" the connection, is "idle" or
--- "waiting" for more. Then it disconnects.
---@param bytes string
---@param opts? { split: integer|integer[]?, close: boolean? } close: ends our side
---@return string bytes
---@return "closed"|"idle"|"waiting" state
---@return string? code "ECONNRESET" where the end was a reset
function Client:send_raw(bytes, opts)
  opts = options.check("send_raw", opts, RAW_OPTIONS, 2)
  raw.check_bytes("send_raw", bytes, 2)
  raw.cuts(bytes, opts.split, 2)
  local conn = self:_connect("send_raw", false, 2)
  local connection <close> = raw.new(conn)
  connection:send(bytes, { split = opts.split })
  if opts.close then connection:shutdown() end
  local text, state, code = connection:receive()
  return text, state, code
end

-- --- The client -----------------------------------------------------------------

---@class dewar.TestClock
local Clock = {}
Clock.__index = Clock

--- Lets so many seconds pass: runs what falls due until then, in order.
---@param seconds number
function Clock:advance(seconds)
  if type(seconds) ~= "number" or seconds < 0 or seconds ~= seconds then
    error(("advance takes a number of seconds, 0 or more; got %s"):format(
      type(seconds) == "number" and tostring(seconds) or "a " .. type(seconds)), 2)
  end
  core.clock_advance(seconds)
end

--- Waits for the end of what they have asked for, which is told of it first.
local function end_all(connections)
  for conn in pairs(connections) do conn:drop() end
  for conn in pairs(connections) do conn:close() end
end

--- A task that is cancelled waits as well: what it has called belongs to it.
function Client:_close()
  if self._closed then return end
  self._closed = true
  if next(self._open) then core.shield(end_all, self._open) end
  self._open, self._idle = {}, {}
  return self:_stop()
end

--- Disconnects everything that is open, and waits for its end; with lifespan, for
--- that of the app, whose error is raised.
function Client:close()
  local failure = self:_close()
  if failure then self:_raise(failure.err, failure.trace) end
end

--- An error that is on its way is not replaced by another one.
function Client:__close(err)
  local failure = self:_close()
  if not failure then return end
  if err == nil then self:_raise(failure.err, failure.trace) end
  core.log.error(require("dewar.lifespan").describe(failure))
end

function Client:__tostring()
  return ("dewar.Client of %s%s"):format(tostring(self.app), self._closed and " (closed)" or "")
end

--- The cookie of that name with all its attributes, or nil.
---@param name string
---@return dewar.TestCookie?
function Client:cookie(name)
  return self._jar and self._jar:all(name)[1]
end

local function check_client_options(opts)
  requests.check_flag(opts, "cookies")
  requests.check_flag(opts, "lifespan")
  if opts.clock ~= nil and opts.clock ~= "virtual" then
    error(("clock can only be \"virtual\"; got %s"):format(
      type(opts.clock) == "string" and ("%q"):format(opts.clock) or "a " .. type(opts.clock)), 0)
  end
end

--- A client for an app; `app:test_client{ ... }` is short for it.
---@param app dewar.App
---@param opts? dewar.ClientOptions
---@return dewar.Client
function M.new(app, opts)
  opts = options.check("test_client", opts, CLIENT_OPTIONS, 2)
  local ok, message = pcall(check_client_options, opts)
  if not ok then error("test_client: " .. message, 2) end
  local self = new_client(app)
  if opts.clock then
    core.clock_virtual()
    self.clock = setmetatable({}, Clock)
  end
  self._lifespan = opts.lifespan == true
  if opts.cookies ~= false then
    self._jar = cookies.new(core.time)
    self.cookies = cookies.view(self._jar)
  end
  return self
end

return M
