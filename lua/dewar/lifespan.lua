--- An app's life around its serving: before_serving, while_serving, every,
--- after_serving. All of it runs in one task, the service, which is the parent
--- of the others: those of while_serving and of `every`, and those that a
--- before_serving has spawned. Apps that are mounted in it have lives of their
--- own, which begin after it and end before it.

local core = require "dewar.core"
local mount = require "dewar.mount"
local options = require "dewar.options"
local views = require "dewar.views"

local M = {}

--- Adds something to run, by the name of the method that asks for it.
---@param app dewar.App
---@param kind string
function M.add(app, kind, item)
  local lists = app._serving
  if not lists then
    lists = { before_serving = {}, while_serving = {}, after_serving = {}, every = {} }
    app._serving = lists
  end
  local list = lists[kind]
  list[#list + 1] = item
end

local function where(f)
  if type(f) ~= "function" then return "a callable" end
  local info = debug.getinfo(f, "S")
  return ("%s:%d"):format(info.short_src, info.linedefined)
end

-- --- Failures ---------------------------------------------------------------------

---@class dewar.LifeFailure
---@field what string "before_serving"...
---@field err any
---@field trace? string begins with the error's text

---@param failure dewar.LifeFailure
---@return string
function M.describe(failure)
  return failure.what .. " failed: " .. (failure.trace or tostring(failure.err))
end

local function without_us(ok, ...)
  if ok then return ok, ... end
  local err, trace = ...
  return ok, err, trace and trace:match "^(.*)\n\t%[C%]: in function 'attempt'" or trace
end

--- Calls f as the app wants its functions to be called: true and results; or
--- false, the error and its traceback, up to f.
local function attempt(app, f, ...)
  return without_us(core.attempt(views.ensure_sync(app, f), ...))
end

local Life = {}
Life.__index = Life

function Life:_fail(what, err, trace)
  local failure = { what = what, err = err, trace = trace }
  self.failures[#self.failures + 1] = failure
  return failure
end

--- Calls f; false where it failed. A cancellation is no failure of f's.
function Life:_call(what, f, ...)
  local ok, err, trace = attempt(self.app, f, ...)
  if ok then return true end
  if core.is_cancelled(err) then error(err, 0) end
  self:_fail(what, err, trace)
  return false
end

-- --- while_serving ----------------------------------------------------------------

--- What the end of one says, unless it is the end of all.
function Life:_judge(around, ok, err, trace)
  local serving = self.state == "serving" and not around.leave:is_set()
  local failure
  if not ok and core.is_cancelled(err) then
    return
  elseif not ok then
    failure = self:_fail("while_serving", err, trace)
  elseif not around.called then
    failure = self:_fail("while_serving", around.name .. " ended without having called serve()")
  elseif serving then
    failure = self:_fail("while_serving", around.name .. " ended before the app was stopped")
  end
  if failure and serving then -- the app is not any more what it should be
    failure.logged = true
    core.log.error(M.describe(failure))
    for _, server in ipairs(self.users) do server:stop() end
  end
end

--- Starts one, and returns when it has called serve, or has ended; false: it
--- has ended.
function Life:_enter(f)
  local arrived = core.event()
  local around = { leave = core.event(), called = false, ended = false, name = "while_serving at " .. where(f) }
  local function serve()
    if around.called then error("serve was called twice; it stands for all of the app's serving", 2) end
    around.called = true
    arrived:set()
    around.leave:wait()
  end
  around.task = core.spawn(function()
    self:_judge(around, attempt(self.app, f, serve))
    around.ended = true
    arrived:set()
  end)
  around.task.name = around.name
  self.arounds[#self.arounds + 1] = around
  arrived:wait()
  return not around.ended
end

--- Lets it go on behind serve(), and waits for its end. What has not come that
--- far is cancelled.
local function leave(around)
  around.leave:set()
  if not around.called then around.task:cancel() end
  local ok, err = pcall(core.await, around.task)
  if ok then return end
  around.task:cancel()
  core.shield(pcall, core.await, around.task)
  error(err, 0)
end

-- --- every ------------------------------------------------------------------------

local function tick(life, job)
  local ok, err, trace = attempt(life.app, job.f)
  if ok or core.is_cancelled(err) then return end
  core.log.error(("Exception in every(%g) at %s: %s"):format(job.seconds, where(job.f), trace or tostring(err)))
end

--- Whether all who use it are about to be stopped.
function Life:_is_stopping()
  if self.leaving then return true end
  for _, server in ipairs(self.users) do
    if not server:is_stopping() then return false end
  end
  return true
end

--- Ticks lie `seconds` apart from the start on, however long they take; those
--- that would fall into one that still runs are left out. They are background
--- tasks, so that stopping waits for the one that runs.
local function repeat_job(life, job)
  local app_core = life.app._core
  local due = core.now() + (job.now and 0 or job.seconds)
  while true do
    core.sleep(math.max(due - core.now(), 0))
    if life:_is_stopping() then return end
    local task = app_core:background(tick, life, job)
    task.name = job.name
    pcall(core.await, task)
    due = due + job.seconds
    local late = core.now() - due
    if late > 1e-6 then due = due + math.ceil((late - 1e-6) / job.seconds) * job.seconds end
  end
end

function Life:_start_job(job)
  local task = core.spawn(repeat_job, self, job)
  task.name = ("every %g s"):format(job.seconds)
  self.jobs[#self.jobs + 1] = task
end

-- --- The service ------------------------------------------------------------------

--- Whether all went well. Hooks may add others.
function Life:_begin()
  local lists = self.app._serving
  for _, f in ipairs(lists.before_serving) do
    if not self:_call("before_serving", f) then return false end
  end
  for _, f in ipairs(lists.while_serving) do
    if not self:_enter(f) then return false end
  end
  for _, job in ipairs(lists.every) do self:_start_job(job) end
  return true
end

--- Everything in turn, even if the time is up or somebody doesn't want to wait:
--- then waits in it are cancelled.
function Life:_end(served)
  local cancelled
  local function step(f, ...)
    local ok, err = pcall(f, ...)
    if not ok then cancelled = err end
  end
  for _, job in ipairs(self.jobs) do job:cancel() end
  for i = #self.arounds, 1, -1 do step(leave, self.arounds[i]) end
  if served then
    for _, f in ipairs(self.app._serving.after_serving) do step(self._call, self, "after_serving", f) end
  end
  if cancelled then error(cancelled, 0) end
end

--- The start, which may be aborted.
local function begin(life)
  local served = false
  local ok, err = pcall(core.scope, function(scope)
    life.starting = scope
    served = life:_begin()
  end)
  life.starting = nil
  life.state = served and "serving" or "ending"
  life.started:set()
  if not ok and not core.is_cancelled(err) then error(err, 0) end
  return served
end

local function main(life)
  local served = begin(life)
  if served then pcall(life.leave.wait, life.leave) end
  life.state = "ending"
  life.app._core:end_service()
  local limit = life.app.config.SHUTDOWN_TIMEOUT or 0
  local ok, err = pcall(core.timeout, limit, life._end, life, served)
  if not ok and core.TimeoutError:is(err) then
    core.log.warn(("what runs after serving was cancelled after %g s (SHUTDOWN_TIMEOUT)"):format(limit))
  elseif not ok and not core.is_cancelled(err) then
    error(err, 0)
  end
end

-- --- From outside -----------------------------------------------------------------

--- Starts the app's own service, or joins those who use it already, for an app
--- that is served: itself, or one that it is mounted in.
local function start_one(app, served)
  local life = app._life
  if life then
    table.insert(life.users, served._core)
  else
    ---@class dewar.Life
    life = setmetatable({
      app = app,
      state = "starting",
      users = { served._core },
      failures = {},
      arounds = {},
      jobs = {},
      started = core.event(),
      leave = core.event(),
    }, Life)
    app._life = life
    if not app._serving then -- nothing to do
      life.state = "serving"
      life.started:set()
    else
      life.task = app._core:service(main, life)
      life.task.name = "the service of " .. app.name
    end
  end
  return life
end

--- Waits for the start. Where it failed, this returns when all has ended again.
function Life:wait()
  self.started:wait()
  if self.state ~= "serving" then self:_finish() end
end

function Life:_finish()
  if self.app._life == self then self.app._life = nil end
  if not self.task then return end
  local ok, err = pcall(core.await, self.task)
  if not ok and not core.is_cancelled(err) then error(err, 0) end
end

--- Somebody doesn't want it to start any more, or to wait at its end.
function Life:abort()
  if self.starting then self.starting:cancel() end
end

function Life:hurry()
  if self.task then self.task:cancel() end
end

--- Lets background tasks finish in the time that is left, and cancels them; where
--- that is what is left of a limit, the log is told.
---@param seconds number
---@param limit? number
function Life:drain(seconds, limit)
  local app_core = self.app._core
  self.leaving = true
  if pcall(app_core.drain, app_core, math.max(seconds, 0)) then return end
  local count = app_core:cancel_background()
  if limit and count > 0 then
    core.log.warn(("%s cancelled after %g s (SHUTDOWN_TIMEOUT)"):format(
      count == 1 and "a background task was" or count .. " background tasks were", limit))
  end
  local again = 0.05 -- somebody may have swallowed it
  while not pcall(app_core.drain, app_core, again) do app_core:cancel_background() end
end

--- Ends it, if nobody else uses it: background tasks first, then what
--- while_serving and after_serving have to do.
---@param seconds number that background tasks have
---@param at_once? boolean waits are cancelled
---@return dewar.LifeFailure[]
function Life:stop(seconds, at_once)
  return self:_stop_for(self.app, seconds, at_once)
end

function Life:_stop_for(served, seconds, at_once)
  for i, server in ipairs(self.users) do
    if server == served._core then
      table.remove(self.users, i)
      break
    end
  end
  if #self.users > 0 then return {} end
  self:drain(seconds, seconds > 0 and served.config.SHUTDOWN_TIMEOUT or nil)
  self.leave:set()
  if at_once then self:hurry() end
  self:_finish()
  return self.failures
end

-- --- With mounted apps --------------------------------------------------------------

--- The lives of an app and of those that are mounted in it, as one.
local Lives = {}
Lives.__index = Lives

--- Starts one after the other. Where one fails, those before it end again.
function Lives:wait()
  for _, app in ipairs(mount.all(self.app)) do
    if self.aborted then break end
    local life = start_one(app, self.app)
    self.list[#self.list + 1] = life
    life:wait()
    if life.state ~= "serving" then
      table.remove(self.list)
      table.move(life.failures, 1, #life.failures, #self.failures + 1, self.failures)
      self.aborted = true
    end
  end
  if self.aborted then
    self:_end(false)
  else
    self.state = "serving"
  end
end

function Lives:abort()
  self.aborted = true
  local life = self.list[#self.list]
  if life then life:abort() end
end

function Lives:hurry()
  for _, life in ipairs(self.list) do life:hurry() end
end

function Lives:_end(at_once)
  self.state = "ending"
  for i = #self.list, 1, -1 do
    local failures = self.list[i]:_stop_for(self.app, 0, at_once)
    table.move(failures, 1, #failures, #self.failures + 1, self.failures)
  end
  return self.failures
end

--- Background tasks of all of them end before any of them does.
function Lives:stop(seconds, at_once)
  local till, ending = core.now() + seconds, {}
  local limit = seconds > 0 and self.app.config.SHUTDOWN_TIMEOUT or nil
  for _, life in ipairs(self.list) do
    if #life.users == 1 then ending[#ending + 1] = life end
  end
  for _, life in ipairs(ending) do life.leaving = true end
  for _, life in ipairs(ending) do life:drain(till - core.now(), limit) end
  return self:_end(at_once)
end

--- Starts the app's life, or joins those who use it already: `wait` returns when it
--- has started, and its `state` is "serving" where that went well.
---@param app dewar.App
---@return dewar.Life
function M.start(app)
  if #app._mounts == 0 then return start_one(app, app) end
  return setmetatable({ app = app, state = "starting", failures = {}, list = {} }, Lives)
end

-- --- In a host that is C ------------------------------------------------------------

--- Before it listens.
function M.start_up(app)
  if app._hosted then return end
  local life = M.start(app)
  life:wait()
  if life.state == "serving" then
    app._hosted = life
  else
    error(M.describe(life.failures[1]), 0)
  end
end

--- When all that it served is over, background tasks included.
function M.shut_down(app, at_once)
  local life = app._hosted
  if not life then return end
  app._hosted = nil
  local texts = {}
  for _, failure in ipairs(life:stop(0, at_once)) do texts[#texts + 1] = M.describe(failure) end
  if texts[1] then error(table.concat(texts, "\n"), 0) end
end

--- What `every` of an app was given: an error is the caller's at `level`.
---@return table
function M.job(seconds, opts, f, level)
  if type(seconds) ~= "number" or seconds <= 0 or seconds ~= seconds or seconds == math.huge then
    error(("every: the time between two runs is a number of seconds above 0; got %s"):format(
      type(seconds) == "number" and tostring(seconds) or "a " .. type(seconds)), level + 1)
  end
  opts = options.check("every", opts, { "now" }, level + 1)
  options.check_type("every", opts, "now", "boolean", level + 1)
  return { seconds = seconds, now = opts.now, f = f, name = ("every %g s at %s"):format(seconds, where(f)) }
end

return M
