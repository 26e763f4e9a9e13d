--- Origins, that is scheme and host of a page, and lists of those that are
--- welcome.

local M = {}

local function is_origin(text)
  return text == "null" or text:find "^%a[%w+.-]*://[^/%s]+$" ~= nil
end

--- A pattern of Lua's for "https://*.example.com", or nil.
local function wildcard(origin)
  local before, behind = origin:match "^(%a[%w+.-]*://)%*(%.[^*]+)$"
  if not before then return nil end
  local function plain(text) return (text:gsub("%p", "%%%0")) end
  return "^" .. plain(before) .. "[%w.-]+" .. plain(behind) .. "$"
end

local function check(method, origin, level)
  if type(origin) ~= "string" or not is_origin(origin) then
    error(("%s: an origin is scheme and host, such as \"https://example.com\" or \"https://*.example.com\", "
      .. "without a slash at its end; got %s"):format(method, type(origin) == "string" and "'" .. origin .. "'"
      or "a " .. type(origin)), level + 1)
  end
end

--- A function(origin) that says whether it is one of the list.
---@param method string for messages
---@param list string|string[]
---@param level integer of the caller, whose mistake a wrong list is
---@return fun(origin: string): boolean
function M.matcher(method, list, level)
  if type(list) ~= "table" then list = { list } end
  local exact, patterns = {}, {}
  for _, origin in ipairs(list) do
    check(method, origin, level + 1)
    origin = origin:lower()
    local pattern = wildcard(origin)
    if pattern then
      patterns[#patterns + 1] = pattern
    elseif origin:find("*", 1, true) then
      error(("%s: in '%s' the '*' can only stand for what is before the first dot of the host")
        :format(method, origin), level + 1)
    else
      exact[origin] = true
    end
  end
  if not next(exact) and #patterns == 0 then
    error(method .. ": the list of origins is empty", level + 1)
  end
  return function(origin)
    origin = origin:lower()
    if exact[origin] then return true end
    for _, pattern in ipairs(patterns) do
      if origin:find(pattern) then return true end
    end
    return false
  end
end

--- The origin of a URL, or nil.
---@param url string
---@return string?
function M.of(url)
  return url:match "^(%a[%w+.-]*://[^/?#%s]+)"
end

return M
