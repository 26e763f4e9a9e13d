--- Files and folders, on threads of libuv's pool: only the task that asks waits
--- for the disk. What fails raises a dewar.Error with `code`, such as "ENOENT".

local core = require "dewar.core"
local options = require "dewar.options"
local Reader = require "dewar.reader"

local disk = core.disk

local PIECE = 256 * 1024
local READ_MAX = 64 * 1024 * 1024

---@class dewar.fs
local fs = {}

local function is_error(err, code)
  return type(err) == "table" and err.code == code
end

-- Options and results -------------------------------------------------------

local function check_path(name, path, level)
  if type(path) ~= "string" then
    error(("%s: a path is a string; got a %s"):format(name, type(path)), level + 1)
  end
end

local function check_mode(name, opts, level)
  local mode = opts.mode
  if mode == nil or (math.type(mode) == "integer" and mode >= 0 and mode <= 4095) then return mode end
  error(("%s: the option 'mode' is permissions such as 420 (octal 644) or \"644\"; got %s"):format(name,
    tostring(mode)), level + 1)
end

--- The options, checked; permissions may be octal digits.
local function check(name, opts, known, level)
  known[#known + 1] = "timeout"
  opts = options.check(name, opts, known, level + 1)
  options.check_type(name, opts, "timeout", "number", level + 1)
  if type(opts.mode) == "string" and opts.mode:find "^[0-7]+$" then opts.mode = tonumber(opts.mode, 8) end
  check_mode(name, opts, level + 1)
  return opts
end

--- Calls f, which has a number of waits, with a limit for all of them.
local function within(name, seconds, f, path, ...)
  if seconds then return core.limit(name .. " " .. path, seconds, f, path, ...) end
  return f(path, ...)
end

-- Open files ----------------------------------------------------------------

--- An open file. It is closed at the end of its block where it is a to-be-closed
--- variable, by the collector, and at the runtime's end.
---@class dewar.OpenFile: dewar.Reader
---@field path string
local File = setmetatable({}, { __index = Reader })

local file_type = { __index = File, __name = "dewar.OpenFile" }

local function open(path, mode, permissions, seconds)
  local handle, stat = disk.open(path, mode:gsub("b", ""), permissions, seconds)
  local regular = stat.type == "file"
  local self = {
    path = path,
    _handle = handle,
    _position = regular and 0 or -1,
    _append = mode:sub(1, 1) == "a",
  }
  return Reader._open(setmetatable(self, file_type))
end

function File:_receive(size, seconds)
  local bytes = self._handle:read(size, self._position, seconds)
  if bytes and self._position >= 0 then self._position = self._position + #bytes end
  return bytes
end

--- Takes back what was received and not read.
local function rewind(self)
  local unread = self:_drop()
  if self._position >= 0 then self._position = self._position - unread end
end

--- Writes strings and numbers, in order, and returns the file.
---@param ... string|number
---@return dewar.OpenFile
function File:write(...)
  local pieces = table.pack(...)
  for i = 1, pieces.n do
    local kind = type(pieces[i])
    if kind ~= "string" and kind ~= "number" then
      error(("write: a file takes strings and numbers; got a %s"):format(kind), 2)
    end
  end
  local bytes = table.concat(pieces)
  rewind(self)
  for first = 1, #bytes, PIECE do
    local piece = #bytes <= PIECE and bytes or bytes:sub(first, first + PIECE - 1)
    self._handle:write(piece, self._append and -1 or self._position)
    if self._position >= 0 and not self._append then self._position = self._position + #piece end
  end
  return self
end

--- Where the next byte is read or written, after moving there.
---@param whence? "set"|"cur"|"end" "cur" by default
---@param offset? integer
---@return integer position
function File:seek(whence, offset)
  whence, offset = whence or "cur", offset or 0
  if math.type(offset) ~= "integer" then error("seek: the offset is a whole number", 2) end
  if self._position < 0 then error("seek: " .. self.path .. " is no regular file", 2) end
  if not self._handle:is_open() then error("seek: this file is closed", 2) end
  rewind(self)
  local base = self._position
  if whence == "set" then
    base = 0
  elseif whence == "end" then
    base = self._handle:stat().size
  elseif whence ~= "cur" then
    error(('seek: from where is "set", "cur" or "end"; got %s'):format(tostring(whence)), 2)
  end
  if base + offset < 0 then error("seek: that is before the beginning of the file", 2) end
  self._position = base + offset
  return self._position
end

--- Waits until what was written is on the disk.
---@param seconds? number
function File:sync(seconds) self._handle:sync(seconds) end

--- What the system knows of it: see dewar.Stat.
---@param seconds? number
---@return dewar.Stat
function File:stat(seconds) return (self._handle:stat(seconds)) end

--- Makes it as long as that.
---@param size integer
---@param seconds? number
function File:truncate(size, seconds)
  if math.type(size) ~= "integer" or size < 0 then error("truncate: the size is a whole number of bytes", 2) end
  rewind(self)
  self._handle:truncate(size, seconds)
end

--- Closes it; what the disk has to say against what was written is raised here.
function File:close()
  if self._handle:is_open() then self._handle:finish() end
end

function file_type:__close() self._handle:close() end

function file_type:__tostring()
  return ("file %s%s"):format(self.path, self._handle:is_open() and "" or " (closed)")
end

--- Opens a file.
---@param path string
---@param mode? "r"|"r+"|"w"|"w+"|"a"|"a+"|"wx"|"w+x" "r" by default; x: it must not be there yet
---@param opts? { mode?: integer|string, timeout?: number } permissions of a new one
---@return dewar.OpenFile
function fs.open(path, mode, opts)
  check_path("open", path, 2)
  if mode ~= nil and type(mode) ~= "string" then
    error("open: the mode is a string such as \"r\"; got a " .. type(mode), 2)
  end
  opts = check("open", opts, { "mode" }, 2)
  return (open(path, mode or "r", opts.mode, opts.timeout))
end

-- Whole files ---------------------------------------------------------------

local function read(path, max)
  local file <close> = open(path, "r")
  local pieces, size = {}, 0
  for piece in function() return file:_receive(PIECE) end do
    size = size + #piece
    if size > max then
      error(core.Error(("read %s: the file is longer than %d bytes"):format(path, max), { code = "ETOOBIG" }), 0)
    end
    pieces[#pieces + 1] = piece
  end
  return table.concat(pieces)
end

--- Reads a whole file.
---@param path string
---@param opts? { max?: integer, timeout?: number } max: an error beyond; 64 MiB by default
---@return string
function fs.read(path, opts)
  check_path("read", path, 2)
  opts = check("read", opts, { "max" }, 2)
  options.check_type("read", opts, "max", "number", 2)
  if opts.max and opts.max < 0 then
    error(("read: the option 'max' is how many bytes at most; got %s"):format(opts.max), 2)
  end
  return (within("read", opts.timeout, read, path, opts.max or READ_MAX))
end

local function write_all(file, data)
  if type(data) ~= "function" then
    file:write(data)
  else
    for piece in data do
      if type(piece) ~= "string" and type(piece) ~= "number" then
        error(("write %s: the iterator gives strings; it gave a %s"):format(file.path, type(piece)), 0)
      end
      file:write(piece)
    end
  end
end

local function write(path, data, opts)
  local file <close> = open(path, opts.append and "a" or "w", opts.mode)
  write_all(file, data)
  file:close()
end

local function random_name(path)
  local folder, name = path:match "^(.*/)([^/]*)$"
  return ("%s.%s.%08x%08x"):format(folder or "", name or path, math.random(0, 0xffffffff), math.random(0, 0xffffffff))
end

--- To another file, which takes the place of the first when it is whole.
local function replace(path, data, opts)
  local found, there = pcall(disk.stat, path)
  if found then
    path = disk.realpath(path)
  elseif not is_error(there, "ENOENT") then
    error(there, 0)
  end
  local beside = random_name(path)
  local done = false
  local _ <close> = setmetatable({}, { __close = function()
    if not done then core.shield(pcall, disk.unlink, beside) end
  end })
  local file <close> = open(beside, "wx", opts.mode)
  write_all(file, data)
  if found and not opts.mode then disk.chmod(beside, nil, there.mode) end
  file:sync()
  file:close()
  disk.rename(beside, path)
  done = true
end

---@class dewar.WriteOptions
---@field append? boolean behind what there is
---@field atomic? boolean who reads it finds the old contents or the new, whole ones
---@field mode? integer|string permissions of a new file
---@field timeout? number

--- Writes a whole file.
---@param path string
---@param data string|fun(): string? a string, or an iterator of them
---@param opts? dewar.WriteOptions
function fs.write(path, data, opts)
  check_path("write", path, 2)
  local kind = type(data)
  if kind ~= "string" and kind ~= "function" and kind ~= "number" then
    error("write: what to write is a string or an iterator; got a " .. kind, 2)
  end
  opts = check("write", opts, { "append", "atomic", "mode" }, 2)
  if opts.append and opts.atomic then error("write: append and atomic don't go together", 2) end
  within("write", opts.timeout, opts.atomic and replace or write, path, data, opts)
end

-- Paths ---------------------------------------------------------------------

---@class dewar.Stat
---@field type "file"|"directory"|"link"|"fifo"|"socket"|"char"|"block"|"unknown"
---@field size integer
---@field mode integer permissions
---@field mtime number of the last change; seconds since 1970, as the other times
---@field atime number
---@field ctime number
---@field uid integer
---@field gid integer
---@field ino integer
---@field dev integer
---@field nlink integer

--- What there is at a path.
---@param path string
---@param opts? { follow?: boolean, timeout?: number } follow = false: a link itself
---@return dewar.Stat
function fs.stat(path, opts)
  check_path("stat", path, 2)
  opts = check("stat", opts, { "follow" }, 2)
  local stat = opts.follow == false and disk.lstat or disk.stat
  return (stat(path, nil, nil, opts.timeout))
end

--- Whether there is something at a path.
---@param path string
---@param opts? { timeout?: number }
---@return boolean
function fs.exists(path, opts)
  check_path("exists", path, 2)
  opts = check("exists", opts, {}, 2)
  local ok, err = pcall(disk.stat, path, nil, nil, opts.timeout)
  if ok then return true end
  if is_error(err, "ENOENT") or is_error(err, "ENOTDIR") then return false end
  error(err, 0)
end

local function entries(path)
  local found, list = disk.scan(path), {}
  for i = 1, #found, 2 do
    local entry = { name = found[i], type = found[i + 1] }
    if entry.type == "unknown" then entry.type = disk.lstat(path .. "/" .. entry.name).type end
    list[#list + 1] = entry
  end
  table.sort(list, function(a, b) return a.name < b.name end)
  return list
end

--- What is in a folder, sorted by name, without "." and "..".
---@param path string
---@param opts? { timeout?: number }
---@return { name: string, type: string }[]
function fs.readdir(path, opts)
  check_path("readdir", path, 2)
  opts = check("readdir", opts, {}, 2)
  return (within("readdir", opts.timeout, entries, path))
end

local function mkdir_parents(path, mode)
  local ok, err = pcall(disk.mkdir, path, nil, mode)
  if ok then return end
  if is_error(err, "EEXIST") then
    local there, stat = pcall(disk.stat, path)
    if there and stat.type == "directory" then return end
  end
  local parent = path:match "^(.*[^/])/+[^/]+/*$"
  if not is_error(err, "ENOENT") or not parent then error(err, 0) end
  mkdir_parents(parent, mode)
  mkdir_parents(path, mode)
end

--- Makes a folder; with `parents`, those around it, too, and it may be there.
---@param path string
---@param opts? { parents?: boolean, mode?: integer|string, timeout?: number }
function fs.mkdir(path, opts)
  check_path("mkdir", path, 2)
  opts = check("mkdir", opts, { "parents", "mode" }, 2)
  local mode = opts.mode or 511 -- octal 777, less the umask
  if opts.parents then
    within("mkdir", opts.timeout, mkdir_parents, path, mode)
  else
    disk.mkdir(path, nil, mode, opts.timeout)
  end
end

local function remove_tree(path)
  if disk.lstat(path).type ~= "directory" then return disk.unlink(path) end
  for _, entry in ipairs(entries(path)) do remove_tree(path .. "/" .. entry.name) end
  disk.rmdir(path)
end

local function remove(path)
  if disk.lstat(path).type == "directory" then return disk.rmdir(path) end
  disk.unlink(path)
end

--- Removes a file, a link or an empty folder; with `recursive` a folder and all
--- that is in it.
---@param path string
---@param opts? { recursive?: boolean, timeout?: number }
function fs.remove(path, opts)
  check_path("remove", path, 2)
  opts = check("remove", opts, { "recursive" }, 2)
  within("remove", opts.timeout, opts.recursive and remove_tree or remove, path)
end

--- Gives a file another name, which is taken from what has it.
---@param from string
---@param to string
---@param opts? { timeout?: number }
function fs.rename(from, to, opts)
  check_path("rename", from, 2)
  check_path("rename", to, 2)
  opts = check("rename", opts, {}, 2)
  disk.rename(from, to, nil, opts.timeout)
end

--- Copies a file, with its permissions.
---@param from string
---@param to string
---@param opts? { replace?: boolean, timeout?: number } replace = false: there must be none yet
function fs.copy(from, to, opts)
  check_path("copy", from, 2)
  check_path("copy", to, 2)
  opts = check("copy", opts, { "replace" }, 2)
  disk.copy(from, to, opts.replace == false and 1 or 0, opts.timeout)
end

--- Makes a new, empty folder for passing use, and gives its path.
---@param prefix? string "/tmp/dewar-" by default, below what TMPDIR says
---@param opts? { timeout?: number }
---@return string path
function fs.mkdtemp(prefix, opts)
  if prefix ~= nil then check_path("mkdtemp", prefix, 2) end
  opts = check("mkdtemp", opts, {}, 2)
  prefix = prefix or (os.getenv "TMPDIR" or "/tmp") .. "/dewar-"
  return (disk.mkdtemp(prefix .. "XXXXXX", nil, nil, opts.timeout))
end

--- The path without links, "." and "..", from the root.
---@param path string
---@param opts? { timeout?: number }
---@return string
function fs.realpath(path, opts)
  check_path("realpath", path, 2)
  opts = check("realpath", opts, {}, 2)
  return (disk.realpath(path, nil, nil, opts.timeout))
end

--- Makes a link at path that leads to target.
---@param target string
---@param path string
---@param opts? { timeout?: number }
function fs.symlink(target, path, opts)
  check_path("symlink", target, 2)
  check_path("symlink", path, 2)
  opts = check("symlink", opts, {}, 2)
  disk.symlink(path, target, nil, opts.timeout)
end

--- Where a link leads to.
---@param path string
---@param opts? { timeout?: number }
---@return string
function fs.readlink(path, opts)
  check_path("readlink", path, 2)
  opts = check("readlink", opts, {}, 2)
  return (disk.readlink(path, nil, nil, opts.timeout))
end

--- Sets permissions: `fs.chmod(path, "640")`.
---@param path string
---@param mode integer|string octal digits, or a number
---@param opts? { timeout?: number }
function fs.chmod(path, mode, opts)
  check_path("chmod", path, 2)
  opts = check("chmod", opts, {}, 2)
  if type(mode) == "string" and mode:find "^[0-7]+$" then mode = tonumber(mode, 8) end
  if mode == nil then error("chmod: permissions are expected, such as \"640\"", 2) end
  disk.chmod(path, nil, check_mode("chmod", { mode = mode }, 2), opts.timeout)
end

return fs
