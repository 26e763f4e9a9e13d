--- Reading what comes in pieces: files, connections and the output of processes
--- read alike. What makes one has `_receive(self, size, seconds, limit)`, which
--- waits for the next piece and gives nil at the end; of the limit that the caller
--- gave, so many seconds are left. What was read and then not returned,
--- as time ran out, say, is there for the next call.

local core = require "dewar.core"

local LINE_MAX = 64 * 1024
local ALL_MAX = 64 * 1024 * 1024
local PIECE = 64 * 1024

---@class dewar.Reader
local Reader = {}

--- Makes an object a reader.
---@private
function Reader._open(self)
  self._buffer, self._at = "", 1 -- what was received, and where the rest of it begins
  self._more = {} -- what came behind it
  self._size = 0 -- of all that is there
  self._hold = setmetatable({}, { __close = function() self._reading = nil end })
  return self
end

--- Forgets what was received and not read: how many bytes that were.
---@private
function Reader._drop(self)
  local size = self._size
  self._buffer, self._at, self._more, self._size, self._ended = "", 1, {}, 0, nil
  return size
end

--- To be closed: only one task reads at a time.
local function hold(self, name)
  if self._reading then
    error(("%s: another task is reading here; only one at a time can"):format(name), 4)
  end
  self._reading = true
  return self._hold
end

local function check_size(name, value, default)
  if value == nil then return default end
  if math.type(value) ~= "integer" or value < 0 then
    error(("%s: a size is a whole number of bytes; got %s"):format(name, tostring(value)), 3)
  end
  return value
end

--- When the time is up, or nil for never.
local function deadline(name, seconds)
  if seconds == nil then return nil end
  if type(seconds) ~= "number" or seconds < 0 or seconds ~= seconds then
    error(("%s: the time must be a number of seconds; got %s"):format(name, tostring(seconds)), 4)
  end
  return core.now() + seconds
end

--- Waits for a piece and gives it; nil at the end.
local function fill(self, until_when, limit)
  if self._ended then return nil end
  local piece = self:_receive(PIECE, until_when and math.max(0, until_when - core.now()), limit)
  if not piece then
    self._ended = true
    return nil
  end
  self._more[#self._more + 1] = piece
  self._size = self._size + #piece
  return piece
end

--- Takes bytes that are there.
local function take(self, size)
  local there = #self._buffer - self._at + 1
  if size > there then
    self._buffer = self._buffer:sub(self._at) .. table.concat(self._more)
    self._at, self._more = 1, {}
  end
  local bytes = self._buffer:sub(self._at, self._at + size - 1)
  self._at = self._at + size
  self._size = self._size - size
  if self._at > #self._buffer then
    self._buffer, self._at = table.remove(self._more, 1) or "", 1
  end
  return bytes
end

--- How many bytes there are up to the end of the delimiter, waiting for more; nil
--- if the end comes first or, and then true, if they are more than max.
local function find(self, delimiter, max, until_when, limit)
  local keep = #delimiter - 1
  local _, last = self._buffer:find(delimiter, self._at, true)
  if last then
    local size = last - self._at + 1
    if size - #delimiter > max then return nil, true end
    return size
  end
  local before, index = #self._buffer - self._at + 1, 0
  local tail = self._buffer:sub(math.max(self._at, #self._buffer - keep + 1))
  while before - keep <= max do
    index = index + 1
    local piece = self._more[index] or fill(self, until_when, limit)
    if not piece then return nil, before > max end
    local joined = tail .. piece
    _, last = joined:find(delimiter, 1, true)
    if last then
      local size = before - #tail + last
      if size - #delimiter > max then return nil, true end
      return size
    end
    before = before + #piece
    tail = keep > 0 and joined:sub(-keep) or ""
  end
  return nil, true
end

local function too_long(name, what, max)
  error(core.Error(("%s: the %s is longer than %d bytes"):format(name, what, max), { code = "ETOOBIG" }), 0)
end

local function read_line(self, name, max, seconds, keep_end)
  local until_when = deadline(name, seconds)
  local _ <close> = hold(self, name)
  local size, long = find(self, "\n", max, until_when, seconds)
  if long then too_long(name, "line", max) end
  if not size then
    if self._size == 0 then return nil end
    return take(self, self._size)
  end
  local line = take(self, size)
  if keep_end then return line end
  return (line:gsub("\r?\n$", ""))
end

local function read_all(self, name, max, seconds)
  local until_when = deadline(name, seconds)
  local _ <close> = hold(self, name)
  repeat
    if self._size > max then too_long(name, "rest", max) end
  until not fill(self, until_when, seconds)
  return take(self, self._size)
end

local function read_exactly(self, name, size, seconds)
  local until_when = deadline(name, seconds)
  local _ <close> = hold(self, name)
  while self._size < size do
    if not fill(self, until_when, seconds) then break end
  end
  if self._size == 0 and size > 0 then return nil end
  return take(self, math.min(size, self._size))
end

local function read_some(self, name, max, seconds)
  local until_when = deadline(name, seconds)
  local _ <close> = hold(self, name)
  if self._size == 0 and not fill(self, until_when, seconds) then return nil end
  if self._buffer == "" then take(self, 0) end
  return take(self, math.min(max, #self._buffer - self._at + 1))
end

local function read_until(self, delimiter, max, seconds)
  local until_when = deadline("read_until", seconds)
  local _ <close> = hold(self, "read_until")
  local size, long = find(self, delimiter, max, until_when, seconds)
  if long then too_long("read_until", "piece", max) end
  return size and take(self, size):sub(1, -#delimiter - 1)
end

--- Reads a number of bytes (fewer only at the end), `"l"` a line, `"L"` a line
--- with its end, or `"a"` all that is left. nil at the end; `"a"` gives "" there.
---@param what? integer|"l"|"L"|"a" a line by default
---@param seconds? number
---@return string?
function Reader:read(what, seconds)
  if what == nil or what == "l" then return (read_line(self, "read", LINE_MAX, seconds)) end
  if what == "L" then return (read_line(self, "read", LINE_MAX, seconds, true)) end
  if what == "a" then return (read_all(self, "read", ALL_MAX, seconds)) end
  if math.type(what) ~= "integer" or what < 0 then
    error(('read: what to read is a number of bytes, "l", "L" or "a"; got %s'):format(tostring(what)), 2)
  end
  return (read_exactly(self, "read", what, seconds))
end

--- Reads a line, without its "\n" or "\r\n"; nil at the end. One that is longer
--- than max is an error with the code ETOOBIG.
---@param max? integer 64 KiB by default
---@param seconds? number
---@return string?
function Reader:read_line(max, seconds)
  return (read_line(self, "read_line", check_size("read_line", max, LINE_MAX), seconds))
end

--- Reads what there is, waiting for at least a byte; nil at the end.
---@param max? integer
---@param seconds? number
---@return string?
function Reader:read_some(max, seconds)
  return (read_some(self, "read_some", check_size("read_some", max, PIECE), seconds))
end

--- Reads up to a delimiter, which is taken, too, and not part of the result; nil
--- where the end comes before it, and then what is left can still be read.
---@param delimiter string
---@param max? integer 64 KiB by default
---@param seconds? number
---@return string?
function Reader:read_until(delimiter, max, seconds)
  if type(delimiter) ~= "string" or delimiter == "" then
    error("read_until: what to read up to is a string that isn't empty", 2)
  end
  return (read_until(self, delimiter, check_size("read_until", max, LINE_MAX), seconds))
end

--- Reads all that is left; more than max is an error with the code ETOOBIG.
---@param max? integer 64 MiB by default
---@param seconds? number
---@return string
function Reader:read_all(max, seconds)
  return (read_all(self, "read_all", check_size("read_all", max, ALL_MAX), seconds))
end

--- Goes over the lines that are left.
---@param max? integer of a line
---@return fun(): string?
function Reader:lines(max)
  max = check_size("lines", max, LINE_MAX)
  return function() return (read_line(self, "lines", max)) end
end

--- Goes over what is left in pieces, as they come.
---@param max? integer of a piece
---@return fun(): string?
function Reader:chunks(max)
  max = check_size("chunks", max, PIECE)
  return function() return (read_some(self, "chunks", max)) end
end

return Reader
