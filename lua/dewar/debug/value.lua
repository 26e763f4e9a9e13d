--- Described values (bindings/snapshot.c) as a line of text that reads like Lua.

local mask = require "dewar.debug.mask"

local M = {}

local WIDTH = 2000 -- bytes of a whole value

local ESCAPES = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ["\0"] = "\\0", ['"'] = '\\"', ["\\"] = "\\\\" }

local function escape_byte(c)
  return ESCAPES[c] or ("\\x%02X"):format(c:byte())
end

--- Between quotes, as UTF-8 in any case.
local function quote(text)
  text = text:gsub('[%c"\\]', escape_byte)
  if not utf8.len(text) then text = text:gsub("[\x80-\xFF]", escape_byte) end
  return '"' .. text .. '"'
end

local UNITS = { "KiB", "MiB", "GiB" }

--- "3 bytes", "1.5 MiB".
---@param n integer
---@return string
function M.size(n)
  if n < 1024 then return n == 1 and "1 byte" or n .. " bytes" end
  local unit, x = 0, n
  while x >= 1024 and unit < #UNITS do unit, x = unit + 1, x / 1024 end
  return ("%.1f %s"):format(x, UNITS[unit])
end

--- A text that ends between characters, if it is cut.
---@param text string
---@param most integer bytes
---@return string, boolean cut
function M.cut(text, most)
  if #text <= most then return text, false end
  while most > 0 and text:byte(most + 1) & 0xC0 == 0x80 do most = most - 1 end
  return text:sub(1, most), true
end

local function order(a, b)
  local x, y = a[1], b[1]
  if x.type ~= y.type then return x.type == "number" or y.type ~= "number" and x.type < y.type end
  if x.type == "number" then return tonumber(x.text) < tonumber(y.text) end
  return x.text < y.text
end

local show

local function key_text(key, masks)
  if key.type == "string" and key.text:find "^[%a_][%w_]*$" then return masks:text(key.text) end
  return "[" .. show(key, masks) .. "]"
end

local function table_text(node, masks)
  local items, parts, nexti = node.items, {}, 1
  -- NaN is no key; other numbers compare.
  table.sort(items, order)
  for _, item in ipairs(items) do
    local key, value = item[1], item[2]
    if key.type == "string" and key.text:find "^__" then goto continue end
    local text = show(value, masks, key.type == "string" and key.text or nil)
    if key.type == "number" and key.text == tostring(nexti) then
      nexti = nexti + 1
    else
      text = key_text(key, masks) .. " = " .. text
    end
    parts[#parts + 1] = text
    ::continue::
  end
  if node.more then parts[#parts + 1] = "…" end
  local inside = #parts > 0 and "{ " .. table.concat(parts, ", ") .. " }" or "{}"
  return node.name and masks:text(node.name) .. " " .. inside or inside
end

local PLAIN = { ["nil"] = true, boolean = true }

function show(node, masks, name)
  local kind = node.type
  if PLAIN[kind] then return node.text end
  if kind == "function" then return "function <" .. masks:text(node.text) .. ">" end
  if mask.hides(name) then return mask.HIDDEN end
  if kind == "number" then return masks:text(node.text) end
  if kind == "string" then
    local cut = node.size > #node.text
    local text = quote(masks:text((M.cut(node.text, 1000)), cut))
    return cut and ("%s… (%s)"):format(text, M.size(node.size)) or text
  end
  if kind == "table" then return table_text(node, masks) end
  return ("%s <%s>"):format(node.name and masks:text(node.name) or kind, node.text)
end

--- What a value is, in one line.
---@param node table
---@param masks dewar.debug.Mask
---@param name? string hides it, where it is telling
---@return string
function M.text(node, masks, name)
  local text, cut = M.cut(show(node, masks, name), WIDTH)
  return cut and text .. "…" or text
end

--- The names of types, as the page has them.
---@param node table
---@param name? string whose value it is
---@return string
function M.type(node, name)
  return node.type == "string" and not mask.hides(name) and "string, " .. M.size(node.size) or node.type
end

return M
