--- A reverse proxy: whatever comes goes to the server behind it, and what that
--- answers goes back, both as they come. See README.md.

local dewar = require "dewar"
local upstream = require "upstream"

local app = dewar.app { name = "proxy" }

app.config:from_mapping {
  UPSTREAM = "127.0.0.1:8000",
  CONNECT_TIMEOUT = 5, -- seconds
  ANSWER_TIMEOUT = 60, -- between bytes, of the answer's and of those that the server takes
  COMPRESS = false, -- the server's answers stay as they are
}
app.config.MAX_CONTENT_LENGTH = nil -- it has limits of its own
app.config:from_prefixed_env "PROXY"

-- --- Fields -----------------------------------------------------------------------

--- What is between two neighbours only (RFC 9110, 7.6.1), or is made anew.
local HOP = {}
for name in ([[connection keep-alive proxy-connection proxy-authenticate proxy-authorization te trailer
    transfer-encoding upgrade content-length expect]]):gmatch "%S+" do HOP[name] = true end

--- What only the first proxy can say; clients may have made it up.
local ORIGIN = {}
for name in ("host forwarded x-forwarded-for x-forwarded-proto x-forwarded-host"):gmatch "%S+" do
  ORIGIN[name] = true
end

--- Names that a Connection field adds to those.
local function add_named(dropped, value)
  for name in value:gmatch "[^%s,]+" do dropped[name:lower()] = true end
end

local function quoted(node)
  return node:find ":" and ('"[%s]"'):format(node) or node
end

local function request_fields(req, host)
  local dropped = setmetatable({}, { __index = HOP })
  for name, value in pairs(req.headers) do
    if name:lower() == "connection" then add_named(dropped, value) end
  end
  local client = req.remote_addr or "unknown"
  local fields = {
    { "Host", host },
    { "Connection", "close" },
    { "Via", "1.1 dewar" },
    { "Forwarded", ('for=%s;host="%s";proto=%s'):format(quoted(client), req.host, req.scheme) },
    { "X-Forwarded-For", client },
    { "X-Forwarded-Host", req.host },
    { "X-Forwarded-Proto", req.scheme },
  }
  for name, value in pairs(req.headers) do
    local key = name:lower()
    if not dropped[key] and not ORIGIN[key] then fields[#fields + 1] = { name, value } end
  end
  if req.headers.transfer_encoding then
    fields[#fields + 1] = { "Transfer-Encoding", "chunked" }
  elseif req.content_length then
    fields[#fields + 1] = { "Content-Length", ("%d"):format(req.content_length) }
  end
  return fields
end

--- By name, those that are repeated as a list.
local function response_headers(answer)
  local dropped = setmetatable({}, { __index = HOP })
  for _, field in ipairs(answer.fields) do
    if field[1]:lower() == "connection" then add_named(dropped, field[2]) end
  end
  local headers, names = {}, {}
  for _, field in ipairs(answer.fields) do
    local key = field[1]:lower()
    if not dropped[key] then
      local name = names[key] or field[1]
      names[key] = name
      headers[name] = headers[name] or {}
      table.insert(headers[name], field[2])
    end
  end
  local bodiless = answer.status == 204 or answer.status == 304
  if answer.length and not bodiless then headers["Content-Length"] = ("%d"):format(answer.length) end
  -- What has no type isn't to be taken for HTML, which is what Dewar would call it.
  if not names["content-type"] and not bodiless then headers["Content-Type"] = "application/octet-stream" end
  return headers
end

-- --- There and back ---------------------------------------------------------------

--- Sends the body, as it comes, in a task beside the one that waits for the answer:
--- a server may answer before it has read all, or nothing of it.
local function upload(req, conn)
  local state = { running = true }
  if not (req.content_length or req.headers.transfer_encoding) then return { running = false } end
  dewar.spawn(function()
    local ok, err = pcall(upstream.send_body, conn, req:chunks(), req.headers.transfer_encoding ~= nil)
    state.running = false
    if ok then return end
    if dewar.is_cancelled(err) then error(err, 0) end
    -- A server that doesn't read on may have answered. A client that doesn't send
    -- on, or a server that takes nothing, is the end of it.
    if not upstream.Error:is(err) then
      state.failure = err
      conn:close()
    end
  end)
  return state
end

local function wait_for_head(conn, method, sending)
  local ok, answer = pcall(upstream.read_head, conn, method, function() return sending.running end)
  if ok then return answer end
  error(not dewar.is_cancelled(answer) and sending.failure or answer, 0)
end

--- A body for Dewar to stream; the connection goes with it.
local function body_of(conn, answer)
  local pieces = upstream.pieces(conn, answer)
  return setmetatable({}, {
    __call = function() return pieces() end,
    __close = function() conn:close() end,
  })
end

--- Closes the connection unless it has been handed on.
local Guard = { __close = function(self) if self.conn then self.conn:close() end end }

local function forward(req)
  local config = app.config
  local host, port = config.UPSTREAM:match "^%[?(.-)%]?:(%d+)$"
  local conn = upstream.connect(host, math.tointeger(port), config.CONNECT_TIMEOUT, config.ANSWER_TIMEOUT)
  local guard <close> = setmetatable({ conn = conn }, Guard)
  local target = req.raw_path .. (req.query_string ~= "" and "?" .. req.query_string or "")
  upstream.send_head(conn, req.method, target, request_fields(req, config.UPSTREAM))
  local answer = wait_for_head(conn, req.method, upload(req, conn))
  guard.conn = nil
  return body_of(conn, answer), answer.status, response_headers(answer)
end

-- In front of everything: no rule has a say in what is passed on.
app:use { name = "proxy", request = forward }

for _, class in ipairs { upstream.Error, upstream.Timeout } do
  app:errorhandler(class, function(_, err)
    dewar.log.warn(err.message, { cause = err.cause and tostring(err.cause) or nil })
    return err.message .. "\n", err.status, { ["Content-Type"] = "text/plain; charset=utf-8" }
  end)
end

return app
