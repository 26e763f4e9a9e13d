--- Server-sent events: what a browser's EventSource listens to. See
--- docs/streaming.md.

local core = require "dewar.core"
local options = require "dewar.options"

local M = {}

---@class dewar.ServerEvent
---@field event? string its name, "message" by default
---@field data? any strings and numbers as they are, all else as JSON
---@field id? string|number what the client asks to go on behind: `req.last_event_id`
---@field retry? number seconds until the client comes again

---@class dewar.EventSender
---@field comment fun(text: string) sends what the client ignores
---@field request dewar.Request whose answer it is
---@overload fun(event: dewar.ServerEvent|string)

---@class dewar.SseOptions
---@field heartbeat? number seconds; then an idle client gets a comment

local OPTIONS = { "heartbeat" }

local HEADERS = {
  ["Content-Type"] = "text/event-stream; charset=utf-8",
  ["Cache-Control"] = "no-cache",
  ["X-Accel-Buffering"] = "no",
}

--- What is sent to a room goes to the client, until it leaves.
local function joining(room)
  return function(send) room:join(send) end
end

local function callable(value)
  if type(value) == "function" then return true end
  local mt = getmetatable(value)
  return type(mt) == "table" and mt.__call ~= nil
end

--- A response of events: `source` is a function(send), or an iterator or a
--- generator of events, or a room. It ends with the client, wherever it waits; and
--- when the source has no more, unless it has joined a room by then.
---@param source dewar.Room|fun(send: dewar.EventSender): dewar.ServerEvent|string|nil
---@param opts? dewar.SseOptions
---@return dewar.Response
function M.respond(source, opts)
  if core.is_room(source) then source = joining(source) end
  if not callable(source) then
    error(("sse takes a function(send), an iterator of events, or a room; got a %s"):format(type(source)), 2)
  end
  opts = options.check("sse", opts, OPTIONS, 2)
  local heartbeat = opts.heartbeat
  if heartbeat ~= nil and not (type(heartbeat) == "number" and heartbeat > 0 and heartbeat <= 1e9) then
    error(("sse: the option 'heartbeat' is a number of seconds above 0; got %s"):format(
      type(heartbeat) == "number" and tostring(heartbeat) or "a " .. type(heartbeat)), 2)
  end
  return core.response(core.event_stream(source, heartbeat or 0), 200, HEADERS)
end

return M
