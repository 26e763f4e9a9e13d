--- Safe strings: HTML that is not escaped once more. What is joined to one is
--- escaped first, so that it stays safe.

local core = require "dewar.core"

---@class dewar.Markup
local Markup = {}
Markup.__index = Markup
Markup.__name = "dewar.Markup"

local M = {}

local function new(text)
  return setmetatable({ text }, Markup)
end

--- Marks a text as HTML, which templates give out as it is. Only for what no
--- visitor has written.
---@param text any a string, or what has a text
---@return dewar.Markup
function M.new(text)
  return new(core.plain_text(text))
end

--- A value as a safe string: its text escaped, unless it is safe already.
---@param value any
---@return dewar.Markup
function M.escape(value)
  if getmetatable(value) == Markup then return value end
  return new(core.escape(value))
end

--- Whether the value is HTML already.
---@param value any
---@return boolean
function M.is(value)
  local mt = getmetatable(value)
  return mt == Markup or type(mt) == "table" and mt.__html ~= nil
end

function Markup:__html()
  return self[1]
end

function Markup:__tostring()
  return self[1]
end

function Markup.__concat(a, b)
  return new(core.escape(a) .. core.escape(b))
end

function Markup:__len()
  return #self[1]
end

function Markup.__eq(a, b)
  return a[1] == b[1]
end

--- string.format, with this as the format and its arguments escaped.
---@param ... any
---@return dewar.Markup
function Markup:format(...)
  local args = table.pack(...)
  for i = 1, args.n do
    if type(args[i]) ~= "number" then args[i] = core.escape(args[i]) end
  end
  return new(self[1]:format(table.unpack(args, 1, args.n)))
end

return M
