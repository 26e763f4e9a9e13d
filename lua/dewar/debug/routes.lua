--- Which routes may have been meant by a path.

local M = {}

local NEAR_MAX, ALL_MAX = 5, 300

--- How many letters must change to make a b; not more than `most` are counted.
local function distance(a, b, most)
  if math.abs(#a - #b) > most then return most + 1 end
  local row = {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local diagonal, least = row[0], i
    row[0] = i
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      local here = math.min(row[j] + 1, row[j - 1] + 1, diagonal + (same and 0 or 1))
      diagonal, row[j] = row[j], here
      least = math.min(least, here)
    end
    if least > most then return most + 1 end
  end
  return row[#b]
end

local function segments(path)
  local list = {}
  for part in path:gmatch "[^/]+" do list[#list + 1] = part:sub(1, 100) end
  return list
end

--- How far a path is from a rule: a variable takes any segment; nil: far.
local function cost(path, rule)
  local total, n = 0, math.max(#path, #rule)
  if n > 20 then return nil end
  for i = 1, n do
    local a, b = path[i], rule[i]
    if not a or not b then
      total = total + 3
    elseif b:find "^<path:" then
      break
    elseif not b:find "<" then
      local most = math.max(2, #b // 3)
      local d = distance(a:lower(), b:lower(), most)
      if d > most then return nil end
      total = total + d
    end
  end
  return total <= 6 and total or nil
end

local function describe(rule)
  local methods = {}
  for _, method in ipairs(rule.methods) do
    if method ~= "HEAD" and method ~= "OPTIONS" then methods[#methods + 1] = method end
  end
  return { rule = rule.host ~= "" and rule.host .. rule.rule or rule.rule, endpoint = rule.endpoint,
    methods = #methods > 0 and methods or rule.methods }
end

--- The routes of an app: the nearest to the path, and all in their order.
---@param rules table[] with `rule` and `methods`
---@param path string
---@return table[] near, table[] all
function M.nearest(rules, path)
  local wanted, near, all = segments(path), {}, {}
  for i, rule in ipairs(rules) do
    local far = cost(wanted, segments(rule.rule))
    if far then near[#near + 1] = { far = far, order = i, rule = rule } end
    if i <= ALL_MAX then all[i] = describe(rule) end
  end
  table.sort(near, function(a, b)
    if a.far ~= b.far then return a.far < b.far end
    return a.order < b.order
  end)
  local list = {}
  for i = 1, math.min(#near, NEAR_MAX) do list[i] = describe(near[i].rule) end
  return list, all
end

--- Those that the path fits, by whatever method.
---@param rules table[]
---@param path string
---@return table[] fitting, table[] all
function M.fitting(rules, path)
  local wanted, fitting, all = segments(path), {}, {}
  for i, rule in ipairs(rules) do
    if cost(wanted, segments(rule.rule)) == 0 then fitting[#fitting + 1] = describe(rule) end
    if i <= ALL_MAX then all[i] = describe(rule) end
  end
  return fitting, all
end

return M
