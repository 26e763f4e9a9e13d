--- Where a call stands: whose code it is, and the lines around it.

local core = require "dewar.core"
local value = require "dewar.debug.value"

local M = {}

local AROUND = 5 -- lines on both sides
local SIZE_MAX = 4 * 1024 * 1024
local WIDTH = 400 -- bytes of a line

--- What Dewar's own files begin with; they are embedded, or installed.
local OWN = debug.getinfo(1, "S").source:match "^(.*dewar/)debug/source%.lua$"

local INSTALLED = { "^/usr/", "/share/lua/5%.4/", "/lua_modules/", "/%.luarocks/" }

--- Whose code a call is: "app", "template", "library", "dewar" or "lua".
---@param frame table
---@return string
function M.owner(frame)
  if frame.what == "C" then return "lua" end
  local source = frame.source
  if OWN and source:sub(1, #OWN) == OWN then return "dewar" end
  for _, pattern in ipairs(INSTALLED) do
    if source:find(pattern, 2) and source:sub(1, 1) == "@" then return "library" end
  end
  return "app"
end

--- Reads a file; only regular ones, as others may never end.
local function read(path)
  if not core.is_file(path) then return nil end
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read(SIZE_MAX)
  file:close()
  return text
end

--- The chunk's text: of the file that it came from, or its own. Templates are
--- named as seen from the app's folder.
local function text_of(source, cache)
  local kept = cache[source]
  if kept == nil then
    local first, path = source:sub(1, 1), source:sub(2)
    if first == "@" then
      kept = read(path) or path:sub(1, 1) ~= "/" and read(cache.root .. "/" .. path) or false
    else
      kept = first ~= "=" and source
    end
    cache[source] = kept
  end
  return kept
end

--- The lines around one: { number, text, here }, or nil where there is nothing.
---@param source string as debug.getinfo has it
---@param line integer
---@param cache { root: string } the app's folder; texts by source
---@return table[]?
function M.lines(source, line, cache)
  local text = line > 0 and text_of(source, cache)
  if not text then return nil end
  local lines, number = {}, 0
  for row in (text .. "\n"):gmatch "([^\n]*)\r?\n" do
    number = number + 1
    if number > line + AROUND then break end
    if number >= line - AROUND then
      local shown, cut = value.cut(row:gsub("\r$", ""), WIDTH)
      lines[#lines + 1] = { number = number, text = cut and shown .. " …" or shown, here = number == line }
    end
  end
  if #lines > 0 and lines[#lines].number == number and lines[#lines].text == "" and number ~= line then
    lines[#lines] = nil -- behind the last line feed
  end
  return number >= line and lines or nil
end

return M
