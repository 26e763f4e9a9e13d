--- Answers as the test client gives them: whole, or as a part that is still
--- being streamed.

local core = require "dewar.core"
local events = require "dewar.testing.events"

local M = {}

---@class dewar.TestResponse
---@field status integer
---@field reason string "OK"
---@field headers table index for one, call for all; `_` reads as `-`
---@field trailers table what came behind a body in chunks, as headers
---@field body string
---@field text string the same
---@field history dewar.TestResponse[] the redirects that led here
local Response = {}
Response.__index = Response
Response.__name = "dewar.TestResponse"

--- The body as JSON.
---@return any
function Response:json()
  local ok, value = pcall(core.json.decode, self.body)
  if ok then return value end
  local shown = #self.body > 200 and self.body:sub(1, 200) .. "..." or self.body
  error(("the body of this %d is no JSON: %s\n%s")
    :format(self.status, tostring(value):gsub("^[^:\n]+:%d+: ", ""), shown), 2)
end

function Response:__tostring()
  return ("%d %s (%d bytes)"):format(self.status, self.reason, #self.body)
end

---@param fields table
---@return dewar.TestResponse
function M.response(fields)
  fields.text = fields.body
  return setmetatable(fields, Response)
end

---@class dewar.TestPart
---@field status integer
---@field reason string
---@field headers table
---@field trailers? table once the body was read to its end
---@field history dewar.TestResponse[]
local Part = {}
Part.__index = Part
Part.__name = "dewar.TestPart"

--- An iterator over the pieces of the body, as they come; it waits. Raises where
--- the body is cut off.
---@return fun(): string?
function Part:chunks()
  return function()
    local stream = self._stream
    if not stream then return nil end
    local bytes = stream.conn:read()
    if not bytes then
      self._stream = nil
      stream.finish()
    end
    return bytes
  end
end

--- An iterator over the events of an event stream, as a browser would see them:
--- { event =, data =, id =, retry = }, where id and retry are what came with it.
---@return fun(): dewar.TestEvent?
function Part:events()
  local kind = self.headers.content_type or "of no type"
  if not kind:find "^text/event%-stream" then
    error("this answer has no events: it is " .. kind, 2)
  end
  return events.iterate(self:chunks())
end

--- Disconnects, and returns after the request's teardown.
function Part:close()
  local stream = self._stream
  self._stream = nil
  if stream then stream.conn:close() end
end

Part.__close = Part.close

function Part:__tostring()
  return ("%d %s (%s)"):format(self.status, self.reason,
    self._stream and "streaming" or "closed")
end

--- A part whose stream is { conn =, finish = function at the body's end }.
---@param fields table
---@param stream table
---@return dewar.TestPart
function M.part(fields, stream)
  fields._stream = stream
  return setmetatable(fields, Part)
end

return M
