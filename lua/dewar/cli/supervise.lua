--- `dewar run` with live reload, or with several workers: this process holds the
--- socket, others serve from it. What a worker needs of it is in run.lua.

local core = require "dewar.core"
local apps = require "dewar.cli.app"
local serve = require "dewar.serve"

local M = {}

local SETTLE = 0.03    -- seconds without a change before a worker is started
local SETTLE_MAX = 10  -- of these
local POLL = 0.2       -- seconds, where watching is impossible
local GRACE = 3        -- seconds that requests of before a change have
local ENTRIES_MAX = 20000

-- --- Watching ------------------------------------------------------------------------------

local Watch = {}
Watch.__index = Watch

function Watch.new(system, supervisor)
  return setmetatable({ system = system, supervisor = supervisor, polls = false }, Watch):forget()
end

--- A new worker tells anew what it is made of.
function Watch:forget()
  self.files, self.folders = {}, {}
  return self
end

function Watch:_see(path)
  if not self.supervisor:watch(path) then self.polls = true end
end

--- What is in a folder, with marks.
function Watch:_tree(folder, found)
  local names = self.system.list(folder)
  if not names then return found end
  self:_see(folder)
  for _, name in ipairs(names) do
    local path = folder .. "/" .. name
    found.count = (found.count or 0) + 1
    if found.count > ENTRIES_MAX then return found end
    if name:sub(1, 1) ~= "." then
      if self.system.kind(path) == "folder" then
        self:_tree(path, found)
      else
        found[path] = self.system.mark(path) or false
      end
    end
  end
  return found
end

--- What a worker tells.
function Watch:add(what)
  if what.file then
    self.files[what.file] = what.mark
    self:_see(apps.folder_of(what.file))
  elseif what.folder then
    self.folders[what.folder] = self:_tree(what.folder, {})
    self:_see(apps.folder_of(what.folder))
  end
end

local function difference(old, new)
  for path, mark in pairs(old) do
    if new[path] ~= mark then return path end
  end
  for path in pairs(new) do
    if old[path] == nil then return path end
  end
end

--- The path of something that has changed, or nil.
function Watch:changed()
  for path, mark in pairs(self.files) do
    if (self.system.mark(path) or false) ~= mark then return path end
  end
  for folder, tree in pairs(self.folders) do
    local path = difference(tree, self:_tree(folder, {}))
    if path then return path end
  end
end

function Watch:_marks()
  local marks = {}
  for path in pairs(self.files) do marks[path] = self.system.mark(path) or false end
  for folder in pairs(self.folders) do self:_tree(folder, marks) end
  return marks
end

--- Waits until nothing changes any more: editors save in several steps.
function Watch:settle()
  local before = self:_marks()
  for _ = 1, SETTLE_MAX do
    core.sleep(SETTLE)
    local now = self:_marks()
    if not difference(before, now) then return end
    before = now
  end
end

-- --- Supervising -----------------------------------------------------------------------------

---@class dewar.Supervised
local Supervised = {}
Supervised.__index = Supervised

local function describe(what)
  if what.signal ~= 0 then return ("was killed by signal %d"):format(what.signal) end
  return ("ended with exit code %d"):format(what.status)
end

--- Workers that begin from now on show a failure instead of the app.
local function set_mode(self, failure)
  core.setenv("DEWAR_WORKER", self.reloads and "reload:" .. (failure or "") or "work")
end

function Supervised:reload(gently, failure)
  set_mode(self, failure)
  -- One that shows a failure doesn't load what has failed.
  if not failure then self.watch:forget() end
  self.supervisor:reload(gently)
end

local handlers = {}

function handlers.ready(self)
  if self.announced then return end
  self.announced = true
  serve.announce(self.name, self.where)
end

function handlers.line(self, text)
  local ok, what = pcall(core.json.decode, text)
  if not ok or type(what) ~= "table" then return end
  self.watch:add(what)
  if self.watch.files[what.file] ~= nil then return handlers.change(self) end
end

function handlers.change(self)
  local path = not self.stopping and self.watch:changed()
  if not path then return end
  self.watch:settle()
  core.log.info(path .. " has changed: starting anew")
  self:reload(false)
end

handlers["end"] = function(self, what)
  if what.asked or self.stopping then return end
  if what.ready and what.signal == 0 and what.status == 0 then -- app:stop()
    self.code = 0
    return self:stop()
  elseif not self.reloads then
    if what.ready then core.log.error(("worker %d %s; another takes its place"):format(what.pid, describe(what))) end
  elseif what.ready then
    core.log.error(("the app %s; starting anew"):format(describe(what)))
    self:reload(false)
  else
    local failure = ("The app's process %s while it was loading."):format(describe(what))
    core.log.error(failure)
    self:reload(false, failure)
  end
end

function handlers.signal(self, name)
  if name == "HUP" and not self.stopping then
    core.log.info "SIGHUP: starting anew"
    self:reload(true)
  elseif name == "USR1" then
    self.supervisor:dump()
  elseif name ~= "HUP" then
    self.code = 0
    self:stop()
  end
end

function handlers.idle(self) self.over = true end

function Supervised:stop()
  self.stopping = true
  self.supervisor:stop()
end

function Supervised:run()
  local workers = self.workers
  set_mode(self)
  self.supervisor:start(workers, self.reloads, self.reloads and GRACE or 0)
  while not self.over do
    local kind, what, pid = self.supervisor:next(self.watch.polls and POLL or nil)
    handlers[kind or "change"](self, what, pid)
  end
  return self.code
end

---@class dewar.SuperviseOptions
---@field name string of the app
---@field host string?
---@field port integer?
---@field unix string?
---@field workers integer
---@field reloads boolean

--- Serves until a signal; the exit code.
---@param opts dewar.SuperviseOptions
---@return integer
function M.run(opts)
  local system = require "dewar.system"
  local host = opts.host or serve.HOST
  local ok, supervisor, port
  if opts.unix then
    ok, supervisor = pcall(system.listen, opts.unix)
  else
    ok, supervisor, port = pcall(system.listen, host, opts.port or serve.PORT)
  end
  if not ok then
    apps.complain(apps.cannot(supervisor))
    return 1
  end
  local open <close> = supervisor
  return setmetatable({
    supervisor = open,
    name = opts.name,
    where = opts.unix and "unix:" .. opts.unix or serve.url(host, port),
    workers = opts.workers,
    reloads = opts.reloads,
    watch = Watch.new(system, supervisor),
    code = 1,
  }, Supervised):run()
end

return M
