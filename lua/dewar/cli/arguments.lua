--- What a command takes: positional arguments and options, described by a list,
--- read from the words of a command line, and shown in its help. The commands of
--- Dewar and those of apps are described alike; see docs/cli.md.

local options = require "dewar.options"

local M = {}

--- A list has the choices; a function returns the value, or nil and what is wrong.
---@alias dewar.ArgumentType
---| "string" | "integer" | "number" | "boolean" | string[]
---| fun(text: string): any, string?

---@class dewar.Argument
---@field [1] string "file", or "--force"
---@field [2]? string another name of an option: "-f"
---@field type? dewar.ArgumentType
---@field default? any makes a positional argument optional
---@field optional? boolean a positional argument may be missing
---@field required? boolean an option may not
---@field repeated? boolean all of them in a list; a positional one comes last
---@field flag? boolean the option takes no value: it is true where it is there
---@field value? string what the help calls the value: "N"
---@field help? string

local KEYS = {
  1, 2, "type", "default", "optional", "required", "repeated", "flag", "value", "help",
}
local KNOWN = {}
for _, key in ipairs(KEYS) do KNOWN[key] = true end
local NAMED = { table.unpack(KEYS, 3) }

-- --- Types ---------------------------------------------------------------------------

local readers = {}

function readers.string(text) return text end

function readers.integer(text)
  local number = text:find "^[+-]?%d+$" and math.tointeger(tonumber(text))
  if number then return number end
  return nil, ("is a whole number; got '%s'"):format(text)
end

function readers.number(text)
  local number = not text:find "[xX%s]" and tonumber(text)
  if number then return number end
  return nil, ("is a number; got '%s'"):format(text)
end

function readers.boolean(text)
  local value = options.boolean(text)
  if value ~= nil then return value end
  return nil, ("is true or false; got '%s'"):format(text)
end

--- A reader of one of the texts.
function M.one_of(choices)
  return function(text)
    for _, choice in ipairs(choices) do
      if text == choice then return choice end
    end
    local near = options.nearest(text, choices)
    return nil, ("is one of %s; got '%s'%s"):format(table.concat(choices, ", "), text,
      near and "; did you mean '" .. near .. "'?" or "")
  end
end

local function reader_of(argument, fail)
  local kind = argument.type
  if kind == nil then return readers.string end
  if type(kind) == "function" then return kind end
  if type(kind) == "table" and #kind > 0 then
    for _, choice in ipairs(kind) do
      if type(choice) ~= "string" then fail "a choice must be a string" end
    end
    return M.one_of(kind)
  end
  if readers[kind] then return readers[kind] end
  local near = type(kind) == "string" and options.nearest(kind, { "string", "integer", "number", "boolean" })
  return fail(("its type is \"string\", \"integer\", \"number\", \"boolean\", a list of choices or a function%s")
    :format(near and "; did you mean '" .. near .. "'?" or ""))
end

-- --- Descriptions ------------------------------------------------------------------------

---@class dewar.Arguments what a list describes
local Arguments = {}
Arguments.__index = Arguments

local function check_names(argument, fail)
  local name, short = argument[1], argument[2]
  if type(name) ~= "string" then fail "its name comes first" end
  local is_option = name:sub(1, 1) == "-"
  if is_option and not name:find "^%-%-%a[%w_-]*$" then
    fail "an option's name is like --force, a short one comes second"
  elseif not is_option and not name:find "^%a[%w_-]*$" then
    fail "a name has letters, digits, '_' and '-'"
  elseif short ~= nil and not (is_option and type(short) == "string" and short:find "^%-%a$") then
    fail "the second name is an option's short one, like -f"
  end
  return is_option
end

local function check_kind(argument, is_option, fail)
  if argument.flag and (argument.type ~= nil or argument.repeated or argument.required) then
    fail "a flag has no type, isn't repeated and can't be required"
  elseif argument.flag and not is_option then
    fail "a flag is an option: its name begins with --"
  elseif argument.optional and is_option then
    fail "options are optional; say required where one is not"
  elseif argument.required and argument.default ~= nil then
    fail "what has a default can't be required"
  end
end

--- One entry of a list, checked and with its reader.
local function read_entry(entry, position, level)
  if type(entry) == "string" then entry = { entry } end
  local function fail(text)
    local name = type(entry) == "table" and type(entry[1]) == "string" and "'" .. entry[1] .. "'"
      or "number " .. position
    error(("command: argument %s: %s"):format(name, text), level + 2)
  end
  if type(entry) ~= "table" then fail("it is a name or a table; got a " .. type(entry)) end
  local argument = {}
  for key, value in pairs(entry) do
    if not KNOWN[key] then
      local near = type(key) == "string" and options.nearest(key, NAMED)
      fail(("unknown key '%s'%s"):format(tostring(key), near and "; did you mean '" .. near .. "'?" or ""))
    end
    argument[key] = value
  end
  argument.is_option = check_names(argument, fail)
  check_kind(argument, argument.is_option, fail)
  argument.key = argument[1]:gsub("^%-+", ""):gsub("%-", "_")
  argument.read = not argument.flag and reader_of(argument, fail) or nil
  argument.shown = argument.value or argument.key:upper():gsub("_", "-")
  if argument.is_option then
    argument.label = argument[1]
  else
    argument.label = argument.shown
    argument.needed = not argument.optional and argument.default == nil
  end
  return argument, fail
end

--- The description in a list; what is wrong is raised at the level.
---@param list (string|dewar.Argument)[]
---@param level integer
---@return dewar.Arguments
function M.new(list, level)
  local self = setmetatable({ positional = {}, options = {}, named = {}, all = {} }, Arguments)
  local keys, last = {}, nil
  for position, entry in ipairs(list) do
    local argument, fail = read_entry(entry, position, level + 1)
    if keys[argument.key] then fail "the name is there twice" end
    keys[argument.key] = true
    if argument.is_option then
      self.options[#self.options + 1] = argument
      for i = 1, 2 do
        local name = argument[i]
        if name and self.named[name] then fail("the name " .. name .. " is taken") end
        if name then self.named[name] = argument end
      end
    else
      if last and last.repeated then fail "nothing comes behind a repeated argument" end
      if last and argument.needed and not last.needed then
        fail(("it can't be required where '%s' is not"):format(last[1]))
      end
      last = argument
      self.positional[#self.positional + 1] = argument
    end
    self.all[#self.all + 1] = argument
  end
  if not self.named["--help"] then
    local short = not self.named["-h"] and "-h" or nil
    local help = { "--help", short, flag = true, help = "show this", key = "help", is_option = true, label = "--help" }
    self.options[#self.options + 1] = help
    self.named["--help"] = help
    if short then self.named[short] = help end
    self.own_help = true
  end
  return self
end

-- --- Reading ---------------------------------------------------------------------------------

--- The names of all options, sorted.
function Arguments:names()
  local names = {}
  for name in pairs(self.named) do
    if #name > 2 then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

--- What to say of a word that isn't known.
function M.unknown(what, word, names)
  local dashes, letters = word:match "^(%-*)(.*)$" -- all options have the dashes
  local bare = {}
  for i, name in ipairs(names) do bare[i] = name:sub(#dashes + 1) end
  local near = options.nearest(letters, bare)
  near = near and dashes .. near
  if near then return ("unknown %s '%s'; did you mean '%s'?"):format(what, word, near) end
  return ("unknown %s '%s'; there are: %s"):format(what, word, table.concat(names, ", "))
end

--- Reads one value into args; what is wrong with it, or nil.
local function take(args, argument, text)
  local ok, value, problem = pcall(argument.read, text)
  if not ok then return ("%s: %s"):format(argument.label, tostring(value)) end
  if value == nil then
    return ("%s %s"):format(argument.label, problem or ("can't be '%s'"):format(text))
  end
  if not argument.repeated then
    args[argument.key] = value
  else
    local list = args[argument.key] or {}
    args[argument.key] = list
    list[#list + 1] = value
  end
end

--- Reads short options in one word: flags, and maybe an option with its value.
function Arguments:_read_short(args, word, next_word)
  for i = 2, #word do
    local name = "-" .. word:sub(i, i)
    local argument = self.named[name]
    if not argument then return M.unknown("option", name, self:names()) end
    if argument.flag then
      args[argument.key] = true
    else
      local value = word:sub(i + 1)
      if value == "" then value = next_word() end
      if not value then return name .. " needs a value" end
      return take(args, argument, value)
    end
  end
end

function Arguments:_read_long(args, word, next_word)
  local name, value = word:match "^(%-%-[^=]+)=(.*)$"
  name = name or word
  local argument = self.named[name]
  if not argument then return M.unknown("option", name, self:names()) end
  if argument.flag then
    if value then return name .. " takes no value" end
    args[argument.key] = true
    return
  end
  value = value or next_word()
  if not value then return name .. " needs a value" end
  return take(args, argument, value)
end

local function takes(self)
  local names = {}
  for i, argument in ipairs(self.positional) do names[i] = argument.label end
  return #names == 0 and "no arguments" or table.concat(names, " ") .. " and no more"
end

function Arguments:_read_positional(args, words, name)
  for i, argument in ipairs(self.positional) do
    local last = argument.repeated and #words or i
    for at = i, last do
      local problem = words[at] and take(args, argument, words[at])
      if problem then return problem end
    end
    if not words[i] and argument.needed then
      return ("%s needs %s%s"):format(name, argument.label,
        argument.help and ", " .. argument.help or "")
    end
    if argument.repeated then return end
  end
  if #words > #self.positional then
    return ("%s takes %s; what is '%s'?"):format(name, takes(self), words[#self.positional + 1])
  end
end

local function fill_in(self, args, name)
  for _, argument in ipairs(self.all) do
    if args[argument.key] == nil then
      if argument.is_option and argument.required then
        return ("%s needs the option %s"):format(name, argument.label)
      end
      local value = argument.default
      if value == nil and argument.flag then value = false end
      if value == nil and argument.repeated then value = {} end
      args[argument.key] = value
    end
  end
end

--- The values of the words from `first` on; or nil and what is wrong. "--name
--- value" and "--name=value" are the same; after "--" there are no options. With
--- `until_word` reading stops at the first word that is no option, whose place is
--- returned behind the values. Help that is asked for is never wrong usage.
---@param words string[]
---@param first integer
---@param name string of the command, for messages
---@param until_word? boolean
---@return table? args, string|integer|nil problem_or_place
function Arguments:parse(words, first, name, until_word)
  local args, rest = {}, {}
  local i = first
  local function next_word()
    i = i + 1
    return words[i]
  end
  while i <= #words do
    local word = words[i]
    local problem
    if word == "--" then
      i = i + 1
      if until_word then break end
      table.move(words, i, #words, #rest + 1, rest)
      i = #words
    elseif word:sub(1, 1) ~= "-" or word == "-" or (word:find "^%-[%d.]" and not self.named[word:sub(1, 2)]) then
      if until_word then break end
      rest[#rest + 1] = word
    elseif word:sub(2, 2) == "-" then
      problem = self:_read_long(args, word, next_word)
    else
      problem = self:_read_short(args, word, next_word)
    end
    if problem then return nil, problem end
    i = i + 1
  end
  if args.help == true and self.own_help then return args, i end
  local problem = self:_read_positional(args, rest, name) or fill_in(self, args, name)
  if problem then return nil, problem end
  return args, i
end

-- --- Help ----------------------------------------------------------------------------------------

--- The words behind the command's name: "FILE [COUNT] [options]".
function Arguments:usage()
  local words = {}
  for _, argument in ipairs(self.options) do
    if argument.required then words[#words + 1] = argument.label .. " " .. argument.shown end
  end
  for _, argument in ipairs(self.positional) do
    local word = argument.label .. (argument.repeated and "..." or "")
    words[#words + 1] = argument.needed and word or "[" .. word .. "]"
  end
  words[#words + 1] = "[options]"
  return table.concat(words, " ")
end

local WIDTH = 80

--- A text as lines that fit a terminal, all but the first one indented.
local function wrapped(text, indent)
  local lines, line = {}, nil
  for word in text:gmatch "%S+" do
    if line and #line + 1 + #word > WIDTH - indent then
      lines[#lines + 1] = line
      line = word
    else
      line = line and line .. " " .. word or word
    end
  end
  lines[#lines + 1] = line
  return table.concat(lines, "\n" .. (" "):rep(indent))
end

local function shown_default(argument)
  local value = argument.default
  if value == nil or type(value) == "table" or argument.flag then return nil end
  return "(" .. tostring(value) .. ")"
end

local function row(argument)
  local left = argument.label
  if argument.is_option then
    left = (argument[2] and argument[2] .. ", " or "") .. argument[1]
    if not argument.flag then left = left .. " " .. argument.shown end
  end
  local right = { argument.help or "" }
  if type(argument.type) == "table" then right[#right + 1] = "one of " .. table.concat(argument.type, ", ") end
  if argument.repeated then right[#right + 1] = "may be repeated" end
  right = { table.concat(right, right[1] ~= "" and right[2] and "; " or "") }
  right[#right + 1] = shown_default(argument)
  return left, table.concat(right, " ")
end

--- Lines in two columns: what is in it, and what is said of it.
---@param rows { [1]: string, [2]: string }[]
---@return string
function M.columns(rows)
  local width = 0
  for _, each in ipairs(rows) do
    if #each[1] <= 24 then width = math.max(width, #each[1]) end
  end
  local lines = {}
  for i, each in ipairs(rows) do
    local indent = width + 4
    local gap = #each[1] > width and "\n" .. (" "):rep(indent) or (" "):rep(indent - 2 - #each[1])
    local line = "  " .. each[1]
    if each[2] ~= "" then line = line .. gap .. wrapped(each[2], indent) end
    lines[i] = line
  end
  return table.concat(lines, "\n") .. "\n"
end

--- The help of a command.
---@param called string "dewar app.lua seed"
---@param about string? what it does
---@return string
function Arguments:help(called, about)
  local parts = { ("Usage: %s %s\n"):format(called, self:usage()) }
  if about then parts[#parts + 1] = wrapped(about, 0) .. "\n" end
  local rows = {}
  for _, list in ipairs { self.positional, self.options } do
    for _, argument in ipairs(list) do rows[#rows + 1] = { row(argument) } end
  end
  parts[#parts + 1] = M.columns(rows)
  return table.concat(parts, "\n")
end

return M
