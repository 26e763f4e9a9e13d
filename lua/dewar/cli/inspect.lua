--- Values as a person reads them: tables in braces, sorted, bounded.

local M = {}

local DEPTH, ENTRIES, TEXT, WIDTH = 4, 40, 400, 72

local RESERVED = {}
for word in ("and break do else elseif end false for function goto if in local nil not or repeat return then true "
  .. "until while"):gmatch "%a+" do RESERVED[word] = true end

local function text_of(value)
  local ok, text = pcall(tostring, value)
  return ok and text or "(a " .. type(value) .. " that has no text)"
end

local function quoted(text)
  local more = #text > TEXT and ("... (%d bytes)"):format(#text) or ""
  text = text:sub(1, TEXT):gsub('[%c"\\\127-\255]', function(char)
    if char == "\n" then return "\\n" elseif char == '"' or char == "\\" then return "\\" .. char end
    return char:byte() < 128 and ("\\%d"):format(char:byte()) or nil
  end)
  return '"' .. text .. '"' .. more
end

local function key_text(key)
  if type(key) == "string" and key:find "^[%a_][%w_]*$" and not RESERVED[key] then return key end
  return "[" .. (type(key) == "string" and quoted(key) or text_of(key)) .. "]"
end

local function before(a, b)
  if math.type(a) and math.type(b) then return a < b end
  if type(a) ~= type(b) then return type(a) < type(b) end
  return text_of(a) < text_of(b)
end

local show

local function entries(value, seen, depth)
  local parts, length = {}, rawlen(value)
  for i = 1, math.min(length, ENTRIES) do parts[i] = show(rawget(value, i), seen, depth + 1) end
  local keys = {}
  for key in next, value do
    if not (math.type(key) == "integer" and key >= 1 and key <= length) then keys[#keys + 1] = key end
  end
  table.sort(keys, before)
  for i = 1, math.min(#keys, ENTRIES - #parts) do
    parts[#parts + 1] = key_text(keys[i]) .. " = " .. show(rawget(value, keys[i]), seen, depth + 1)
  end
  local left = length + #keys - #parts
  if left > 0 then parts[#parts + 1] = ("... %d more"):format(left) end
  return parts
end

local function show_table(value, seen, depth)
  local mt = getmetatable(value)
  if type(mt) == "table" and mt.__tostring then return text_of(value) end
  if seen[value] then return "(seen above)" end
  if depth >= DEPTH then return next(value) == nil and "{}" or "{...}" end
  seen[value] = true
  local parts = entries(value, seen, depth)
  seen[value] = nil
  local line = #parts == 0 and "{}" or "{ " .. table.concat(parts, ", ") .. " }"
  if #line + 2 * depth <= WIDTH and not line:find("\n", 1, true) then return line end
  local indent = ("  "):rep(depth + 1)
  return "{\n" .. indent .. table.concat(parts, ",\n" .. indent) .. "\n" .. ("  "):rep(depth) .. "}"
end

function show(value, seen, depth)
  if type(value) == "string" then return quoted(value) end
  if type(value) == "table" then return show_table(value, seen, depth) end
  return text_of(value)
end

--- A value as text.
---@param value any
---@return string
function M.show(value)
  return show(value, {}, 0)
end

return M
