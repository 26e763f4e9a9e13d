--- Splits a template into text and tags. It knows as much of Lua as it takes to
--- tell where a tag ends: "%>" in a string or in a long comment doesn't end one.

local M = {}

---@class dewar.TemplatePiece
---@field kind "text"|"code"|"escaped"|"raw"
---@field text string of a tag the code, without its line comments
---@field line integer where it starts
---@field words? { [1]: string, [2]: integer, [3]: integer }[] the words of the code: first and last byte
---@field calls? boolean whether the code may call something

local KINDS = { ["="] = "escaped", ["-"] = "raw", ["#"] = "comment" }

local function count_lines(source, from, to)
  local _, n = source:sub(from, to):gsub("\n", "")
  return n
end

--- Behind the string that begins at pos.
local function skip_string(source, pos, fail)
  local quote = source:sub(pos, pos)
  local at = pos + 1
  while true do
    at = source:find("[\\\n" .. quote .. "]", at)
    local c = at and source:sub(at, at)
    if c == quote then return at + 1 end
    if c ~= "\\" then fail(pos, "a string isn't closed") end
    at = source:match("^z%s*()", at + 1) or at + 2
  end
end

--- Behind the long bracket that begins at pos, or nil if there is none. One that
--- doesn't end is an error.
local function skip_long(source, pos, fail)
  local level = source:match("^%[(=*)%[", pos)
  if not level then return nil end
  local _, last = source:find("]" .. level .. "]", pos, true)
  if not last then fail(pos, "a long string or comment isn't closed") end
  return last + 1
end

--- The end of a line comment: its tag's end ends it, too.
local function skip_line_comment(source, pos)
  local newline = source:find("\n", pos, true) or #source + 1
  local tag = source:find("[-~]?%%>", pos + 2) or #source + 1
  return math.min(newline, tag)
end

local function blank(code, ranges)
  for i = #ranges, 1, -1 do
    local from, to = ranges[i][1], ranges[i][2]
    code = code:sub(1, from - 1) .. (" "):rep(to - from) .. code:sub(to)
  end
  return code
end

--- Reads the code of a tag from `from` on, and returns what there is to know of
--- it, and where its "%>" is.
local function read_code(source, from, fail)
  local words, comments, calls, pos = {}, {}, false, from
  while true do
    pos = source:find("[%%\"'%[({%-%w_]", pos)
    if not pos then fail(from, "the tag isn't closed: its %> is missing") end
    local c = source:sub(pos, pos)
    if c == "%" then
      if source:sub(pos + 1, pos + 1) == ">" then break end
      pos = pos + 1
    elseif c == '"' or c == "'" then
      pos, calls = skip_string(source, pos, fail), true
    elseif c == "[" then
      local behind = skip_long(source, pos, fail)
      pos, calls = behind or pos + 1, calls or behind ~= nil
    elseif c == "-" then
      local long = source:sub(pos + 1, pos + 2) == "-[" and skip_long(source, pos + 2, fail)
      if long then
        pos = long
      elseif source:sub(pos + 1, pos + 1) == "-" then
        local behind = skip_line_comment(source, pos)
        comments[#comments + 1] = { pos - from + 1, behind - from + 1 }
        pos = behind
      else
        pos = pos + 1
      end
    elseif c:find "%d" then
      pos = source:match("^[%w_.]+()", pos)
    elseif c:find "[%a_]" then
      local behind = source:match("^[%w_]+()", pos)
      local before = source:sub(pos - 1, pos - 1)
      if before ~= "." and before ~= ":" or source:sub(pos - 2, pos - 1) == ".." then
        words[#words + 1] = { source:sub(pos, behind - 1), pos - from + 1, behind - from }
      end
      pos = behind
    else
      pos, calls = pos + 1, true
    end
  end
  return { words = words, calls = calls, comments = comments }, pos
end

local function trim_right(text)
  local last = #text
  while last > 0 and text:find("^%s", last) do last = last - 1 end
  return text:sub(1, last)
end

--- The pieces of a template. fail(line, message) raises.
---@param source string
---@param fail fun(line: integer, message: string)
---@return dewar.TemplatePiece[]
function M.split(source, fail)
  local pieces, pos, line = {}, source:match "^\xEF\xBB\xBF()" or 1, 1

  local function fail_at(at, message)
    fail(line + count_lines(source, pos, at - 1), message)
  end

  local function add_text(text)
    local last = pieces[#pieces]
    if last and last.kind == "text" then
      last.text = last.text .. text
    elseif text ~= "" then
      pieces[#pieces + 1] = { kind = "text", text = text, line = line }
    end
  end

  --- Moves to a later place.
  local function go(to)
    line, pos = line + count_lines(source, pos, to - 1), to
  end

  local function read_tag()
    local from = pos + 2
    local trims = source:sub(from, from) == "~"
    if trims then
      from = from + 1
      local last = pieces[#pieces]
      if last and last.kind == "text" then last.text = trim_right(last.text) end
    end
    local kind = KINDS[source:sub(from, from)]
    if kind then from = from + 1 end
    local piece, stop
    if kind == "comment" then
      stop = source:find("%>", from, true)
      if not stop then fail_at(from, "the comment isn't closed: its %> is missing") end
    else
      piece, stop = read_code(source, from, fail_at)
    end
    local mark = stop > from and source:match("^[-~]", stop - 1)
    if piece then
      local code = blank(source:sub(from, stop - 1), piece.comments)
      if mark then code = code:sub(1, -2) end
      piece.kind = kind or "code"
      piece.text = code:gsub("\r\n?", { ["\r\n"] = " \n", ["\r"] = " " })
      piece.line = line
      pieces[#pieces + 1] = piece
    end
    go(stop + 2)
    if mark == "~" then
      go(source:match("^%s*()", pos))
    elseif mark == "-" then
      go(source:match("^[ \t]*\r?\n()", pos) or pos)
    end
  end

  while true do
    local open = source:find("<%", pos, true)
    add_text(source:sub(pos, (open or 0) - 1))
    if not open then return pieces end
    go(open)
    if source:sub(open + 2, open + 2) == "%" then
      add_text "<%"
      go(open + 3)
    else
      read_tag()
    end
  end
end

return M
