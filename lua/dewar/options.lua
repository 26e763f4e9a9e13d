--- Option tables: unknown keys are errors that name the nearest known one.

local M = {}

local function distance(a, b)
  local previous = {}
  for j = 0, #b do previous[j] = j end
  for i = 1, #a do
    local row = { [0] = i }
    for j = 1, #b do
      local cost = a:byte(i) == b:byte(j) and 0 or 1
      row[j] = math.min(row[j - 1] + 1, previous[j] + 1, previous[j - 1] + cost)
    end
    previous = row
  end
  return previous[#b]
end

--- The name in the list that was probably meant, or nil.
---@param word string
---@param names string[]
---@return string?
function M.nearest(word, names)
  local best, least = nil, math.max(1, #word // 3) + 1
  for _, name in ipairs(names) do
    local d = distance(word, name)
    if d < least then best, least = name, d end
  end
  return best
end

--- A copy of opts, whose keys are all among the names; raises at the level of
--- the caller's caller otherwise.
---@param method string for the message
---@param opts table?
---@param names string[]
---@param level integer
---@return table
function M.check(method, opts, names, level)
  local copy = {}
  if opts == nil then return copy end
  if type(opts) ~= "table" then
    error(("%s: the options must be a table; got a %s"):format(method, type(opts)), level + 1)
  end
  local known = {}
  for _, name in ipairs(names) do known[name] = true end
  for key, value in pairs(opts) do
    if not known[key] then
      local near = type(key) == "string" and M.nearest(key, names)
      error(("%s: unknown option '%s'%s"):format(method, tostring(key),
        near and "; did you mean '" .. near .. "'?" or ""), level + 1)
    end
    copy[key] = value
  end
  return copy
end

return M
