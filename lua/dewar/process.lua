--- Other programs, without a shell between: run to their end, or talked with.

local core = require "dewar.core"
local options = require "dewar.options"
local tcp = require "dewar.tcp"

local OUTPUT_MAX = 64 * 1024 * 1024
local GRACE = 2 -- seconds between asking a process to end and killing it

---@class dewar.process
local process = {}

-- Options -------------------------------------------------------------------

local KNOWN = { "cwd", "env", "stdin", "stdout", "stderr", "timeout", "check", "max_output" }

--- The arguments and the options of a table that has both.
local function split(name, given, level)
  if type(given) ~= "table" then
    error(("%s takes a table, such as { \"ls\", \"-l\", cwd = \"/\" }; got a %s"):format(name, type(given)), level + 1)
  end
  local arguments, opts = {}, {}
  for i, argument in ipairs(given) do
    if math.type(argument) then argument = tostring(argument) end
    if type(argument) ~= "string" then
      error(("%s: argument %d is a string; got a %s"):format(name, i, type(argument)), level + 1)
    elseif argument:find("\0", 1, true) then
      error(("%s: argument %d has a NUL in it"):format(name, i), level + 1)
    end
    arguments[i] = argument
  end
  if not arguments[1] or arguments[1] == "" then
    error(name .. ": the program comes first in the table", level + 1)
  end
  for key, value in pairs(given) do
    if math.type(key) ~= "integer" then
      opts[key] = value
    elseif not arguments[key] then
      error(("%s: argument %d is nil"):format(name, #arguments + 1), level + 1)
    end
  end
  opts = options.check(name, opts, KNOWN, level + 1)
  for option, kind in pairs { cwd = "string", env = "table", timeout = "number", check = "boolean",
    max_output = "number" } do
    options.check_type(name, opts, option, kind, level + 1)
  end
  if opts.max_output and (math.type(opts.max_output) ~= "integer" or opts.max_output < 0) then
    error(("%s: the option 'max_output' is a whole number of bytes; got %s"):format(name, opts.max_output), level + 1)
  end
  return arguments, opts
end

--- What only has a meaning where a program is run to its end.
local function check_talk(name, opts, level)
  for _, option in ipairs { "timeout", "check", "max_output" } do
    if opts[option] ~= nil then
      error(("%s: the option '%s' is for `run`, to the program's end"):format(name, option), level + 1)
    end
  end
  local input = type(opts.stdin)
  if input == "function" or (input == "string" and opts.stdin ~= "inherit" and opts.stdin ~= "null") then
    error(("%s: stdin = true gives a connection to be written; a %s is for `run`, to the program's end"):format(name,
      input), level + 1)
  end
  for _, option in ipairs { "stdout", "stderr" } do
    if type(opts[option]) == "function" then
      error(("%s: `process.%s` gives a connection to be read; a function is for `run`, to the program's end"):format(
        name, option), level + 1)
    end
  end
end

--- Our environment with changes: false takes a variable out.
local function environment(method, changes, level)
  if not changes then return nil end
  local merged, list = core.environ(), {}
  for name, value in pairs(changes) do
    if type(name) ~= "string" or name == "" or name:find "[=\0]" then
      error(("%s: the option 'env' has names and values, { LANG = \"C\" }; '%s' is no name"):format(method,
        tostring(name)), level + 1)
    elseif type(value) ~= "string" and type(value) ~= "number" and value ~= false then
      error(("%s: the variable %s is a string, or false to take it out; got a %s"):format(method, name, type(value)),
        level + 1)
    elseif type(value) == "string" and value:find("\0", 1, true) then
      error(("%s: the variable %s has a NUL in it"):format(method, name), level + 1)
    end
    merged[name] = value or nil
  end
  for name, value in pairs(merged) do list[#list + 1] = name .. "=" .. tostring(value) end
  return list
end

local OUTPUT = { capture = "pipe", stream = "pipe", null = "null", inherit = "inherit", stdout = "stdout" }

local function output_mode(name, option, value, level)
  local mode = type(value) == "function" and "pipe" or OUTPUT[value]
  if mode and (mode ~= "stdout" or option == "stderr") then return mode end
  error(("%s: the option '%s' is \"capture\", \"stream\", \"null\" or \"inherit\"; got %s"):format(name, option,
    tostring(value)), level + 1)
end

local function input_mode(name, value, level)
  if value == nil or value == false or value == "null" then return "null" end
  if value == "inherit" then return "inherit" end
  if value == true or type(value) == "string" or type(value) == "function" then return "pipe" end
  error(("%s: the option 'stdin' is a string, an iterator, true or \"inherit\"; got a %s"):format(name, type(value)),
    level + 1)
end

-- Processes -----------------------------------------------------------------

--- A running program. It is killed at the end of its block where it is a
--- to-be-closed variable, when it is collected, and at the runtime's end.
---@class dewar.Process
---@field pid integer
---@field stdin dewar.Connection? with stdin = true
---@field stdout dewar.Connection? to be read
---@field stderr dewar.Connection?
local Process = {}

local process_type = { __index = Process, __name = "dewar.Process" }

local function start(name, arguments, opts, level)
  local input = input_mode(name, opts.stdin, level + 1)
  local output = output_mode(name, "stdout", opts.stdout, level + 1)
  local errors = output_mode(name, "stderr", opts.stderr, level + 1)
  local child, stdin, stdout, stderr =
    core.processes.spawn(arguments, environment(name, opts.env, level + 1), opts.cwd, input, output, errors)
  return setmetatable({
    _child = child,
    pid = child:pid(),
    stdin = stdin and tcp._adopt(stdin),
    stdout = stdout and tcp._adopt(stdout),
    stderr = stderr and tcp._adopt(stderr),
  }, process_type)
end

--- Waits for its end: its exit status, or nil and the signal that ended it.
---@param seconds? number
---@return integer? status
---@return string? signal "SIGTERM"
function Process:wait(seconds) return self._child:wait(seconds) end

--- Sends it a signal; false: it has ended.
---@param signal? string|integer "TERM" by default
---@return boolean
function Process:kill(signal) return (self._child:kill(signal)) end

--- Kills it if it runs yet, and closes its streams.
function Process:close()
  self._child:close()
  for _, name in ipairs { "stdin", "stdout", "stderr" } do
    if self[name] then self[name]:close() end
  end
end

process_type.__close = Process.close

function process_type:__tostring()
  return ("process %d%s"):format(self.pid, self._child:is_running() and "" or " (ended)")
end

--- Asks it to end, and kills it where it doesn't.
local function stop(self)
  if not self._child:is_running() then return end
  self:kill "TERM"
  core.shield(function()
    if not pcall(self.wait, self, GRACE) then
      self:kill "KILL"
      self:wait()
    end
  end)
end

local function talk_with(name, list, opts, level)
  check_talk(name, opts, level + 1)
  opts.stdout, opts.stderr = opts.stdout or "stream", opts.stderr or "inherit"
  return (start(name, list, opts, level + 1))
end

--- Starts a program. Its output is to be read, as it comes: a program whose output
--- nobody reads waits.
---@param arguments dewar.ProcessOptions
---@return dewar.Process
function process.spawn(arguments)
  local list, opts = split("spawn", arguments, 2)
  return (talk_with("spawn", list, opts, 2))
end

-- Running to the end --------------------------------------------------------

---@class dewar.ProcessOptions
---@field [integer] string the program and its arguments
---@field cwd? string
---@field env? table<string, string|false> changes to our environment
---@field stdin? string|true|"inherit"|fun(): string? what it reads; true (spawn): `stdin` is there to be written
---@field stdout? "capture"|"stream"|"inherit"|"null"|fun(piece: string)
---@field stderr? "capture"|"stream"|"inherit"|"null"|"stdout"|fun(piece: string) "stdout": where that goes
---@field timeout? number of run
---@field check? boolean of run: a status other than 0, or a signal, is an error
---@field max_output? integer of run: bytes that are captured; 64 MiB by default

---@class dewar.ProcessResult
---@field status integer? nil where a signal ended it
---@field signal string?
---@field stdout string?
---@field stderr string?

--- A program may end without reading all.
local function feed(stream, data)
  local ok, err = pcall(function()
    if type(data) == "string" then return stream:write(data) end
    for piece in data do stream:write(piece) end
  end)
  stream:close()
  if ok or (type(err) == "table" and (err.code == "EPIPE" or err.code == "ECONNRESET")) then return end
  error(err, 0)
end

--- What a stream of a program brings: a string, or nothing where a function has
--- taken it.
local function collect(program, name, stream, sink, max)
  if type(sink) == "function" then
    for piece in stream:chunks() do sink(piece) end
    return nil
  end
  local pieces, size = {}, 0
  for piece in stream:chunks() do
    pieces[#pieces + 1], size = piece, size + #piece
    if size > max then
      error(core.Error(("run %s: its %s is longer than %d bytes"):format(program, name, max), { code = "ETOOBIG" }), 0)
    end
  end
  return table.concat(pieces)
end

local function talk(self, program, opts)
  local result, jobs = {}, {}
  if self.stdin then
    jobs[#jobs + 1] = function() feed(self.stdin, opts.stdin) end
  end
  for _, name in ipairs { "stdout", "stderr" } do
    if self[name] then
      jobs[#jobs + 1] = function()
        result[name] = collect(program, name, self[name], opts[name], opts.max_output or OUTPUT_MAX)
      end
    end
  end
  if jobs[1] then core.gather(table.unpack(jobs)) end
  result.status, result.signal = self:wait()
  return result
end

--- Runs a program to its end. Where the task is cancelled, time runs out or
--- something fails meanwhile, the program is asked to end (SIGTERM), and killed
--- if it still runs two seconds later. With `stdout = "stream"` it is `spawn`.
---@param arguments dewar.ProcessOptions
---@return dewar.ProcessResult
function process.run(arguments)
  local list, opts = split("run", arguments, 2)
  if opts.stdout == "stream" or opts.stdin == true then return (talk_with("run", list, opts, 2)) end
  opts.stdout, opts.stderr = opts.stdout or "capture", opts.stderr or "capture"
  local self = start("run", list, opts, 2)
  local _ <close> = setmetatable({}, { __close = function()
    stop(self)
    self:close()
  end })
  local result
  if opts.timeout then
    result = core.limit("run " .. list[1], opts.timeout, talk, self, list[1], opts)
  else
    result = talk(self, list[1], opts)
  end
  if opts.check and result.status ~= 0 then
    local how = result.signal and "was ended by " .. result.signal or "ended with status " .. result.status
    error(core.Error(("%s %s"):format(list[1], how), { result = result, exit_status = result.status,
      signal = result.signal, stdout = result.stdout, stderr = result.stderr }), 0)
  end
  return result
end

return process
