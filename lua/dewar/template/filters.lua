--- Functions for what templates show: text, HTML, numbers, dates. Those for lists
--- are in lists.lua. All take the value first; nil is an empty one, so that a
--- missing value shows nothing. What they return is escaped like anything else,
--- unless it is a safe string.

local arguments = require "dewar.template.arguments"
local core = require "dewar.core"
local lists = require "dewar.template.lists"
local markup = require "dewar.markup"
local options = require "dewar.options"

local M = {}

for name, f in pairs(lists) do M[name] = f end

local text, html, refuse, check_number = arguments.text, arguments.html, arguments.refuse, arguments.number

--- The result is as safe as the value was.
local function as_safe_as(value, result)
  return markup.is(value) and markup.new(result) or result
end

-- --- Text -----------------------------------------------------------------------------

--- The value, or another one where there is none, or an empty string.
function M.default(value, other)
  if value == nil or value == "" then return other end
  return value
end

--- Letters of ASCII only, as in string.upper.
function M.upper(value) return (text(value):upper()) end

--- Letters of ASCII only, as in string.lower.
function M.lower(value) return (text(value):lower()) end

--- "hello WORLD" is "Hello world".
function M.capitalize(value)
  return (text(value):lower():gsub("^%l", string.upper))
end

--- "hello world" is "Hello World".
function M.title(value)
  return (text(value):gsub("[%w'\128-\255]+", function(word) return (word:gsub("^%l", string.upper)) end))
end

--- Without white space at both ends.
function M.trim(value)
  return as_safe_as(value, text(value):match "^%s*(.-)%s*$")
end

--- With each `old`, which is no pattern, replaced.
function M.replace(value, old, new)
  if type(old) ~= "string" or old == "" then refuse("replace", "what is replaced must be a text", old) end
  local pattern, by = old:gsub("%p", "%%%0"), text(new):gsub("%%", "%%%%")
  return (text(value):gsub(pattern, by))
end

--- Its first n characters, whatever its bytes are.
local function first_of(whole, n)
  for start in whole:gmatch "()[^\128-\191]" do
    if n == 0 then return whole:sub(1, start - 1) end
    n = n - 1
  end
  return whole
end

--- At most n characters, "…" included, if possible whole words.
function M.truncate(value, n, ending)
  local whole = text(value)
  if math.type(n) ~= "integer" or n < 1 then refuse("truncate", "the length must be a positive whole number", n) end
  if lists.length(whole) <= n then return whole end
  ending = text(ending == nil and "…" or ending)
  local room = math.max(n - lists.length(ending), 0)
  local cut = first_of(whole, room)
  local goes_on = not whole:find("^%s", #cut + 1)
  local words = goes_on and cut:match "^(.*%S)%s+%S*$" or cut:match "^(.-)%s*$"
  return words .. ending
end

--- Lines but the first begin with n spaces, or with a text.
function M.indent(value, n)
  if n ~= nil and type(n) ~= "string" and (math.type(n) ~= "integer" or n < 0) then
    refuse("indent", "it takes a number of spaces, or a text", n)
  end
  local space = type(n) == "string" and n or (" "):rep(n or 4)
  local result = text(value):gsub("\n([^\n])", function(c) return "\n" .. space .. c end)
  return as_safe_as(value, result)
end

-- --- HTML -----------------------------------------------------------------------------

--- With <br> at the ends of lines. Safe.
function M.nl2br(value)
  return markup.new((html(value):gsub("\r?\n", "<br>\n")))
end

local ENTITIES = { ["&amp;"] = "&", ["&lt;"] = "<", ["&gt;"] = ">", ["&quot;"] = '"', ["&#39;"] = "'" }

--- HTML's text: without comments and tags, white space made one space.
function M.striptags(value)
  local plain = text(value):gsub("<!%-%-.-%-%->", ""):gsub("<[^>]*>", "")
  plain = plain:gsub("%s+", " "):match "^%s?(.-)%s?$"
  return (plain:gsub("&[%w#]+;", ENTITIES))
end

local IN_SCRIPTS = {
  ["<"] = "\\u003c", [">"] = "\\u003e", ["&"] = "\\u0026", ["'"] = "\\u0027",
  ["\u{2028}"] = "\\u2028", ["\u{2029}"] = "\\u2029",
}

--- JSON, safe in <script> and in attributes with single quotes.
function M.tojson(value)
  if markup.is(value) then value = text(value) end
  if value == nil then value = core.null end
  local json = options.call(2, core.json.encode, value):gsub("[<>&']", IN_SCRIPTS)
  json = json:gsub("\u{2028}", IN_SCRIPTS):gsub("\u{2029}", IN_SCRIPTS)
  return markup.new(json)
end

local function percent(c)
  return ("%%%02X"):format(c:byte())
end

local function component(plain)
  return (plain:gsub("[^%w%-._~]", percent))
end

--- A text for a part of a URL, or a table as a query; lists repeat a name.
function M.urlencode(value)
  if type(value) ~= "table" or markup.is(value) then return component(text(value)) end
  local pairs_of = {}
  for name, each in lists.sorted(value) do
    for _, one in ipairs(type(each) == "table" and not markup.is(each) and each or { each }) do
      pairs_of[#pairs_of + 1] = component(text(name)) .. "=" .. component(text(one))
    end
  end
  return table.concat(pairs_of, "&")
end

--- ` name="value"` for each, by name; true is a name alone, false is left out.
--- Safe.
function M.attributes(values)
  if type(values) ~= "table" then refuse("attributes", "it takes a table by name", values) end
  local parts = {}
  for name, value in lists.sorted(values) do
    if type(name) ~= "string" or not name:find "^[^%c%s\"'<>/=]+$" then
      error(("attributes: '%s' can't be an attribute's name"):format(tostring(name)), 2)
    end
    if value == true then
      parts[#parts + 1] = " " .. name
    elseif value then
      -- A safe string may hold quotes.
      parts[#parts + 1] = (' %s="%s"'):format(name, (html(value):gsub('"', "&quot;")))
    end
  end
  return markup.new(table.concat(parts))
end

-- --- Numbers and dates ------------------------------------------------------------------

--- A number and its word: plural(2, "reply", "replies") is "2 replies".
function M.plural(n, one, many)
  local count = check_number("plural", n)
  if one == nil then refuse("plural", "the second argument is the word for one", one) end
  return ("%s %s"):format(text(n), count == 1 and text(one) or many ~= nil and text(many) or text(one) .. "s")
end

--- Rounded to so many digits behind the point; a whole number by default.
function M.round(value, digits)
  local number = check_number("round", value)
  digits = arguments.digits("round", digits)
  if digits == 0 then
    local whole = math.floor(number + 0.5)
    return whole
  end
  return ("%." .. digits .. "f"):format(number)
end

--- 1234567.891 is "1,234,568"; with digits = 2 "1,234,567.89".
function M.number(value, digits, separator)
  digits = arguments.digits("number", digits)
  local plain = ("%." .. digits .. "f"):format(check_number("number", value))
  local sign, whole, rest = plain:match "^(-?)(%d+)(.*)$"
  if not whole then return plain end -- inf, nan
  local first = (#whole - 1) % 3 + 1
  local groups = { whole:sub(1, first) }
  for i = first + 1, #whole, 3 do groups[#groups + 1] = whole:sub(i, i + 2) end
  return sign .. table.concat(groups, separator == nil and "," or text(separator)) .. rest
end

local UNITS = { "kB", "MB", "GB", "TB", "PB" }

--- 13500 is "13.5 kB".
function M.filesize(bytes)
  local size, unit = check_number("filesize", bytes), nil
  for _, larger in ipairs(UNITS) do
    if size < 999.95 then break end
    size, unit = size / 1000, larger
  end
  if not unit then return M.plural(math.tointeger(size) or size, "byte") end
  return ("%.1f %s"):format(size, unit)
end

--- A time in seconds as os.date writes it; "%Y-%m-%d" by default, "!" in front is
--- for UTC.
function M.date(time, format)
  if time == nil then return "" end
  local seconds = math.tointeger(check_number("date", time) // 1)
  if format ~= nil and type(format) ~= "string" then
    refuse("date", "the format is a text such as \"%Y-%m-%d\"", format)
  end
  if not seconds then refuse("date", "the value must be a time in seconds", time) end
  return (options.call(2, os.date, format or "%Y-%m-%d", seconds))
end

return M
