--- What filters are given. Each function raises at the line of the template, so
--- it is to be called by the filter itself.

local core = require "dewar.core"
local options = require "dewar.options"

local M = {}

-- Of `error`, from here: the filter is 2, who has called it is 3.
local TEMPLATE = 3

local function shown(value)
  return type(value) == "number" and tostring(value) or "a " .. type(value)
end

--- Raises; `what` says what should be.
---@param filter string
---@param what string
---@param value any what is instead
function M.refuse(filter, what, value)
  error(("%s: %s; got %s"):format(filter, what, shown(value)), TEMPLATE)
end

--- The text of any value; nil has an empty one.
---@param value any
---@return string
function M.text(value)
  if type(value) == "string" then return value end
  return (options.call(TEMPLATE, core.plain_text, value))
end

--- The same, escaped.
---@param value any
---@return string
function M.html(value)
  return (options.call(TEMPLATE, core.escape, value))
end

---@param filter string
---@param value any
---@return number
function M.number(filter, value)
  local number = tonumber(value)
  if not number then
    error(("%s: the value must be a number; got %s"):format(filter, shown(value)), TEMPLATE)
  end
  return number
end

--- How many digits are wanted behind the point; nil is none.
---@param filter string
---@param value any
---@return integer
function M.digits(filter, value)
  if value == nil then return 0 end
  if math.type(value) ~= "integer" or value < 0 or value > 99 then
    error(("%s: the digits must be a whole number from 0 to 99; got %s"):format(filter, shown(value)), TEMPLATE)
  end
  return value
end

--- A list; nil is an empty one.
---@param filter string
---@param list any
---@return table
function M.list(filter, list)
  if list == nil then return {} end
  if type(list) ~= "table" then
    error(("%s: the value must be a list; got %s"):format(filter, shown(list)), TEMPLATE)
  end
  return list
end

--- What `by`, a field's name or a function, gives for an item; without it the
--- item itself.
---@param filter string
---@param item any
---@param by any
---@return any
function M.key(filter, item, by)
  if by == nil then return item end
  if type(by) == "function" then return by(item) end
  local kind = type(item)
  if kind ~= "table" and kind ~= "userdata" and kind ~= "string" then
    error(("%s: an item of the list is a %s, which has no field '%s'"):format(filter, kind, tostring(by)), TEMPLATE)
  end
  return item[by]
end

return M
