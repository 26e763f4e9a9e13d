--- JSON in which Flask's sessions are written. What JSON lacks stands there as
--- an object with one key, its tag: tuples, bytes, markup, UUIDs, datetimes; and an
--- object of a user's that looks like one is escaped.
---
--- Lua sees the nearest it has: lists, strings, seconds, Dewar's own markup. What
--- a value was is remembered with the table that holds it, and as long as it is
--- the same value it is written as it was read.

local core = require "dewar.core"
local markup = require "dewar.markup"

local M = {}

local json, crypto = core.json, core.crypto

local DEPTH_MAX = 100
local JSON_DEPTH_MAX = 2 * DEPTH_MAX + 2 -- a tag takes a level of its own

local TUPLE, ESCAPED, BYTES, MARKUP = " t", " di", " b", " m"

--- Lists that are tuples.
local tuples = setmetatable({}, { __mode = "k" })

--- What tables hold that was tagged: `known[table][key] = { value, tagged }`.
local known = setmetatable({}, { __mode = "k" })

-- --- Reading --------------------------------------------------------------------

--- What a tagged text is to Lua; nil: it is none of that kind.
local SCALARS = {
  [BYTES] = crypto.base64_decode,
  [MARKUP] = markup.new,
  [" u"] = function(hex)
    if #hex ~= 32 or hex:find "%X" then return nil end
    return ("%s-%s-%s-%s-%s"):format(hex:match "^(........)(....)(....)(....)(.*)$")
  end,
  [" d"] = core.http_date,
}

local function is_tag(key)
  return key == TUPLE or key == ESCAPED or SCALARS[key] ~= nil
end

--- The key of an object that has just one, and its value.
local function only_field(object)
  local key, value = next(object)
  if key ~= nil and next(object, key) == nil and not json.is_array(object) then return key, value end
end

local reveal

local function unescape(object)
  if type(object) ~= "table" then return nil end
  local key, value = only_field(object)
  if type(key) ~= "string" or not key:find "__$" then return nil end
  return reveal { [key:sub(1, -3)] = value }
end

--- What a decoded table stands for; a scalar is remembered in its container.
local function untag(object, container, key)
  local tag, inner = only_field(object)
  if tag == TUPLE and type(inner) == "table" and json.is_array(inner) then
    tuples[inner] = true
    return reveal(inner)
  elseif tag == ESCAPED then
    local escaped = unescape(inner)
    if escaped then return escaped end
  elseif SCALARS[tag] and type(inner) == "string" then
    local value = SCALARS[tag](inner)
    if value ~= nil then
      known[container] = known[container] or {}
      known[container][key] = { value, object }
      return value
    end
  end
  return reveal(object)
end

--- Replaces what stands for something else in a table.
function reveal(container)
  for key, value in next, container do
    if type(value) == "table" then container[key] = untag(value, container, key) end
  end
  return container
end

--- The object that a text holds, or nil where it isn't one.
---@param text string
---@return table?
function M.decode(text)
  local ok, value = pcall(json.decode, text, { max_depth = JSON_DEPTH_MAX })
  if not ok and value == "not enough memory" then error(value, 0) end -- nothing is wrong with the text
  if not ok or type(value) ~= "table" then return nil end
  local box = reveal { value }
  local root = box[1]
  if type(root) ~= "table" or json.is_array(root) or markup.is(root) then return nil end
  return root
end

-- --- Writing --------------------------------------------------------------------

--- How the values of a container that were tagged are found again. In a list whose
--- items have moved, the value alone tells.
local function finder(container)
  local tagged = known[container]
  if not tagged then return function() end end
  local moved
  if json.is_array(container) then
    for key, item in pairs(tagged) do
      if container[key] ~= item[1] then moved = {} end
    end
    for _, item in pairs(moved and tagged or {}) do moved[item[1]] = item[2] end
  end
  return function(key, value)
    local item = tagged[key]
    if item and item[1] == value then return item[2] end
    return moved and moved[value]
  end
end

local function is_text(value)
  return not value:find "[\128-\255]" or utf8.len(value) ~= nil
end

local tag_table

local function tag(value, depth)
  if type(value) == "string" and not is_text(value) then
    return { [BYTES] = crypto.base64_encode(value) }
  elseif type(value) == "table" then
    return tag_table(value, depth + 1)
  end
  return value
end

--- A copy in which everything is JSON's. What knows how to become JSON does so.
function tag_table(object, depth)
  if depth > DEPTH_MAX then
    error(("it is nested more than %d tables deep, or holds itself"):format(DEPTH_MAX), 0)
  end
  if markup.is(object) then return { [MARKUP] = core.escape(object) } end
  local meta = debug.getmetatable(object)
  if meta and rawget(meta, "__tojson") ~= nil then return object end
  local find, copy = finder(object), {}
  for key, value in next, object do copy[key] = find(key, value) or tag(value, depth) end
  if tuples[object] then return { [TUPLE] = json.array(copy) } end
  if json.is_array(object) then return json.array(copy) end
  local key, value = only_field(copy)
  if is_tag(key) then return { [ESCAPED] = { [key .. "__"] = value } } end
  return copy
end

--- As Python writes it: nothing but ASCII.
local function escape(character)
  local code = utf8.codepoint(character)
  if code < 0x10000 then return ("\\u%04x"):format(code) end
  code = code - 0x10000
  return ("\\u%04x\\u%04x"):format(0xd800 + (code >> 10), 0xdc00 + (code & 0x3ff))
end

--- The text of a table, whose keys are sorted; raises where it has none.
---@param object table
---@param empty_table? "object" | "array"
---@return string
function M.encode(object, empty_table)
  local text = json.encode(tag_table(object, 1), {
    empty_table = empty_table, max_depth = JSON_DEPTH_MAX,
  })
  return (text:gsub("[\127-\255][\128-\191]*", escape))
end

--- Marks a list as a tuple, and returns it.
---@param list table
---@return table
function M.tuple(list)
  tuples[list] = true
  return list
end

return M
