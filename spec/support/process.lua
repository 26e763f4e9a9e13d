--- Programs that specs start: what they write, how they end.
local M = {}

local LIMIT = 30 -- seconds after which a spec gives up
local PAUSE = 0.02

local Process = {}
Process.__index = Process

local running = {}

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function command_line(words)
  local quoted = {}
  for i, word in ipairs(words) do quoted[i] = quote(word) end
  return table.concat(quoted, " ")
end

local function read(path)
  local file = io.open(path, "rb")
  if not file then return "" end
  local text = file:read "a"
  file:close()
  return text
end

-- They go when the specs of a file are over.
local folders = setmetatable({}, {
  __gc = function(made)
    if #made > 0 then os.execute("rm -rf " .. command_line(made)) end
  end,
})

--- A new empty folder.
function M.folder()
  local pipe = assert(io.popen "mktemp -d")
  local path = pipe:read "l"
  pipe:close()
  folders[#folders + 1] = path
  return path
end

--- Calls f until it gives something, and returns that.
function M.eventually(what, f)
  for _ = 1, LIMIT / PAUSE do
    local result = f()
    if result then return result end
    os.execute("sleep " .. PAUSE)
  end
  error("waited in vain for " .. what, 2)
end

--- The command `dewar` of this build.
function M.dewar()
  local build = os.getenv "SPEC_BUILD_DIR"
  return assert(build, "run the specs by ctest, or by with-tree") .. "/bin/dewar"
end

--- Starts a program.
---@param words string[]
function M.start(words)
  local folder = M.folder()
  local script = ([[d=%s; (sh -c 'echo $$ >"$0"/pid; exec "$@"' $d %s >$d/out 2>$d/err
    echo $? >$d/code.part; mv $d/code.part $d/code) &]]):format(folder, command_line(words))
  assert(os.execute(script))
  local self = setmetatable({ folder = folder, name = words[1] }, Process)
  self.pid = M.eventually("its process id", function()
    return tonumber(read(folder .. "/pid"))
  end)
  running[self] = true
  return self
end

--- What it has written so far.
function Process:out() return read(self.folder .. "/out") end
function Process:err() return read(self.folder .. "/err") end

--- Waits until it has written something to stderr, and returns the captures.
function Process:expect(pattern)
  return table.unpack(M.eventually(("'%s' in:\n%s"):format(pattern, self:err()), function()
    local found = table.pack(self:err():match(pattern))
    if found[1] then return found end
    if self:code() then
      error(("%s has ended without '%s':\n%s"):format(self.name, pattern, self:err()), 0)
    end
  end))
end

function Process:signal(name)
  os.execute(("kill -%s %d 2>/dev/null"):format(name, self.pid))
end

--- Its exit code, if it has ended.
function Process:code()
  return tonumber(read(self.folder .. "/code"))
end

--- How many files it has open.
function Process:fds()
  local pipe = assert(io.popen(("ls /proc/%d/fd | wc -l"):format(self.pid)))
  local n = pipe:read "n"
  pipe:close()
  return n
end

--- Waits for its end.
---@return integer code 128 and the signal's number where one killed it
function Process:wait()
  return M.eventually("the end of " .. self.name, function() return self:code() end)
end

--- Ends all that were started, and cleans up; for after_each.
function M.stop_all()
  for process in pairs(running) do
    if not process:code() then
      process:signal "KILL"
      process:wait()
    end
    os.execute("rm -r " .. process.folder)
    running[process] = nil
  end
end

--- Runs a program to its end.
---@param words string[]
---@return integer code, string out, string err
function M.run(words)
  local process = M.start(words)
  return process:wait(), process:out(), process:err()
end

--- Serves the app in a file with `dewar run`, on a free port.
---@param path string
---@param ... string more options
function M.serve(path, ...)
  local process = M.start { M.dewar(), "run", path, "--port", "0", ... }
  process.url = process:expect "(http://[%d.]+:%d+)"
  return process
end

--- A request by curl: the body, and curl's exit code.
function M.get(url, ...)
  local words = { "curl", "-s", "--max-time", tostring(LIMIT), ... }
  words[#words + 1] = url
  local code, out = M.run(words)
  return out, code
end

--- Writes a file.
function M.write(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
  return path
end

return M
