--- Option tables: unknown keys are errors that name the nearest known one.

local M = {}

--- How many letters must be added, removed, replaced or swapped with their
--- neighbour to make b of a.
local function distance(a, b)
  local rows = { [0] = {} }
  for j = 0, #b do rows[0][j] = j end
  for i = 1, #a do
    local row, above, two_above = { [0] = i }, rows[i - 1], rows[i - 2]
    for j = 1, #b do
      local cost = a:byte(i) == b:byte(j) and 0 or 1
      row[j] = math.min(row[j - 1] + 1, above[j] + 1, above[j - 1] + cost)
      local swapped = i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j)
      if swapped then row[j] = math.min(row[j], two_above[j - 2] + 1) end
    end
    rows[i] = row
  end
  return rows[#a][#b]
end

--- The one name that begins with the word, if that says something.
local function begun(word, names)
  if #word < 3 then return nil end
  local found
  for _, name in ipairs(names) do
    if name:sub(1, #word) == word then
      if found then return nil end
      found = name
    end
  end
  return found
end

--- The name in the list that was probably meant, or nil: one slip is forgiven in
--- four letters.
---@param word string
---@param names string[]
---@return string?
function M.nearest(word, names)
  local best, least = nil, (#word + 3) // 4 + 1
  for _, name in ipairs(names) do
    local d = distance(word, name)
    if d < least and d < math.min(#word, #name) then best, least = name, d end
  end
  return best or begun(word, names)
end

--- A copy of opts, whose keys are all among the names; raises at the level of
--- the caller's caller otherwise.
---@param method string for the message
---@param opts table?
---@param names string[]
---@param level integer
---@return table
function M.check(method, opts, names, level)
  local copy = {}
  if opts == nil then return copy end
  if type(opts) ~= "table" then
    error(("%s: the options must be a table; got a %s"):format(method, type(opts)), level + 1)
  end
  local known = {}
  for _, name in ipairs(names) do known[name] = true end
  for key, value in pairs(opts) do
    if not known[key] then
      local near = type(key) == "string" and M.nearest(key, names)
      error(("%s: unknown option '%s'%s"):format(method, tostring(key),
        near and "; did you mean '" .. near .. "'?" or ""), level + 1)
    end
    copy[key] = value
  end
  return copy
end

--- Raises at the level of the caller's caller if an option is there and of
--- another type.
---@param method string for the message
---@param opts table
---@param name string
---@param wanted string
---@param level integer
function M.check_type(method, opts, name, wanted, level)
  local value = opts[name]
  if value ~= nil and type(value) ~= wanted then
    error(("%s: the option '%s' is a %s; got a %s"):format(method, name, wanted, type(value)), level + 1)
  end
end

local BOOLEANS = {
  ["true"] = true, yes = true, on = true, ["1"] = true,
  ["false"] = false, no = false, off = false, ["0"] = false,
}

--- What a text from outside means as a boolean, or nil.
---@param text string
---@return boolean?
function M.boolean(text)
  return BOOLEANS[text:lower()]
end

--- The file that the command is loading, or nil.
M.loading = nil ---@type string?

--- The file that a C function is loading: a call at the end of a chunk (`return
--- dewar.app()`) takes that chunk off the stack.
---@param f function
---@param argument any its first one
---@return string?
local function loaded_by(f, argument)
  if f == require and type(argument) == "string" then
    return package.searchpath(argument, package.path)
  elseif f == dofile and type(argument) == "string" then
    return argument
  elseif f == xpcall then
    return M.loading
  end
end

--- Raises at the level of the caller's caller if a text is no header's name.
---@param method string for the message
---@param text any
---@param level integer
function M.check_header_name(method, text, level)
  if type(text) == "string" and text:find "^[!#$%%&'*+%-.^_`|~%w]+$" then return end
  error(("%s: a header's name has letters, digits and '-'; got %s"):format(method,
    type(text) == "string" and ("%q"):format(text) or "a " .. type(text)), level + 1)
end

--- The folder of the file whose code is at the level; "." where it is in none.
---@param level integer as for `error`
---@return string
function M.folder_at(level)
  local info = debug.getinfo(level + 1, "Sf")
  local path = info and info.source:match "^@(.+)$"
  if info and info.what == "C" then
    local _, argument = debug.getlocal(level + 1, 1)
    path = loaded_by(info.func, argument)
  end
  if not path then return "." end
  local folder = path:match "^(.*)/[^/]*$"
  return folder == "" and "/" or folder or "."
end

--- A path that is relative to a folder, as one that can be opened.
---@param folder string
---@param path string
---@return string
function M.join_path(folder, path)
  if path:sub(1, 1) == "/" or folder == "." then return path end
  return (folder:gsub("/$", "")) .. "/" .. path
end

--- Calls f; an error with a message is raised again at the level of the
--- caller's caller, whose mistake it is.
---@param level integer
function M.call(level, f, ...)
  local results = table.pack(pcall(f, ...))
  if results[1] then return table.unpack(results, 2, results.n) end
  local err = results[2]
  if type(err) == "string" then err = err:gsub("^[^:\n]+:%d+: ", "") end
  error(err, level + 1)
end

return M
