--- Headers that are sets of words: Vary, Allow, Content-Language. An object has
--- no state: it reads and writes the header, so the two can't differ.

local options = require "dewar.options"
local text = require "dewar.headers.text"

local M = {}

local Set = { __name = "dewar.HeaderSet" }
local secret = setmetatable({}, { __mode = "k" }) -- what each object belongs to

local function read(self)
  local owner = secret[self]
  return text.split(owner.res.headers[owner.header] or "", ",")
end

local function write(self, list)
  local owner = secret[self]
  owner.res.headers[owner.header] = list[1] and table.concat(list, ", ")
end

local function find(list, word)
  for i, other in ipairs(list) do
    if other:lower() == word:lower() then return i end
  end
end

local function check(word, header, level)
  if type(word) ~= "string" or not text.is_token(word) then
    error(("%s is a set of words; got %s"):format(header,
      type(word) == "string" and "'" .. word .. "'" or "a " .. type(word)), level + 1)
  end
  return word
end

local methods = {}

--- Adds words that aren't there yet, in any case.
---@param ... string
function methods:add(...)
  local list = read(self)
  for _, word in ipairs { ... } do
    check(word, secret[self].header, 2)
    if not find(list, word) and not find(list, "*") then list[#list + 1] = word end
  end
  write(self, list)
end

--- Removes words, if they are there.
---@param ... string
function methods:remove(...)
  local list = read(self)
  for _, word in ipairs { ... } do
    local i = find(list, check(word, secret[self].header, 2))
    if i then table.remove(list, i) end
  end
  write(self, list)
end

--- Removes all words, and so the header.
function methods:clear() write(self, {}) end

--- Whether a word is there, in any case; "*" stands for all of them.
---@param word string
---@return boolean
function methods:contains(word)
  local list = read(self)
  return (find(list, check(word, secret[self].header, 2)) or find(list, "*")) ~= nil
end

--- The words, in their order.
---@return string[]
function methods:values() return read(self) end

Set.__index = methods

function Set.__newindex(_, name)
  error(("a set of words has no field '%s'; use add(word) and remove(word)"):format(tostring(name)), 2)
end

function Set:__len() return #read(self) end

function Set:__tostring() return table.concat(read(self), ", ") end

--- `for word in pairs(res.vary)`, over a copy.
function Set:__pairs()
  local list, i = read(self), 0
  return function()
    i = i + 1
    if list[i] then return list[i], true end
  end
end

--- The set that a header of a response is.
---@param res dewar.Response
---@param header string
---@return dewar.HeaderSet
function M.new(res, header)
  local self = setmetatable({}, Set)
  secret[self] = { res = res, header = header }
  return self
end

--- Puts words in place of the header: a list, a text with commas, another set, or
--- nil for none.
---@param res dewar.Response
---@param header string
---@param value string | string[] | nil
---@param level integer
function M.assign(res, header, value, level)
  local words = value
  if secret[value] then words = read(value) end
  if type(words) == "table" then
    local list = {}
    for _, word in ipairs(words) do
      if not find(list, check(word, header, level + 1)) then list[#list + 1] = word end
    end
    words = list[1] and table.concat(list, ", ")
  elseif words ~= nil and type(words) ~= "string" then
    error(("%s is a list of words, a string or nil; got a %s"):format(header, type(value)), level + 1)
  end
  options.call(level + 1, function() res.headers[header] = words end)
end

return M
