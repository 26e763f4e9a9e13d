--- What templates do with lists. None of this changes the list that it is given.

local arguments = require "dewar.template.arguments"
local markup = require "dewar.markup"
local options = require "dewar.options"

local M = {}

local check_list, key_of = arguments.list, arguments.key

--- How many characters a text has, or items a table.
function M.length(value)
  if type(value) ~= "table" or markup.is(value) then
    local _, n = arguments.text(value):gsub("[^\128-\191]", "")
    return n
  end
  local n = #value
  if n == 0 then
    for _ in pairs(value) do n = n + 1 end
  end
  return n
end

function M.first(list) return check_list("first", list)[1] end

function M.last(list)
  list = check_list("last", list)
  return list[#list]
end

--- The items as one text, or their fields of a name. If any of it is safe, the
--- rest is escaped, and the text is safe.
function M.join(list, separator, by)
  local parts, n, safe = {}, 0, markup.is(separator)
  for i, item in ipairs(check_list("join", list)) do
    parts[i], n = key_of("join", item, by), i
    safe = safe or markup.is(parts[i])
  end
  local convert = safe and arguments.html or arguments.text
  for i = 1, n do
    local text = convert(parts[i])
    parts[i] = text
  end
  local between = convert(separator)
  local text = table.concat(parts, between)
  return safe and markup.new(text) or text
end

--- The list of what a field, or a function, is for each item.
function M.map(list, by)
  local result = {}
  for _, item in ipairs(check_list("map", list)) do
    result[#result + 1] = key_of("map", item, by)
  end
  return result
end

--- A sorted copy: by the items themselves, a field, or a function. Equal ones stay
--- in their order.
function M.sort(list, by, descending)
  local rows = {}
  for i, item in ipairs(check_list("sort", list)) do
    rows[i] = { key_of("sort", item, by), i, item }
  end
  options.call(2, table.sort, rows, function(a, b)
    if a[1] == b[1] then return a[2] < b[2] end
    if descending then return b[1] < a[1] end
    return a[1] < b[1]
  end)
  for i, row in ipairs(rows) do rows[i] = row[3] end
  return rows
end

--- A list, or a text of ASCII, backwards.
function M.reverse(value)
  if type(value) == "string" then return value:reverse() end
  local result, list = {}, check_list("reverse", value)
  for i = #list, 1, -1 do result[#result + 1] = list[i] end
  return result
end

--- The sum of the items, or of their fields.
function M.sum(list, by)
  local total = 0
  for _, item in ipairs(check_list("sum", list)) do
    local value = key_of("sum", item, by)
    local mt = type(value) == "table" and getmetatable(value)
    if value then total = total + (mt and mt.__add and value or arguments.number("sum", value)) end
  end
  return total
end

--- The list in lists of n items: rows of a table.
function M.batch(list, n)
  if math.type(n) ~= "integer" or n < 1 then
    error("batch: the size must be a positive whole number; got " .. tostring(n), 2)
  end
  local rows = {}
  for i, item in ipairs(check_list("batch", list)) do
    if (i - 1) % n == 0 then rows[#rows + 1] = {} end
    local row = rows[#rows]
    row[#row + 1] = item
  end
  return rows
end

--- Stands for a key that no table can have.
local NONE = {}

--- Lists of items for which a field, or a function, is the same, in the order of
--- their first ones; each has it as `key`.
function M.group(list, by)
  local groups, known = {}, {}
  for _, item in ipairs(check_list("group", list)) do
    local key = key_of("group", item, by)
    local known_as = (key == nil or key ~= key) and NONE or key
    local group = known[known_as]
    if not group then
      group = { key = key }
      known[known_as], groups[#groups + 1] = group, group
    end
    group[#group + 1] = item
  end
  return groups
end

local function before(a, b)
  local kind_a, kind_b = type(a), type(b)
  if kind_a ~= kind_b then return kind_a < kind_b end
  if kind_a == "number" or kind_a == "string" then return a < b end
  return tostring(a) < tostring(b)
end

--- `for name, value in sorted(t)`: as pairs, in the order of the names.
function M.sorted(t)
  local names = {}
  if t ~= nil and type(t) ~= "table" and type(t) ~= "userdata" then
    arguments.refuse("sorted", "it takes a table", t)
  end
  for name in pairs(t or {}) do names[#names + 1] = name end
  table.sort(names, before)
  local i = 0
  return function()
    i = i + 1
    if names[i] ~= nil then return names[i], t[names[i]] end
  end
end

return M
