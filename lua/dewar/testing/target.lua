--- What the test client writes behind the method: paths as they are given,
--- queries, and where a redirect leads.

local M = {}

local function percent(c)
  return ("%%%02X"):format(c:byte())
end

--- Text for a query, a form's name or value: all but unreserved is encoded.
---@param text string
---@return string
function M.encode(text)
  return (text:gsub("[^%w%-._~]", percent))
end

--- Text as it is, but for the characters that a request line can't carry.
---@param text string
---@return string
function M.clean(text)
  return (text:gsub('[^\x21-\x7E]', percent):gsub('[<>"\\#]', percent))
end

--- Names with values as a list of { name, value }, sorted by name; a list as a
--- value repeats the name.
---@param values table
---@param scalar fun(name: string, value: any): any what becomes of each value
---@return table
function M.sorted(values, scalar)
  local names, list = {}, {}
  for name in pairs(values) do names[#names + 1] = name end
  table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
  for _, name in ipairs(names) do
    local value = values[name]
    local is_list = type(value) == "table" and (#value > 0 or next(value) == nil)
    for _, item in ipairs(is_list and value or { value }) do
      list[#list + 1] = { tostring(name), scalar(tostring(name), item) }
    end
  end
  return list
end

--- Pairs as "a=1&b=2".
---@param list table
---@return string
function M.join(list)
  local parts = {}
  for i, pair in ipairs(list) do
    parts[i] = M.encode(pair[1]) .. "=" .. M.encode(pair[2])
  end
  return table.concat(parts, "&")
end

--- The authority and the path of a target; the authority of "/x" is nil.
---@param target string
---@return string? authority
---@return string path
function M.split(target)
  local authority, rest = target:match "^%a[%w+.-]*://([^/?#]*)(.*)$"
  if not authority then return nil, (target:gsub("[?#].*$", "")) end
  local path = rest:gsub("[?#].*$", "")
  return authority, path == "" and "/" or path
end

--- RFC 3986, 5.2.4: "/a/b/../c" is "/a/c".
local function without_dots(path)
  local kept = {}
  for segment in path:gmatch "/([^/]*)" do
    if segment == ".." then
      kept[#kept] = nil
    elseif segment ~= "." then
      kept[#kept + 1] = segment
    end
  end
  if path:find "/%.%.?$" then kept[#kept + 1] = "" end
  return "/" .. table.concat(kept, "/")
end

--- Where a Location leads from a target: its authority, if it has one, and the
--- target of the next request.
---@param target string
---@param location string
---@return string? authority
---@return string target
function M.resolve(target, location)
  location = location:gsub("#.*$", "")
  local authority, rest = location:match "^%a[%w+.-]*://([^/?]*)(.*)$"
  if not authority then authority, rest = location:match "^//([^/?]*)(.*)$" end
  if authority then
    return authority, M.clean(rest:sub(1, 1) == "/" and rest or "/" .. rest)
  end
  if location:sub(1, 1) == "/" then return nil, M.clean(location) end
  local base, path = M.split(target)
  if location == "" then return base, M.clean(path) end
  if location:sub(1, 1) == "?" then return base, M.clean(path .. location) end
  local reference, query = location:match "^([^?]*)(.*)$"
  return base, M.clean(without_dots(path:gsub("[^/]*$", "") .. reference) .. query)
end

return M
