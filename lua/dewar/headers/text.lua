--- Texts of headers: lists and parameters, in which commas and semicolons may
--- stand between quotes.

local M = {}

--- Whether it can stand in a header without quotes.
---@param text string
function M.is_token(text)
  return text:find "^[%w!#$%%&'*+.^_`|~-]+$" ~= nil
end

--- The parts of a text between separators that aren't quoted, trimmed, without
--- the empty ones.
---@param text string
---@param separator string one character
---@return string[]
function M.split(text, separator)
  local parts, from, at, quoted = {}, 1, 1, false
  local function add(to)
    local part = text:sub(from, to):match "^[ \t]*(.-)[ \t]*$"
    if part ~= "" then parts[#parts + 1] = part end
    from = to + 2
  end
  local special = '["\\' .. separator .. "]"
  while true do
    at = text:find(special, at)
    if not at then break end
    local char = text:sub(at, at)
    if char == '"' then
      quoted = not quoted
    elseif char == "\\" then
      if quoted then at = at + 1 end
    elseif not quoted then
      add(at - 1)
    end
    at = at + 1
  end
  add(#text)
  return parts
end

--- A value without its quotes.
---@param text string
---@return string
function M.unquote(text)
  local inner = text:match '^"(.*)"$'
  return inner and inner:gsub("\\(.)", "%1") or text
end

--- A value between quotes, if it needs them or should have them in any case.
---@param text string
---@param always? boolean
---@return string
function M.quote(text, always)
  if M.is_token(text) and not always then return text end
  return '"' .. text:gsub('["\\]', "\\%0") .. '"'
end

--- "name=value" as its two parts, the name in lower case; the value is nil where
--- there is none.
---@param text string
---@return string name, string? value
function M.pair(text)
  local name, value = text:match "^([^=]-)[ \t]*=[ \t]*(.*)$"
  if not name then return text:lower() end
  return name:lower(), M.unquote(value)
end

--- What stands in front of the first semicolon, in lower case, and the parameters
--- behind it, by name. Of several with one name, the first counts.
---@param text string
---@return string first, table<string, string> parameters
function M.parameters(text)
  local parts, parameters = M.split(text, ";"), {}
  local first = text:find "^%s*;" and "" or table.remove(parts, 1) or ""
  for _, part in ipairs(parts) do
    local name, value = M.pair(part)
    if value and parameters[name] == nil then parameters[name] = value end
  end
  return first:lower(), parameters
end

local function percent(c)
  return ("%%%02X"):format(c:byte())
end

--- An address as it can be sent: letters beyond ASCII, blanks and what else no
--- URL has are percent-encoded. A backslash, too, which browsers would take for
--- a slash. Control characters stay: a header refuses them.
---@param address string
---@return string
function M.uri(address)
  return (address:gsub('[ "<>\\^`{|}\128-\255]', percent))
end

--- Whether a content type is JSON or a format upon it.
---@param content_type string
---@return boolean
function M.is_json(content_type)
  local mimetype = M.parameters(content_type)
  return mimetype == "application/json" or mimetype:find "^application/.+%+json$" ~= nil
end

return M
