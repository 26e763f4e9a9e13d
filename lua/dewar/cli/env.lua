--- Files of environment variables, .env and .dewarenv: NAME=value on each line.
--- What the environment has already stays as it is. See docs/cli.md.

local core = require "dewar.core"

local M = {}

local ESCAPES = { n = "\n", r = "\r", t = "\t", ["\\"] = "\\", ['"'] = '"', ["$"] = "$" }

--- A text being read. Failures are raised as a table, which parse catches.
local Reader = {}
Reader.__index = Reader

local function fail(self, text, at)
  local _, lines = self.text:sub(1, (at or self.at) - 1):gsub("\n", "")
  error({ problem = ("%s:%d: %s"):format(self.name, lines + 1, text) }, 0)
end

--- Takes what matches here, which may be nothing.
function Reader:take(pattern)
  local first, last, capture = self.text:find("^" .. pattern, self.at)
  if not first then return nil end
  self.at = last + 1
  return capture or self.text:sub(first, last)
end

--- The value of ${NAME} or ${NAME:-instead}, whose "$" is here.
function Reader:variable()
  local from = self.at
  local inside = self:take "%${([^}\n]*)}"
  if not inside then return fail(self, "a ${ has no }; write \\$ for a dollar in double quotes", from) end
  local name, instead = inside:match "^([%a_][%w_]*)(.*)$"
  if not name or (instead ~= "" and instead:sub(1, 2) ~= ":-") then
    return fail(self, "${" .. inside .. "} is no variable; it is written ${NAME} or ${NAME:-instead}", from)
  end
  local value = self.lookup(name) or self.values[name]
  if (value == nil or value == "") and instead ~= "" then value = instead:sub(3) end
  return value or ""
end

function Reader:double_quoted()
  local from, parts = self.at, {}
  self.at = self.at + 1
  while true do
    parts[#parts + 1] = self:take '[^"\\$]*'
    local char = self.text:sub(self.at, self.at)
    if char == '"' then
      self.at = self.at + 1
      return table.concat(parts)
    elseif char == "" then
      return fail(self, "the quote that begins here has no end", from)
    elseif char == "\\" then
      local letter = self.text:sub(self.at + 1, self.at + 1)
      local meant = ESCAPES[letter]
      if not meant and letter ~= "\n" then
        return fail(self, ("'\\%s' is no escape; there are \\n \\r \\t \\\\ \\\" \\$"):format(letter))
      end
      parts[#parts + 1] = meant or ""
      self.at = self.at + 2
    elseif self.text:sub(self.at, self.at + 1) == "${" then
      parts[#parts + 1] = self:variable()
    else
      parts[#parts + 1] = "$"
      self.at = self.at + 1
    end
  end
end

function Reader:single_quoted()
  local from = self.at
  local value = self:take "'([^']*)'"
  return value or fail(self, "the quote that begins here has no end", from)
end

--- Up to the end of the line, or to a comment.
function Reader:bare()
  local parts = {}
  while true do
    parts[#parts + 1] = self:take "[^\n#$%s]+"
    local char = self.text:sub(self.at, self.at)
    if char == "" or char == "\n" then
      break
    elseif char == "#" then
      if self.at == 1 or self.text:find("^%s", self.at - 1) then break end
      parts[#parts + 1] = self:take "#"
    elseif char == "$" then
      parts[#parts + 1] = self.text:sub(self.at, self.at + 1) == "${" and self:variable() or self:take "%$"
    else
      parts[#parts + 1] = self:take "[ \t\r\f\v]+"
    end
  end
  return (table.concat(parts):gsub("%s+$", ""))
end

function Reader:value()
  local char = self.text:sub(self.at, self.at)
  if char == '"' then return self:double_quoted() end
  if char == "'" then return self:single_quoted() end
  return self:bare()
end

function Reader:line()
  self:take "[ \t\r]*"
  if self:take "#[^\n]*" or self:take "\n" or self.at > #self.text then return end
  self:take "export[ \t]+"
  local name = self:take "[%a_][%w_]*"
  if not name then return fail(self, "a line is NAME=value, where a name has letters, digits and '_'") end
  self:take "[ \t]*"
  if not self:take "=" then
    return fail(self, ("'%s' has no value; a line is NAME=value"):format(name))
  end
  self:take "[ \t]*"
  local value = self:value()
  self:take "[ \t\r]*"
  self:take "#[^\n]*"
  if self.at <= #self.text and not self:take "\n" then
    return fail(self, "something stands behind the closing quote")
  end
  if value:find "\0" then return fail(self, "a value can't have a NUL in it") end
  self.values[name] = value
end

--- The variables in a text; or nil and what is wrong, with the line.
---@param text string
---@param name string of the file
---@param lookup? fun(name: string): string? what ${NAME} is, before what the text says
---@return table<string, string>? values, string? problem
function M.parse(text, name, lookup)
  text = text:gsub("^\u{FEFF}", "")
  local self = setmetatable({
    text = text, name = name, at = 1, values = {}, lookup = lookup or os.getenv,
  }, Reader)
  local ok, err = pcall(function()
    while self.at <= #text do self:line() end
  end)
  if ok then return self.values end
  if type(err) ~= "table" then error(err, 0) end
  return nil, err.problem
end

--- The variables in a file; none where there is no such file. Or nil and what is
--- wrong.
---@param path string
---@param must_exist? boolean
---@return table<string, string>? values, string? problem
function M.read(path, must_exist)
  local file, problem = io.open(path, "rb")
  if not file then
    if must_exist then return nil, "the file of variables can't be read: " .. problem end
    return {}
  end
  local text
  text, problem = file:read "a"
  file:close()
  if not text then return nil, ("%s: %s"):format(path, problem) end
  return M.parse(text, path)
end

---@class dewar.EnvOptions
---@field file? string of --env-file
---@field off? boolean by --no-env

--- The paths of the files for an app in a folder, those that win first.
---@param folder? string of the app
---@param opts dewar.EnvOptions
---@return string[]
function M.paths(folder, opts)
  local paths = {}
  if opts.off then return paths end
  paths[1] = opts.file
  local folders = { "." }
  if folder and folder ~= "." then folders[2] = folder end
  for _, each in ipairs(folders) do
    for _, name in ipairs { ".env", ".dewarenv" } do
      paths[#paths + 1] = each == "." and name or each .. "/" .. name
    end
  end
  return paths
end

--- What the files say beside the environment, which wins; or nil and what is wrong.
---@param folder? string
---@param opts dewar.EnvOptions
---@return table<string, string>? values, string? problem
function M.collect(folder, opts)
  local all = {}
  for _, path in ipairs(M.paths(folder, opts)) do
    local values, problem = M.read(path, path == opts.file)
    if not values then return nil, problem end
    for name, value in pairs(values) do
      if all[name] == nil and os.getenv(name) == nil then all[name] = value end
    end
  end
  return all
end

--- Puts what the files say into the environment. What is wrong, or nil.
---@param folder? string
---@param opts dewar.EnvOptions
---@return string? problem
function M.load(folder, opts)
  local values, problem = M.collect(folder, opts)
  if not values then return problem end
  for name, value in pairs(values) do core.setenv(name, value) end
end

return M
